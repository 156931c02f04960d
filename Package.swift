// swift-tools-version: 6.3
import PackageDescription

/// Every Swift target: Swift 6 mode, strict memory safety, no warnings.
let settings: [SwiftSetting] = [
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")

func example(_ name: String) -> Target {
  .executableTarget(
    name: name, dependencies: ["ContainerNetworking", "Playground"], path: "Examples/\(name)", swiftSettings: settings)
}

let package = Package(
  name: "ContainerNetworking",
  products: [
    .library(name: "ContainerNetworking", targets: ["ContainerNetworking"]),
    .library(name: "ContainerNetworkingDNS", targets: ["ContainerNetworkingDNS"]),
    .library(name: "ContainerNetworkingStore", targets: ["ContainerNetworkingStore"]),
    .library(name: "ContainerNetworkingForwarder", targets: ["ContainerNetworkingForwarder"]),
    .library(name: "ContainerNetworkingFoundation", targets: ["ContainerNetworkingFoundation"]),
    .executable(name: "cnet", targets: ["cnet"]),
    .executable(name: "cnet-cni", targets: ["cnet-cni"]),
    .executable(name: "cnet-netavark", targets: ["cnet-netavark"]),
    .executable(name: "cnet-docker", targets: ["cnet-docker"]),
    .library(name: "ContainerNetworkingTestKit", targets: ["ContainerNetworkingTestKit"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
  ],
  targets: [
    // How a request travels: ContainerNetworking → Netlink → CContainerNetworking → CMnl → kernel.
    .systemLibrary(name: "CMnl", pkgConfig: "libmnl", providers: [.apt(["libmnl-dev"])]),
    .target(name: "CContainerNetworking", dependencies: ["CMnl"]),
    .target(name: "NetworkPrimitives", dependencies: [system], swiftSettings: settings),
    .target(name: "AddressPools", dependencies: ["NetworkPrimitives"], swiftSettings: settings),
    .target(
      name: "Netlink", dependencies: ["CContainerNetworking", "NetworkPrimitives", system],
      swiftSettings: settings),
    .target(
      name: "ContainerNetworking",
      dependencies: [
        "AddressPools", "Netlink", "NetworkPrimitives", system, .product(name: "Logging", package: "swift-log"),
        .product(name: "CoreMetrics", package: "swift-metrics"),
      ],
      // A call comes back to whoever made it without a turn on another thread.
      swiftSettings: settings + [.enableUpcomingFeature("NonisolatedNonsendingByDefault")]),

    // Names on custom networks. Who does without it links no NIO.
    .target(
      name: "ContainerNetworkingDNS",
      dependencies: [
        "ContainerNetworking", "Netlink", "NetworkPrimitives", system,
        .product(name: "CoreMetrics", package: "swift-metrics"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ], swiftSettings: settings),
    .testTarget(
      name: "ContainerNetworkingDNSTests",
      dependencies: ["ContainerNetworkingDNS", "NetworkPrimitives", "TestSupport"],
      swiftSettings: settings),
    // Others' clients, which ask the name server.
    .testTarget(
      name: "ResolverTests",
      dependencies: [
        "ContainerNetworking", "ContainerNetworkingDNS", "ContainerNetworkingStore", "Playground", "TestSupport",
        system,
      ],
      swiftSettings: settings),

    // The record on disk. Who does without it links no SQLite.
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .target(
      name: "ContainerNetworkingStore",
      dependencies: ["ContainerNetworking", "CSQLite", "Netlink", "NetworkPrimitives", system],
      swiftSettings: settings),

    // Published ports where translation does not reach. Who does without it links no SwiftNIO.
    .target(
      name: "ContainerNetworkingForwarder",
      dependencies: [
        "ContainerNetworking", "NetworkPrimitives", system,
        .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ], swiftSettings: settings),

    // What engines and the tool have in common besides the library.
    .target(name: "AdapterSupport", dependencies: ["ContainerNetworking", system], swiftSettings: settings),
    // The name server that the tool and doors for engines start. Who does without it links no NIO.
    .target(
      name: "AdapterNames", dependencies: ["ContainerNetworking", "ContainerNetworkingDNS", system],
      swiftSettings: settings),
    // The CNI plugin: containers of containerd and podman on networks of the record.
    .executableTarget(
      name: "cnet-cni",
      dependencies: ["AdapterSupport", "ContainerNetworking", "ContainerNetworkingStore", system],
      swiftSettings: settings),
    // netavark's command line: containers of podman on networks of the record.
    .executableTarget(
      name: "cnet-netavark",
      dependencies: ["AdapterNames", "AdapterSupport", "ContainerNetworking", "ContainerNetworkingStore", system],
      swiftSettings: settings),

    // Docker's remote network driver: an HTTP server on a unix socket. Who does without it links no HTTP.
    .executableTarget(
      name: "cnet-docker",
      dependencies: [
        "AdapterSupport", "ContainerNetworking", "ContainerNetworkingStore", system,
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
      ], swiftSettings: settings),

    // What errors say to programs that have Foundation. Who does without it links none.
    .target(
      name: "ContainerNetworkingFoundation", dependencies: ["ContainerNetworking"], swiftSettings: settings),

    // The command-line tool.
    .executableTarget(
      name: "cnet",
      dependencies: [
        "AdapterNames", "AdapterSupport",
        "ContainerNetworking", "ContainerNetworkingDNS", "ContainerNetworkingForwarder", "ContainerNetworkingStore",
        "Netlink", system,
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
      ], swiftSettings: settings),

    // What examples and tests play in: a host and an outside world in namespaces of their own.
    .target(
      name: "Playground", dependencies: ["ContainerNetworking", system], path: "Examples/Playground",
      swiftSettings: settings),

    // One small program for each mode, and all of them together.
    example("bridge-mode"),
    example("host-mode"),
    example("none-mode"),
    example("container-mode"),
    .executableTarget(
      name: "custom-network", dependencies: ["ContainerNetworking", "ContainerNetworkingDNS", "Playground"],
      path: "Examples/custom-network", swiftSettings: settings),
    example("five-modes"),
    .executableTarget(
      name: "managing-networks", dependencies: ["cnet", "ContainerNetworking", "Playground", system],
      path: "Examples/managing-networks", swiftSettings: settings),

    // What containers' networks cost: this library, the kernel's share of it, and others.
    .target(name: "CBenchmarkFloor", dependencies: ["CSQLite"], path: "Benchmarks/floor"),
    .target(name: "BenchmarkKit", dependencies: [system], path: "Benchmarks/kit", swiftSettings: settings),
    .executableTarget(
      name: "benchmark",
      dependencies: [
        "BenchmarkKit", "CBenchmarkFloor", "ContainerNetworking", "ContainerNetworkingStore", "Playground", system,
      ], path: "Benchmarks/suite", swiftSettings: settings),
    .executableTarget(
      name: "dns-benchmark",
      dependencies: [
        "BenchmarkKit", "ContainerNetworking", "ContainerNetworkingDNS", "ContainerNetworkingStore", "Playground",
        "StoreSamples", system,
      ], path: "Benchmarks/dns", swiftSettings: settings),
    // Whether anything grows with the number of containers that came and went.
    .executableTarget(
      name: "soak",
      dependencies: [
        "BenchmarkKit", "ContainerNetworking", "ContainerNetworkingDNS", "ContainerNetworkingStore", "Playground",
        system,
      ], path: "Benchmarks/soak", swiftSettings: settings),
    .testTarget(name: "BenchmarkTests", dependencies: ["BenchmarkKit", "TestSupport"], swiftSettings: settings),

    // Records to fill stores with, and a process that can be killed while it uses one.
    .target(
      name: "StoreSamples", dependencies: ["ContainerNetworking", "NetworkPrimitives"], path: "Tests/StoreSamples",
      swiftSettings: settings),
    .executableTarget(
      name: "store-probe",
      dependencies: ["ContainerNetworking", "ContainerNetworkingStore", "NetworkPrimitives", "StoreSamples", system],
      path: "Tests/StoreProbe", swiftSettings: settings),
    .testTarget(
      name: "StoreTests",
      dependencies: [
        "ContainerNetworking", "ContainerNetworkingStore", "CSQLite", "NetworkPrimitives", "StoreSamples",
        "TestSupport",
        "store-probe",
        system,
      ], swiftSettings: settings),

    // Verbs at random, of several records on one host.
    .target(
      name: "Mingling", dependencies: ["ContainerNetworking", "TestSupport"], path: "Tests/Mingling",
      swiftSettings: settings),
    // Verbs that die at each of their steps.
    .executableTarget(
      name: "crash-probe",
      dependencies: [
        "ContainerNetworking", "ContainerNetworkingStore", "ContainerNetworkingTestKit", "Mingling", system,
      ],
      path: "Tests/CrashProbe",
      swiftSettings: settings),
    .testTarget(
      name: "CrashTests",
      dependencies: [
        "ContainerNetworking", "ContainerNetworkingStore", "Mingling", "Netlink", "Playground", "TestSupport",
        "crash-probe", system,
      ],
      swiftSettings: settings),

    .target(
      name: "ContainerNetworkingTestKit",
      dependencies: ["CContainerNetworking", "Netlink", "NetworkPrimitives", system], swiftSettings: settings),
    // What fuzzing feeds: by libFuzzer in the package Fuzz, and for a few seconds by a test here.
    .target(
      name: "FuzzEntries",
      dependencies: ["ContainerNetworking", "ContainerNetworkingDNS", "ContainerNetworkingTestKit", system],
      path: "Fuzz/Entries", swiftSettings: settings),
    .testTarget(
      name: "FuzzTests",
      dependencies: ["ContainerNetworking", "ContainerNetworkingTestKit", "FuzzEntries", "TestSupport"],
      swiftSettings: settings),
    .testTarget(
      name: "ContainerNetworkingTests",
      dependencies: [
        "ContainerNetworking", "ContainerNetworkingTestKit", "Playground", "TestSupport", "frame-helper", "port-helper",
        system,
      ], swiftSettings: settings),
    .testTarget(
      name: "ForwarderTests",
      dependencies: [
        "ContainerNetworking", "ContainerNetworkingForwarder", "ContainerNetworkingStore", "Playground", "TestSupport",
        system,
        .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "ServiceLifecycleTestKit", package: "swift-service-lifecycle"),
        .product(name: "MetricsTestKit", package: "swift-metrics"),
      ], swiftSettings: settings),
    // Something foreign that holds a port, and a UDP client that keeps its own, for the tests above.
    .executableTarget(name: "port-helper", path: "Tests/PortHelper"),
    // What they send and see below IP.
    .executableTarget(name: "frame-helper", path: "Tests/FrameHelper", swiftSettings: settings),
    // How tests wait, and the random numbers that they draw.
    .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: settings),
    // Small worlds of namespaces, and an agent in each place of them that answers, listens and probes.
    .executableTarget(name: "lab-agent", path: "Tests/LabAgent", cSettings: [.define("_GNU_SOURCE")]),
    .target(
      name: "Lab", dependencies: ["ContainerNetworking", "Playground", "TestSupport", system], path: "Tests/Lab",
      swiftSettings: settings),
    // Who reaches whom, as it is written in Documentation/Reach.md.
    .testTarget(
      name: "ReachTests",
      dependencies: ["ContainerNetworking", "ContainerNetworkingForwarder", "Lab", "Playground", "lab-agent", system],
      swiftSettings: settings),
    // They start the examples that are built beside them.
    .testTarget(
      name: "ExampleTests", dependencies: ["ContainerNetworking", "Playground", "TestSupport", system],
      swiftSettings: settings),
    // They start the tool that is built beside them.
    .testTarget(
      name: "CommandLineTests",
      dependencies: [
        "ContainerNetworking", "ContainerNetworkingDNS", "ContainerNetworkingStore", "Playground", "cnet", "cnet-cni",
        "cnet-netavark", "TestSupport", system,
      ],
      exclude: ["Golden"], swiftSettings: settings),
    // The doors for engines, called as the engines call them, and by the engines.
    .testTarget(
      name: "EngineTests",
      dependencies: [
        "ContainerNetworking", "ContainerNetworkingStore", "Playground", "cnet", "cnet-cni", "cnet-docker",
        "cnet-netavark", system,
      ],
      exclude: ["prelude.sh", "podman.sh", "netavark.sh", "containerd.sh", "docker.sh", "oci.sh"],
      swiftSettings: settings),
    // They ask the server from containers, and play the servers that it asks.
    .testTarget(
      name: "NameServerTests",
      dependencies: [
        "ContainerNetworking", "ContainerNetworkingDNS", "ContainerNetworkingStore", "Netlink", "NetworkPrimitives",
        "Playground", "TestSupport", system,
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "ServiceLifecycleTestKit", package: "swift-service-lifecycle"),
      ], swiftSettings: settings),
    .testTarget(
      name: "AddressPoolsTests", dependencies: ["AddressPools", "NetworkPrimitives", "TestSupport"],
      swiftSettings: settings),
    .testTarget(
      name: "NetworkPrimitivesTests", dependencies: ["NetworkPrimitives", "TestSupport", system],
      swiftSettings: settings),
    .testTarget(
      name: "ContractTests",
      dependencies: [
        "ContainerNetworking", "ContainerNetworkingTestKit", "Netlink", "NetworkPrimitives", "TestSupport", system,
        .product(name: "InMemoryLogging", package: "swift-log"),
        .product(name: "MetricsTestKit", package: "swift-metrics"),
      ],
      swiftSettings: settings),
    .testTarget(name: "MachineStateTests", swiftSettings: settings),
    .testTarget(
      name: "PublicInterfaceTests",
      dependencies: [
        "ContainerNetworking", "ContainerNetworkingDNS", "ContainerNetworkingForwarder",
        "ContainerNetworkingFoundation", "ContainerNetworkingStore", system,
      ], swiftSettings: settings),
    .testTarget(
      name: "RuntimeTests",
      dependencies: ["ContainerNetworking", "ContainerNetworkingTestKit", system], swiftSettings: settings),
    .testTarget(
      name: "NetlinkTests", dependencies: ["Netlink", "NetworkPrimitives", "TestSupport", system],
      swiftSettings: settings),
    // A parent that SpawnTests start and kill.
    .executableTarget(
      name: "spawn-helper", dependencies: ["Netlink"], path: "Tests/SpawnHelper", swiftSettings: settings),
  ]
)
