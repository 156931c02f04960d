import ContainerNetworking
import Glibc
import Testing

/// BIND's dig and NLnet's drill, which read every octet of an answer and warn about faults.
@Suite(.timeLimit(.minutes(5)), .enabled(if: geteuid() == 0)) struct DigTests {
  /// The properties of every right answer: dig warns about the rest.
  private func expectClean(_ output: String, sourceLocation: SourceLocation = #_sourceLocation) {
    let complaints = [
      "Warning", "WARNING", "malformed", "mismatch", "extra bytes", "Bad packet", "communications error", "timed out",
      "parse error",
    ]
    for complaint in complaints { #expect(!output.contains(complaint), "\(output)", sourceLocation: sourceLocation) }
  }

  @Test func names() async throws {
    let it = try await ClientWorld()
    let addresses = try await it.attach("web", aliases: ["www"])
    #expect(addresses == ["10.81.0.3", "fd00:81::3"])
    for name in ["web", "WEB.", "www", "web.apps"] {
      for extra in [[], ["+tcp"], ["+noedns"], ["+norecurse"], ["+dnssec"], ["+bufsize=4096"]] {
        for (type, address) in [("A", "10.81.0.3"), ("AAAA", "fd00:81::3")] {
          let output = try it.run("dig", extra + [name, type]).output
          expectClean(output)
          #expect(output.contains("status: NOERROR"), "\(name) \(type) \(extra): \(output)")
          #expect(output.contains("ANSWER: 1,"), "\(name) \(type) \(extra): \(output)")
          #expect(output.contains("IN\t\(type)\t\(address)\n"), "\(name) \(type) \(extra): \(output)")
        }
      }
    }
    let any = try it.lines("dig", "+short", "web", "ANY").sorted()
    #expect(any == addresses)
    let reverse = try [it.output("dig", "+short", "-x", "10.81.0.3"), it.output("dig", "+short", "-x", "fd00:81::3")]
    #expect(reverse == ["web.apps.\n", "web.apps.\n"])
    try await it.end()
  }

  @Test func headerAndLetters() async throws {
    let it = try await ClientWorld()
    _ = try await it.attach("web")
    let output = try it.output("dig", "wEB.aPPs", "A")
    expectClean(output)
    #expect(output.contains(";; flags: qr aa rd ra; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 1"), "\(output)")
    #expect(output.contains("EDNS: version: 0, flags:; udp: 1232"), "\(output)")
    #expect(output.contains(#/wEB\.aPPs\.\s+5\s+IN\s+A\s+10\.81\.0\.3/#), "\(output)")
    let without = try it.output("dig", "+noedns", "web")
    #expect(without.contains("ADDITIONAL: 0") && !without.contains("EDNS"), "\(without)")
    let version = try it.output("dig", "+edns=1", "+noednsnegotiation", "web")
    #expect(version.contains("status: BADVERS"), "\(version)")
    try await it.end()
  }

  @Test func nothing() async throws {
    let it = try await ClientWorld()
    _ = try await it.attach("web")
    for type in ["MX", "TXT", "SRV", "HTTPS", "NS", "TYPE65280"] {
      let output = try it.output("dig", "web", type)
      expectClean(output)
      #expect(output.contains("status: NOERROR"), "\(type): \(output)")
      #expect(output.contains("ANSWER: 0, AUTHORITY: 1"), "\(type): \(output)")
      #expect(output.contains(#/IN\s+SOA\s/#), "\(type): \(output)")
    }
    for (arguments, code) in [
      (["nowhere.example"], "NXDOMAIN"), (["-c", "CH", "-t", "TXT", "version.bind"], "REFUSED"),
      (["+opcode=STATUS", "web"], "NOTIMP"), (["+norecurse", "never-asked.example"], "REFUSED"),
    ] {
      let output = try it.run("dig", arguments).output
      #expect(output.contains("status: \(code)"), "\(arguments): \(output)")
    }
    #expect(try it.output("dig", "web", "AXFR").contains("Transfer failed."))
    try await it.end()
  }

  @Test func namesOfTheWorld() async throws {
    let it = try await ClientWorld()
    for round in ["asked", "kept"] {
      for (name, type, answer) in [
        ("up.example", "A", "192.0.2.9"), ("up.example", "AAAA", "2001:db8::9"), ("alias.example", "A", "up.example."),
        ("mx.example", "MX", "7 mail.example."), ("_imap._tcp.example", "SRV", "1 2 143 mail.example."),
      ] {
        let output = try it.output("dig", name, type)
        expectClean(output)
        #expect(output.contains(answer), "\(name) \(type), \(round): \(output)")
      }
      // 2000 octets: dnsmasq cuts it, and so it is asked again by TCP, here and there.
      let text = try it.output("dig", "text.example", "TXT")
      expectClean(text)
      #expect(text.ranges(of: String(repeating: "t", count: 200)).count == 10, "\(round): \(text)")
    }
    try await it.end()
  }

  @Test func moreThanADatagramHolds() async throws {
    let it = try await ClientWorld()
    for number in 0..<40 { _ = try await it.attach("many\(number)", aliases: ["all"]) }
    let cut = try it.output("dig", "+noedns", "+ignore", "all")
    #expect(cut.contains(#/flags: qr aa tc rd ra;/#), "\(cut)")
    let some = cut.matches(of: #/IN\tA\t10\.81\.0\.\d+/#).count
    #expect((20..<40).contains(some), "\(cut)")
    for extra in [["+noedns"], ["+tcp"], ["+bufsize=4096"]] {
      let output = try it.run("dig", extra + ["+short", "all"]).output
      #expect(Set(output.split(separator: "\n")).count == 40, "\(extra): \(output)")
    }
    // Shuffled: the same order would recur once in 40 factorial times.
    let (first, second) = try (it.output("dig", "+tcp", "+short", "all"), it.output("dig", "+tcp", "+short", "all"))
    #expect(first != second)
    try await it.end()
  }

  @Test func severalQueriesOnOneConnection() async throws {
    let it = try await ClientWorld()
    _ = try await it.attach("web")
    let output = try it.output(
      "dig", "+tcp", "+keepopen", "+short", "web", "A", "up.example", "A", "web", "AAAA", "asker", "A")
    #expect(output == "10.81.0.3\n192.0.2.9\nfd00:81::3\n10.81.0.2\n")
    try await it.end()
  }

  @Test func drill() async throws {
    let it = try await ClientWorld()
    _ = try await it.attach("web")
    let server = "@10.81.0.1"
    for arguments in [["wEb"], ["-t", "wEb"], ["-b", "4096", "wEb"], ["-D", "wEb"]] {
      let output = try it.run("drill", arguments + ["A", server]).output
      #expect(output.contains("rcode: NOERROR"), "\(arguments): \(output)")
      #expect(output.contains(#/wEb\.\t5\tIN\tA\t10\.81\.0\.3/#), "\(arguments): \(output)")
    }
    let reverse = try it.output("drill", "-x", "fd00:81::3", server)
    #expect(reverse.contains(#/IN\tPTR\tweb\.apps\./#), "\(reverse)")
    let unknown = try it.output("drill", "nowhere.example", "A", server)
    #expect(unknown.contains("rcode: NXDOMAIN"), "\(unknown)")
    let outside = try it.output("drill", "alias.example", "A", server)
    #expect(outside.contains(#/IN\tCNAME\tup\.example\./#) && outside.contains("192.0.2.9"), "\(outside)")
    try await it.end()
  }
}
