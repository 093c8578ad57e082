package import Foundation

/// Where the sources of this package are, for tests that read what ships with it (gateway.json, deploy/, README.md).
package enum Checkout {
    /// The package's top level.
    package static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The path of a file of the package, such as `gateway.json`.
    package static func path(_ name: String) -> String { root.appending(path: name).path }

    /// The text of a file of the package.
    package static func text(_ name: String) throws -> String {
        try String(contentsOf: root.appending(path: name), encoding: .utf8)
    }
}

/// An executable of this package, as the same build that made the running tests made it.
package enum BuiltProduct: String, Sendable {
    case gateway
    case toolServer = "tool-server"

    /// The directory that the build system put tests and executables in.
    package static let directory: URL = {
        // The test runner is the test bundle itself or is given its path, according to the toolchain.
        let started = CommandLine.arguments.filter { $0.contains(".xctest") }
        let running = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        for path in started + [running] {
            var directory = URL(filePath: path).resolvingSymlinksInPath().deletingLastPathComponent()
            while directory.path != "/" {
                let executable = directory.appending(path: BuiltProduct.gateway.rawValue).path
                var isDirectory: ObjCBool = false
                if FileManager.default.fileExists(atPath: executable, isDirectory: &isDirectory), !isDirectory.boolValue
                {
                    return directory
                }
                directory.deleteLastPathComponent()
            }
        }
        return URL(filePath: running).deletingLastPathComponent()
    }()

    /// The path of the executable.
    package var path: String { Self.directory.appending(path: rawValue).path }
}
