import Foundation
import MCP

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A server process that this process starts and talks to over its standard input and output.
package final class StdioServerProcess: Sendable {
    /// Environment of a server.
    package enum Environment: Sendable {
        /// The environment of this process, with these variables added.
        case inherited([String: String])
        /// `PATH`, `HOME` and `LANG` of this process, and these variables: secrets in the environment are not
        /// inherited.
        case isolated([String: String])

        /// Variables of the server.
        package var variables: [String: String] {
            let own = ProcessInfo.processInfo.environment
            switch self {
            case .inherited(let added): return own.merging(added) { $1 }
            case .isolated(let added):
                return own.filter { ["PATH", "HOME", "LANG"].contains($0.key) }.merging(added) { $1 }
            }
        }
    }

    /// Largest part of a line of standard error that is passed on, in bytes; the rest of the line is dropped.
    private static let errorLineLimit = 4096

    // Foundation's class is not declared thread-safe: after `run` it is used only under the lock.
    private let process: Locked<Process>
    let channel: StdioChannel

    /// - Parameters:
    ///   - command: Path, or a name looked up in `PATH`.
    ///   - directory: Working directory; nil: this process's own.
    ///   - onErrorOutput: Takes the lines of standard error; nil: they are written to this process's own.
    /// - Throws: An error of the system when the command cannot be run.
    init(
        command: String, arguments: [String], environment: Environment, directory: String? = nil,
        onErrorOutput: (@Sendable (String) -> Void)? = nil, limit: Int
    ) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [command] + arguments
        process.environment = environment.variables
        if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        let errors = onErrorOutput.map { (pipe: Pipe(), take: $0) }
        if let errors { process.standardError = errors.pipe }
        try process.run()
        if let errors { try Self.read(errors.pipe, errors.take) }
        // The channel gets duplicated descriptors: Foundation closes those of the pipes when it releases them.
        channel = StdioChannel(
            input: dup(output.fileHandleForReading.fileDescriptor),
            output: Self.closingOnExec(input.fileHandleForWriting.fileDescriptor), limit: limit)
        try input.fileHandleForWriting.close()
        try output.fileHandleForReading.close()
        self.process = Locked(process)
    }

    /// Passes the lines of a pipe to `take`, as UTF-8 and cut to ``errorLineLimit``.
    ///
    /// Not by `readabilityHandler`: the dispatch source behind it may be used after it was released when the server ends,
    /// which ends this process.
    private static func read(_ pipe: Pipe, _ take: @escaping @Sendable (String) -> Void) throws {
        let descriptor = closingOnExec(pipe.fileHandleForReading.fileDescriptor)
        StdioChannel.readLines(of: descriptor, limit: errorLineLimit) { line in
            switch line {
            case .text(let text): take(String(decoding: text, as: UTF8.self))
            case .tooLong: take("(a line longer than 4096 bytes)")
            case nil: break
            }
        }
        try pipe.fileHandleForReading.close()
    }

    /// Duplicates a descriptor that another server started later must not inherit, because this one's input would then
    /// never end.
    private static func closingOnExec(_ descriptor: Int32) -> Int32 {
        fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    }

    /// Closes the input, waits for the exit, then sends signals (stdio, "Shutdown").
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
            // Waits in a task of its own, because a cancelled caller still wants the server to end.
            await Task { try? await Task.sleep(for: .milliseconds(10)) }.value
        }
        return true
    }
}

/// A value that is accessed only under a lock.
///
/// `@unchecked Sendable` is safe because `value` is private and every access takes `lock`.
private final class Locked<Value>: @unchecked Sendable {
    private let lock = NSLock()
    private let value: Value

    init(_ value: Value) { self.value = value }

    func withLock<Result>(_ body: (Value) -> Result) -> Result {
        lock.withLock { body(value) }
    }
}
