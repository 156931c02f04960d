#!/usr/bin/env bash
# Deleting a VXLAN forwarding entry succeeds and removes nothing when the MAC is known but not with that destination.
#
# Software   iproute2 6.1.0-3 (Debian 12, amd64); the kernel decides (seen on Linux 6.18)
# Expected   "No such file or directory", as for a MAC that has no entry.
# Seen       Exit 0, and the entry with its real destination stays. A delete that is based on an old record looks done.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
apt-get download -qq iproute2=6.1.0-3 libbpf1=1:1.1.2-0+deb12u1 \
  libelf1=0.188-2.1 libmnl0=1.0.4-3 libcap2=1:2.66-4+deb12u3+b1 libbsd0=0.11.7-2 libtirpc3=1.3.3+ds-1 libxtables12=1.8.9-2 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" root; done
export LD_LIBRARY_PATH="$PWD/root/usr/lib/x86_64-linux-gnu:$PWD/root/lib/x86_64-linux-gnu"
cat >run.sh <<'RUN'
set -euo pipefail
ip() { root/bin/ip "$@"; }
bridge() { "$(find root -name bridge -type f -perm -u+x | head -n 1)" "$@"; }
echo "$(ip -V), Linux $(uname -r)"
ip link set lo up
ip link add vx type vxlan id 42 dstport 4789 local 127.0.0.1 nolearning
ip link set vx up
bridge fdb add 02:00:00:00:00:01 dev vx dst 10.0.0.1 self permanent
if bridge fdb del 02:00:00:00:00:02 dev vx dst 10.0.0.1 self 2>error; then echo "an unknown MAC: changed"; exit 1; fi
echo "unknown MAC: $(cat error)"
bridge fdb del 02:00:00:00:00:01 dev vx dst 10.0.0.9 self
echo "known MAC, absent destination: exit 0; what is there:"
bridge fdb show dev vx | grep 02:00:00:00:00:01
RUN
unshare --net bash run.sh
echo "as described"
