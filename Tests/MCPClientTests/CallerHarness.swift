import JSON
import Logging
import MCP
import NIOCore
import NIOPosix
import TestSupport

@testable import CurlTransport
@testable import MCPClient

/// Some shards (an event loop, an engine and a caller each) over one upstream.
final class CallerHarness: Sendable {
    let upstream: MCPUpstream
    let engines: [CurlEngine]
    let loops: [any EventLoop]
    private let callers: [NIOLoopBoundBox<MCPCaller?>]
    private let loses: @Sendable (CurlRequest) -> Bool

    /// - Parameter loses: requests that are taken and never heard of again.
    init(
        _ configuration: MCPUpstreamConfiguration, shards: Int = 1,
        loses: @escaping @Sendable (CurlRequest) -> Bool = { _ in false }
    ) {
        self.loses = loses
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        upstream = MCPUpstream(
            configuration: configuration, clientInfo: Implementation(name: "test", version: "1"), logger: logger)
        let loops = (0..<shards).map { _ in MultiThreadedEventLoopGroup.singleton.next() as any EventLoop }
        let engines = loops.enumerated().map {
            CurlEngine(
                label: "test\($0)", configuration: CurlEngineConfiguration(memory: configuration.memory), eventLoop: $1,
                logger: logger)
        }
        self.engines = engines
        self.loops = loops
        callers = loops.map { NIOLoopBoundBox.makeEmptyBox(valueType: MCPCaller.self, eventLoop: $0) }
    }

    convenience init(
        url: String, shards: Int = 1, loses: @escaping @Sendable (CurlRequest) -> Bool = { _ in false },
        change: (inout MCPUpstreamConfiguration) -> Void = { _ in }
    ) {
        var configuration = MCPUpstreamConfiguration(name: "tools", url: url, trusted: true)
        configuration.connectTimeout = configuration.connectTimeout.underSanitizer
        configuration.handshakeTimeout = configuration.handshakeTimeout.underSanitizer
        change(&configuration)
        self.init(configuration, shards: shards, loses: loses)
    }

    /// Runs the body on a shard's loop with its caller.
    func onLoop<T: Sendable>(_ shard: Int = 0, _ body: @escaping @Sendable (MCPCaller) -> T) async throws -> T {
        let box = callers[shard]
        let (transport, loop, upstream) = (LosingTransport(engines[shard], loses), loops[shard], upstream)
        return try await loop.submit {
            if box.value == nil { box.value = MCPCaller(upstream: upstream, transport: transport, eventLoop: loop) }
            guard let caller = box.value else { throw Unexpected(what: "no caller") }
            return body(caller)
        }.get()
    }

    func call(
        _ tool: String = "read", arguments: String = "{}", user: String? = nil, shard: Int = 0,
        timeout: TimeAmount = .seconds(10) * Sanitizer.slowness, idle: TimeAmount? = nil,
        cancelAfter: TimeAmount? = nil,
        onProgress: (@Sendable (MCPProgress) -> Void)? = nil, cancelWhen: (@Sendable () async throws -> Void)? = nil
    ) async throws -> MCPCallOutcome {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<MCPCallOutcome, any Error>) in
            Task {
                let cancel = try await onLoop(shard) { caller -> @Sendable () -> Void in
                    let call = MCPToolCall(
                        tool: tool, arguments: ByteBuffer(string: arguments),
                        credentials: ForwardedCredentials(
                            cookies: user.map { "sessionid=\($0)" }, authorization: nil),
                        deadline: .now() + timeout, idleTimeout: idle, onProgress: onProgress)
                    let handle = caller.call(call) { continuation.resume(returning: $0) }
                    if let cancelAfter {
                        caller.eventLoop.assumeIsolated().scheduleTask(in: cancelAfter) { handle.cancel() }
                    }
                    let bound = NIOLoopBound(handle, eventLoop: caller.eventLoop)
                    return { bound.eventLoop.execute { bound.value.cancel() } }
                }
                if let cancelWhen {
                    try await cancelWhen()
                    cancel()
                }
            }
        }
    }

    @discardableResult
    func refreshCatalog(within limit: TimeAmount = .seconds(10) * Sanitizer.slowness) async throws -> ToolCatalog {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<ToolCatalog, any Error>) in
            Task {
                try await onLoop { caller in
                    caller.refreshCatalog(deadline: .now() + limit) { result in
                        continuation.resume(with: result.mapError { $0 })
                    }
                }
            }
        }
    }

    func shutdown() async {
        for engine in engines { await engine.shutdown() }
    }
}

/// An engine that forgets some of its transfers.
struct LosingTransport: MessageTransport, Sendable {
    private let engine: CurlEngine
    private let loses: @Sendable (CurlRequest) -> Bool

    init(_ engine: CurlEngine, _ loses: @escaping @Sendable (CurlRequest) -> Bool) {
        self.engine = engine
        self.loses = loses
    }

    func start(
        _ request: CurlRequest, on eventLoop: any EventLoop, receiver: any CurlTransferReceiver
    ) -> CurlTransfer {
        guard loses(request) else { return engine.start(request, on: eventLoop, receiver: receiver) }
        return engine.prepare(request, eventLoop: eventLoop, manualCredit: false, receiver: receiver)
    }
}

extension MCPCallOutcome {
    var success: MCPCallResult {
        get throws {
            guard case .result(let result) = self else { throw Unexpected(what: "\(self)") }
            return result
        }
    }

    var problem: MCPCallError {
        get throws {
            guard case .failure(let failure) = self else { throw Unexpected(what: "\(self)") }
            return failure
        }
    }
}

extension MCPCallResult {
    var json: JSONValue {
        message.withUnsafeReadableBytes { JSONValue(result, in: $0) }
    }
}
