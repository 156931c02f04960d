/// Docker's options by verb: those that `cnet` supports, and those that it refuses.
enum DockerOptions {
  /// The options of a verb; nil for a verb that only the parser knows.
  static func table(of verb: String) -> OptionTable? { tables[verb] }

  private static let tables: [String: OptionTable] = [
    "run": run, "exec": exec, "attach": OptionTable(attachment + " --pid= --json"), "ps": list,
    "inspect": OptionTable("-f/--format= --type=").refusing("-s/--size", since: Reason.files),
    "stop": OptionTable("-s/--signal= -t/--time= --timeout="),
    "rm": OptionTable("-f/--force").refusing("-v/--volumes", since: Reason.volumes).refusing(
      "-l/--link", since: Reason.links),
    "network create": create,
    "network ls": OptionTable("-f/--filter= --format= --no-trunc -q/--quiet --json"),
    "network inspect": OptionTable("-f/--format= -v/--verbose"),
    "network connect": OptionTable(
      "--alias= --network-alias= --driver-opt= --gw-priority= --ip= --ip6= --mac-address= --mac= --interface="
    ).refusing("--link=", since: Reason.links).refusing("--link-local-ip=", since: Reason.linkLocal),
    "network disconnect": OptionTable("-f/--force --keep"),
    "network rm": OptionTable("-f/--force"),
    "network prune": OptionTable("-f/--force --filter="),
  ]

  private static let attachment =
    "--name= --net= --network= -p/--publish= --ip= --ip6= --alias= --network-alias= --mac= --mac-address= --gw-priority= "
    + "--interface= --driver-opt= -h/--hostname= --domainname= --dns= --dns-search= --dns-option= --dns-opt= --add-host="

  private static let process = "-d/--detach -e/--env= --env-file= -i/--interactive -t/--tty -w/--workdir="

  private static let run = OptionTable(
    attachment + " " + process
      + " --cidfile= --expose= -l/--label= --label-file= -P/--publish-all --rm --sysctl= --supervised", endsAtWord: true
  )
  .refusing("--disable-content-trust --entrypoint= --platform= --pull= -q/--quiet", since: Reason.images)
  .refusing(
    "--mount= --read-only --storage-opt= --tmpfs= -v/--volume= --volume-driver= --volumes-from=", since: Reason.volumes
  )
  .refusing("--link=", since: Reason.links)
  .refusing("--link-local-ip=", since: Reason.linkLocal)
  .refusing("-a/--attach= --detach-keys= --log-driver= --log-opt= --sig-proxy", since: Reason.streams)
  .refusing("--restart=", since: Reason.restarts)
  .refusing(
    "--health-cmd= --health-interval= --health-retries= --health-start-interval= --health-start-period= "
      + "--health-timeout= --no-healthcheck", since: Reason.health
  )
  .refusing("--stop-signal= --stop-timeout=", since: Reason.stops)
  .refusing(
    "--cap-add= --cap-drop= --group-add= --privileged --security-opt= --use-api-socket -u/--user=",
    since: Reason.privileges
  )
  .refusing("--cgroupns= --init --ipc= --pid= --userns= --uts=", since: Reason.namespaces)
  .refusing(
    "--blkio-weight= --blkio-weight-device= --cgroup-parent= --cpu-count= --cpu-percent= --cpu-period= --cpu-quota= "
      + "--cpu-rt-period= --cpu-rt-runtime= -c/--cpu-shares= --cpus= --cpuset-cpus= --cpuset-mems= --device-read-bps= "
      + "--device-read-iops= --device-write-bps= --device-write-iops= --io-maxbandwidth= --io-maxiops= -m/--memory= "
      + "--memory-reservation= --memory-swap= --memory-swappiness= --oom-kill-disable --oom-score-adj= --pids-limit= "
      + "--shm-size= --ulimit=", since: Reason.limits
  )
  .refusing("--device= --device-cgroup-rule= --gpus=", since: Reason.devices)
  .refusing("--annotation= --isolation= --runtime=", since: Reason.runtimes)

  private static let exec = OptionTable(process, endsAtWord: true)
    .refusing("--detach-keys=", since: Reason.streams)
    .refusing("--privileged -u/--user=", since: Reason.privileges)

  private static let list = OptionTable(
    "-a/--all -f/--filter= --format= -n/--last= -l/--latest --no-trunc -q/--quiet --json"
  ).refusing("-s/--size", since: Reason.files)

  private static let create = OptionTable(
    "--attachable --aux-address= -d/--driver= --dns= --gateway= --internal --ip-range= --ipam-driver= --ipv4 --ipv6 "
      + "--label= -o/--opt= --scope= --subnet= --json"
  )
  .refusing("--config-from= --config-only", since: Reason.configurations)
  .refusing("--ingress", since: Reason.swarm)
  .refusing("--ipam-opt=", since: Reason.addressDrivers)
}

/// The reason for refusing an option of Docker's, with the alternative.
enum Reason {
  static let images = "there are no images: the command is a program of this host"
  static let volumes = "there are no volumes: the command sees the files of this host as they are"
  static let files = "there are no layers of files whose size could be shown"
  static let links =
    "there are no links: containers of one custom network find each other by name; give more names by --network-alias"
  static let linkLocal = "the kernel gives IPv6 interfaces their link-local addresses itself; leave it out"
  static let streams = "input and output are the command's own; the output of a detached one goes to its LogPath"
  static let restarts =
    "a command is started once, and its network goes at its end; have a service manager start cnet run again"
  static let health = "only the network is checked, by cnet doctor; leave it out"
  static let stops = "give it to cnet stop, by --signal and --time"
  static let privileges =
    "the command has the privileges of cnet itself; start it by setpriv(1), as in setpriv --reuid=1000 sh"
  static let namespaces =
    "the command has a network, a view of its files and a host name of its own, and shares the rest with the host; "
    + "start it by unshare(1)"
  static let limits = "there are no control groups of containers; start cnet by systemd-run(1) with the limits"
  static let devices = "the command sees the devices of this host; leave it out"
  static let runtimes = "there is no runtime: the command is a process of this host; leave it out"
  static let configurations =
    "there are no networks with only a configuration; give the options to the network itself"
  static let swarm = "there is no swarm: networks are of one host"
  static let addressDrivers = "only the library leases addresses, and it has no options; leave it out"
}
