import ContainerNetworking
import SystemPackage

/// Podman's netavark: a program for each attach, with iptables in programs of its own.
struct Netavark: NetworkTool {
  private let program: String

  init?() {
    guard let program = Programs.find("/usr/lib/podman/netavark", "/usr/libexec/podman/netavark") else { return nil }
    self.program = program
  }

  func attach(_ number: Int, _ namespace: FilePath, _ programs: Programs) throws {
    try run("setup", number, namespace, programs)
  }

  func detach(_ number: Int, _ namespace: FilePath, _ programs: Programs) throws {
    try run("teardown", number, namespace, programs)
  }

  private func run(_ verb: String, _ number: Int, _ namespace: FilePath, _ programs: Programs) throws {
    let id = String(repeating: "0", count: 56) + String(String(number + (1 << 28), radix: 16).suffix(8))
    let options = """
      {"container_id":"\(id)","container_name":"c\(number)",\
      "networks":{"b0":{"static_ips":["\(Numbering.address(number))"],"interface_name":"eth0"}},\
      "network_info":{"b0":{"name":"b0","id":"2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9",\
      "driver":"bridge","network_interface":"podman0",\
      "subnets":[{"subnet":"10.88.0.0/16","gateway":"10.88.0.1"}],"ipv6_enabled":false,"internal":false,\
      "dns_enabled":false,"ipam_options":{"driver":"host-local"}}},\
      "port_mappings":[{"host_ip":"","container_port":80,"host_port":\(Numbering.port(number)),"range":1,"protocol":"tcp"}]}
      """
    try programs.run(
      program, ["--config", programs.directory.string, verb, namespace.string], input: options)
  }
}
