import Netlink
import NetworkPrimitives
import TestSupport
import Testing

/// Bytes from a dump as `strace -e write=all` prints it, without its offsets.
func hex(_ text: String) -> [UInt8] {
  text.split(whereSeparator: \.isWhitespace).compactMap { UInt8($0, radix: 16) }
}

/// A message's body with its attributes separated: the common part of two senders that write attributes in different
/// orders. Keys are paths such as `18/2/1`; the header is ``header``.
///
/// - Parameters:
///   - size: Size of the fixed header.
///   - nests: Paths of the attributes that hold attributes, with the size of the header inside.
func taken(apart body: [UInt8], header size: Int, nests: [String: Int] = [:]) throws -> [String: [UInt8]] {
  var parts = ["header": Array(body.prefix(size))]
  func add(_ attributes: Attributes, under path: String) throws {
    for attribute in attributes {
      let own = "\(path)\(attribute.type)"
      #expect(parts[own] == nil, "attribute \(own) comes twice")
      if let inner = nests[own] {
        parts[own] = Array(attribute.payload.prefix(inner))
        try add(Attributes(attribute.payload.dropFirst(inner)), under: own + "/")
      } else {
        parts[own] = Array(attribute.payload)
      }
    }
  }
  try add(Attributes(body.dropFirst(size)), under: "")
  // The kind of a link may end with a NUL or not.
  if parts["18/1"]?.last == 0 { parts["18/1"]?.removeLast() }
  return parts
}

/// Bodies of messages that no kernel sends: `body` cut short, then with bytes changed at random.
func damaged(_ body: [UInt8], for test: String = #function) -> [[UInt8]] {
  var generator = SeededGenerator(for: test)
  let cut = body.indices.map { Array(body[..<$0]) }
  let changed = (0..<2000).map { _ in
    var bytes = body
    for _ in 0..<Int.random(in: 1...6, using: &generator) {
      bytes[Int.random(in: 0..<bytes.count, using: &generator)] = .random(in: 0 ... .max, using: &generator)
    }
    return bytes
  }
  return cut + changed
}

/// Reads every damaged form of `body`: each is read or refused as malformed, and none traps.
///
/// - Parameter header: Bytes of the fixed header; a truncation within it must be refused.
func expectNoTrap<Value>(
  _ body: [UInt8], header: Int, test: String = #function, read: (NetlinkMessage) throws(NetworkError) -> Value
) {
  var refused = 0
  for bytes in damaged(body, for: test) {
    do throws(NetworkError) { _ = try read(NetlinkMessage(type: 0, payload: bytes[...])) } catch {
      #expect(error.code == .malformedMessage, "\(bytes)")
      refused += 1
    }
  }
  #expect(refused >= header)
}

/// A namespace of its own with a veth pair in it, `v0` and `v1`, both up.
struct VethNamespace {
  let kernel = LinuxKernel()
  let namespace: NamespaceHandle
  let connection: NetlinkConnection
  let link: Link

  init() throws {
    namespace = try kernel.makeNamespace()
    connection = try NetlinkConnection(.route, in: namespace, of: kernel)
    let v0 = try InterfaceName("v0")
    try connection.execute(
      LinkRequests.createVeth(VethEnd(v0), peer: VethEnd(try InterfaceName("v1")), mtu: 1500))
    let replies = try connection.execute(LinkRequests.get(v0))
    link = try Link(#require(replies.first))
    for index in [link.index, try #require(link.peer)] {
      try connection.execute(LinkRequests.change(index, LinkChange(isUp: true)))
    }
  }
}
