import JSON
import MCP
import MCPClient
import NIOCore

/// Questions of tools to their users, and the answers (MCP, Elicitation).
extension ChatRequest {
    // MARK: Asking

    /// Puts the questions with which a call ended to the user, or continues the call where there are none.
    func ask(
        _ required: RequiredInput, in call: CallInProgress, setCookies: [String]
    ) throws(GatewayError) {
        guard let questions = chat.questions else {
            throw GatewayError(.internal, executed: .unknown, detail: "a question where there are none")
        }
        let upstream = chat.upstreams[call.target.upstream].upstream
        var pending = call.previous ?? question(of: call.type, at: upstream)
        if call.previous != nil { pending.round += 1 }
        guard pending.round <= ChatQuestions.rounds else {
            throw GatewayError(.upstreamInvalid, executed: .unknown, detail: "the tool does not stop asking")
        }
        pending.arguments = String(buffer: call.arguments)
        pending.state = required.state
        pending.repeats = required.repeats
        pending.responses = required.responses
        pending.open = required.parts
        pending.tool = call.target.tool ?? call.type.tool
        // Every request of a call has a number of its own, so that no two questions have one name.
        if call.previous != nil { pending.number += 1 }
        guard !required.parts.isEmpty else {
            return try continueCall(call.type, pending, at: call.target, questions)
        }
        try ask(pending, of: call.type, questions, setCookies: setCookies)
    }

    /// Answers the request with the next of a tool's questions.
    private func ask(
        _ pending: PendingQuestion, of type: ChatType, _ questions: ChatQuestions, setCookies: [String] = []
    ) throws(GatewayError) {
        guard let part = pending.open.first, let form = QuestionForm(part.parameters) else {
            throw GatewayError(
                .upstreamInvalid, executed: .unknown, detail: "the tool's question cannot be shown to a user")
        }
        let asked = try questions.ask(pending, form: form, of: type, within: questions.configuration.lifetime)
        questions.count(.asked, type)
        respond(asked, setCookies: setCookies)
    }

    /// Returns the question that a call asks first, without its parts.
    func question(of type: ChatType, at upstream: Upstream) -> PendingQuestion {
        PendingQuestion(
            call: ChatQuestions.newCall(), caller: callerDigest(for: upstream), type: type.name,
            upstream: upstream.name, tool: type.tool, expiry: 0, open: [])
    }

    /// Answers the request with a question, which ends an event stream.
    private func respond(_ asked: ChatQuestions.Asked, setCookies: [String]) {
        shadowed = nil
        guard let events = beginEvents() else { return respond(json: asked.body, setCookies: setCookies) }
        events.start(headers: headers())
        events.finish(question: asked.body)
    }

    /// Takes the question of a legacy server whose call is held from now on.
    func callAsked(_ asked: ChatQuestions.Asked) {
        callLeft()
        respond(asked, setCookies: [])
    }

    // MARK: Answering

    /// Serves a payload of the built-in type `answer`.
    func serve(_ answer: QuestionAnswer, _ questions: ChatQuestions) {
        do throws(GatewayError) {
            let action = try answer.action()
            guard let pending = questions.open(try answer.id()) else { throw GatewayError(.unknownQuestion) }
            let (type, target) = try destination(of: pending, questions)
            chatType = type
            whenAllowed(type) { [self] in serve(answer, action, pending, type, target, questions) }
        } catch {
            respond(error)
        }
    }

    /// Serves the answer to a question of this caller, whose type is within its limits.
    private func serve(
        _ answer: QuestionAnswer, _ action: ElicitResult.Action, _ pending: PendingQuestion, _ type: ChatType,
        _ target: ChatTarget, _ questions: ChatQuestions
    ) {
        do throws(GatewayError) {
            guard let part = pending.open.first, let form = QuestionForm(part.parameters) else {
                throw GatewayError(.unknownQuestion)
            }
            if pending.isHeld {
                guard questions.held.holds(pending.name) else { throw GatewayError(.questionExpired) }
                try resume(pending, try form.result(action, values: answer.values), type, target, questions)
            } else {
                claim(pending, questions) { [self] () throws(GatewayError) in
                    let result = try form.result(action, values: answer.values)
                    questions.count(ChatQuestions.Step(action), type)
                    try continueCall(type, pending.answered(result), at: target, questions)
                }
            }
        } catch {
            respond(error)
        }
    }

    /// Returns the type of a question and where its tool is called.
    ///
    /// - Throws: `unknown_question` for a question of another caller, `question_expired` for one whose time is over, or
    ///   whose type, tool or arguments a later configuration has changed.
    private func destination(
        of pending: PendingQuestion, _ questions: ChatQuestions
    ) throws(GatewayError) -> (ChatType, ChatTarget) {
        guard let place = chat.upstreams.firstIndex(where: { $0.upstream.name == pending.upstream }) else {
            throw GatewayError(.questionExpired, detail: "the upstream is gone")
        }
        let upstream = chat.upstreams[place].upstream
        guard callerDigest(for: upstream) == pending.caller else { throw GatewayError(.unknownQuestion) }
        if questions.isExpired(pending) { throw GatewayError(.questionExpired) }
        let target = ChatTarget(upstream: place, tool: pending.tool)
        guard let type = chat.types[pending.type], type.target == target || type.route.other == target else {
            throw GatewayError(.questionExpired, detail: "the type has changed")
        }
        if pending.isHeld { return (type, target) }
        if let catalog = upstream.catalog, catalog[pending.tool] == nil {
            throw GatewayError(.questionExpired, detail: "the tool is gone")
        }
        let call = ChatTranslator.Call(type: type, arguments: ByteBuffer(string: pending.arguments))
        if let violation = chat.violation(of: call, at: target) {
            throw GatewayError(.questionExpired, detail: "the tool has changed: \(violation.message)")
        }
        return (type, target)
    }

    /// Gives the answer to the call that this process holds.
    private func resume(
        _ pending: PendingQuestion, _ result: ElicitResult, _ type: ChatType, _ target: ChatTarget,
        _ questions: ChatQuestions
    ) throws(GatewayError) {
        guard let call = questions.held.take(pending.name) else { throw GatewayError(.questionExpired) }
        questions.count(ChatQuestions.Step(result.action), type)
        beginUpstream(chat.upstreams[target.upstream].upstream.name)
        let events = beginEvents()
        let deadline = exchange.start + (events == nil ? type.timeout : type.streamTimeout)
        let idleTimeout = events == nil ? nil : type.timeout
        let listener = ChatListener(self)
        wait(for: RemoteCall(call: call), at: target.upstream)
        callAccepted()
        let resume: @Sendable () -> Void = {
            call.value.resume(result, for: listener, deadline: deadline, idleTimeout: idleTimeout)
        }
        if call.eventLoop.inEventLoop { resume() } else { call.eventLoop.execute(resume) }
    }

    /// Accepts an answer, unless the question has been answered before; gives the question back where the body throws.
    private func claim(
        _ pending: PendingQuestion, _ questions: ChatQuestions, _ body: @escaping () throws(GatewayError) -> Void
    ) {
        var hasLeft = false
        exchange.onDisconnect = { hasLeft = true }
        questions.uses.claim(pending.name, until: questions.expiry(of: pending), on: exchange.eventLoop) {
            [self] claim in
            switch claim {
            case .used: return respond(GatewayError(.questionExpired))
            case .unavailable:
                return respond(GatewayError(.overloaded, detail: "answered questions cannot be remembered"))
            case .granted: break
            }
            // A client that has left meanwhile may answer again.
            guard !hasLeft else { return questions.uses.release(pending.name) }
            claimed = pending.name
            do throws(GatewayError) {
                try body()
            } catch {
                claimed = nil
                questions.uses.release(pending.name)
                respond(error)
            }
        }
    }

    /// Asks the next question, or calls the tool again with the answers to all of them.
    private func continueCall(
        _ type: ChatType, _ pending: PendingQuestion, at target: ChatTarget, _ questions: ChatQuestions
    ) throws(GatewayError) {
        guard pending.open.isEmpty else { return try ask(pending, of: type, questions) }
        var pending = pending
        if pending.repeats {
            guard pending.isAccepted else {
                throw GatewayError(.toolError, text: "The tool needs what its user has declined")
            }
            pending.responses = [:]
        }
        callTool(type, ByteBuffer(string: pending.arguments), at: target, continuing: pending)
    }

    /// Gives the answered question back where its answer has certainly not reached the tool.
    func releaseClaim(after outcome: UpstreamOutcome) {
        guard let name = claimed.take(), case .failure(let failure) = outcome, failure.error.executed == .no else {
            return
        }
        chat.questions?.uses.release(name)
    }
}

extension ChatQuestions.Step {
    /// Step of a question that the user has decided so.
    init(_ action: ElicitResult.Action) {
        switch action {
        case .accept: self = .accepted
        case .decline: self = .declined
        case .cancel: self = .cancelled
        }
    }
}
