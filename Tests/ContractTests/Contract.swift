import ContainerNetworkingTestKit
import Glibc
import Netlink
import NetworkPrimitives
import SystemPackage
import Testing

/// The kernel of a case: each must fulfil the same contract.
enum KernelUnderTest: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case simulated
  case linux

  var testDescription: String { rawValue }

  /// Both, or only the simulated one without the privilege for the real one, unless that is required.
  static var available: [KernelUnderTest] {
    let isRequired = unsafe getenv("REQUIRE_KERNEL_TESTS").map { unsafe String(cString: $0) } == "1"
    return geteuid() == 0 || isRequired ? allCases : [.simulated]
  }

  func make() -> any Kernel {
    switch self {
    case .simulated: SimulatedKernel()
    case .linux: LinuxKernel()
    }
  }
}

/// A namespace of a kernel under test, and requests in it.
struct Contract {
  let kernel: any Kernel
  let namespace: NamespaceHandle
  let route: NetlinkConnection

  init(_ which: KernelUnderTest) throws {
    try self.init(which.make())
  }

  init(_ kernel: any Kernel) throws {
    self.kernel = kernel
    namespace = try kernel.makeNamespace()
    route = NetlinkConnection(try kernel.openSocket(.route, in: namespace))
  }

  /// Another namespace of the same kernel.
  func another() throws -> Contract { try Contract(kernel) }

  func links() throws -> [Link] { try route.dump(LinkRequests.list()).map { try Link($0) } }

  func link(_ name: String) throws -> Link {
    try Link(#require(try route.execute(LinkRequests.get(InterfaceName(name))).first))
  }

  @discardableResult
  func makeBridge(_ name: String) throws -> Link {
    let request = LinkRequests.createBridge(try InterfaceName(name), macAddress: nil, mtu: 1500)
    return try Link(#require(try route.execute(request).first))
  }

  func addresses() throws -> [String] {
    try route.dump(AddressRequests.list()).map { try AssignedAddress($0).address.description }
  }

  func routes() throws -> [Route] { try route.dump(RouteRequests.list()).compactMap { try Route($0) } }

  /// The kernel's refusal of a request.
  func refusal(_ request: NetlinkRequest) -> NetworkError? {
    #expect(throws: NetworkError.self) { try route.execute(request) }
  }
}
