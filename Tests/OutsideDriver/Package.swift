// swift-tools-version: 6.3
import PackageDescription

let package = Package(
  name: "outside-driver",
  dependencies: [
    .package(name: "ContainerNetworking", path: "../..")
  ],
  targets: [
    .executableTarget(
      name: "outside-driver",
      dependencies: [
        .product(name: "ContainerNetworking", package: "ContainerNetworking"),
        .product(name: "ContainerNetworkingTestKit", package: "ContainerNetworking"),
      ])
  ]
)
