// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "benchmarks",
    products: [
        .executable(name: "FixedUpstream", targets: ["FixedUpstream"]),
        .library(name: "MallocCount", type: .dynamic, targets: ["CMallocCount"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2")
    ],
    targets: [
        .executableTarget(
            name: "FixedUpstream",
            dependencies: [
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        // Preloaded into other processes.
        .target(name: "CMallocCount"),
    ]
)
