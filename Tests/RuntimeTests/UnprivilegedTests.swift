import ContainerNetworking
import Glibc
import Testing

/// The page's tests need no privilege: here they run in a process that has dropped all of them.
@Suite struct UnprivilegedTests {
  @Test func runtimeIsTestedAsNobody() async {
    await #expect(processExitsWith: .success) {
      if geteuid() == 0 {
        let nobody: uid_t = 65534
        let dropped = setgroups(0, nil)
        try #require(dropped == 0)
        try #require(setgid(nobody) == 0)
        try #require(setuid(nobody) == 0)
      }
      let error = #expect(throws: NetworkError.self) { try NetworkNamespace.create() }
      try #require(error?.code == .permissionDenied)
      try await RuntimeTests().containerIsOnTheNetworkWhenItsProgramStarts()
      try await RuntimeTests().stopLeavesNothing()
      try await RuntimeTests().programThatCannotBeLaunchedLeavesNothing()
      try await RuntimeTests().refusalOfTheKernelSaysWhy()
      try await RuntimeTests().whicheverRequestFailsNothingIsLeft()
      try await RuntimeTests().tableThatKeepsChangingIsReadAgain()
      try await RuntimeTests().changeWhoseAnswerIsLostIsTakenBack()
      try await RuntimeTests().withoutPrivilegeItSaysSoAndLaunchesNothing()
      try await RuntimeTests().noThreadStaysInANamespace()
    }
  }
}
