import CurlTransport
import HTTPServer
import Logging
import MCPClient
import NIOCore

/// Calls of shadowed types' main targets: each repeats a request that the other target has just answered, and compares
/// the responses. Confined to its worker.
///
/// Everything happens after the client's response has been handed over, bounded in number and size, so that it can
/// neither delay nor change the response; the comparison runs off the event loop.
final class ShadowCalls {
    /// A request that the other target has answered.
    struct Original {
        let type: ChatType
        let rule: ShadowRule
        /// The client's payload.
        let payload: ByteBuffer
        let answer: ComparedResponse
        /// Headers that are sent with the payload where the main target is an old backend too.
        let headers: CurlHeaders
        let caller: PastCaller
        let traceparent: String?
        let requestID: String
    }

    /// A call of the main target, and the comparison that follows its end.
    private final class Call: CallReceiver {
        private let original: Original
        private let calls: ShadowCalls
        private let chat: ChatRoutes

        init(_ original: Original, _ calls: ShadowCalls, _ chat: ChatRoutes) {
            self.original = original
            self.calls = calls
            self.chat = chat
        }

        func callAccepted() {}

        func callEnded(_ outcome: UpstreamOutcome) {
            switch outcome {
            case .failure(let failure): calls.fail(original, chat.error(of: failure))
            case .response(let response):
                calls.compare(original, ComparedResponse(status: response.status, body: response.body))
            case .result(let result):
                guard result.message.readableBytes >= ParsingQueue.longAnswer else {
                    return replied(ChatRoutes.reply(of: original.type, to: result))
                }
                ParsingQueue.answers.run(on: calls.worker.eventLoop) { [type = original.type] in
                    ChatRoutes.reply(of: type, to: result)
                } then: { [self] reply in
                    replied(reply)
                }
            }
        }

        private func replied(_ reply: Result<ByteBuffer, GatewayError>) {
            switch reply {
            case .success(let body): calls.compare(original, ComparedResponse(status: 200, body: body))
            case .failure(let error): calls.compare(original, chat.response(to: error))
            }
        }
    }

    /// Largest number of log lines for a type in a minute on this worker; further ones are only counted.
    static let linesPerMinute = 10
    /// Differences shown in a line.
    static let differencesPerLine = 8

    private struct TypeState {
        var inFlight = 0
        var minute = NIODeadline.uptimeNanoseconds(0)
        var lines = 0
        var suppressed = 0
    }

    private let worker: Worker
    private var states: [String: TypeState] = [:]

    init(_ worker: Worker) {
        self.worker = worker
    }

    /// - Parameter chat: The routes of the configuration under which the request began.
    func ask(_ original: Original, _ chat: ChatRoutes) {
        let (type, rule) = (original.type, original.rule)
        guard !worker.isClosed, rule.takes() else { return }
        guard rule.force || chat.isReadOnly(type), original.answer.body.readableBytes <= rule.maximumBody else {
            return count(.skipped, type)
        }
        let limit = (rule.concurrency + chat.workers - 1) / chat.workers
        guard states[type.name, default: TypeState()].inFlight < limit else { return count(.dropped, type) }
        states[type.name, default: TypeState()].inFlight += 1
        switch call(of: original, chat) {
        case .failure(let error):
            compare(original, chat.response(to: error))
        case .success(let call):
            _ = chat.upstreams[type.target.upstream].call(
                call, of: original.caller, for: Call(original, self, chat))
        }
    }

    /// Returns the call of the main target.
    private func call(of original: Original, _ chat: ChatRoutes) -> Result<UpstreamCall, GatewayError> {
        let type = original.type
        guard let tool = type.target.tool else {
            return .success(
                .payload(
                    ChatPayload(
                        query: "", headers: original.headers, body: original.payload, deadline: .now() + type.timeout)))
        }
        return chat.call(type, original.payload).map { call in
            .tool(
                MCPToolCall(
                    tool: tool, arguments: call.arguments, credentials: .anonymous,
                    deadline: .now() + type.timeout, traceparent: original.traceparent))
        }
    }

    private func compare(_ original: Original, _ new: ComparedResponse) {
        guard new.body.readableBytes <= original.rule.maximumBody else { return end(original, .skipped) }
        let old = original.answer
        let (eventLoop, place) = (worker.eventLoop, NIOLoopBound((self, original), eventLoop: worker.eventLoop))
        Task {
            let differences = ResponseComparison.differences(old: old, new: new)
            eventLoop.execute {
                let (calls, original) = place.value
                calls.finish(original, new, differences)
            }
        }
    }

    private func finish(_ original: Original, _ new: ComparedResponse, _ differences: [ResponseDifference]) {
        guard !differences.isEmpty else { return end(original, .agree) }
        let name = original.type.name
        for kind in Set(differences.map(\.kind)) {
            worker.metrics.shadowDifferences.with(name, kind.rawValue).increment()
        }
        let shown = differences.prefix(Self.differencesPerLine).map { Logger.MetadataValue.string($0.description) }
        log(
            "shadow differs", original,
            [
                "shadow.differences": .array(shown), "shadow.found": .stringConvertible(differences.count),
                "shadow.statuses": .string("\(original.answer.status) \(new.status)"),
            ])
        end(original, .differ)
    }

    private func fail(_ original: Original, _ error: GatewayError) {
        log("shadow failed", original, ["error.label": .string(error.label.rawValue)])
        end(original, .error)
    }

    private func end(_ original: Original, _ result: ShadowResult) {
        states[original.type.name]?.inFlight -= 1
        count(result, original.type)
    }

    private func count(_ result: ShadowResult, _ type: ChatType) {
        worker.metrics.shadows.with(type.name, result.rawValue).increment()
    }

    private func log(_ message: Logger.Message, _ original: Original, _ more: Logger.Metadata) {
        let now = NIODeadline.now()
        var state = states[original.type.name] ?? TypeState()
        defer { states[original.type.name] = state }
        if now - state.minute >= .minutes(1) {
            state.minute = now
            state.lines = 0
        }
        guard state.lines < Self.linesPerMinute else {
            state.suppressed += 1
            return
        }
        state.lines += 1
        var metadata = more
        metadata["type"] = .string(original.type.name)
        metadata["tool"] = .string(original.type.tool)
        metadata["http.request_id"] = .string(original.requestID)
        if state.suppressed > 0 { metadata["shadow.suppressed"] = .stringConvertible(state.suppressed) }
        state.suppressed = 0
        worker.logger.notice(message, metadata: metadata)
    }
}
