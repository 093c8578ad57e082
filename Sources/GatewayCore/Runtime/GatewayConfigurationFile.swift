import Foundation
package import JSON
package import JSONConfiguration

/// `gateway.json` on disk, with the values that the environment and the command line override.
package struct GatewayConfigurationFile: Sendable {
    /// Path of the file.
    package let path: String
    private let environment: [String: String]
    private let overrides: [String: JSONValue]

    /// An invalid configuration; its description is one line that names the file.
    package struct LoadError: Error, CustomStringConvertible {
        /// Path of the file.
        package let path: String
        /// Problems, at least one.
        package let problems: [ConfigurationProblem]

        package var description: String { "\(path): \(problems.map(\.text).joined(separator: "; "))" }

        /// Lines that help to mend the file: every problem with its place, an example and what the key means.
        package var explanation: [String] {
            let count = problems.count == 1 ? "1 problem" : "\(problems.count) problems"
            return problems.flatMap { $0.lines(path: path) }
                + [
                    "\(path): \(count). `gateway schema` describes every key, `gateway init` writes files to begin with."
                ]
        }
    }

    /// Paths that are tried in turn where none is given: the working directory's, and that of the Debian package.
    package static let standardPaths = ["gateway.json", "/etc/chat-gateway/gateway.json"]

    private let isSearched: Bool

    /// - Parameters:
    ///   - path: Path of the file; nil: the first of ``standardPaths`` that exists.
    ///   - overrides: Values from the command line by dotted path.
    package init(
        path: String?, environment: [String: String] = ProcessInfo.processInfo.environment,
        overrides: [String: JSONValue] = [:]
    ) {
        isSearched = path == nil
        self.path = path ?? Self.standardPaths.first { access($0, F_OK) == 0 } ?? Self.standardPaths[0]
        self.environment = environment
        self.overrides = overrides
    }

    /// Reads and checks the file, and the lock file that it names.
    ///
    /// - Throws: ``LoadError``.
    @Sendable
    package func load() throws -> GatewayConfiguration {
        var configuration = try loadWithoutLock()
        guard let name = configuration.lockFile else { return configuration }
        do {
            configuration.lock = try Self.lock(lockPath(name))
        } catch {
            let problem = ConfigurationProblem(
                text: "lock: expected a file that `gateway pin` has written, found \(error)",
                advice: ["Write it with `gateway pin`, or get it back from version control."])
            throw LoadError(path: path, problems: [problem])
        }
        return configuration
    }

    /// Returns the path of a lock file that the configuration names.
    package func lockPath(_ name: String) -> String {
        guard !name.hasPrefix("/"), let slash = path.lastIndex(of: "/") else { return name }
        return path[...slash] + name
    }

    /// Reads a lock file.
    ///
    /// - Throws: ``ToolLockError``, whose description begins with the path.
    package static func lock(_ path: String) throws(ToolLockError) -> ToolLock {
        do {
            return try ToolLock(json: ConfigurationDocument(reading: path, upTo: ToolLock.maximumBytes).value)
        } catch {
            throw ToolLockError("\(path): \(error)")
        }
    }

    /// Reads and checks the file alone: for the command that writes the lock file.
    ///
    /// - Throws: ``LoadError``.
    package func loadWithoutLock() throws -> GatewayConfiguration {
        let document: ConfigurationDocument
        do {
            document = try ConfigurationDocument(reading: path)
        } catch {
            var advice = error.advice
            if isSearched, access(path, F_OK) != 0, let other = Self.standardPaths.last {
                advice.insert(
                    "Without --config, \(other) is read where this one does not exist; it does not either.", at: 1)
            }
            let problem = ConfigurationProblem(text: error.description, advice: advice)
            throw LoadError(path: path, problems: [problem])
        }
        do {
            return try GatewayConfiguration.read(document.value, environment: environment, overrides: overrides)
        } catch let errors as ConfigurationErrors {
            throw LoadError(path: path, problems: errors.problems(in: document, schema: GatewayConfiguration.schema()))
        }
    }
}
