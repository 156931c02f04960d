#!/usr/bin/env bash
# The CNI bridge plugin leaves its bridge and the container's interface behind when its IPAM plugin refuses the ADD.
#
# Software   containernetworking-plugins 1.1.1+ds1-3+b5 (Debian 12, amd64): bridge, host-local
# Expected   After an ADD that fails, the specification lets a runtime call DEL, but a failed ADD should leave nothing:
#            most plugins take back what they made, and a second ADD starts from an empty namespace.
# Seen       host-local has one address and gives it to the first container. ADD for the second exits 1 with
#            "no IP addresses available in range set"; eth0 is in the second container's namespace all the same, without
#            an address, and its host end is a port of the bridge. A second ADD for that container then fails with another
#            error (the name is taken), which hides the first.
set -euo pipefail
version='1.1.1+ds1-3+b5'
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
apt-get download -qq "containernetworking-plugins=$version" >/dev/null 2>&1
dpkg -x ./*.deb root
cat >run.sh <<'RUN'
set -euo pipefail
mount -t tmpfs none /run
mkdir -p /run/netns
ip link set lo up
for name in one two; do ip netns add "$name"; done
export CNI_PATH="$PWD/root/usr/lib/cni" CNI_IFNAME=eth0
# A /29 of which the range leaves one address for containers.
cat >net.json <<JSON
{"cniVersion": "1.0.0", "name": "small", "type": "bridge", "bridge": "small0", "isGateway": true,
 "ipam": {"type": "host-local", "dataDir": "$PWD/leases",
          "ranges": [[{"subnet": "10.9.0.0/29", "gateway": "10.9.0.1", "rangeStart": "10.9.0.2", "rangeEnd": "10.9.0.2"}]]}}
JSON
add() { CNI_COMMAND=ADD CNI_CONTAINERID=$1 CNI_NETNS=/run/netns/$1 "$CNI_PATH/bridge" <net.json; }
add one >first.json
if add two >second.json; then echo "the second ADD succeeds: changed"; exit 1; fi
grep -q 'no IP addresses available' second.json
echo "second ADD: $(tr -d '\n' <second.json)"
echo "in the second namespace: $(ip -n two -o link show eth0)"
test "$(ip -n two -o -4 address show eth0 | wc -l)" = 0
test "$(ip -o link show master small0 | wc -l)" = 2
if add two >third.json; then echo "a repeated ADD succeeds: changed"; exit 1; fi
echo "repeated ADD: $(tr -d '\n' <third.json)"
if grep -q 'no IP addresses available' third.json; then echo "the repeated ADD gives the same reason: changed"; exit 1; fi
RUN
unshare --net --mount --propagation private bash run.sh
echo "as described"
