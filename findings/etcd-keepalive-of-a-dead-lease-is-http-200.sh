#!/usr/bin/env bash
# etcd's JSON gateway answers the keepalive of a lease that has ended with HTTP 200 and no error.
#
# Software   etcd-server 3.4.23-4+b4 (Debian 12, amd64), POST /v3/lease/keepalive
# Expected   An error, as POST /v3/kv/put with the same lease gets one (404, code 5, "requested lease not found").
# Seen       200 and a result with the lease's ID; the only sign is a field that is not there: TTL. A client that looks
#            at the status, or reads a missing number as unknown, believes that its lease lives.
set -euo pipefail
version='3.4.23-4+b4'
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
apt-get download -qq "etcd-server=$version" >/dev/null 2>&1
dpkg -x ./*.deb root
cat >run.sh <<'RUN'
set -euo pipefail
ip link set lo up
root/usr/bin/etcd --data-dir data --log-level error --listen-client-urls http://127.0.0.1:2379 \
  --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380 2>etcd.log &
server=$!
trap 'kill $server; wait $server || true' EXIT
post() { curl -s -m 5 -o answer -w '%{http_code}' -d "$2" "http://127.0.0.1:2379/v3/$1"; }
for _ in $(seq 100); do [ "$(post kv/range '{"key":"YQ=="}')" = 200 ] && break; sleep 0.2; done
test "$(post lease/grant '{"TTL":"2"}')" = 200
lease=$(grep -o '"ID":"[0-9]*"' answer | grep -o '[0-9]*')
test "$(post lease/keepalive "{\"ID\":\"$lease\"}")" = 200
echo "alive: $(cat answer)"
grep -q '"TTL":"2"' answer
# Until it has ended: a lease that was revoked is as dead as one that ran out.
test "$(post lease/revoke "{\"ID\":\"$lease\"}")" = 200
status=$(post kv/put "{\"key\":\"YQ==\",\"value\":\"YQ==\",\"lease\":\"$lease\"}")
echo "put with the dead lease: $status $(cat answer)"
test "$status" = 404
status=$(post lease/keepalive "{\"ID\":\"$lease\"}")
echo "keepalive of the dead lease: $status $(cat answer)"
test "$status" = 200
grep -q "\"ID\":\"$lease\"" answer
if grep -q -e TTL -e error answer; then echo "a sign of its death: changed"; exit 1; fi
RUN
unshare --net bash run.sh
echo "as described"
