import JSON
import MCP
import MCPServer
import Observability

/// Loop in which a model answers with the help of tools: it requests calls, gets their results, and continues until it
/// answers.
///
/// What the model may do is decided here and by the tools, never by the text that it reads: it sees only the caller's
/// tools, calls them as the caller, and no tool that changes data runs without the caller's consent.
struct AgentLoop: Sendable {
    let model: any LanguageModel
    let tools: AgentTools
    let configuration: AgentConfiguration
    let metrics: AssistantMetrics
    let confirmations = Confirmations()

    /// - Parameter start: Conversation that ends with the caller's message.
    /// - Throws: The errors of ``ResponseProvider``.
    func answer(_ start: [JSONValue], _ context: ToolContext, onDelta: ResponseDelta?) async throws -> String {
        var progress = context.state.flatMap(AgentProgress.init(json:)) ?? AgentProgress(messages: start)
        let time = ResponseDeadline(configuration, isStreamed: onDelta != nil)
        let onDelta = onDelta.map { pass -> ResponseDelta in
            { text in
                await pass(text)
                time.sign()
            }
        }
        let offers = tools.offers(to: context)
        while true {
            if !progress.openCalls.isEmpty {
                try await run(&progress, offers, context, time)
                progress.closeTurn()
            }
            let isLast =
                progress.steps >= configuration.maxSteps - 1 || progress.calls >= configuration.maxCalls
                || progress.tokens >= configuration.maxTokens
            let request = ModelRequest(
                messages: progress.messages, tools: offers.map(\.description), mayCallTools: !isLast,
                deadline: time.end, beginning: time.nextSign, userID: context.principal?.id)
            let reply = try await turn(request, &progress, onDelta)
            if reply.toolCalls.isEmpty { break }
            guard !isLast else { throw AssistantError("the answer needed more tool calls than are allowed") }
        }
        let citation = progress.sources.citation(for: progress.text)
        if !citation.isEmpty { await onDelta?(citation) }
        return progress.text + citation
    }

    private func turn(
        _ request: ModelRequest, _ progress: inout AgentProgress, _ onDelta: ResponseDelta?
    ) async throws -> ModelReply {
        guard let deadline = request.deadline, !request.isLate() else { throw Self.tookTooLong }
        var passing = onDelta
        let separator = progress.text.isEmpty ? "" : "\n\n"
        if let onDelta, !separator.isEmpty {
            let first = Delivery(onDelta)
            passing = { text in
                guard !text.isEmpty else { return await first.sign() }
                let isFirst = !first.hasBegun
                await first.pass(isFirst ? separator + text : text)
            }
        }
        var reply: ModelReply
        do {
            reply = try await model.reply(to: request, onDelta: passing)
        } catch let error as AssistantError {
            // The provider's own time limit was reduced to the rest of this one.
            throw deadline <= .now + .milliseconds(50) ? Self.tookTooLong : error
        }
        metrics.agentSteps.with().increment()
        progress.countTurn(
            tokens: reply.usage?.total ?? TokenEstimate.of(request.messages) + TokenEstimate.of(reply))
        if !reply.text.isEmpty { progress.text += separator + reply.text }
        guard !reply.toolCalls.isEmpty else { return reply }
        // Results are matched by the calls' ids, which some servers omit or use twice.
        var seen: Set<String> = []
        for index in reply.toolCalls.indices
        where !seen.insert(reply.toolCalls[index].id).inserted
            || reply.toolCalls[index].id.isEmpty
        {
            reply.toolCalls[index].id = "call-\(progress.steps)-\(index)"
            seen.insert(reply.toolCalls[index].id)
        }
        progress.messages.append(ChatCompletion.assistant(reply))
        return reply
    }

    private static let tookTooLong = AssistantError("the answer took too long")

    // MARK: Calls

    private struct Call: Sendable {
        let invocation: ToolInvocation
        let arguments: JSONObject
    }

    /// Adds a result to every open call.
    private func run(
        _ progress: inout AgentProgress, _ offers: [AgentTools.Offer], _ context: ToolContext, _ time: ResponseDeadline
    ) async throws {
        var reads: [Call] = []
        var writes: [Call] = []
        for invocation in progress.openCalls {
            switch judge(invocation, offers) {
            case .failure(let refusal):
                count("refused")
                progress.results[invocation.id] = Self.told(error: refusal.text)
            case .success(let (call, isReadOnly)):
                guard progress.calls + reads.count + writes.count < configuration.maxCalls else {
                    count("refused")
                    progress.results[invocation.id] = Self.told(error: "refused: too many calls for one answer")
                    continue
                }
                if isReadOnly { reads.append(call) } else { writes.append(call) }
            }
        }
        try await runTogether(reads, &progress, context, time)
        guard !writes.isEmpty else { return }
        let start = ContinuousClock.now
        let verdicts = try await verdicts(on: writes, progress, context)
        // The time that people take does not count against the model's.
        time.exclude(ContinuousClock.now - start)
        try await runInTurn(writes, verdicts, &progress, context, time)
    }

    private struct CallError: Error { let text: String }

    private func judge(_ call: ToolInvocation, _ offers: [AgentTools.Offer]) -> Result<(Call, Bool), CallError> {
        guard let tool = offers.first(where: { $0.name == call.name }) else {
            let names = offers.map(\.name).joined(separator: ", ")
            return .failure(CallError(text: "there is no tool named \(call.name.prefix(64)); the tools are \(names)"))
        }
        let text = call.arguments.allSatisfy(\.isWhitespace) ? "{}" : call.arguments
        guard let arguments = (try? JSONValue(parsing: text))?.object else {
            return .failure(CallError(text: "the arguments are not a JSON object"))
        }
        return .success((Call(invocation: call, arguments: arguments), tool.isReadOnly))
    }

    private func runTogether(
        _ calls: [Call], _ progress: inout AgentProgress, _ context: ToolContext, _ time: ResponseDeadline
    ) async throws {
        for call in calls { await announce(call, context, time) }
        let outcomes = try await withThrowingTaskGroup(of: (Int, AgentTools.Outcome).self) { group in
            for (index, call) in calls.enumerated() {
                group.addTask { (index, try await perform(call, context, time)) }
            }
            return try await group.reduce(into: [Int: AgentTools.Outcome]()) { $0[$1.0] = $1.1 }
        }
        for (index, call) in calls.enumerated() {
            if let outcome = outcomes[index] { record(outcome, of: call, &progress) }
        }
    }

    private func runInTurn(
        _ calls: [Call], _ verdicts: [Confirmations.Decision], _ progress: inout AgentProgress, _ context: ToolContext,
        _ time: ResponseDeadline
    ) async throws {
        let isAllowed = verdicts.contains { if case .allowed = $0 { true } else { false } }
        if isAllowed, !confirmations.redeem(progress.ticket) {
            throw AssistantError("this confirmation has been used already")
        }
        let ticket = progress.ticket
        // The next confirmation gets a ticket of its own.
        progress.ticket = AgentProgress(messages: []).ticket
        for (call, verdict) in zip(calls, verdicts) {
            switch verdict {
            case .refused(let text):
                count("refused")
                progress.results[call.invocation.id] = Self.told(error: text)
            case .allowed:
                await announce(call, context, time)
                // No replica runs the call twice, even where another one remembers the ticket.
                let key = "\(ticket)/\(call.invocation.id)"
                record(try await perform(call, context, time, confirmation: key), of: call, &progress)
            }
        }
    }

    private func verdicts(
        on calls: [Call], _ progress: AgentProgress, _ context: ToolContext
    ) async throws -> [Confirmations.Decision] {
        guard configuration.writes == .confirm else {
            return calls.map { _ in .refused("refused: tools that change data are not available here") }
        }
        return try await confirmations.ask(calls.map { ($0.invocation, $0.arguments) }, progress, context)
    }

    private func announce(_ call: Call, _ context: ToolContext, _ time: ResponseDeadline) async {
        await context.step(tool: call.invocation.name)
        time.sign()
    }

    private func perform(
        _ call: Call, _ context: ToolContext, _ time: ResponseDeadline, confirmation: String? = nil
    ) async throws -> AgentTools.Outcome {
        try await withThrowingTaskGroup(of: AgentTools.Outcome?.self) { group in
            group.addTask {
                try await tools.call(
                    call.invocation.name, call.arguments, within: context, confirmation: confirmation)
            }
            group.addTask {
                try await Task.sleep(until: time.limit, clock: .continuous)
                return nil
            }
            defer { group.cancelAll() }
            guard let finished = try await group.next(), let outcome = finished else { throw Self.tookTooLong }
            return outcome
        }
    }

    private func record(_ outcome: AgentTools.Outcome, of call: Call, _ progress: inout AgentProgress) {
        progress.calls += 1
        switch outcome {
        case .done(let value):
            count("ok")
            progress.sources.add(call.invocation.name, value)
            progress.results[call.invocation.id] = told(value)
        case .failed(let text):
            count("error")
            progress.results[call.invocation.id] = Self.told(error: text)
        }
    }

    private func count(_ outcome: String) { metrics.agentCalls.with(outcome).increment() }

    // MARK: What the model is told

    /// Returns a result as JSON, in which no text of a record can pass for a message.
    private func told(_ value: JSONValue) -> String {
        let text = value.text
        guard text.utf8.count > configuration.maxResult else { return JSONValue.object(["data": value]).text }
        let cut = String(decoding: text.utf8.prefix(configuration.maxResult), as: UTF8.self)
        return JSONValue.object([
            "data_cut": .string(cut), "note": "too long: ask for less, or say that this is a part",
        ]).text
    }

    private static func told(error text: String) -> String { JSONValue.object(["error": .string(text)]).text }
}

/// Rough count of tokens, for providers that do not count: four bytes a token, and a constant for each message.
enum TokenEstimate {
    static func of(_ text: String) -> Int { text.utf8.count / 4 + 4 }
    static func of(_ messages: [JSONValue]) -> Int { messages.reduce(0) { $0 + $1.serialized.count / 4 + 4 } }
    static func of(_ reply: ModelReply) -> Int {
        of(reply.text) + reply.toolCalls.reduce(0) { $0 + of($1.arguments) + of($1.name) }
    }
}
