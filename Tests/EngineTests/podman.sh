cat >containers.conf <<CONF
[network]
network_backend = "cni"
network_config_dir = "/run/work/conflists"
cni_plugin_dirs = ["/run/work/plugins"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
static_dir = "/run/work/static"
volume_path = "/run/work/volumes"
tmp_dir = "/run/work/tmp"
[containers]
log_driver = "k8s-file"
cgroups = "disabled"
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
CONF
cat >storage.conf <<CONF
[storage]
driver = "vfs"
graphroot = "/run/work/graph"
runroot = "/run/work/runroot"
CONF
export CONTAINERS_CONF=/run/work/containers.conf CONTAINERS_STORAGE_CONF=/run/work/storage.conf
# The processes that end podman's containers do not have podman's environment: the record is at its usual place.
mount -t tmpfs none /var/lib
unset CNET_STATE_DIR
