import Crypto
import Foundation
import HTTPSyntax
import JSON
import MCP
import MCPClient
import MCPServer
import MCPServerHTTP
import NIOCore
import Observability

/// Memory of a process about questions; it outlives reloads of the configuration.
final class QuestionMemory: Sendable {
    /// Questions that have been answered.
    let uses: any QuestionUses
    /// Calls that wait for an answer.
    let held = HeldQuestions()
    /// Key of identifiers where the configuration has none.
    let key = SymmetricKey(size: .bits256)

    init(_ uses: any QuestionUses) {
        self.uses = uses
    }
}

/// Questions of tools to their users under one configuration, shared by all workers: their identifiers, their bounds and
/// what the process remembers of them.
final class ChatQuestions: Sendable {
    /// A question in the form in which a front-end gets it.
    struct Asked: Sendable {
        /// `{"type", "replies": [], "question"}`.
        let body: ByteBuffer
    }

    /// Step in the life of a question; a bounded set, for metrics.
    enum Step: String, CaseIterable, Sendable {
        case asked, accepted, declined, cancelled
        /// The time of a held call was over.
        case expired
    }

    /// Largest number of times that a tool may ask during one call.
    static let rounds = 16

    let configuration: QuestionsConfiguration
    /// Seal of the identifiers: a gateway with the same key can continue the call.
    private let seal: Seal
    private static let binding = Array("chat-question/1".utf8)
    private let memory: QuestionMemory
    /// Record of the questions that have been answered, in this process or in a server that gateways share.
    let uses: any QuestionUses
    private let metrics: GatewayMetrics
    /// Longest identifier, in bytes: half of a request, so that the values of an answer fit beside it.
    private let idLimit: Int
    private let now: @Sendable () -> Date

    /// - Parameters:
    ///   - shared: Server that remembers answered questions for all gateways; nil: this process alone remembers them.
    ///   - bodyLimit: Largest request body, in bytes.
    init(
        _ configuration: QuestionsConfiguration, keys: SessionKeysConfiguration, memory: QuestionMemory,
        shared: SharedServer?, bodyLimit: Int, metrics: GatewayMetrics, now: @escaping @Sendable () -> Date
    ) {
        self.configuration = configuration
        self.memory = memory
        uses = shared.map { SharedQuestionUses($0, local: memory.uses, now: now) } ?? memory.uses
        self.metrics = metrics
        self.now = now
        let shared = keys.questionKeys.map { SymmetricKey(data: $0) }
        seal = Seal(shared.first ?? memory.key, previous: Array(shared.dropFirst()))
        idLimit = bodyLimit / 2
    }

    var held: HeldQuestions { memory.held }

    /// Time for which the call of a legacy server is held.
    var heldTime: Duration { min(configuration.timeout, configuration.lifetime) }

    /// Returns the longest time that all answers during a call of a type may take, each with the work that follows.
    func time(of type: ChatType) -> TimeAmount {
        TimeAmount((heldTime + type.configuration.timeout + type.configuration.streamTimeout) * Self.rounds)
    }

    /// Returns a name for a call, which cannot be guessed.
    static func newCall() -> String {
        SymmetricKey(size: .bits128).withUnsafeBytes { Base64URL.encode($0) }
    }

    func count(_ step: Step, _ type: ChatType) {
        metrics.questions.with(type.name, step.rawValue).increment()
    }

    // MARK: Asking

    /// Seals a question.
    ///
    /// - Parameters:
    ///   - form: Form of the first of its open parts.
    ///   - time: Time for the answer.
    /// - Throws: The error for a call that is too large to be continued.
    func ask(
        _ pending: PendingQuestion, form: QuestionForm, of type: ChatType, within time: Duration
    ) throws(GatewayError) -> Asked {
        var pending = pending
        pending.expiry =
            SafeInteger(clamping: now().timeIntervalSince1970 * 1000 + time.milliseconds).value
        guard let id = try? seal.seal(pending.json.serialized, binding: Self.binding) else {
            throw GatewayError(.internal, executed: .unknown, detail: "the question cannot be sealed")
        }
        guard id.utf8.count <= idLimit else {
            throw GatewayError(
                .bodyTooLarge, text: "The tool asks a question, and the request is too large to be continued",
                executed: .unknown)
        }
        let expires = Timestamp.string(seconds: pending.expiry / 1000, milliseconds: pending.expiry % 1000)
        var body = ByteBuffer(bytes: type.replyHead)
        body.writeStaticString(#"[],"question":"#)
        body.writeBytes(form.json(id: id, expires: expires).serialized)
        body.writeStaticString("}")
        return Asked(body: body)
    }

    // MARK: Opening

    /// Returns the question with an identifier; nil for one that no gateway with the key has asked.
    func open(_ id: String) -> PendingQuestion? {
        guard id.utf8.count <= idLimit else { return nil }
        return seal.open(id, binding: Self.binding).flatMap { PendingQuestion($0) }
    }

    /// Returns whether the time for an answer is over.
    func isExpired(_ question: PendingQuestion) -> Bool {
        now().timeIntervalSince1970 * 1000 >= Double(question.expiry)
    }

    /// Time at which a question is no longer accepted.
    func expiry(of question: PendingQuestion) -> Date {
        Date(timeIntervalSince1970: Double(question.expiry) / 1000)
    }
}

extension GatewayRequest {
    /// Returns the digest of everything that identifies the caller, to the gateway and to an upstream. It is the same in
    /// every process.
    func callerDigest(for upstream: Upstream) -> String {
        let sent = credentials(for: upstream)
        var hash = SHA256()
        var texts = facts.identity.flatMap { [$0.name.lowercased(), $0.value] } + ["", upstream.name]
        texts += sent.credentials.flatMap { [$0.name.lowercased(), $0.value] } + ["", sent.subjectToken ?? ""]
        HashedTexts.feed(texts) { hash.update(bufferPointer: $0) }
        return Base64URL.encode(hash.finalize().prefix(16))
    }
}
