import Glibc

/// Random bytes of the kernel, up to 256 of them in one call (getentropy(3)). `SystemRandomNumberGenerator` makes a
/// call for each eight bytes.
package func randomBytes(_ count: Int) -> [UInt8] {
  unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
    if let start = buffer.baseAddress, unsafe getentropy(start, count) != 0 {
      for index in 0..<count { unsafe buffer[index] = .random(in: 0 ... .max) }
    }
    initialized = count
  }
}
