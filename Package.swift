// swift-tools-version: 6.2
import PackageDescription

// Not MemberImportVisibility: which module owns the fields of the C library's structures (Glibc, or another that includes
// the same headers) depends on the order in which the compiler loads them, so that a clean build fails now and then.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    // A request crosses most modules.
    .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
]

func nio(_ name: String) -> Target.Dependency { .product(name: name, package: "swift-nio") }
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let lifecycle: [Target.Dependency] = [
    .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
    .product(name: "UnixSignals", package: "swift-service-lifecycle"),
]

func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(
    _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = [], resources: [Resource]? = nil
) -> Target {
    .testTarget(
        name: name + "Tests", dependencies: [.init(stringLiteral: name), "TestSupport"] + dependencies,
        exclude: exclude, resources: resources, swiftSettings: settings)
}

let package = Package(
    name: "chat-gateway",
    products: [
        .executable(name: "gateway", targets: ["gateway"]),
        .executable(name: "tool-server", targets: ["tool-server"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // Bytes and messages: no I/O.
        library("JSON", [.product(name: "OrderedCollections", package: "swift-collections")]),
        library("JSONSchema", ["JSON"]),
        library("HTTPSyntax", []),
        library("ProcessMemory", []),
        library("MCP", ["JSON", "HTTPSyntax"]),
        library("JSONConfiguration", ["JSON"]),
        library("Observability", ["JSON", logging]),
        // The commit, for the executables alone: the next commit recompiles nothing else.
        .target(name: "CBuildCommit"),
        // What `gateway init` writes: files that stand elsewhere in the package.
        .target(name: "CCases"),

        // Transports.
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CHiredis", pkgConfig: "hiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
        library(
            "Redis",
            ["CHiredis", nio("NIOCore"), nio("NIOPosix"), .product(name: "DequeModule", package: "swift-collections")]),
        library(
            "CurlTransport",
            [
                "CCurl", "CZlib", "HTTPSyntax", "ProcessMemory", logging, nio("NIOCore"), nio("NIOPosix"),
                nio("NIOConcurrencyHelpers"),
            ]),
        library(
            "HTTPServer",
            ["HTTPSyntax", "ProcessMemory", logging, nio("NIOCore"), nio("NIOPosix"), nio("NIOHTTP1")]),

        // What a process of ours owes the machine that it runs on.
        library(
            "ServiceRuntime",
            [
                "JSON", "JSONConfiguration", "HTTPSyntax", "ProcessMemory", "Observability", "CurlTransport",
                "HTTPServer", logging,
                nio("NIOCore"), nio("NIOHTTP1"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "X509", package: "swift-certificates"),
            ]),

        // MCP, both sides.
        library(
            "MCPClient",
            ["JSON", "JSONSchema", "MCP", "ProcessMemory", "CurlTransport", logging, crypto, nio("NIOCore")]),
        library(
            "MCPServer",
            [
                "JSON", "JSONSchema", "HTTPSyntax", "MCP", "ProcessMemory", logging, crypto,
                .product(name: "DequeModule", package: "swift-collections"),
            ]),
        library(
            "MCPServerHTTP",
            [
                "JSONConfiguration", "MCP", "MCPServer", "JSON", "HTTPServer", "HTTPSyntax", "ProcessMemory", logging,
                nio("NIOCore"), nio("NIOHTTP1"),
            ]),

        // Tokens of the servers that other companies run.
        library(
            "AuthorizationClient",
            [
                "JSON", "HTTPSyntax", "MCP", "CurlTransport", crypto, nio("NIOCore"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
            ]),

        // One MCP server in front of several.
        library(
            "MCPAggregator", ["JSON", "MCP", "MCPServer", "MCPClient", "ProcessMemory", logging]),

        // Configuration from documents of others. Of Yams only its parser's events (CYaml) are used.
        library("APIImport", ["JSON", "JSONSchema", "HTTPSyntax", .product(name: "Yams", package: "Yams")]),

        // The two products.
        .target(name: "CChatPage", exclude: ["Assets"], linkerSettings: [.linkedLibrary("z")]),
        library(
            "GatewayCore",
            [
                "CChatPage", "JSON", "JSONSchema", "HTTPSyntax", "MCP", "MCPAggregator", "MCPClient", "MCPServer",
                "MCPServerHTTP", "AuthorizationClient", "CurlTransport", "HTTPServer", "JSONConfiguration",
                "ProcessMemory", "Redis",
                "Observability", "ServiceRuntime", logging, crypto, nio("NIOCore"), nio("NIOPosix"), nio("NIOHTTP1"),
            ] + lifecycle),
        // What the tool-server keeps, and on which database.
        library("Store", ["JSON", "JSONConfiguration", "Observability"]),
        library(
            "SQLiteStore",
            [
                "Store", "JSONConfiguration", "MCPServer", nio("NIOConcurrencyHelpers"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ]),
        library("PostgreSQLStore", ["CPostgres", "Store", "JSONConfiguration", "MCPServer", "Observability"]),
        // Who sends a request.
        library(
            "Identity",
            [
                "CZlib", "Store", "JSON", "HTTPSyntax", "JSONConfiguration", "MCPServer", "CurlTransport", logging,
                crypto,
                nio("NIOCore"), nio("NIOPosix"), nio("NIOHTTP1"), nio("NIOConcurrencyHelpers"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "JWTKit", package: "jwt-kit"),
            ]),
        // Tokens for other programs, in the name of these users.
        library(
            "OAuthServer",
            [
                "Store", "Identity", "JSON", "HTTPSyntax", "JSONConfiguration", "MCP", "MCPServer", logging, crypto,
                nio("NIOHTTP1"),
            ]),
        // Answers of a language model.
        library(
            "Assistant",
            [
                "Store", "JSON", "JSONConfiguration", "MCP", "MCPServer", "CurlTransport", "Observability",
                "ServiceRuntime", logging, nio("NIOCore"),
            ]),
        library(
            "ToolServerCore",
            [
                "Store", "SQLiteStore", "PostgreSQLStore", "Identity", "OAuthServer", "Assistant", "JSON", "JSONSchema",
                "JSONConfiguration",
                "HTTPSyntax", "MCP", "MCPServer", "MCPServerHTTP", "CurlTransport", "HTTPServer", "ProcessMemory",
                "Observability", "ServiceRuntime", logging, crypto,
                nio("NIOCore"), nio("NIOPosix"), nio("NIOHTTP1"), nio("NIOConcurrencyHelpers"),
            ] + lifecycle),
        .executableTarget(
            name: "gateway",
            dependencies: [
                "GatewayCore", "APIImport", "CurlTransport", "JSON", "MCP", "ServiceRuntime", "CBuildCommit", "CCases",
                arguments,
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "tool-server",
            dependencies: [
                "ToolServerCore", "Store", "Identity", "Assistant", "ServiceRuntime", "CBuildCommit",
                "HTTPServer", "JSON", "JSONConfiguration", "MCP", "MCPServer", "Observability", logging, arguments,
            ],
            swiftSettings: settings),
    ],
    cxxLanguageStandard: .cxx20
)

// Tests and benchmarks. deploy/build leaves them out, so that one call of `swift build` makes what is shipped and nothing
// else.
if Context.environment["SHIPPED_ONLY"] == nil {
    package.targets += [
        .target(
            name: "TestSupport",
            dependencies: ["JSON", "CurlTransport", nio("NIOCore"), nio("NIOPosix"), nio("NIOHTTP1")],
            path: "Tests/TestSupport", swiftSettings: settings),
        // Stores, sites, accounts and providers for the tests of the tool-server's targets. Empty in release builds.
        .target(
            name: "ToolServerTestSupport",
            dependencies: [
                "TestSupport", "Store", "SQLiteStore", "PostgreSQLStore", "Identity", "OAuthServer", "Assistant",
                "ToolServerCore", "JSON", "JSONConfiguration", "HTTPSyntax", "MCP", "MCPServer", "CurlTransport",
                "Observability", logging, crypto, nio("NIOCore"), nio("NIOPosix"), nio("NIOHTTP1"),
                nio("NIOConcurrencyHelpers"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            path: "Tests/ToolServerTestSupport", swiftSettings: settings),
        .executableTarget(
            name: "ConformanceServer",
            dependencies: [
                "MCPServer", "MCPServerHTTP", "MCP", "JSON", "HTTPServer", "HTTPSyntax", logging, nio("NIOPosix"),
            ],
            path: "Tests/ConformanceServer", swiftSettings: settings),
        .executableTarget(
            name: "ConformanceClient",
            dependencies: [
                "AuthorizationClient", "MCPClient", "MCP", "JSON", "HTTPSyntax", "CurlTransport", logging, crypto,
                nio("NIOCore"), nio("NIOPosix"),
            ],
            path: "Tests/ConformanceClient", swiftSettings: settings),
        .executableTarget(
            name: "ConfirmingServer",
            dependencies: [
                "ToolServerCore", "MCPServer", "MCP", "JSON", "JSONConfiguration", "Observability", logging,
            ],
            path: "Tests/ConfirmingServer", swiftSettings: settings),
        // Parsers with entries for the fuzzer. Empty in release builds.
        .target(
            name: "FuzzEntries",
            dependencies: [
                "JSON", "JSONSchema", "MCP", "MCPServer", "HTTPSyntax", "HTTPServer", "CurlTransport", "GatewayCore",
                "Assistant", "Identity", "OAuthServer", "APIImport", crypto, nio("NIOCore"),
            ],
            path: "Tests/FuzzEntries", swiftSettings: settings),
        .testTarget(name: "FuzzTests", dependencies: ["FuzzEntries", "TestSupport"], swiftSettings: settings),
        .executableTarget(
            name: "Microbenchmarks", dependencies: ["GatewayCore", "JSON", "MCP", nio("NIOCore")],
            path: "Benchmarks/Microbenchmarks", swiftSettings: settings),
        tests("JSON", []),
        tests("JSONSchema", ["JSON"]),
        tests("HTTPSyntax", []),
        tests("ProcessMemory", []),
        tests("APIImport", ["JSON", "JSONSchema"]),
        tests("MCP", ["JSON", "JSONSchema"]),
        tests("JSONConfiguration", ["JSON", "JSONSchema"]),
        tests("Observability", ["JSON", logging]),
        tests("Redis", [nio("NIOCore"), nio("NIOPosix"), nio("NIOConcurrencyHelpers")]),
        tests("CurlTransport", ["ProcessMemory", logging, nio("NIOCore"), nio("NIOPosix")]),
        tests(
            "ServiceRuntime",
            ["JSON", "JSONConfiguration", "Observability", "CurlTransport", logging, nio("NIOCore"), nio("NIOPosix")]),
        tests(
            "HTTPServer",
            [
                "HTTPSyntax", "ProcessMemory", logging, nio("NIOCore"), nio("NIOPosix"), nio("NIOHTTP1"),
                nio("NIOEmbedded"),
            ]),
        tests(
            "MCPClient",
            [
                "JSON", "JSONSchema", "MCP", "ProcessMemory", "CurlTransport", logging, nio("NIOCore"), nio("NIOPosix"),
                nio("NIOHTTP1"),
            ]),
        tests("MCPServer", ["JSON", "JSONSchema", "MCP", "ProcessMemory", logging, crypto], exclude: ["Transcripts"]),
        tests("AuthorizationClient", ["JSON", "HTTPSyntax", "CurlTransport", crypto, nio("NIOCore")]),
        tests(
            "MCPServerHTTP",
            [
                "JSON", "MCP", "MCPServer", "HTTPServer", logging, nio("NIOCore"), nio("NIOPosix"), nio("NIOHTTP1"),
            ]),
        tests(
            "MCPAggregator",
            [
                "JSON", "MCP", "MCPServer", "MCPServerHTTP", "MCPClient", "HTTPServer", "CurlTransport",
                "ProcessMemory", "ConformanceServer", logging, nio("NIOCore"), nio("NIOPosix"),
            ]),
        tests(
            "GatewayCore",
            [
                "JSON", "JSONSchema", "HTTPSyntax", "MCP", "MCPAggregator", "MCPClient", "JSONConfiguration",
                "AuthorizationClient", "CurlTransport", "HTTPServer", "ProcessMemory", "Observability",
                "ServiceRuntime", logging, crypto, nio("NIOCore"), nio("NIOPosix"), nio("NIOHTTP1"),
                nio("NIOEmbedded"),
            ]),
        tests(
            "Store",
            [
                "SQLiteStore", "PostgreSQLStore", "ToolServerTestSupport", "JSON", "JSONConfiguration",
                .product(name: "GRDB", package: "GRDB.swift"),
            ]),
        tests(
            "SQLiteStore",
            [
                "Store", "ToolServerTestSupport", "JSON", "JSONConfiguration",
                .product(name: "GRDB", package: "GRDB.swift"),
            ]),
        tests(
            "PostgreSQLStore",
            [
                "Store", "Identity", "ToolServerTestSupport", "JSON", "JSONConfiguration", "MCPServer", "Observability",
            ]),
        tests(
            "Identity",
            [
                "Store", "SQLiteStore", "ToolServerTestSupport", "JSON", "JSONConfiguration", "HTTPSyntax", "MCPServer",
                logging, crypto, nio("NIOConcurrencyHelpers"),
                .product(name: "GRDB", package: "GRDB.swift"),
            ]),
        tests(
            "OAuthServer",
            [
                "Store", "Identity", "ToolServerTestSupport", "JSON", "MCP", "MCPServer", crypto, nio("NIOHTTP1"),
                .product(name: "JWTKit", package: "jwt-kit"),
            ]),
        tests(
            "Assistant",
            [
                "Store", "SQLiteStore", "ToolServerTestSupport", "JSON", "JSONConfiguration", "MCP", "MCPServer",
                "CurlTransport", "Observability", logging, nio("NIOCore"), nio("NIOConcurrencyHelpers"),
            ]),
        tests(
            "ToolServerCore",
            [
                "Store", "SQLiteStore", "PostgreSQLStore", "Identity", "OAuthServer", "Assistant",
                "ToolServerTestSupport", "JSON", "JSONSchema", "JSONConfiguration", "MCP", "MCPClient", "MCPServer",
                "CurlTransport", "HTTPServer", "Observability", "ServiceRuntime", logging, nio("NIOPosix"),
                nio("NIOConcurrencyHelpers"),
                .product(name: "GRDB", package: "GRDB.swift"),
            ]),
        .testTarget(
            name: "HostilePeerTests",
            dependencies: [
                "TestSupport", "JSON", "gateway", "tool-server", nio("NIOCore"),
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "TestSupport", "JSON", "JSONSchema", "CurlTransport", "gateway", "tool-server", "ConfirmingServer",
                nio("NIOCore"),
                nio("NIOHTTP1"), crypto,
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            swiftSettings: settings),
    ]
}

// `make fuzz` alone builds it: libFuzzer is in the runtime that -sanitize=fuzzer links.
if Context.environment["FUZZ"] != nil {
    package.targets += [
        .target(name: "CFuzzerMain", path: "Tests/CFuzzerMain"),
        .executableTarget(
            name: "Fuzzer", dependencies: ["CFuzzerMain", "FuzzEntries"], path: "Tests/Fuzzer",
            swiftSettings: settings + [.unsafeFlags(["-parse-as-library"])]),
    ]
}
