// swift-tools-version: 6.3
import PackageDescription

/// libFuzzer's program, apart from the package that it tests: `make fuzz` builds it with the sanitizers.
let settings: [SwiftSetting] = [
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

let testKit = Target.Dependency.product(name: "ContainerNetworkingTestKit", package: "ContainerNetworking")

let package = Package(
  name: "Fuzz",
  dependencies: [
    .package(name: "ContainerNetworking", path: ".."),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
  ],
  targets: [
    // The same files are a target of the package outside, where `swift test` runs them.
    .target(
      name: "Entries",
      dependencies: [
        .product(name: "ContainerNetworking", package: "ContainerNetworking"),
        .product(name: "ContainerNetworkingDNS", package: "ContainerNetworking"),
        testKit,
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      path: "Entries", swiftSettings: settings),
    .systemLibrary(name: "CFuzzer", path: "CFuzzer"),
    .executableTarget(
      name: "fuzz", dependencies: ["CFuzzer", "Entries", testKit], path: "Harness", swiftSettings: settings),
  ]
)
