#!/usr/bin/env bash
# nftables deletes a map's element by its key: a value that is not the element's is no obstacle.
#
# Software   nftables 1.0.6-2+deb12u2 (Debian 12, amd64); the kernel decides (seen on Linux 6.18)
# Expected   "delete element … { 8080 : 10.0.0.2 }" fails while the map says 8080 : 10.0.0.3, as "add" of a second value
#            for that key does.
# Seen       It succeeds, and takes 8080 : 10.0.0.3 away. A late release of an old mapping so removes the new one of the
#            same port.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
apt-get download -qq nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 libmnl0=1.0.4-3 \
  libjansson4=2.14-2 \
  libxtables12=1.8.9-2 libedit2=3.1-20221030-2 libbsd0=0.11.7-2 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" root; done
export LD_LIBRARY_PATH="$PWD/root/usr/lib/x86_64-linux-gnu:$PWD/root/lib/x86_64-linux-gnu"
cat >run.sh <<'RUN'
set -euo pipefail
nft() { root/usr/sbin/nft "$@"; }
echo "$(nft --version), Linux $(uname -r)"
nft add table ip t
nft 'add map ip t m { type inet_service : ipv4_addr; }'
nft 'add element ip t m { 8080 : 10.0.0.3 }'
if nft 'add element ip t m { 8080 : 10.0.0.2 }' 2>error; then echo "a second value is taken: changed"; exit 1; fi
echo "add of another value: $(head -n 1 error)"
grep -q 'File exists' error
nft 'delete element ip t m { 8080 : 10.0.0.2 }'
nft list map ip t m
if nft list map ip t m | grep -q 8080; then echo "the element is still there: changed"; exit 1; fi
RUN
unshare --net bash run.sh
echo "as described"
