import NIOCore
import NetworkPrimitives

/// Appends responses to one query to a buffer, octet by octet: the most frequent path must be the cheapest.
struct ResponseWriter {
  let query: Query
  /// The most octets; 65,535 by TCP.
  let limit: Int
  /// The lifetime of this server's own answers, seconds.
  let timeToLive: UInt32
  /// The number of the state that the answer reflects.
  let serial: UInt32

  /// The maximum UDP payload that this server accepts.
  static let payloadSize: UInt16 = 1232
  /// A pointer to the question's name, directly after the header.
  private static let questionName: UInt16 = 0xc00c

  private var optionSize: Int { query.edns == nil ? 0 : 11 }
  private var questionSize: Int { query.question.name.encodedCount + 4 }

  /// Writes a response that consists of a code.
  func write(code: ResponseCode, to buffer: inout ByteBuffer) {
    let start = writeStart(code, [], to: &buffer)
    writeOption(code, to: &buffer, start)
  }

  /// Writes the addresses of a name; none means NODATA, with its lifetime.
  func write(addresses: [IPAddress], to buffer: inout ByteBuffer) {
    guard !addresses.isEmpty else { return write(nothing: .noError, to: &buffer) }
    let start = writeStart(.noError, .authoritativeAnswer, to: &buffer)
    var count: UInt16 = 0
    for address in addresses {
      let size = address.family == .ipv4 ? 16 : 28
      guard buffer.writerIndex - start + size + optionSize <= limit else {
        truncate(&buffer, start)
        break
      }
      switch address {
      case .v4(let address):
        writeHead(.a, 4, to: &buffer)
        buffer.writeInteger(address.rawValue)
      case .v6(let address):
        writeHead(.aaaa, 16, to: &buffer)
        buffer.writeInteger(UInt64(truncatingIfNeeded: address.rawValue >> 64))
        buffer.writeInteger(UInt64(truncatingIfNeeded: address.rawValue))
      }
      count += 1
    }
    buffer.setInteger(count, at: start + 6)
    writeOption(.noError, to: &buffer, start)
  }

  /// The names of an address.
  func write(names: [DomainName], to buffer: inout ByteBuffer) {
    guard !names.isEmpty else { return write(nothing: .noError, to: &buffer) }
    let start = writeStart(.noError, .authoritativeAnswer, to: &buffer)
    var count: UInt16 = 0
    for name in names {
      guard buffer.writerIndex - start + 12 + name.encodedCount + optionSize <= limit else {
        truncate(&buffer, start)
        break
      }
      writeHead(.ptr, UInt16(name.encodedCount), to: &buffer)
      buffer.writeBytes(name.wire)
      buffer.writeInteger(UInt8(0))
      count += 1
    }
    buffer.setInteger(count, at: start + 6)
    writeOption(.noError, to: &buffer, start)
  }

  /// Writes a negative answer: NODATA or NXDOMAIN, with the SOA that limits its lifetime (RFC 2308, section 3).
  func write(nothing code: ResponseCode, to buffer: inout ByteBuffer) {
    let start = writeStart(code, .authoritativeAnswer, to: &buffer)
    // The SOA's owner is the name itself if it exists, otherwise the root; the same for its server and mailbox.
    let isThere = code == .noError
    let writeZone = { (buffer: inout ByteBuffer) in
      _ = isThere ? buffer.writeInteger(Self.questionName) : buffer.writeInteger(UInt8(0))
    }
    writeZone(&buffer)
    buffer.writeInteger(RecordType.soa.rawValue)
    buffer.writeInteger(RecordClass.internet.rawValue)
    buffer.writeInteger(timeToLive)
    buffer.writeInteger(UInt16(isThere ? 24 : 22))
    writeZone(&buffer)
    writeZone(&buffer)
    // Serial, refresh, retry, expire, and the effective lifetime.
    for number in [serial, 3_600, 600, 86_400, timeToLive] { buffer.writeInteger(number) }
    buffer.setInteger(UInt16(1), at: start + 8)
    writeOption(code, to: &buffer, start)
  }

  /// Writes another server's answer, `age` seconds old; truncated to the available room for clients that do not use
  /// TCP.
  func write(relayed answer: UpstreamAnswer, age: UInt32, to buffer: inout ByteBuffer) {
    guard Message.Header.size + questionSize + answer.records.count + optionSize > limit else {
      return write(allOf: answer, age: age, to: &buffer)
    }
    var whole = ByteBuffer()
    write(allOf: answer, age: age, to: &whole)
    if let message = try? Message(parsing: Array(whole.readableBytesView)) {
      buffer.writeBytes(message.encoded(limit: limit))
    } else {
      let start = writeStart(answer.code, [], to: &buffer)
      truncate(&buffer, start)
      writeOption(answer.code, to: &buffer, start)
    }
  }

  private func write(allOf answer: UpstreamAnswer, age: UInt32, to buffer: inout ByteBuffer) {
    var flags: Message.Flags = []
    let wantsProof = query.flags.contains(.authenticData) || query.edns?.acceptsDNSSEC == true
    if answer.isAuthentic, wantsProof { flags.insert(.authenticData) }
    let start = writeStart(answer.code, flags, to: &buffer)
    let base = buffer.writerIndex
    buffer.writeBytes(answer.records)
    for (offset, time) in answer.times { buffer.setInteger(time > age ? time - age : 0, at: base + offset) }
    buffer.setInteger(answer.answerCount, at: start + 6)
    buffer.setInteger(answer.authorityCount, at: start + 8)
    buffer.setInteger(answer.additionalCount, at: start + 10)
    writeOption(answer.code, to: &buffer, start)
  }

  /// Writes the response to a malformed message, of which only the header may be readable.
  static func write(malformed header: Message.Header, to buffer: inout ByteBuffer) {
    let flags = header.flags.intersection(.recursionDesired).union([.response, .recursionAvailable])
    buffer.writeInteger(header.id)
    buffer.writeInteger(Message.Header.word(flags, header.opcode, .formatError))
    buffer.writeInteger(UInt64(0))
  }

  // MARK: - Parts

  /// - Returns: Where the message starts.
  private func writeStart(_ code: ResponseCode, _ extra: Message.Flags, to buffer: inout ByteBuffer) -> Int {
    let start = buffer.writerIndex
    let flags = query.flags.intersection([.recursionDesired, .checkingDisabled])
      .union([.response, .recursionAvailable]).union(extra)
    buffer.writeInteger(UInt32(query.id) << 16 | UInt32(Message.Header.word(flags, query.opcode, code)))
    buffer.writeInteger(UInt64(1) << 48)
    buffer.writeBytes(query.question.name.wire)
    buffer.writeInteger(UInt8(0))
    buffer.writeInteger(UInt32(query.question.type.rawValue) << 16 | UInt32(query.question.recordClass.rawValue))
    return start
  }

  private func writeHead(_ type: RecordType, _ size: UInt16, to buffer: inout ByteBuffer) {
    buffer.writeInteger(UInt32(Self.questionName) << 16 | UInt32(type.rawValue))
    buffer.writeInteger(RecordClass.internet.rawValue)
    buffer.writeInteger(timeToLive)
    buffer.writeInteger(size)
  }

  private func truncate(_ buffer: inout ByteBuffer, _ start: Int) {
    let word: UInt16 = buffer.getInteger(at: start + 2) ?? 0
    buffer.setInteger(word | Message.Flags.truncated.rawValue, at: start + 2)
  }

  /// Writes the OPT pseudo-record, for clients that sent one (RFC 6891, section 6.1.1).
  private func writeOption(_ code: ResponseCode, to buffer: inout ByteBuffer, _ start: Int) {
    guard let edns = query.edns else { return }
    buffer.writeInteger(UInt8(0))
    buffer.writeInteger(RecordType.opt.rawValue)
    buffer.writeInteger(Self.payloadSize)
    buffer.writeInteger(UInt32(code.rawValue >> 4) << 24 | (edns.acceptsDNSSEC ? 0x8000 : 0))
    buffer.writeInteger(UInt16(0))
    let count: UInt16 = buffer.getInteger(at: start + 10) ?? 0
    buffer.setInteger(count + 1, at: start + 10)
  }
}
