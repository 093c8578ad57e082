import JSON
import MCP
import NIOCore

/// Finds out the era and opens a session: `server/discover` first, `initialize` and `notifications/initialized` where
/// the server is a legacy one. No I/O, no clock; never sends a tool call.
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
    }

    enum Action {
        case none
        case send(Message, url: String)
        case wait(until: NIODeadline)
        case connected(Established)
        case failed(HandshakeFailure)
    }

    private var message: Message
    private var url: String
    private let start: Start
    private let era: MCPUpstreamConfiguration.Era
    private let legacyVersion: MCPVersion
    private let deadline: NIODeadline
    private var backoff: Backoff
    private var redirected = false
    private var resent = false
    private var versionChosen = false
    private var description: [UInt8] = []
    private var finished = false

    init(
        start: Start, url: String, era: MCPUpstreamConfiguration.Era, legacyVersion: MCPVersion = .latestLegacy,
        deadline: NIODeadline, backoff: Backoff
    ) {
        self.start = start
        self.url = url
        self.era = era
        self.legacyVersion = legacyVersion
        self.deadline = deadline
        self.backoff = backoff
        self.message = start == .probe ? .discover(.latestModern) : .initialize(legacyVersion)
    }

    mutating func begin() -> Action { .send(message, url: url) }

    /// The pause that `wait` asked for is over.
    mutating func resume() -> Action { finished ? .none : .send(message, url: url) }

    mutating func answered(_ answer: ExchangeAnswer) -> Action {
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

    /// Every message of a handshake can be sent twice without harm.
    mutating func failed(_ failure: TransportFailure, now: NIODeadline) -> Action {
        if finished { return .none }
        if failure.isRefusal {
            if let at = backoff.next(now: now, deadline: deadline) { return .wait(until: at) }
        } else if failure.kind == .broken, !resent {
            resent = true
            return .send(message, url: url)
        }
        var result = failure.failure(now: now, deadline: deadline)
        result.executed = .no
        return fail(result, refusal: failure.isRefusal)
    }

    mutating func expired() -> Action {
        if finished { return .none }
        return fail(MCPCallFailure(kind: .timeout, executed: .no, detail: "handshake took too long"))
    }

    // MARK: server/discover

    private mutating func discovered(_ answer: ExchangeAnswer, _ version: MCPVersion) -> Action {
        if answer.provesNothing { return fail(answer) }
        if case .result(let message, let result) = answer.content, 200..<300 ~= answer.status {
            let document = message.withUnsafeReadableBytes { JSONValue(result, in: $0) }
            guard let names = document["supportedVersions"]?.array?.compactMap(\.string) else {
                return fallBack(answer)
            }
            return choose(among: names, answer: answer, asked: version, description: document.serialized)
        }
        guard answer.provesModern else { return fallBack(answer) }
        if answer.rpcError?.knownCode == .unsupportedVersion,
            let names = answer.rpcError?.data?["supported"]?.array?.compactMap(\.string)
        {
            return choose(among: names, answer: answer, asked: version, description: nil)
        }
        // Modern beyond doubt, though it does not want to be asked: calls carry all that is needed.
        return finish(version, sessionID: nil, description: [])
    }

    /// - Parameter description: nil when the server refused the version asked for and named others.
    private mutating func choose(
        among names: [String], answer: ExchangeAnswer, asked: MCPVersion, description: [UInt8]?
    ) -> Action {
        let common = names.compactMap(MCPVersion.init(rawValue:))
        if let version = common.filter({ $0.era == .modern }).max() {
            if let description { return finish(version, sessionID: nil, description: description) }
            if !versionChosen {
                versionChosen = true
                message = .discover(version)
                return .send(message, url: url)
            }
            return fail(answer)
        }
        if common.contains(where: { $0.era == .legacy }) { return fallBack(answer) }
        return fail(
            MCPCallFailure(
                kind: .rejected, status: answer.status, rpcError: answer.rpcError, executed: .no,
                detail: "no common protocol version"))
    }

    private mutating func fallBack(_ answer: ExchangeAnswer) -> Action {
        guard era != .modern else {
            return fail(
                MCPCallFailure(
                    kind: .rejected, status: answer.status, rpcError: answer.rpcError, executed: .no,
                    detail: "the server speaks no modern revision"))
        }
        (redirected, resent) = (false, false)
        message = .initialize(legacyVersion)
        return .send(message, url: url)
    }

    // MARK: initialize

    private mutating func initialized(_ answer: ExchangeAnswer) -> Action {
        guard case .result(let message, let result) = answer.content, 200..<300 ~= answer.status else {
            return fail(answer)
        }
        let document = message.withUnsafeReadableBytes { JSONValue(result, in: $0) }
        guard let name = document["protocolVersion"]?.string else {
            return fail(invalid(answer, "initialize without a protocolVersion"))
        }
        guard let version = MCPVersion(rawValue: name), version.era == .legacy else {
            return fail(
                MCPCallFailure(
                    kind: .rejected, status: answer.status, executed: .no, detail: "no common protocol version"))
        }
        // A header value is about to be made of it.
        guard answer.sessionID?.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) ?? true, answer.sessionID != "" else {
            return fail(invalid(answer, "session id that is no visible ASCII"))
        }
        description = document.serialized
        (redirected, resent) = (false, false)
        self.message = .initialized(version, sessionID: answer.sessionID)
        return .send(self.message, url: url)
    }

    private mutating func confirmed(_ answer: ExchangeAnswer, _ version: MCPVersion, _ sessionID: String?) -> Action {
        guard 200..<300 ~= answer.status else { return fail(answer) }
        return finish(version, sessionID: sessionID, description: description)
    }

    // MARK: Ends

    private mutating func finish(_ version: MCPVersion, sessionID: String?, description: [UInt8]) -> Action {
        finished = true
        return .connected(Established(version: version, sessionID: sessionID, url: url, description: description))
    }

    private func invalid(_ answer: ExchangeAnswer, _ detail: String) -> MCPCallFailure {
        MCPCallFailure(kind: .invalid, status: answer.status, executed: .no, detail: detail)
    }

    private mutating func fail(_ answer: ExchangeAnswer) -> Action {
        var failure = answer.failure ?? invalid(answer, "unexpected answer")
        failure.executed = .no
        // A cookie set during a handshake is everybody's who waits for it, so it is nobody's.
        failure.setCookies = []
        failure.detail = "\(name): \(failure.detail)"
        let gone = answer.status == 404 || answer.status == 405
        return fail(
            failure, concernsCredentials: 400..<500 ~= answer.status && answer.status != 408,
            forgetsEra: start == .initialize && (answer.provesModern || gone))
    }

    private mutating func fail(
        _ failure: MCPCallFailure, refusal: Bool = false, concernsCredentials: Bool = false, forgetsEra: Bool = false
    ) -> Action {
        finished = true
        return .failed(
            HandshakeFailure(
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
