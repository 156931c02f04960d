import ArgumentParser
import ContainerNetworking

/// A container's host name and name servers, for `run` and `attach`.
struct NameArguments: ParsableArguments {
  @Option(
    name: [.customShort("h"), .long],
    help: .init("Its host name; by default the first twelve digits of its id.", valueName: "name"))
  var hostname: String?
  @Option(help: .init("The domain of its host name.", valueName: "name"))
  var domainname: String?
  @Option(help: .init("A name server; by default the host's.", valueName: "ip"))
  var dns: [String] = []
  @Option(help: .init("A search domain for short names; . for none.", valueName: "domain"))
  var dnsSearch: [String] = []
  @Option(
    name: [.customLong("dns-option"), .customLong("dns-opt")],
    help: .init("An option of the resolver, as in ndots:2.", valueName: "option"))
  var dnsOptions: [String] = []
  @Option(
    name: .customLong("add-host"),
    help: .init("An extra line of its hosts file; host-gateway is the host's address.", valueName: "name:ip"))
  var hosts: [String] = []

  /// - Throws: Every fault together, except those of fields that are parsed later.
  func options() throws(NetworkError) -> NameOptions {
    var options = NameOptions(
      hostname: hostname, domainname: domainname, dnsSearch: dnsSearch, dnsOptions: dnsOptions)
    var faults: [NetworkError] = []
    for text in dns {
      do throws(NetworkError) { options.dns.append(try NameOptions.server(text)) } catch { faults.append(error) }
    }
    for text in hosts {
      do throws(NetworkError) { options.extraHosts.append(try ExtraHost(text)) } catch { faults.append(error) }
    }
    guard !faults.isEmpty else { return options }
    throw NetworkError(faults: faults, operation: "read name options")
  }
}
