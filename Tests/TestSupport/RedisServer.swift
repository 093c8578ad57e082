import Foundation
import Glibc
import Synchronization

/// Debian's redis-server on a free port of 127.0.0.1, in memory alone, that ends with the test process.
package final class RedisServer: Sendable {
    /// Port of the server, also after it was started again.
    package let port: Int
    /// URL of database 0.
    package var url: String { "redis://127.0.0.1:\(port)/0" }

    private let directory: TemporaryDirectory
    private let process = Mutex<ChildProcess?>(nil)
    private let arguments: [String]

    /// Starts a server.
    /// - Parameter password: Password that it asks for; nil: none.
    package init(password: String? = nil) async throws {
        directory = try TemporaryDirectory("redis")
        port = try freePort()
        arguments =
            [
                "--bind", "127.0.0.1", "--port", "\(port)", "--save", "", "--appendonly", "no", "--dir",
                directory.url.path,
            ]
            + (password.map { ["--requirepass", $0] } ?? [])
        try await start()
    }

    /// Starts the server again, without any data.
    package func start() async throws {
        let started = try await ChildProcess.start(.init("redis-server", arguments))
        process.withLock { $0 = started }
        await eventually { started.exit != nil || started.output.contains("Ready to accept connections") }
        guard started.exit == nil else { throw ProcessError("redis-server does not start\n\(started.log)") }
    }

    /// Ends the server as a power failure does.
    package func kill() async throws {
        guard let running = process.withLock({ $0 }) else { return }
        running.signal(SIGKILL)
        try await running.exit(within: .seconds(10))
    }

    /// Makes the server silent: its connections stay open.
    package func freeze() { process.withLock { $0?.signal(SIGSTOP) } }

    /// Makes it answer again.
    package func thaw() { process.withLock { $0?.signal(SIGCONT) } }

    /// Ends the server.
    package func stop() async throws {
        guard let running = process.withLock({ $0 }), running.exit == nil else { return }
        running.signal(SIGCONT)
        try await running.stop()
    }

    /// Runs a command with redis-cli; returns what it prints.
    @discardableResult
    package func command(_ words: String...) async throws -> String {
        let finished = try await ChildProcess.run(.init("redis-cli", ["-p", "\(port)"] + words))
        guard finished.succeeded else { throw ProcessError("redis-cli: \(finished.error)") }
        return finished.output.trimmingCharacters(in: .newlines)
    }
}
