import ContainerNetworking
import ContainerNetworkingTestKit
import SystemPackage
import Testing

/// `namespace.addresses`: the same on every kernel.
@Suite struct AddressServiceContract {
  private func make(_ kernel: KernelUnderTest) throws -> (NetworkNamespace, Int32) {
    let namespace = try NetworkNamespace.create(on: kernel.make())
    let link = try namespace.links.createBridge(InterfaceName("br0")).index
    try namespace.links.setUp(index: link)
    return (namespace, link)
  }

  @Test(arguments: KernelUnderTest.available) func oneAddress(_ kernel: KernelUnderTest) throws {
    let (namespace, link) = try make(kernel)
    for text in ["10.0.0.1/24", "fd00::1/64"] {
      let address = try InterfaceAddress(text)
      let early = #expect(throws: NetworkError.self) { try namespace.addresses.get(address, of: link) }
      #expect(early?.code == .notFound)
      try namespace.addresses.add(address, to: link)
      let read = try namespace.addresses.get(address, of: link)
      #expect(read.address == address && read.link == link)
      #expect(read.flags.contains(.permanent) && !read.flags.contains(.duplicateDetected))
      #expect(read.flags.contains(.noDuplicateDetection) == (address.family == .ipv6))
      #expect(read.label == (address.family == .ipv4 ? "br0" : nil))
      #expect(read.validLifetime == nil && read.preferredLifetime == nil)
      #expect(try namespace.addresses.list(link: 1).allSatisfy { $0.link == 1 && $0.address != address })
      #expect(try namespace.addresses.list(link: link).contains(read))
      try namespace.addresses.remove(address, from: link)
      let gone = #expect(throws: NetworkError.self) { try namespace.addresses.remove(address, from: link) }
      #expect(gone?.code == .notFound)
      #expect(gone?.reason == "link \(link) has no address \(address); the prefix length must match, too")
    }
    let absent = #expect(throws: NetworkError.self) { try namespace.addresses.list(link: 4711) }
    #expect(absent?.code == .notFound)
  }

  @Test(arguments: KernelUnderTest.available) func lifetimes(_ kernel: KernelUnderTest) throws {
    let (namespace, link) = try make(kernel)
    var short = AddressOptions()
    short.validLifetime = .seconds(3000)
    short.preferredLifetime = .seconds(2000)
    func isNear(_ lifetime: Duration?, _ seconds: Int64) -> Bool {
      lifetime.map { (.seconds(seconds - 60) ... .seconds(seconds)).contains($0) } ?? false
    }
    for text in ["10.0.0.1/24", "fd00::1/64"] {
      let address = try InterfaceAddress(text)
      // It creates a missing address, changes an existing one, and changes it back.
      for _ in 0..<2 {
        try namespace.addresses.replace(address, of: link, options: short)
        let read = try namespace.addresses.get(address, of: link)
        #expect(isNear(read.validLifetime, 3000) && isNear(read.preferredLifetime, 2000))
        #expect(!read.flags.contains(.permanent))
      }
      try namespace.addresses.replace(address, of: link)
      let good = try namespace.addresses.get(address, of: link)
      #expect(good.validLifetime == nil && good.preferredLifetime == nil && good.flags.contains(.permanent))
      var old = AddressOptions()
      old.preferredLifetime = .zero
      old.validLifetime = .seconds(50)
      try namespace.addresses.replace(address, of: link, options: old)
      #expect(try namespace.addresses.get(address, of: link).flags.contains(.deprecated))
    }
    #expect(try namespace.addresses.list(link: link).filter { $0.address.address.isLinkLocal == false }.count == 2)
  }

  @Test(arguments: KernelUnderTest.available) func labels(_ kernel: KernelUnderTest) throws {
    let (namespace, link) = try make(kernel)
    let address = try InterfaceAddress("10.0.0.1/24")
    var options = AddressOptions()
    options.label = "br0:first"
    try namespace.addresses.add(address, to: link, options: options)
    #expect(try namespace.addresses.get(address, of: link).label == "br0:first")
  }

  /// For a link without IPv6 the kernel returns EACCES, which means no missing privilege.
  @Test(arguments: KernelUnderTest.available) func aLinkWithoutIPv6SaysSo(_ kernel: KernelUnderTest) throws {
    let (namespace, link) = try make(kernel)
    try namespace.setSysctl("net/ipv6/conf/br0/disable_ipv6", to: "1")
    let error = #expect(throws: NetworkError.self) {
      try namespace.addresses.add(InterfaceAddress("fd00::1/64"), to: link)
    }
    #expect(error?.code == .kernelRefused)
    #expect(error?.reason.contains("IPv6 is switched off on the link") == true, "\(error as Any)")
    #expect(error?.description.contains("root") == false)
  }

  /// The kernel's own refusals, with the check before them bypassed.
  @Test(arguments: KernelUnderTest.available) func kernelRefusesBadOptions(_ kernel: KernelUnderTest) throws {
    let (namespace, link) = try make(kernel)
    let address = try InterfaceAddress("10.0.0.1/24")
    var long = AddressOptions()
    long.label = "br0:much-too-long"
    var unequal = AddressOptions()
    unequal.validLifetime = .seconds(10)
    unequal.preferredLifetime = .seconds(11)
    for (options, errno) in [(long, 34), (unequal, 22)] {
      let error = #expect(throws: NetworkError.self) {
        try namespace.connection(.route).execute(AddressRequests.add(address, to: link, options: options))
      }
      #expect(error?.kernel?.errno == Errno(rawValue: CInt(errno)))
      let early = #expect(throws: NetworkError.self) {
        try namespace.addresses.add(address, to: link, options: options)
      }
      #expect(early?.code == .invalidValue)
    }
    #expect(try namespace.addresses.list(link: link).allSatisfy { $0.address != address })
  }
}
