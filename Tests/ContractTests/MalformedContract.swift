import Netlink
import NetworkPrimitives
import SystemPackage
import Testing

/// Requests that no well-behaved client sends: both kernels refuse them alike.
@Suite struct MalformedContract {
  private func body(_ header: [UInt8], _ write: (inout PayloadWriter) -> Void) -> [UInt8] {
    var body = PayloadWriter()
    body.append(contentsOf: header)
    write(&body)
    return body.bytes
  }

  /// `RTM_NEWNEIGH` on `lo`.
  private func neighbor(_ family: UInt8, _ write: (inout PayloadWriter) -> Void) -> NetlinkRequest {
    NetlinkRequest(
      type: 28, flags: [.create, .exclusive], body: body([family, 0, 0, 0, 1, 0, 0, 0, 0x80, 0, 0, 0], write),
      name: "RTM_NEWNEIGH", purpose: "add neighbour")
  }

  @Test(arguments: KernelUnderTest.available)
  func neighborsNeedAWholeAddress(_ which: KernelUnderTest) throws {
    let contract = try Contract(which)
    try contract.route.execute(LinkRequests.change(1, LinkChange(isUp: true)))
    let hardware = { (body: inout PayloadWriter) in body.attribute(2, bytes: [2, 0, 0, 0, 0, 1]) }
    #expect(contract.refusal(neighbor(2, hardware))?.kernel?.errno == .invalidArgument)
    let short = neighbor(2) { body in
      body.attribute(1, bytes: [10, 0, 0])
      hardware(&body)
    }
    #expect(contract.refusal(short)?.kernel?.errno == .invalidArgument)
    let foreign = neighbor(3) { body in
      body.attribute(1, bytes: [10, 0, 0, 1])
      hardware(&body)
    }
    #expect(contract.refusal(foreign)?.kernel?.errno == Errno(rawValue: 97))  // EAFNOSUPPORT
  }

  /// A request of the nftables subsystem for the inet family.
  private func nftables(_ message: UInt16, _ write: (inout PayloadWriter) -> Void) -> NetlinkRequest {
    NetlinkRequest(
      type: 0xa00 | message, flags: .create, body: body([1, 0, 0, 0], write), name: "nftables \(message)",
      purpose: "send what is malformed")
  }

  private func set(_ name: String, map: Bool = false, keyLength: UInt32 = 4) -> NetlinkRequest {
    nftables(9) { body in
      body.attribute(1, string: "t")
      body.attribute(2, string: name)
      body.attribute(3, bigEndian: UInt32(map ? 8 : 0))
      body.attribute(4, bigEndian: UInt32(7))
      body.attribute(5, bigEndian: keyLength)
      if map {
        body.attribute(6, bigEndian: UInt32(13))
        body.attribute(7, bigEndian: UInt32(2))
      }
      body.attribute(10, bigEndian: UInt32(1))
    }
  }

  private func element(of set: String, key: [UInt8], data: [UInt8]? = nil) -> NetlinkRequest {
    nftables(12) { body in
      body.attribute(1, string: "t")
      body.attribute(2, string: set)
      body.nested(3) { list in
        list.nested(1) { element in
          element.nested(1) { $0.attribute(1, bytes: key) }
          if let data { element.nested(2) { $0.attribute(1, bytes: data) } }
        }
      }
    }
  }

  @Test(arguments: KernelUnderTest.available)
  func nftablesObjectsMustBeWellFormed(_ which: KernelUnderTest) throws {
    let contract = try Contract(which)
    let netfilter = NetlinkConnection(try contract.kernel.openSocket(.netfilter, in: contract.namespace))
    let commit = { (requests: [NetlinkRequest]) throws(NetworkError) in
      try netfilter.transact(begin: NftTransaction.begin(), requests, end: NftTransaction.end)
    }
    let table = nftables(0) { $0.attribute(1, string: "t") }
    let chain = nftables(3) { body in
      body.attribute(1, string: "t")
      body.attribute(3, string: "c")
    }
    try commit([table, chain, set("addresses"), set("ports", map: true)])
    try commit([
      element(of: "addresses", key: [10, 0, 0, 1]), element(of: "ports", key: [1, 2, 3, 4], data: [0, 80]),
    ])

    let nameless = nftables(6) { body in
      body.attribute(1, string: "t")
      body.attribute(2, string: "c")
      body.nested(4) { list in list.nested(1) { $0.attribute(3, bytes: [UInt8]()) } }
    }
    let shortPolicy = nftables(3) { body in
      body.attribute(1, string: "t")
      body.attribute(3, string: "d")
      body.attribute(5, bytes: [0, 1])
    }
    let refused: [(NetlinkRequest, Errno)] = [
      (nftables(0) { $0.attribute(1, string: String(repeating: "n", count: 300)) }, Errno(rawValue: 34)),  // ERANGE
      (shortPolicy, Errno(rawValue: 34)),
      (set("wide", keyLength: 65), .invalidArgument),
      (element(of: "addresses", key: [10, 0, 0]), .invalidArgument),
      (element(of: "ports", key: [1, 2, 3, 5], data: [80]), .invalidArgument),
      (nameless, .invalidArgument),
    ]
    for (number, (request, errno)) in refused.enumerated() {
      let error = #expect(throws: NetworkError.self) { try commit([request]) }
      #expect(error?.kernel?.errno == errno, "request \(number)")
    }
  }
}
