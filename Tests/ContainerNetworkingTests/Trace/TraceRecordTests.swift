import Netlink
import Testing

@testable import ContainerNetworking

/// The record of a trace is bounded, however many steps there are.
@Suite struct TraceRecordTests {
  /// The first step of a packet in a chain at prerouting, from 127.0.0.1 to itself; see NftTraceTests.
  private static func step() throws -> NftTrace {
    let hex =
      "0100000008000f0000000002080004000000000308000600d9d2f659080002007072650006000100740000000c000300"
      + "00000000000000050c00050008000100ffffffff08000a000000000106000b0003040000180008004500003c5cb34000"
      + "4006e0067f0000017f00000118000900e06c006321751a3300000000a002ffd7fe300000120007000000000000000000"
      + "0000000008000000"
    let digits = Array(hex.utf8).map { UInt8($0 < 0x61 ? $0 - 0x30 : $0 - 0x57) }
    let bytes = stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    return try NftTrace(NetlinkMessage(type: 0xa11, payload: bytes[...]))
  }

  private func steps(_ count: Int) throws -> NftTraceReader.Steps {
    var steps = NftTraceReader.Steps()
    steps.steps = Array(repeating: try Self.step(), count: count)
    return steps
  }

  @Test func othersPacketsAreForgotten() throws {
    var mayBegin = false
    var record = TraceRecord(begins: { _ in mayBegin }, hook: { _, _ in .prerouting })
    for _ in 0..<20 {
      record.add(try steps(5_000))
      #expect(record.count <= TraceRecord.limit)
    }
    #expect(record.flow.there.isEmpty)
    #expect(!record.isFull && !record.isLossy)
    // The awaited packet is recognized when it comes.
    mayBegin = true
    record.add(try steps(1))
    #expect(record.flow.there.count == 1)
    #expect(!record.isFull)
  }

  @Test func aFloodOfWhatIsFollowedEnds() throws {
    var record = TraceRecord(begins: { _ in true }, hook: { _, _ in .prerouting })
    record.add(try steps(TraceRecord.limit))
    #expect(!record.isFull)
    record.add(try steps(1))
    #expect(record.isFull && record.isLossy)
    record.add(try steps(TraceRecord.limit))
    #expect(record.count == 0)
    #expect(record.flow.there.count == 1)
  }
}
