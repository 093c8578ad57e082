import HTTPServer
import JSON
import MCP
import MCPClient
import NIOCore

/// A call of a tool that may ask its user on the stream of the call, as legacy servers do: it outlives the request that
/// began it, and is continued by the request that answers. Confined to its event loop.
final class AskingCall {
    let eventLoop: any EventLoop
    private let questions: ChatQuestions
    private let type: ChatType
    /// The next question, without its parts; nil until the tool has asked.
    private var next: PendingQuestion?
    /// Makes the first question; nil once it has been asked, or will never be.
    private var makeFirst: (() -> PendingQuestion)?
    /// Request that waits for the outcome; nil while a question is held.
    private var listener: ChatListener?
    private var running: (any RunningCall)?
    private var isOver = false
    /// True once the call cannot be continued any more.
    private var isAbandoned = false
    /// The question that the user has, with the timer of its end.
    private var held: (question: ToolQuestion, name: String, expiry: Scheduled<Void>)?
    /// Questions that came while the user has another one.
    private var waiting: CircularBuffer<ToolQuestion> = []
    /// Error in place of the call's outcome: a question could not be put to the user.
    private var refusal: GatewayError?
    /// Deadline of the call while no request waits for it.
    private var ownDeadline: NIODeadline { .now() + type.timeout }

    /// - Parameter first: Makes the first question, without its parts; called at most once, before `listener` gets it.
    init(
        _ questions: ChatQuestions, _ type: ChatType, for listener: ChatListener,
        first: @escaping () -> PendingQuestion
    ) {
        self.questions = questions
        self.type = type
        self.listener = listener
        makeFirst = first
        eventLoop = listener.eventLoop
    }

    /// Takes the call, once it has been started.
    func started(_ running: (any RunningCall)?) {
        if !isOver { self.running = running }
    }

    /// Passes progress on to the request that waits.
    func progressed(_ progress: MCPProgress) { listener?.progressed(progress) }

    // MARK: Asking

    /// Puts a question to the user: it becomes the response to the request that waits, and the call is held.
    func asked(_ question: ToolQuestion) {
        guard !isAbandoned else {
            return question.answer(.success(ElicitResult(action: .cancel).json), deadline: ownDeadline)
        }
        waiting.append(question)
        if held == nil { askNext() }
    }

    private func askNext() {
        while let listener, let question = waiting.popFirst() {
            guard var pending = next ?? makeFirst?(), let (form, part) = form(of: question, pending) else { continue }
            makeFirst = nil
            pending.isHeld = true
            pending.open = [part]
            next = pending
            do throws(GatewayError) {
                let asked = try questions.ask(pending, form: form, of: type, within: questions.heldTime)
                guard questions.held.hold(self, for: pending.name, limit: questions.configuration.held) else {
                    throw GatewayError(.overloaded, executed: .unknown, detail: "too many questions are held")
                }
                let end = eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(questions.heldTime)) { [self] in
                    expire()
                }
                held = (question, pending.name, end)
                questions.count(.asked, type)
                self.listener = nil
                listener.asked(asked)
            } catch {
                refuse(question, error)
            }
        }
    }

    /// Returns the form of a question that can be asked; answers any other.
    private func form(
        of question: ToolQuestion, _ pending: PendingQuestion
    ) -> (QuestionForm, PendingQuestion.Part)? {
        guard pending.number <= ChatQuestions.rounds else {
            refuse(
                question, GatewayError(.upstreamInvalid, executed: .unknown, detail: "the tool does not stop asking"))
            return nil
        }
        guard let parameters = try? ElicitParameters(params: question.request.params ?? [:]),
            let form = QuestionForm(parameters)
        else {
            let error = JSONRPCError.invalidParams("The question cannot be shown to a user")
            question.answer(.failure(error), deadline: ownDeadline)
            return nil
        }
        return (form, PendingQuestion.Part(key: "", parameters: parameters))
    }

    private func refuse(_ question: ToolQuestion, _ error: GatewayError) {
        refusal = error
        question.answer(.success(ElicitResult(action: .decline).json), deadline: ownDeadline)
    }

    /// Tells the server that the user gave no answer. The call ends by itself then, without a request that waits for it.
    private func expire() {
        guard let held = held.take() else { return }
        // An answer that has just taken the question comes too late.
        _ = questions.held.take(held.name)
        questions.count(.expired, type)
        isAbandoned = true
        held.question.answer(.success(ElicitResult(action: .cancel).json), deadline: ownDeadline)
        for question in waiting {
            question.answer(.success(ElicitResult(action: .cancel).json), deadline: ownDeadline)
        }
        waiting.removeAll()
    }

    // MARK: Answering

    /// Continues the call with the user's answer.
    ///
    /// - Parameters:
    ///   - listener: Request that waits for the outcome from now on.
    ///   - deadline: Deadline of the call from now on.
    ///   - idleTimeout: Longest silence of the server from now on; nil: only the deadline counts.
    func resume(_ result: ElicitResult, for listener: ChatListener, deadline: NIODeadline, idleTimeout: TimeAmount?) {
        guard !isOver, let held = held.take() else {
            // The call has ended, or the question has expired, while the answer was on its way to this worker.
            return listener.ended(.refused(GatewayError(.questionExpired)))
        }
        held.expiry.cancel()
        self.listener = listener
        next?.number += 1
        held.question.answer(.success(result.json), deadline: deadline, idleTimeout: idleTimeout)
        askNext()
    }
}

extension AskingCall: CallReceiver, RunningCall {
    func callAccepted() { listener?.accepted() }

    func callEnded(_ outcome: UpstreamOutcome) {
        isOver = true
        running = nil
        makeFirst = nil
        if let held = held.take() {
            held.expiry.cancel()
            _ = questions.held.take(held.name)
            held.question.answer(.success(ElicitResult(action: .cancel).json), deadline: .now())
        }
        for question in waiting { question.answer(.success(ElicitResult(action: .cancel).json), deadline: .now()) }
        waiting.removeAll()
        listener.take()?.ended(refused(outcome))
    }

    /// Returns the refusal in place of the result of a call whose question could not be put to the user.
    private func refused(_ outcome: UpstreamOutcome) -> UpstreamOutcome {
        guard var refusal, case .result = outcome else { return outcome }
        refusal.executed = .yes
        return .refused(refusal)
    }

    func cancel() {
        guard !isAbandoned else { return }
        running?.cancel()
    }
}

/// The request that waits for a call, perhaps on another worker than the call's.
struct ChatListener: Sendable {
    private let exchange: NIOLoopBound<ChatRequest>
    let eventLoop: any EventLoop

    init(_ exchange: ChatRequest) {
        eventLoop = exchange.exchange.eventLoop
        self.exchange = NIOLoopBound(exchange, eventLoop: eventLoop)
    }

    func accepted() { run { $0.callAccepted() } }
    func progressed(_ progress: MCPProgress) { run { $0.callProgressed(progress) } }
    func ended(_ outcome: UpstreamOutcome) { run { $0.callEnded(outcome) } }
    func asked(_ question: ChatQuestions.Asked) { run { $0.callAsked(question) } }

    private func run(_ body: @escaping @Sendable (ChatRequest) -> Void) {
        if eventLoop.inEventLoop {
            body(exchange.value)
        } else {
            eventLoop.execute { body(exchange.value) }
        }
    }
}

/// A held call that a request has continued, perhaps on another worker than the call's.
struct RemoteCall: RunningCall {
    let call: NIOLoopBound<AskingCall>

    func cancel() {
        let call = call
        if call.eventLoop.inEventLoop { call.value.cancel() } else { call.eventLoop.execute { call.value.cancel() } }
    }
}
