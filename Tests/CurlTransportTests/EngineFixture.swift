import Glibc
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import CurlTransport

/// Transport of an engine: the same must be true of both.
enum EngineHost: CaseIterable {
    /// libcurl on a thread of its own.
    case thread
    /// Connections on an event loop.
    case eventLoop

    /// Of their own: the servers of all tests share the other loops.
    static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    var eventLoop: (any EventLoop)? { self == .eventLoop ? Self.group.next() : nil }
}

/// Runs `body` with an engine that is shut down afterwards, and a server that is stopped; once for each transport.
func withServer(
    _ configuration: CurlEngineConfiguration = CurlEngineConfiguration(), unixSocketPath: String? = nil,
    _ respond: @escaping ScriptedHTTPServer.Respond, _ body: (CurlEngine, ScriptedHTTPServer) async throws -> Void
) async throws {
    for host in EngineHost.allCases {
        let server = try await ScriptedHTTPServer(unixSocketPath: unixSocketPath, respond)
        defer { server.stop() }
        try await withEngine(configuration, on: host) { try await body($0, server) }
        // The next one may have the same path.
        try await server.stopAndWait()
    }
}

/// As above; the server answers before it has read the request's body.
func withServer(
    answeringEarly response: ScriptedResponse, _ body: (CurlEngine, ScriptedHTTPServer) async throws -> Void
) async throws {
    for host in EngineHost.allCases {
        let server = try await ScriptedHTTPServer(early: { _ in response }) { _ in response }
        defer { server.stop() }
        try await withEngine(on: host) { try await body($0, server) }
    }
}

/// Runs `body` with an engine that is shut down afterwards.
func withEngine(
    _ configuration: CurlEngineConfiguration = CurlEngineConfiguration(), on host: EngineHost,
    _ body: (CurlEngine) async throws -> Void
) async throws {
    let engine = CurlEngine(
        label: "curl-test", configuration: configuration, eventLoop: host.eventLoop)
    do {
        try await body(engine)
        await engine.shutdown()
        #expect(engine.statistics.openSockets == 0)
        #expect(engine.statistics.active == 0)
    } catch {
        await engine.shutdown()
        throw error
    }
}

/// The error of a transfer that must fail.
func failure(
    _ body: () async throws -> Void, sourceLocation: SourceLocation = #_sourceLocation
) async -> CurlError? {
    do {
        try await body()
        Issue.record("expected a failure", sourceLocation: sourceLocation)
    } catch let error as CurlError {
        return error
    } catch {
        Issue.record("not a CurlError: \(error)", sourceLocation: sourceLocation)
    }
    return nil
}

func requireSoon(within limit: Duration = .seconds(10), _ condition: () -> Bool) async throws {
    let end = ContinuousClock.now + limit.underSanitizer
    while !condition() {
        try #require(ContinuousClock.now < end, "condition did not come true within \(limit)")
        try await Task.sleep(for: .milliseconds(1))
    }
}

/// Bytes that are not the same at any two nearby offsets, so that a lost or doubled piece shows.
func patternBytes(_ count: Int) -> ByteBuffer {
    var buffer = ByteBufferAllocator().buffer(capacity: count)
    var number: UInt32 = 0
    while buffer.readableBytes + 1024 <= count {
        buffer.writeInteger(number)
        buffer.writeImmutableBuffer(patternBlock)
        number += 1
    }
    buffer.writeRepeatingByte(0x2A, count: count - buffer.readableBytes)
    return buffer
}

private let patternBlock: ByteBuffer = {
    var state: UInt32 = 0x1234_5678
    var buffer = ByteBuffer()
    for _ in 0..<255 {
        state = state &* 1_664_525 &+ 1_013_904_223
        buffer.writeInteger(state)
    }
    return buffer
}()

/// Records what a receiver is told, and checks that it is told on its loop.
final class RecordingReceiver: CurlTransferReceiver, Sendable {
    struct Record {
        var heads: [(status: Int, headers: CurlHeaders)] = []
        var body = ByteBuffer()
        var results: [Result<CurlResponse, CurlError>] = []
        var offLoop = 0
    }

    private let record = Mutex(Record())
    private let eventLoop: any EventLoop
    private let onHead: @Sendable () -> Void

    init(_ eventLoop: any EventLoop, onHead: @escaping @Sendable () -> Void = {}) {
        self.eventLoop = eventLoop
        self.onHead = onHead
    }

    var seen: Record { record.withLock { $0 } }
    var result: Result<CurlResponse, CurlError>? { seen.results.first }
    var error: CurlError? {
        if case .failure(let error) = result { error } else { nil }
    }

    func transferHead(status: Int, headers: CurlHeaders) {
        note { $0.heads.append((status, headers)) }
        onHead()
    }

    func transferBody(_ bytes: ByteBuffer) { note { $0.body.writeImmutableBuffer(bytes) } }

    func transferDone(_ result: Result<CurlResponse, CurlError>) { note { $0.results.append(result) } }

    func finished() async throws -> Result<CurlResponse, CurlError> {
        try await requireSoon { !seen.results.isEmpty }
        return try #require(result)
    }

    private func note(_ change: (inout Record) -> Void) {
        record.withLock {
            change(&$0)
            if !eventLoop.inEventLoop { $0.offLoop += 1 }
        }
    }
}

func anyLoop() -> any EventLoop { MultiThreadedEventLoopGroup.singleton.next() }
