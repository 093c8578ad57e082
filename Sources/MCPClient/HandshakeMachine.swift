import JSON
import MCP
import NIOCore

/// State machine that determines the era and opens a session: `server/discover` first, `initialize` and
/// `notifications/initialized` where the server is a legacy one. No I/O, no clock; never sends a tool call.
struct HandshakeMachine {
    enum Start: Sendable { case probe, initialize }

    enum Message: Equatable {
        case discover(MCPVersion)
        case initialize(MCPVersion)
        case initialized(MCPVersion, sessionID: String?)
    }

    struct Established {
        var version: MCPVersion
        var sessionID: String?
        var url: String
        var description: [UInt8]
        /// Revision that `initialize` requested.
        var requested: MCPVersion?
        /// Error with which the server refused `notifications/initialized`; nil when it accepted it.
        var complaint: String?
    }

    enum Action {
        case none
        case send(Message, url: String)
        case wait(until: NIODeadline)
        case connected(Established)
        case failed(HandshakeError)
    }

    private var message: Message
    private(set) var url: String
    private let start: Start
    private let era: MCPUpstreamConfiguration.Era
    private let isVersionFixed: Bool
    private let deadline: NIODeadline
    private let limit: TimeAmount
    private var backoff: Backoff
    private var redirected = false
    private var resent = false
    private var versionChosen = false
    /// Revisions that `initialize` has requested.
    private var requested: [MCPVersion] = []
    private let firstRequest: MCPVersion
    /// Failure of a probe that decided nothing.
    private var doubt: MCPCallError?
    private var description: [UInt8] = []
    private var finished = false

    /// - Parameters:
    ///   - legacyVersion: Revision that `initialize` requests first.
    ///   - isVersionFixed: True if no other revision is requested.
    ///   - limit: Time limit of the whole handshake, which ends at `deadline`.
    init(
        start: Start, url: String, era: MCPUpstreamConfiguration.Era, legacyVersion: MCPVersion = .latestLegacy,
        isVersionFixed: Bool = false, deadline: NIODeadline, limit: TimeAmount = .seconds(10), backoff: Backoff
    ) {
        self.start = start
        self.url = url
        self.era = era
        self.isVersionFixed = isVersionFixed
        self.deadline = deadline
        self.limit = limit
        self.backoff = backoff
        firstRequest = legacyVersion
        message = .discover(.latestModern)
        if start == .initialize { ask(for: legacyVersion) }
    }

    /// Returns the deadline of the message in progress: silence must leave time for the following messages.
    func messageDeadline(now: NIODeadline) -> NIODeadline {
        switch message {
        case .discover where era == .modern, .initialize: deadline
        case .discover, .initialized: min(deadline, now + .nanoseconds(limit.nanoseconds / 3))
        }
    }

    /// True if the head of an answer suffices: `notifications/initialized` has no response, but some servers answer it
    /// with a stream that stays open.
    var needsHeadOnly: Bool { if case .initialized = message { true } else { false } }

    mutating func begin() -> Action { .send(message, url: url) }

    /// Continues after the pause of `wait`.
    mutating func resume() -> Action { finished ? .none : .send(message, url: url) }

    mutating func answered(_ answer: MessageResponse) -> Action {
        if finished { return .none }
        if answer.status == 307 || answer.status == 308, !redirected, let location = answer.location,
            let target = Redirect.target(location, from: url)
        {
            redirected = true
            url = target
            return .send(message, url: url)
        }
        switch message {
        case .discover(let version): return discovered(answer, version)
        case .initialize: return initialized(answer)
        case .initialized(let version, let sessionID): return confirmed(answer, version, sessionID)
        }
    }

    /// Handles a failure. Every message of a handshake can be repeated without harm.
    mutating func failed(_ failure: TransportError, now: NIODeadline) -> Action {
        if finished { return .none }
        if failure.isRefusal {
            if let at = backoff.next(now: now, deadline: deadline) { return .wait(until: at) }
        } else if failure.kind == .broken, !resent {
            resent = true
            return .send(message, url: url)
        }
        var result = failure.failure(now: now, deadline: deadline)
        result.executed = .no
        result.detail = "\(name): \(result.detail)"
        if failure.sent, failure.kind != .impossible, now < deadline {
            switch message {
            case .discover where era != .modern:
                doubt = result
                return fallBack()
            case .initialized(let version, let sessionID):
                return finish(
                    version, sessionID: sessionID, description: description, complaint: failure.detail)
            case .discover, .initialize: break
            }
        }
        return fail(result, refusal: failure.isRefusal || failure.kind == .broken)
    }

    mutating func expired() -> Action {
        if finished { return .none }
        return fail(MCPCallError(kind: .timeout, executed: .no, detail: "handshake took too long"))
    }

    // MARK: server/discover

    private mutating func discovered(_ answer: MessageResponse, _ version: MCPVersion) -> Action {
        switch EraDecision(answer, asked: version) {
        case .modern(let version):
            return finish(version, sessionID: nil, description: Self.document(answer).map(Self.kept) ?? [])
        case .ask(let version):
            if versionChosen { return fail(answer) }
            versionChosen = true
            message = .discover(version)
            return .send(message, url: url)
        case .legacy where era != .modern:
            return fallBack()
        case .unclear where era != .modern:
            doubt = described(answer)
            return fallBack()
        case .legacy:
            return fail(
                MCPCallError(
                    kind: .rejected, status: answer.status, rpcError: answer.rpcError, executed: .no,
                    detail: "the server speaks no modern revision"))
        case .noCommonVersion:
            return fail(
                MCPCallError(
                    kind: .rejected, status: answer.status, rpcError: answer.rpcError, executed: .no,
                    detail: "no common protocol version"))
        case .unclear, .report:
            return fail(answer)
        }
    }

    private mutating func fallBack() -> Action {
        ask(for: firstRequest)
        return .send(message, url: url)
    }

    private mutating func ask(for version: MCPVersion) {
        (redirected, resent) = (false, false)
        requested.append(version)
        message = .initialize(version)
    }

    private static func document(_ answer: MessageResponse) -> JSONValue? {
        guard case .result(let message, let result) = answer.content else { return nil }
        return MessageScanner.tree(result, in: message)
    }

    // MARK: initialize

    private mutating func initialized(_ answer: MessageResponse) -> Action {
        guard 200..<300 ~= answer.status, let document = Self.document(answer) else { return refused(answer) }
        guard let name = document["protocolVersion"]?.string else {
            return fail(invalid(answer, "initialize without a protocolVersion"))
        }
        guard let version = MCPVersion(rawValue: name), version.era == .legacy else {
            return fail(
                MCPCallError(
                    kind: .rejected, status: answer.status, executed: .no,
                    detail: "no common protocol version: the server speaks \(name.prefix(32))"))
        }
        // The id will be sent as a header value.
        guard answer.sessionID.map(Self.isSessionID) ?? true else {
            return fail(invalid(answer, "session id that is too long, or no visible ASCII"))
        }
        description = Self.kept(document)
        (redirected, resent) = (false, false)
        self.message = .initialized(version, sessionID: answer.sessionID)
        return .send(self.message, url: url)
    }

    /// Returns whether a session id may be sent as a header.
    static func isSessionID(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= maximumSessionIDBytes && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }

    /// Largest session id in bytes: one is kept for each set of credentials, and sent with each call.
    static let maximumSessionIDBytes = 4096
    /// Largest description of a server in bytes, which is kept likewise.
    static let maximumDescriptionBytes = 64 << 10

    /// Returns the part of a server's description that is kept: all of it, or without its instructions and icons the
    /// part that decides what the server can do.
    static func kept(_ description: JSONValue) -> [UInt8] {
        let whole = description.serialized
        if whole.count <= maximumDescriptionBytes { return whole }
        var part: JSONObject = [:]
        for key in ["protocolVersion", "supportedVersions", "capabilities"] { part[key] = description[key] }
        let text = JSONValue.object(part).serialized
        return text.count <= maximumDescriptionBytes ? text : []
    }

    /// Handles a refused `initialize`; the server may accept another revision.
    private mutating func refused(_ answer: MessageResponse) -> Action {
        if !isVersionFixed, let version = VersionDecision.next(after: answer, tried: requested) {
            ask(for: version)
            return .send(message, url: url)
        }
        // The answer to the probe is more informative than the fact that the server has no `initialize`.
        if let doubt, [.rejected, .invalid].contains(described(answer).kind) {
            return fail(doubt, concernsCredentials: false)
        }
        return fail(answer)
    }

    private mutating func confirmed(_ answer: MessageResponse, _ version: MCPVersion, _ sessionID: String?) -> Action {
        // The session is open: a server that refuses the notification is used all the same.
        finish(
            version, sessionID: sessionID, description: description,
            complaint: 200..<300 ~= answer.status ? nil : "status \(answer.status)")
    }

    // MARK: Ends

    private mutating func finish(
        _ version: MCPVersion, sessionID: String?, description: [UInt8], complaint: String? = nil
    ) -> Action {
        finished = true
        return .connected(
            Established(
                version: version, sessionID: sessionID, url: url, description: description, requested: requested.last,
                complaint: complaint))
    }

    private func invalid(_ answer: MessageResponse, _ detail: String) -> MCPCallError {
        MCPCallError(kind: .invalid, status: answer.status, executed: .no, detail: detail)
    }

    private mutating func fail(_ answer: MessageResponse) -> Action {
        let isGone = answer.status == 404 || answer.status == 405 || answer.rpcError?.knownCode == .methodNotFound
        return fail(
            described(answer), concernsCredentials: 400..<500 ~= answer.status && answer.status != 408,
            forgetsEra: start == .initialize && (answer.provesModern || isGone))
    }

    /// Returns the failure of an answer, with the handshake's message in its detail.
    private func described(_ answer: MessageResponse) -> MCPCallError {
        var failure = answer.failure ?? invalid(answer, "unexpected answer")
        failure.executed = .no
        // Many callers wait for a handshake, so that its cookie belongs to none of them.
        failure.setCookies = []
        failure.detail = "\(name): \(failure.detail)"
        let words = String(String.UnicodeScalarView(answer.words.unicodeScalars.prefix(160).map { Self.printable($0) }))
        if !words.isEmpty { failure.detail += " (\(words))" }
        if requested.count > 1 { failure.detail += ", asked for \(requested.map(\.rawValue).joined(separator: ", "))" }
        return failure
    }

    /// Returns the character if it can be logged: not a line end, control character or change of direction.
    private static func printable(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: "\u{FFFD}"
        default: scalar
        }
    }

    private mutating func fail(
        _ failure: MCPCallError, refusal: Bool = false, concernsCredentials: Bool = false, forgetsEra: Bool = false
    ) -> Action {
        finished = true
        return .failed(
            HandshakeError(
                failure: failure, concernsCredentials: concernsCredentials, isRefusal: refusal, forgetsEra: forgetsEra))
    }

    private var name: String {
        switch message {
        case .discover: MCPMethod.serverDiscover
        case .initialize: MCPMethod.initialize
        case .initialized: MCPMethod.initialized
        }
    }
}
