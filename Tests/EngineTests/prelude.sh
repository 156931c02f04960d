# A host for engines: namespaces of its own, a link to the outside, and everything that they keep below $PWD.
# BIN is where cnet, cnet-cni, cnet-docker and cnet-netavark are.
set -u
mount -t tmpfs none /run
umount /sys/fs/cgroup/unified 2>/dev/null || true
# Not a file system over /tmp: the programs may be below it.
mkdir -p /run/netns /run/work/temporary
cd /run/work
export TMPDIR=/run/work/temporary
ip link set lo up
ip netns add outside
ip link add eth0 type veth peer name eth0 netns outside
ip address add 203.0.113.1/24 dev eth0
ip link set eth0 up
ip -n outside address add 203.0.113.2/24 dev eth0
ip -n outside link set eth0 up
export PATH="$BIN:/usr/sbin:/usr/bin:/sbin:/bin" CNET_STATE_DIR=/run/work/record CNET_NAME_SERVER=none LC_ALL=C
# A root file system of one program.
mkdir -p rootfs/bin rootfs/proc rootfs/sys rootfs/dev rootfs/etc rootfs/tmp rootfs/www
cp "$(command -v busybox)" rootfs/bin/busybox
for name in sh sleep httpd ip ping true head; do ln -s busybox "rootfs/bin/$name"; done
echo hello >rootfs/www/index.html
# What a machine has in /opt/cni/bin.
mkdir -p plugins conflists
for type in containernetworking bridge macvlan portmap firewall tuning loopback; do ln -s "$BIN/cnet-cni" "plugins/$type"; done
from_outside() { ip netns exec outside curl -s -m 5 --retry 40 --retry-connrefused --retry-delay 0 "$@"; }
