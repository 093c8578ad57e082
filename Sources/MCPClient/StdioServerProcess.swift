import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A server that this process starts and talks to over its standard input and output; its standard error is ours.
final class StdioServerProcess: Sendable {
    // Foundation's class is not marked as thread-safe: everything after `run` is reached through the lock.
    private let process: Locked<Process>
    let channel: StdioChannel

    /// - Parameters:
    ///   - command: path, or a name looked up in PATH.
    ///   - environment: in addition to this process's own.
    /// - Throws: when the command cannot be run.
    init(command: String, arguments: [String], environment: [String: String], limit: Int) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [command] + arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        // The channel gets descriptors of its own: those of the pipes close when Foundation lets go of them.
        channel = StdioChannel(
            input: dup(output.fileHandleForReading.fileDescriptor),
            output: Self.closingOnExec(input.fileHandleForWriting.fileDescriptor), limit: limit)
        try input.fileHandleForWriting.close()
        try output.fileHandleForReading.close()
        self.process = Locked(process)
    }

    /// Another server started later must not inherit this one's input, or its end would never come.
    private static func closingOnExec(_ descriptor: Int32) -> Int32 {
        fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    }

    /// Ends the input, waits, then insists (stdio, "Shutdown").
    func stop(within grace: Duration) async {
        channel.end()
        if await hasExited(within: grace) { return }
        process.withLock { $0.terminate() }
        if await hasExited(within: grace) { return }
        process.withLock { _ = kill($0.processIdentifier, SIGKILL) }
        _ = await hasExited(within: grace)
    }

    private func hasExited(within limit: Duration) async -> Bool {
        let end = ContinuousClock.now + limit
        while process.withLock({ $0.isRunning }) {
            if ContinuousClock.now >= end { return false }
            // A cancelled caller still wants the server gone, so the wait goes on.
            await Task { try? await Task.sleep(for: .milliseconds(10)) }.value
        }
        return true
    }
}

/// A value that is only reached under a lock.
///
/// `@unchecked Sendable` holds because `value` is private and every access takes `lock`.
private final class Locked<Value>: @unchecked Sendable {
    private let lock = NSLock()
    private let value: Value

    init(_ value: Value) { self.value = value }

    func withLock<Result>(_ body: (Value) -> Result) -> Result {
        lock.withLock { body(value) }
    }
}
