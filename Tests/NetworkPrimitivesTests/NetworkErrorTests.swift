import NetworkPrimitives
import SystemPackage
import Testing

@Suite struct NetworkErrorTests {
  @Test func printsCausesBeneath() {
    let report = KernelReport(errno: .fileExists, request: "RTM_NEWLINK", message: "name taken", offset: 36)
    let error = NetworkError(
      .alreadyExists, operation: "attach \"web\"",
      causes: [NetworkError(.alreadyExists, operation: "create link \"cn0\"", kernel: report)])
    #expect(
      error.description == """
        attach "web": alreadyExists
          create link "cn0": RTM_NEWLINK: File exists (errno 17): "name taken", at byte 36 of the request
        """)
  }

  @Test func theKernelsOwnSentenceComesFirst() {
    let report = KernelReport(
      errno: .permissionDenied, request: "RTM_NEWADDR", message: "IPv6 is disabled on this device")
    let error = NetworkError(
      .kernelRefused, operation: "add fd00::2/64", reason: "switch it on, or leave IPv6 out", kernel: report)
    #expect(
      error.description == "add fd00::2/64: IPv6 is disabled on this device; switch it on, or leave IPv6 out "
        + "[RTM_NEWADDR: Permission denied (errno 13)]")
  }

  @Test func answersWhichCodeItIs() {
    let error = NetworkError(.inUse, operation: "publish 8080/tcp")
    #expect(error.is(.inUse) && error.is(.notFound, .inUse) && !error.is(.notFound) && !error.is())
    #expect(throws: Never.self) { try error.rethrow(unless: .alreadyExists, .inUse) }
    #expect(throws: error) { try error.rethrow(unless: .alreadyExists, .notFound) }
    #expect(throws: error) { try error.rethrow() }
  }

  @Test(arguments: [
    (Errno.permissionDenied, NetworkError.Code.permissionDenied), (.noSuchFileOrDirectory, .notFound),
    (.fileExists, .alreadyExists), (.addressInUse, .inUse), (.noSpace, .exhausted), (.invalidArgument, .kernelRefused),
  ])
  func errnoBecomesCode(errno: Errno, code: NetworkError.Code) {
    #expect(NetworkError.Code(errno) == code)
  }
}
