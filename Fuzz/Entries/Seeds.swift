public import ContainerNetworking
import Synchronization

extension FuzzEntry {
  /// What a kernel was really sent and really answered, by the entry that reads it: where fuzzing starts from.
  ///
  /// - Parameter kernel: ``LinuxKernel``, or a simulated one; two namespaces are made on it, and vanish.
  public static func seeds(from kernel: any Kernel) throws(NetworkError) -> [FuzzEntry: [[UInt8]]] {
    let recorder = RecordingKernel(kernel)
    let script = try Script(recorder)
    try script.make()
    try script.readAll()
    try script.remove()
    let (sent, received) = recorder.record.withLock { ($0.sent, $0.received) }

    var seeds: [FuzzEntry: [[UInt8]]] = [
      .texts: textSeeds.map { Array($0.utf8) }, .subnetConfiguration: configurations.map { Array($0.utf8) },
      .messages: sent.values.flatMap { $0 } + received, .routeDatagram: sent[.route] ?? [],
      .netfilterDatagram: sent[.netfilter] ?? [], .dnsMessage: NameEntries.seeds,
    ]
    var messages: [NetlinkMessage] = []
    for datagram in received { messages += try NetlinkMessage.parse(datagram[...]) }
    for message in messages {
      let payload = Array(message.payload)
      switch message.type {
      case ControlMessage.error, ControlMessage.done:
        let flags = message.flags.rawValue
        seeds[.acknowledgement, default: []].append(
          [UInt8(truncatingIfNeeded: flags), UInt8(truncatingIfNeeded: flags >> 8)] + payload)
      case 16: seeds[.link, default: []].append(payload)
      case 20: seeds[.address, default: []].append(payload)
      case 24: seeds[.route, default: []].append(payload)
      case 28: seeds[.neighbor, default: []].append(payload)
      case 0xa00: seeds[.table, default: []].append(payload)
      case 0xa03: seeds[.chain, default: []].append(payload)
      case 0xa06: seeds[.rule, default: []].append(payload)
      case 0xa09: seeds[.set, default: []].append(payload)
      case 0xa0c: for shape in 0..<5 { seeds[.elements, default: []].append([UInt8(shape)] + payload) }
      default: continue
      }
      let header = message.type >= 0xa00 ? 4 : message.type == 16 ? 16 : 12
      if message.type >= 16 { seeds[.attributes, default: []].append(Array(payload.dropFirst(header))) }
    }
    return seeds
  }

  private static var textSeeds: [String] {
    [
      "172.17.0.2", "0.0.0.0", "255.255.255.255", "::", "::1", "fe80::1", "2001:db8::ffff:1", "::ffff:10.0.0.1",
      "10.0.0.0/8", "fd00::/64", "10.0.0.1/24", "10.0.0.1-10.0.0.9", "02:42:ac:11:00:02", "eth0", "8080", "80-90",
      "tcp", "udp", "sctp", "automatic", "none", "bridge", "host", "container:web", "my-net_1.0", "8080:80",
      "127.0.0.1:8080:80/udp", "[::1]:8080:80", "8000-8002:80-82/tcp", "127.0.0.1::80",
    ]
  }

  private static var configurations: [String] {
    [
      "10.0.0.0/24", "10.0.0.0/24\n10.0.0.128/25", "10.0.0.0/24\n\n10.0.0.254",
      "10.0.0.0/24\n\nnone\n10.0.0.7\n10.0.0.8",
      "10.0.0.0/31", "10.0.0.0/32", "0.0.0.0/26", "fd00::/64\nfd00::8000/113\nfd00::1", "::/64", "fd00::/127",
      "10.0.0.0/30\n10.0.0.0/30\nautomatic\n10.0.0.1",
    ]
  }
}
