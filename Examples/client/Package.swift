// swift-tools-version: 6.3
import PackageDescription

let package = Package(
  name: "client",
  dependencies: [
    .package(name: "ContainerNetworking", path: "../..")
  ],
  targets: [
    .executableTarget(
      name: "client",
      dependencies: [
        .product(name: "ContainerNetworking", package: "ContainerNetworking"),
        .product(name: "ContainerNetworkingTestKit", package: "ContainerNetworking"),
      ])
  ]
)
