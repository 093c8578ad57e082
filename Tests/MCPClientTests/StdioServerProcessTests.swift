import Foundation
import Synchronization
import TestSupport
import Testing

@testable import MCPClient

@Suite struct StdioServerProcessTests {
    /// Lines that a server wrote to standard error.
    private final class Lines: Sendable {
        private let lines = Mutex<[String]>([])

        func append(_ line: String) { lines.withLock { $0.append(line) } }
        var all: [String] { lines.withLock { $0 } }
    }

    /// What watches standard error may not outlive it: a dispatch source that did ended the process once in some forty
    /// servers.
    @Test func serversThatWriteToStandardErrorComeAndGo() async throws {
        for _ in 0..<30 {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<10 {
                    group.addTask {
                        let lines = Lines()
                        let server = try StdioServerProcess(
                            command: "sh", arguments: ["-c", "echo one >&2; printf two >&2"],
                            environment: .isolated([:]),
                            onErrorOutput: { lines.append($0) }, limit: 1024)
                        server.channel.read { _ in }
                        await server.stop(within: .seconds(30))
                        #expect(await eventually { lines.all == ["one", "two"] })
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func aLongLineOfStandardErrorIsLeftOut() async throws {
        let lines = Lines()
        let server = try StdioServerProcess(
            command: "sh", arguments: ["-c", "head -c 5000 /dev/zero | tr '\\0' x >&2; echo >&2; echo short >&2"],
            environment: .isolated([:]), onErrorOutput: { lines.append($0) }, limit: 1024)
        server.channel.read { _ in }
        await server.stop(within: .seconds(30))
        #expect(await eventually { lines.all == ["(a line longer than 4096 bytes)", "short"] })
    }
}
