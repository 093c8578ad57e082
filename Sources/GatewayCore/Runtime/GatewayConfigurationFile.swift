import Foundation
package import JSON
import JSONConfiguration

/// `gateway.json` on disk, with the values that the environment and the command line override.
package struct GatewayConfigurationFile: Sendable {
    /// Path of the file.
    package let path: String
    private let environment: [String: String]
    private let overrides: [String: JSONValue]

    /// An invalid configuration; its description is one line that names the file.
    package struct Failure: Error, CustomStringConvertible {
        /// Path of the file.
        package let path: String
        /// Problems, at least one, each on a line of its own.
        package let problems: [String]

        package var description: String { "\(path): \(problems.joined(separator: "; "))" }
    }

    /// - Parameter overrides: Values from the command line by dotted path.
    package init(
        path: String, environment: [String: String] = ProcessInfo.processInfo.environment,
        overrides: [String: JSONValue] = [:]
    ) {
        self.path = path
        self.environment = environment
        self.overrides = overrides
    }

    /// Reads and checks the file.
    ///
    /// - Throws: ``Failure``.
    @Sendable
    package func load() throws -> GatewayConfiguration {
        let bytes = try Self.read(path)
        let document: JSONValue
        do {
            document = try JSONValue(parsing: bytes)
        } catch {
            let line = bytes.prefix(error.offset).count { $0 == 0x0A } + 1
            throw Failure(path: path, problems: ["line \(line): not JSON: \(error)"])
        }
        do {
            return try GatewayConfiguration.read(document, environment: environment, overrides: overrides)
        } catch let errors as ConfigurationErrors {
            throw Failure(path: path, problems: errors.errors.map(\.description))
        }
    }

    /// Reads a file with the system calls: Foundation does not report why a file cannot be read.
    private static func read(_ path: String) throws -> [UInt8] {
        func failure() -> Failure {
            Failure(path: path, problems: ["cannot be read (\(String(cString: strerror(errno))))"])
        }
        guard let file = fopen(path, "r") else { throw failure() }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while true {
            errno = 0
            let count = fread(&buffer, 1, buffer.count, file)
            bytes += buffer[..<count]
            if ferror(file) != 0 { throw failure() }
            if count < buffer.count { return bytes }
        }
    }
}
