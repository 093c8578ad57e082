import MCP
import Synchronization

/// A streamed turn on its way to the caller: collects its events, and passes on the text that is known to be part of
/// the answer.
///
/// The reader of the stream and the timer that releases held back text both pass text on; a semaphore keeps it in
/// order.
final class StreamedTurn: Sendable {
    /// Result of an event.
    enum Progress { case nothing, work, text, end }

    private let stream: Mutex<ChatCompletionStream>
    private let order = AsyncSemaphore(limit: 1)
    private let timer = Mutex<Task<Void, Never>?>(nil)
    /// Time for which text may be held back: zero until the end of what has arrived, nil without a limit.
    private let grace: Duration?
    private let graceEnded: @Sendable () -> Void
    private let pass: @Sendable (String) async -> Void

    /// Creates a turn.
    /// - Parameters:
    ///   - pass: Takes the pieces of the answer in order.
    ///   - graceEnded: Called when text was passed on because its time was over.
    init(
        _ style: ReasoningStyle, grace: Duration, graceEnded: @escaping @Sendable () -> Void = {},
        pass: @escaping @Sendable (String) async -> Void
    ) {
        stream = Mutex(ChatCompletionStream(holdLimit: style.holdLimit))
        self.grace =
            switch style {
            case .unknown: grace
            case .plain: .zero
            case .unopened: nil
            }
        self.graceEnded = graceEnded
        self.pass = pass
    }

    /// Takes an event.
    /// - Throws: ``AssistantError`` when it is an error or unreadable; `CancellationError`.
    func receive(_ event: ServerSentEvent) async throws -> Progress {
        try await inOrder {
            let (pieces, progress) = try stream.withLock { stream -> ([String], Progress) in
                let text = try stream.receive(event.data, event: event.event)
                if text != nil { return (stream.pieces, .text) }
                if stream.isDone { return ([], .end) }
                // Comments and empty events keep a connection open, but they are not an answer. Text that is only held
                // back for a moment is passed on soon enough.
                let isTold = grace != nil && stream.isHolding
                return ([], stream.hasBegun && !isTold ? .work : .nothing)
            }
            for piece in pieces { await pass(piece) }
            return progress
        }
    }

    /// Passes on held back text when all that has arrived has been processed, or starts the timer that does.
    func watchHolding() async {
        guard let grace, stream.withLock({ $0.isHolding }) else { return }
        guard grace > .zero else { return await release() }
        timer.withLock { timer in
            guard timer == nil else { return }
            timer = Task { [weak self] in
                try? await Task.sleep(for: grace)
                guard !Task.isCancelled else { return }
                self?.graceEnded()
                await self?.release()
            }
        }
    }

    /// Passes on held back text.
    func release() async {
        try? await inOrder {
            let pieces = stream.withLock { stream in stream.release() == nil ? [] : stream.pieces }
            for piece in pieces { await pass(piece) }
        }
    }

    /// Returns the turn when the stream has ended successfully.
    /// - Throws: ``AssistantError`` when it is incomplete, or empty.
    func finish() async throws -> ModelReply {
        try await inOrder {
            let pieces = stream.withLock { stream in stream.rest() == nil ? [] : stream.pieces }
            for piece in pieces { await pass(piece) }
            let (reply, rest) = try stream.withLock { stream -> (ModelReply, String) in
                let said = stream.text.utf8.count
                let reply = try stream.finish()
                let isShorter = reply.hadUnopenedReasoning && !stream.tookOutReasoning
                let rest = isShorter ? [] : Array(reply.text.utf8.dropFirst(said))
                return (reply, String(decoding: rest, as: UTF8.self))
            }
            if !rest.isEmpty { await pass(rest) }
            return reply
        }
    }

    /// Passes on text that was held back for a moment, because the stream has failed.
    func fail() async {
        if grace != nil, !Task.isCancelled { await release() }
    }

    /// Stops the timer.
    func stop() { timer.withLock { $0?.cancel() } }

    private func inOrder<Value>(_ body: () async throws -> Value) async throws -> Value {
        try await order.acquire(until: .now + .seconds(86_400))
        defer { order.release() }
        return try await body()
    }
}
