import Foundation
import Testing

/// A package that depends on this one, as its users write it: what it does about each kind of failure is compiled as
/// theirs, within a bound, for patterns in `catch` clauses can keep the compiler busy without end.
///
/// Its two products are what this test was built beside; another build of them, from sources, would show no more.
@Suite struct ClientTests {
  private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
    .standardizedFileURL
  private static let built = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()

  /// Runs a program, and ends it after a time that none needs.
  private func run(_ program: String, _ arguments: [String], seconds: Int = 240) throws -> (status: Int32, text: String)
  {
    let process = Process()
    let pipe = Pipe()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["timeout", "--kill-after", "5", "\(seconds)", program] + arguments
    process.currentDirectoryURL = Self.root
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let text = String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text)
  }

  private func makeDirectory() throws -> URL {
    let directory = FileManager.default.temporaryDirectory.appending(path: "client-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    return directory
  }

  private static func sources(_ path: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: root.appending(path: path).path()).filter {
      $0.hasSuffix(".swift")
    }
    .map { "\(path)/\($0)" }.sorted()
  }

  /// Where the modules and the C modules that they are made on are.
  private static func searchPaths() throws -> [String] {
    let bin = built.path()
    var maps = try FileManager.default.contentsOfDirectory(atPath: bin).filter { $0.hasSuffix(".build") }
      .map { "\(bin)/\($0)/module.modulemap" }
    let checkouts = root.appending(path: ".build/checkouts").path()
    for package in try FileManager.default.contentsOfDirectory(atPath: checkouts) {
      let sources = "\(checkouts)/\(package)/Sources"
      for target in (try? FileManager.default.contentsOfDirectory(atPath: sources)) ?? [] {
        maps.append("\(sources)/\(target)/include/module.modulemap")
      }
    }
    maps = maps.filter { FileManager.default.fileExists(atPath: $0) }
    return ["-I", "\(bin)/Modules", "-I", "Sources/CMnl", "-I", "Sources/CSQLite"]
      + maps.flatMap { ["-Xcc", "-fmodule-map-file=\($0)"] }
  }

  private static let modules = [
    "AddressPools", "CContainerNetworking", "CSystem", "ContainerNetworking", "ContainerNetworkingTestKit",
    "CoreMetrics", "Logging", "Netlink", "NetworkPrimitives", "SystemPackage",
  ]

  private static func objects(of modules: [String]) throws -> [String] {
    try modules.flatMap { module in
      let build = built.appending(path: "\(module).build")
      // Of a file that was renamed or removed, the former object is still there.
      let files =
        FileManager.default.enumerator(atPath: Self.root.appending(path: "Sources/\(module)").path())?.compactMap {
          $0 as? String
        } ?? []
      let names = Set(files.map { $0.split(separator: "/").last.map { "\($0).o" } ?? "" })
      return try FileManager.default.subpathsOfDirectory(atPath: build.path()).filter { object in
        object.hasSuffix(".o") && (files.isEmpty || names.contains(String(object.split(separator: "/").last ?? "")))
      }.map { build.appending(path: $0).path() }
    }
  }

  @Test(arguments: ["-Onone", "-O"]) func clientThatHandlesEveryCodeIsCompiled(optimization: String) throws {
    let directory = try makeDirectory()
    defer { try? FileManager.default.removeItem(at: directory) }
    let (status, text) = try run(
      "swiftc",
      try ["-swift-version", "6", "-warnings-as-errors", "-parse-as-library", optimization, "-wmo", "-c"]
        + Self.searchPaths() + ["-module-name", "client", "-o", directory.appending(path: "client.o").path()]
        + Self.sources("Examples/client/Sources/client"))
    #expect(status == 0, "\(text)")
  }

  /// Linked as `swift build --static-swift-stdlib` links it, and run.
  @Test func clientIsLinkedWithoutSharedLibrariesOfSwift() throws {
    let directory = try makeDirectory()
    defer { try? FileManager.default.removeItem(at: directory) }
    let program = directory.appending(path: "client").path()
    let (status, text) = try run(
      "swiftc",
      try ["-swift-version", "6", "-parse-as-library", "-static-stdlib"] + Self.searchPaths()
        + ["-module-name", "client", "-o", program] + Self.sources("Examples/client/Sources/client")
        + Self.objects(of: Self.modules) + ["-lmnl"])
    try #require(status == 0, "\(text)")
    let libraries = try run("ldd", [program]).text
    #expect(!libraries.contains("libswift") && !libraries.contains("Foundation"), "\(libraries)")

    let ran = try run(program, [])
    #expect(ran.status == 0)
    #expect(
      ran.text == """
        true
        true 10.9.0.2/29
        an invalid port: correct the value
        an address in host mode: correct the value
        a container twice: it exists already
        an unknown network: it does not exist
        a port of another container: choose another, or stop its holder
        a full network: make room
        a predefined name: it cannot be changed
        an unsupported driver: this machine does not support it
        a kernel without memory: the kernel says Cannot allocate memory
        10.9.0.3/29
        10.9.0.2/29
        0

        """)
  }

  /// A driver of another package: written with what is public, and named in the settings, it does its work.
  @Test func driverOfAnotherPackageIsLinkedAndWorks() throws {
    let directory = try makeDirectory()
    defer { try? FileManager.default.removeItem(at: directory) }
    let program = directory.appending(path: "outside-driver").path()
    let (status, text) = try run(
      "swiftc",
      try ["-swift-version", "6", "-warnings-as-errors", "-parse-as-library"] + Self.searchPaths()
        + ["-module-name", "outside_driver", "-o", program] + Self.sources("Tests/OutsideDriver/Sources/outside-driver")
        + Self.objects(of: Self.modules) + ["-lmnl"])
    try #require(status == 0, "\(text)")
    let ran = try run(program, [])
    #expect(ran.status == 0)
    #expect(
      ran.text == """
        invalidValue "fast" is no metric; write a number, as in 100
        cable ["cable_metric": "7"] true
        10.9.0.1/24 2
        host: 10.9.0.1/32
        web: 0.0.0.0/0 true
        ["10.9.0.2/24", "10.9.0.3/24", "10.9.0.4/24"]
        1 0
        [ContainerNetworking.Difference.Kind.linkMissing, ContainerNetworking.Difference.Kind.linkMissing]
        0 0 1
        true 0
        [cable] [ContainerNetworking.Difference.Kind.driverMissing]
        unsupported the driver of network "lines" is not here: there is no driver "cable"; there are: bridge, ipvlan, macvlan
        conflictingOptions two drivers have the name "cable"; give yours another name
        ["lo"] false

        """)
  }

  @Test(arguments: ["Examples/client", "Tests/OutsideDriver"])
  func itsManifestNamesProductsOfThisPackage(_ package: String) throws {
    let manifest = try String(contentsOf: Self.root.appending(path: "Package.swift"), encoding: .utf8)
    let (status, text) = try run("swift", ["package", "--package-path", package, "dump-package"])
    #expect(status == 0)
    let products = text.matches(of: #/"(ContainerNetworking\w*)",\s*"ContainerNetworking"/#).map { String($0.1) }
    #expect(products == ["ContainerNetworking", "ContainerNetworkingTestKit"], "\(text)")
    for product in products { #expect(manifest.contains(".library(name: \"\(product)\""), "\(product)") }
  }

  /// Those keep Swift 6.3.1 busy without end in async functions of some size, in whatever is copied from here too.
  @Test func nothingHereCatchesByAPattern() throws {
    let pattern = #/\}\s*catch\s+(?:where|let\s+\w+(?:\s+as\s+\w+)?\s+where)\b/#
    let files =
      ["README.md"] + (try Self.files(in: "Documentation", ".md"))
      + (try ["Sources", "Examples", "Benchmarks"].flatMap { try Self.files(in: $0, ".swift") })
    #expect(files.count > 200)
    for file in files {
      let text = try String(contentsOf: Self.root.appending(path: file), encoding: .utf8)
      #expect(text.firstMatch(of: pattern) == nil, "\(file)")
    }
    #expect("} catch where error.code == .inUse {".contains(pattern))
    #expect("} catch let error as NetworkError where error.code == .inUse {".contains(pattern))
  }

  private static func files(in directory: String, _ ending: String) throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: root.appending(path: directory).path())
      .filter { $0.hasSuffix(ending) && !$0.contains(".build/") }.map { "\(directory)/\($0)" }
  }
}
