#!/usr/bin/env bash
# etcd takes a watch from a revision that does not exist yet, and keeps silent about what is written until then.
#
# Software   etcd-server 3.4.23-4+b4 (Debian 12, amd64), POST /v3/watch
# Expected   An error or a cancelled watch, as a revision that was compacted gets one: a client that asks for a revision
#            above the store's has seen another history (a store that was restored from a snapshot).
# Seen       "created": true, then nothing for a write that the watch covers, since its revision is below the one asked
#            for. The only sign is header.revision of the first line, which is below the revision that was asked for.
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
put() { curl -s -m 5 -o put -w '%{http_code}' -d '{"key":"YQ==","value":"YQ=="}' http://127.0.0.1:2379/v3/kv/put; }
for _ in $(seq 100); do [ "$(put)" = 200 ] && break; sleep 0.2; done
watch() {
  curl -s -N -m 4 -d "{\"create_request\":{\"key\":\"YQ==\",\"start_revision\":\"$1\"}}" \
    http://127.0.0.1:2379/v3/watch >"$2" || true
}
now=$(grep -o '"revision":"[0-9]*"' put | grep -o '[0-9]*')
watch "$((now + 1))" next & next=$!
watch "$((now + 1000))" future & future=$!
for _ in $(seq 50); do grep -q created next && grep -q created future && break; sleep 0.1; done
test "$(put)" = 200
wait "$next" "$future"
echo "from the next revision:"; cat next
echo "from a thousand further:"; cat future
grep -q '"events"' next
grep -q '"created":true' future
if grep -q -e '"events"' -e canceled -e error future; then echo "not silent: changed"; exit 1; fi
grep -q "\"revision\":\"$now\"" future
RUN
unshare --net bash run.sh
echo "as described"
