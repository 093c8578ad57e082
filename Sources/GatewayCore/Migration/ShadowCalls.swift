import CurlTransport
import HTTPServer
import Logging
import MCPClient
import NIOCore

/// Asks the tool what the old backend has just answered, and compares. Confined to its shard.
///
/// Everything happens after the client's answer has been handed over, bounded in number and size, so that it can neither
/// delay nor change it; comparing runs off the event loop.
final class ShadowCalls {
    /// An exchange that the old backend has answered.
    struct Original {
        let type: ChatType
        let rule: ShadowRule
        /// The client's payload.
        let payload: ByteBuffer
        let answer: ComparedAnswer
        let credentials: ForwardedCredentials
        let traceparent: String?
        let requestID: String
    }

    /// Lines logged for a type in a minute on this shard; the rest is counted.
    static let linesPerMinute = 10
    /// Differences shown in a line.
    static let differencesPerLine = 8

    private struct TypeState {
        var inFlight = 0
        var minute = NIODeadline.uptimeNanoseconds(0)
        var lines = 0
        var suppressed = 0
    }

    // Unowned: the shard keeps this object.
    private unowned let shard: Shard
    private var states: [String: TypeState] = [:]

    init(_ shard: Shard) {
        self.shard = shard
    }

    /// - Parameter view: The configuration that the exchange began with.
    func ask(_ original: Original, _ view: ShardView) {
        let (type, rule) = (original.type, original.rule)
        guard !shard.isClosed, rule.takes() else { return }
        guard rule.force || view.isReadOnly(type), original.answer.body.readableBytes <= rule.maximumBody else {
            return count(.skipped, type)
        }
        let workers = view.snapshot.configuration.workers
        guard states[type.name, default: TypeState()].inFlight < (rule.concurrency + workers - 1) / workers else {
            return count(.dropped, type)
        }
        states[type.name, default: TypeState()].inFlight += 1
        switch view.call(type, original.payload) {
        case .failure(let error):
            compare(original, view.answer(to: error))
        case .success(let call):
            let request = MCPToolCall(
                tool: type.tool, arguments: call.arguments, credentials: original.credentials,
                deadline: .now() + type.timeout, traceparent: original.traceparent)
            _ = view.gates[type.upstream].call(request) { [self] outcome in
                switch outcome {
                case .refused(let error): fail(original, error)
                case .answered(.failure(let failure)): fail(original, GatewayError(failure))
                case .answered(.result(let result)):
                    switch ChatReply.make(type, message: result.message, result: result.result) {
                    case .success(let body): compare(original, ComparedAnswer(status: 200, body: body))
                    case .failure(let error): compare(original, view.answer(to: error))
                    }
                }
            }
        }
    }

    private func compare(_ original: Original, _ new: ComparedAnswer) {
        guard new.body.readableBytes <= original.rule.maximumBody else { return end(original, .skipped) }
        let old = original.answer
        let (eventLoop, place) = (shard.eventLoop, NIOLoopBound((self, original), eventLoop: shard.eventLoop))
        Task {
            let differences = AnswerComparison.differences(old: old, new: new)
            eventLoop.execute {
                let (calls, original) = place.value
                calls.finish(original, new, differences)
            }
        }
    }

    private func finish(_ original: Original, _ new: ComparedAnswer, _ differences: [AnswerDifference]) {
        guard !differences.isEmpty else { return end(original, .agree) }
        let name = original.type.name
        for kind in Set(differences.map(\.kind)) {
            shard.metrics.shadowDifferences.with(name, kind.rawValue).increment()
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
        shard.metrics.shadows.with(type.name, result.rawValue).increment()
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
        shard.logger.notice(message, metadata: metadata)
    }
}

extension ShardView {
    /// What the gateway would have answered.
    func answer(to error: GatewayError) -> ComparedAnswer {
        let response = GatewayErrorResponse(
            error, style: snapshot.configuration.errors, wantsProblem: false, requestID: "")
        return ComparedAnswer(status: Int(response.status.code), body: response.body)
    }

    /// The call that a payload of a known type asks for, checked against the tool's schema.
    func call(_ type: ChatType, _ payload: ByteBuffer) -> Result<ChatTranslator.Call, GatewayError> {
        // Another payload may have been translated since.
        if case .failure(let error) = translator.type(of: payload) { return .failure(error) }
        return translator.call(type, payload).flatMap { call in
            violation(of: call).map { .failure($0) } ?? .success(call)
        }
    }
}
