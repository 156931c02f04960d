#!/usr/bin/env bash
# netavark publishes one host port for two containers without a word, and the first to come answers.
#
# Software   netavark 1.4.0-3 (Debian 12, amd64), iptables 1.8.9-2
# Expected   An error that names the port, as a second listener on a socket gets one. (podman itself holds a socket for
#            each port, so that its users seldom meet this; an engine that calls netavark alone does.)
# Seen       setup of the second container succeeds, with exit 0 and the usual answer. The nat table has two DNAT rules
#            for the port; a connection comes to the first container's server.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
apt-get download -qq netavark=1.4.0-3 iptables=1.8.9-2 libip4tc2=1.8.9-2 libip6tc2=1.8.9-2 libxtables12=1.8.9-2 \
  libnftnl11=1.2.4-2 libmnl0=1.0.4-3 libnfnetlink0=1.0.2-2 libnetfilter-conntrack3=1.0.9-3 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" root; done
export LD_LIBRARY_PATH="$PWD/root/usr/lib/x86_64-linux-gnu:$PWD/root/lib/x86_64-linux-gnu"
export PATH="$PWD/root/usr/sbin:$PATH" XTABLES_LIBDIR="$PWD/root/usr/lib/x86_64-linux-gnu/xtables"
for name in iptables ip6tables iptables-save ip6tables-save; do
  ln -sf xtables-nft-multi "root/usr/sbin/$name"
done
cat >run.sh <<'RUN'
set -euo pipefail
mount -t tmpfs none /run
ip link set lo up
# The machine outside, which asks.
ip netns add outside
ip link add up0 type veth peer name eth0 netns outside
ip addr add 203.0.113.1/24 dev up0; ip link set up0 up
ip -n outside addr add 203.0.113.2/24 dev eth0; ip -n outside link set eth0 up
request() {
  cat <<JSON
{"container_id": "$1", "container_name": "$1",
 "port_mappings": [{"host_ip": "", "container_port": 80, "host_port": 8080, "range": 1, "protocol": "tcp"}],
 "networks": {"net1": {"interface_name": "eth0", "static_ips": ["10.88.0.$2"]}},
 "network_info": {"net1": {"name": "net1", "id": "aaaa", "driver": "bridge", "network_interface": "br1",
  "subnets": [{"subnet": "10.88.0.0/24", "gateway": "10.88.0.1"}], "ipv6_enabled": false, "internal": false,
  "dns_enabled": false, "ipam_options": {"driver": "host-local"}}}}
JSON
}
pids=()
trap 'kill "${pids[@]}"' EXIT
for place in 2 3; do
  name=container$place
  ip netns add "$name"
  request "$name" "$place" | netavark --config "$PWD/config" setup "/run/netns/$name"
  echo
  mkdir -p "www$place"; echo "$name" >"www$place/index.html"
  ip netns exec "$name" env -u LD_LIBRARY_PATH python3 -m http.server 80 -d "$PWD/www$place" >/dev/null 2>&1 & pids+=($!)
done
iptables -t nat -S | grep 8080 || true
rules=$(iptables -t nat -S | grep -c "dport 8080 .*-j DNAT" || true)
answer=$(ip netns exec outside env -u LD_LIBRARY_PATH curl -s -m 5 --retry 20 --retry-connrefused --retry-delay 1 http://203.0.113.1:8080/)
echo "DNAT rules for 8080: $rules; who answers: $answer"
test "$rules" = 2
test "$answer" = container2
RUN
sed -i 's#netavark --config#root/usr/lib/podman/netavark --config#' run.sh
mkdir -p config
unshare --net --mount --propagation private bash run.sh
echo "as described"
