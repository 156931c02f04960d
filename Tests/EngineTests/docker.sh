# dockerd with everything of its own below $PWD, and our driver beside it. Docker has no bridge and no rules of its own.
export CNET_STATE_DIR=/run/work/record DOCKER_HOST=unix:///run/docker.sock
mkdir -p /run/docker/plugins
# Without the shell's word on it.
kill_quietly() { kill -9 "$1"; wait "$1" 2>/dev/null; rm -f /run/docker.pid; }
start_driver() {
  cnet-docker >>driver.log 2>&1 &
  until curl -s --unix-socket /run/docker/plugins/containernetworking.sock -X POST http://driver/Plugin.Activate >/dev/null; do sleep 0.05; done
}
# As on a machine: dockerd's own one ends half way when dockerd is killed.
containerd --root /run/work/containerd --state /run/containerd --address /run/containerd/containerd.sock >containerd.log 2>&1 &
until [ -S /run/containerd/containerd.sock ]; do sleep 0.1; done
start_dockerd() {
  dockerd --containerd /run/containerd/containerd.sock --data-root /run/work/docker --exec-root /run/docker -H "$DOCKER_HOST" --pidfile /run/docker.pid --bridge=none \
    --iptables=false --ip6tables=false --storage-driver vfs --live-restore >>dockerd.log 2>&1 &
  until docker version >/dev/null 2>&1; do sleep 0.1; done
}
start_driver
start_dockerd
tar -C rootfs -c . | docker import - busybox >/dev/null
