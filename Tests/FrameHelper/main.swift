import Glibc

// What tests send and see below IP, by packet sockets (packet(7)) of the namespace that it is started in.
//
//     frame-helper send INTERFACE HEX...   sends frames
//     frame-helper listen INTERFACE        prints "ready", then the number of each frame that ends with c0ffee and a number;
//                                          ends with number 255, or after half a minute without any

/// Prints why, with errno, and ends.
func fail(_ what: String) -> Never {
  print("\(what): errno \(errno)")
  exit(1)
}

func bytes(ofHex text: String) -> [UInt8] {
  let digits = Array(text.utf8).compactMap { UInt8(String(UnicodeScalar($0)), radix: 16) }
  return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

let arguments = CommandLine.arguments
guard arguments.count > 2 else { fail("usage: frame-helper send|listen INTERFACE [HEX...]") }
let isListener = arguments[1] == "listen"
let everything = UInt16(0x0003).bigEndian  // ETH_P_ALL
let packets = socket(AF_PACKET, Int32(SOCK_RAW.rawValue), 0)
guard packets >= 0 else { fail("socket") }
let index = unsafe if_nametoindex(arguments[2])
guard index > 0 else { fail("interface \(arguments[2])") }

// struct sockaddr_ll: family, protocol, index; hardware type, packet type, length and eight bytes of address stay 0.
var place = [UInt8](repeating: 0, count: 20)
unsafe place.withUnsafeMutableBytes { bytes in
  unsafe bytes.storeBytes(of: UInt16(AF_PACKET), as: UInt16.self)
  unsafe bytes.storeBytes(of: isListener ? everything : 0, toByteOffset: 2, as: UInt16.self)
  unsafe bytes.storeBytes(of: index, toByteOffset: 4, as: UInt32.self)
}
let isBound = unsafe place.withUnsafeBytes { bytes in
  unsafe bind(packets, bytes.assumingMemoryBound(to: sockaddr.self).baseAddress, 20) == 0
}
guard isBound else { fail("bind to \(arguments[2])") }

if isListener {
  var wait = timeval(tv_sec: 30, tv_usec: 0)
  unsafe setsockopt(packets, SOL_SOCKET, SO_RCVTIMEO, &wait, socklen_t(MemoryLayout<timeval>.size))
  print("ready")
  fflush(nil)
  var frame = [UInt8](repeating: 0, count: 2048)
  while true {
    let length = unsafe recv(packets, &frame, frame.count, 0)
    guard length > 0 else { fail("receive") }
    guard length >= 18, frame[length - 4..<length - 1] == [0xc0, 0xff, 0xee] else { continue }
    if frame[length - 1] == 255 { break }
    print(frame[length - 1])
  }
} else {
  for text in arguments.dropFirst(3) {
    let frame = bytes(ofHex: text)
    guard unsafe send(packets, frame, frame.count, 0) == frame.count else { fail("send") }
  }
}
