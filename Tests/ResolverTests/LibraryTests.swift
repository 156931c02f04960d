import ContainerNetworking
import Foundation
import Playground
import SystemPackage
import Testing

/// The resolvers of C libraries, which ask for both families at once, by UDP first, and use what they understand.
@Suite(.timeLimit(.minutes(5)), .enabled(if: geteuid() == 0)) struct LibraryTests {
  /// Prints the result of getaddrinfo(3), once with each library.
  private static let python = """
    import socket, sys
    try:
      print(*sorted(set(entry[4][0] for entry in socket.getaddrinfo(sys.argv[1], None))))
    except socket.gaierror as error:
      print("error", error.args[0])
    """

  private static let musl = """
    #include <stdio.h>
    #include <netdb.h>
    #include <sys/socket.h>
    int main(int count, char **arguments) {
      struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list;
      int error = getaddrinfo(arguments[1], 0, &hints, &list);
      if (error) return printf("error %d\\n", error), 0;
      for (; list; list = list->ai_next) {
        char text[64];
        getnameinfo(list->ai_addr, list->ai_addrlen, text, sizeof text, 0, 0, NI_NUMERICHOST);
        puts(text);
      }
      return 0;
    }
    """

  private static let search: NameOptions = {
    var names = NameOptions()
    names.dnsSearch = ["example"]
    return names
  }()

  @Test func glibc() async throws {
    let it = try await ClientWorld(Self.search)
    _ = try await it.attach("web", aliases: ["www"])
    for name in ["web", "WWW", "web.apps"] {
      #expect(try it.output("python3", "-c", Self.python, name) == "10.81.0.3 fd00:81::3\n", "\(name)")
    }
    // By the search list, outside; without a conflicting name of ours.
    for name in ["up", "up.example"] {
      #expect(try it.output("python3", "-c", Self.python, name) == "192.0.2.9 2001:db8::9\n", "\(name)")
    }
    // EAI_NONAME, and not EAI_AGAIN, which a failure would be.
    #expect(try it.output("python3", "-c", Self.python, "nowhere.example") == "error -2\n")
    #expect(try it.lines("getent", "ahostsv4", "web").first?.hasPrefix("10.81.0.3") == true)
    #expect(try it.output("getent", "hosts", "10.81.0.3").split(separator: " ") == ["10.81.0.3", "web.apps\n"])
    #expect(try it.output("getent", "hosts", "fd00:81::3").split(separator: " ") == ["fd00:81::3", "web.apps\n"])
    let (output, status) = try it.run("getent", ["ahosts", "nowhere.example"])
    #expect(output.isEmpty && status == .exited(2))
    try await it.end()
  }

  @Test func glibcTakesAllOfManyAddresses() async throws {
    let it = try await ClientWorld()
    for number in 0..<40 { _ = try await it.attach("many\(number)", aliases: ["all"]) }
    let addresses = try it.output("python3", "-c", Self.python, "all").split(separator: " ")
    #expect(addresses.count == 80)
    // musl 1.2.3 asks by UDP only, and uses the contents of a truncated answer.
    let musl = try program(in: it)
    let some = Set(try it.lines(musl, "all"))
    #expect(some.count >= 40 && some.allSatisfy { $0.hasPrefix("10.81.0.") || $0.hasPrefix("fd00:81::") }, "\(some)")
    try await it.end()
  }

  /// Makes the program that asks by musl, which brings its resolver along.
  private func program(in it: ClientWorld) throws -> String {
    let (source, program) = (it.directory.appending("lookup.c").string, it.directory.appending("lookup").string)
    try Self.musl.write(toFile: source, atomically: true, encoding: .utf8)
    let (output, status) = try it.world.run(
      Command("musl-gcc", ["-static", "-o", program, source]), in: it.world.host, includesErrors: true)
    try #require(status == .exited(0), "\(output)")
    return program
  }

  @Test func musl() async throws {
    // It reads ndots:0, which containers have, as: never by the search list.
    var names = Self.search
    names.dnsOptions = ["ndots:1"]
    let it = try await ClientWorld(names)
    _ = try await it.attach("web", aliases: ["www"])
    let program = try program(in: it)
    for name in ["web", "WWW", "web.apps"] {
      #expect(try it.lines(program, name).sorted() == ["10.81.0.3", "fd00:81::3"], "\(name)")
    }
    for name in ["up", "up.example"] {
      #expect(try it.lines(program, name).sorted() == ["192.0.2.9", "2001:db8::9"], "\(name)")
    }
    // EAI_NONAME
    #expect(try it.output(program, "nowhere.example") == "error -2\n")
    try await it.end()
  }

  @Test func busybox() async throws {
    let it = try await ClientWorld(Self.search)
    _ = try await it.attach("web")
    let both = try it.output("busybox", "nslookup", "web.apps")
    #expect(both.contains("Server:\t\t10.81.0.1"), "\(both)")
    #expect(both.contains("Address: 10.81.0.3") && both.contains("Address: fd00:81::3"), "\(both)")
    let reverse = try it.output("busybox", "nslookup", "10.81.0.3")
    #expect(reverse.contains("3.0.81.10.in-addr.arpa\tname = web.apps"), "\(reverse)")
    let mail = try it.output("busybox", "nslookup", "-type=mx", "mx.example")
    #expect(mail.contains("mail exchanger = 7 mail.example"), "\(mail)")
    let unknown = try it.output("busybox", "nslookup", "nowhere.example")
    #expect(unknown.contains("NXDOMAIN"), "\(unknown)")
    // A name instead of an address, as people use it.
    #expect(try it.run("busybox", ["ping", "-c", "1", "-W", "10", "web"]).status == .exited(0))
    try await it.end()
  }
}
