import ContainerNetworkingFoundation
import Foundation
import Testing

@Suite struct FoundationTests {
  @Test func localizedDescriptionIsTheErrorsSentence() throws {
    let thrown = #expect(throws: NetworkError.self) { try PortMapping("0") }
    let error = try #require(thrown)
    let general: any Error = error
    #expect(general.localizedDescription == error.description)
    #expect(general.localizedDescription.contains("ports are 1 to 65535"))
    #expect((general as? any LocalizedError)?.failureReason == error.reason)
    let refusal = NetworkError(
      .alreadyExists, operation: "create link", kernel: KernelReport(errno: .fileExists, request: "RTM_NEWLINK"))
    #expect(refusal.failureReason == "RTM_NEWLINK: File exists (errno 17)")
  }
}
