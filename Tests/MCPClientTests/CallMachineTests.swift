import JSON
import MCP
import NIOCore
import Testing

@testable import MCPClient

/// Every row of the recovery rules, with times of our own and no sockets.
@Suite struct CallMachineTests {
    static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
    static func at(_ milliseconds: Int64) -> NIODeadline { start + .milliseconds(milliseconds) }

    static func machine(
        twice: Bool = false, timeout: TimeAmount = .seconds(10), idle: TimeAmount? = nil, takesInput: Bool = false
    ) -> CallMachine {
        CallMachine(
            policy: CallMachine.Policy(
                deadline: start + timeout, idleTimeout: idle, replays: twice ? 3 : 0,
                replaysLeft: twice ? 3 : 0, takesInputRequests: takesInput,
                backoff: Backoff(window: .seconds(2), pause: .milliseconds(25), jitter: { 1 })))
    }

    static let legacy = UpstreamConnection(
        version: .v2025_11_25, sessionID: "one", url: "http://upstream/mcp", generation: 1)
    static let renewed = UpstreamConnection(
        version: .v2025_11_25, sessionID: "two", url: "http://upstream/mcp", generation: 2)
    static let sessionless = UpstreamConnection(
        version: .v2025_11_25, sessionID: nil, url: "http://upstream/mcp", generation: 3)
    static let modern = UpstreamConnection(
        version: .v2026_07_28, sessionID: nil, url: "http://upstream/mcp", generation: 4)

    static func result(_ json: String = #"{"content":[]}"#) -> MessageResponse {
        let message = ByteBuffer(string: #"{"jsonrpc":"2.0","id":7,"result":"# + json + "}")
        var found: MessageResponse.Content = .nothing
        MessageScanner.scan(message, id: 7) { if case .answer(let content) = $0 { found = content } }
        return MessageResponse(status: 200, content: found)
    }

    static func status(_ status: Int, code: Int? = nil) -> MessageResponse {
        MessageResponse(status: status, content: code.map { .error(JSONRPCError(code: $0, message: "m")) } ?? .nothing)
    }

    static let refused = TransportError(kind: .refused, sent: false, detail: "refused")
    static let broken = TransportError(kind: .broken, sent: true, detail: "closed")
    static let brokenUnsent = TransportError(kind: .broken, sent: false, detail: "closed")

    /// A machine whose call is on its way over the connection.
    static func sent(
        _ connection: UpstreamConnection = legacy, twice: Bool = false, timeout: TimeAmount = .seconds(10),
        idle: TimeAmount? = nil, takesInput: Bool = false
    ) -> CallMachine {
        var machine = machine(twice: twice, timeout: timeout, idle: idle, takesInput: takesInput)
        _ = machine.start(now: start)
        _ = machine.connected(connection, waited: false, now: start)
        return machine
    }

    func success(_ action: CallMachine.Action) throws -> MCPCallResult {
        guard case .finish(.result(let result), _) = action else { throw Unexpected(what: "\(action)") }
        return result
    }

    func failure(_ action: CallMachine.Action) throws -> MCPCallError {
        guard case .finish(.failure(let failure), _) = action else { throw Unexpected(what: "\(action)") }
        return failure
    }

    func isSend(_ action: CallMachine.Action, over connection: UpstreamConnection) -> Bool {
        if case .send(let used) = action { used === connection } else { false }
    }

    func verifies(_ action: CallMachine.Action) -> Bool {
        if case .verify = action { true } else { false }
    }

    func discards(_ action: CallMachine.Action) -> UpstreamConnection? {
        if case .acquire(let stale) = action { stale } else { nil }
    }

    // MARK: Plain

    @Test func aCallThatIsAnsweredFinishesWithItsTimes() throws {
        var machine = Self.machine()
        guard case .acquire(nil) = machine.start(now: Self.start) else {
            Issue.record("no connection asked for")
            return
        }
        #expect(isSend(machine.connected(Self.legacy, waited: true, now: Self.at(30)), over: Self.legacy))
        let result = try success(machine.answered(Self.result(), now: Self.at(50)))
        #expect(result.timings == MCPCallTimings(session: .milliseconds(30), upstream: .milliseconds(20)))
        #expect(result.replays == 0)
        #expect(!result.sessionReused)
        #expect(result.era == .legacy)
        #expect(machine.isFinished)
    }

    @Test func nothingMovesAfterTheOutcome() throws {
        var machine = Self.sent()
        _ = try success(machine.answered(Self.result(), now: Self.at(1)))
        for action in [
            machine.answered(Self.result(), now: Self.at(2)), machine.failed(Self.broken, now: Self.at(2)),
            machine.expired(now: Self.at(20_000)), machine.cancelled(now: Self.at(2)),
            machine.connected(Self.legacy, waited: false, now: Self.at(2)), machine.resumed(now: Self.at(2)),
        ] {
            guard case .none = action else {
                Issue.record("moved: \(action)")
                continue
            }
        }
    }

    // MARK: Statuses

    @Test(
        arguments: [
            (401, MCPCallError.Kind.unauthorized, MCPExecuted.no), (403, .forbidden, .no), (429, .rateLimited, .no),
            (405, .rejected, .no), (413, .rejected, .no), (422, .rejected, .no), (421, .rejected, .no),
            (408, .rejected, .unknown), (500, .failed, .unknown), (502, .failed, .unknown), (503, .failed, .unknown),
            (202, .invalid, .unknown), (204, .invalid, .unknown), (302, .invalid, .unknown), (307, .invalid, .no),
        ])
    func aStatusBecomesItsKind(_ status: Int, _ kind: MCPCallError.Kind, _ executed: MCPExecuted) throws {
        var machine = Self.sent(Self.sessionless)
        var answer = Self.status(status)
        answer.wwwAuthenticate = ["Bearer"]
        answer.retryAfter = "3"
        answer.setCookies = ["a=b"]
        let failure = try failure(machine.answered(answer, now: Self.at(1)))
        #expect(failure.kind == kind)
        #expect(failure.executed == executed)
        #expect(failure.status == status)
        #expect(failure.wwwAuthenticate == ["Bearer"])
        #expect(failure.retryAfter == "3")
        #expect(failure.setCookies == ["a=b"])
    }

    @Test(
        arguments: [
            (-32601, MCPExecuted.no), (-32600, .no), (-32700, .no), (-32602, .unknown), (-32603, .unknown),
            (-32800, .unknown), (5, .unknown),
        ])
    func aJSONRPCErrorIsRejectedAndTellsWhatItKnows(_ code: Int, _ executed: MCPExecuted) throws {
        var machine = Self.sent(Self.sessionless)
        let failure = try failure(machine.answered(Self.status(200, code: code), now: Self.at(1)))
        #expect(failure.kind == .rejected)
        #expect(failure.rpcError?.code == code)
        #expect(failure.executed == executed)
    }

    @Test func aJSONRPCErrorUnderA500StaysA500ButIsKept() throws {
        var machine = Self.sent(Self.sessionless)
        let failure = try failure(machine.answered(Self.status(500, code: -32603), now: Self.at(1)))
        #expect(failure.kind == .failed)
        #expect(failure.rpcError?.code == -32603)
    }

    @Test func anAnswerThatIsNotOneIsInvalidAndNeverReplayed() throws {
        var machine = Self.sent(Self.sessionless, twice: true)
        let answer = MessageResponse(status: 200, content: .malformed("wrong id", executed: .unknown))
        let failure = try failure(machine.answered(answer, now: Self.at(1)))
        #expect(failure.kind == .invalid)
        #expect(failure.executed == .unknown)
        #expect(failure.replays == 0)
    }

    @Test func aTooLargeAnswerIsInvalid() throws {
        var machine = Self.sent()
        let failure = try failure(
            machine.failed(TransportError(kind: .tooLarge, sent: true, detail: "tooLarge"), now: Self.at(1)))
        #expect(failure.kind == .invalid)
        #expect(failure.executed == .unknown)
    }

    // MARK: Stale sessions

    @Test(
        arguments: [
            (404, nil as Int?), (404, -32001), (404, -32600), (404, -32601), (410, nil), (400, nil), (400, -32600),
            (400, -32000),
        ])
    func aStaleSessionIsReplacedAndTheCallSentAgainOnce(_ status: Int, _ code: Int?) throws {
        var machine = Self.sent()
        #expect(discards(machine.answered(Self.status(status, code: code), now: Self.at(1))) === Self.legacy)
        #expect(isSend(machine.connected(Self.renewed, waited: true, now: Self.at(5)), over: Self.renewed))
        let result = try success(machine.answered(Self.result(), now: Self.at(9)))
        #expect(result.replays == 1)
    }

    @Test func aSecondStaleSessionIsReported() throws {
        var machine = Self.sent()
        _ = machine.answered(Self.status(404), now: Self.at(1))
        _ = machine.connected(Self.renewed, waited: true, now: Self.at(5))
        let failure = try failure(machine.answered(Self.status(404), now: Self.at(6)))
        #expect(failure.kind == .rejected)
        #expect(failure.executed == .no)
        #expect(failure.replays == 1)
    }

    @Test(arguments: [-32602, -32601, -32700])
    func a400AboutTheMessageItselfCostsNoSessionThatIsKnown(_ code: Int) throws {
        var machine = Self.sent()
        #expect(verifies(machine.answered(Self.status(400, code: code), now: Self.at(1))))
        let failure = try failure(machine.verified(isKnown: true, now: Self.at(2)))
        #expect(failure.kind == .rejected)
        #expect(failure.replays == 0)
        #expect(machine.stale == nil)
    }

    @Test func withoutSessionIdA400IsReplayedOnlyIfTheNewHandshakeGivesOne() throws {
        var machine = Self.sent(Self.sessionless)
        #expect(discards(machine.answered(Self.status(400, code: -32600), now: Self.at(1))) === Self.sessionless)
        #expect(isSend(machine.connected(Self.legacy, waited: true, now: Self.at(2)), over: Self.legacy))

        var other = Self.sent(Self.sessionless)
        _ = other.answered(Self.status(400, code: -32600), now: Self.at(1))
        let failure = try failure(other.connected(Self.sessionless, waited: true, now: Self.at(2)))
        #expect(failure.kind == .rejected)
        #expect(failure.status == 400)
        #expect(failure.replays == 0)
    }

    @Test func aSessionThatCannotBeRenewedIsReportedWithTheHandshakesReason() throws {
        var machine = Self.sent()
        _ = machine.answered(Self.status(404), now: Self.at(1))
        let failure = try failure(
            machine.connectionFailed(
                HandshakeError(
                    failure: MCPCallError(kind: .unauthorized, status: 401, executed: .no, detail: "initialize"),
                    concernsCredentials: true, isRefusal: false, forgetsEra: false), now: Self.at(2)))
        #expect(failure.kind == .unauthorized)
        #expect(failure.executed == .no)
    }

    // MARK: Lost sessions without their status

    static let words = [
        "Session not found", "unknown session id", "No valid session ID provided", "Invalid or expired session",
        "Bad Request: Server not initialized", "session abc123 has been terminated", "Please call initialize first",
    ]

    static func told(_ status: Int, _ words: String, code: Int? = -32000) -> MessageResponse {
        var answer = MessageResponse(
            status: status, content: code.map { .error(JSONRPCError(code: $0, message: words)) } ?? .nothing)
        answer.excerpt = words
        return answer
    }

    @Test(arguments: words, [200, 500, 503]) func aReadWhoseSessionIsSaidToBeLostIsSentAgain(
        _ words: String, _ status: Int
    ) throws {
        var machine = Self.sent(twice: true)
        let action = machine.answered(Self.told(status, words), now: Self.at(1))
        #expect(discards(action) === Self.legacy)
        #expect(isSend(machine.connected(Self.renewed, waited: true, now: Self.at(5)), over: Self.renewed))
        _ = try success(machine.answered(Self.result(), now: Self.at(9)))
    }

    @Test(arguments: words, [200, 500, 503]) func aWriteWhoseSessionIsSaidToBeLostIsNotButTheSessionIsDropped(
        _ words: String, _ status: Int
    ) throws {
        for code in [-32000, -32603, nil] as [Int?] {
            var machine = Self.sent()
            let outcome = try failure(machine.answered(Self.told(status, words, code: code), now: Self.at(1)))
            #expect(outcome.executed == .unknown)
            #expect(machine.stale === Self.legacy)
        }
    }

    @Test(arguments: [(200, -32000 as Int?), (200, -32603), (200, -32602), (200, nil), (500, nil), (500, -32603)])
    func otherFailuresAreFollowedByAPingAndWhatItSaysCounts(_ status: Int, _ code: Int?) throws {
        for isKnown in [true, false] {
            var machine = Self.sent()
            #expect(verifies(machine.answered(Self.status(status, code: code), now: Self.at(1))))
            _ = try failure(machine.verified(isKnown: isKnown, now: Self.at(2)))
            #expect((machine.stale != nil) == !isKnown)
        }
        var read = Self.sent(twice: true)
        _ = read.answered(Self.status(status, code: code), now: Self.at(1))
        #expect(discards(read.verified(isKnown: false, now: Self.at(2))) === Self.legacy)
        #expect(isSend(read.connected(Self.renewed, waited: true, now: Self.at(3)), over: Self.renewed))
        // Lost again at once: it is reported, not tried for ever.
        _ = read.answered(Self.status(status, code: code), now: Self.at(4))
        _ = try failure(read.verified(isKnown: false, now: Self.at(5)))
    }

    @Test func aToolWhoseNameSoundsLikeItCostsNoSession() throws {
        var machine = Self.sent()
        let answer = Self.told(200, "Unknown tool: session_list", code: -32602)
        #expect(verifies(machine.answered(answer, now: Self.at(1))))
    }

    @Test func theTimeOfACallThatIsVerifiedEndsWithWhatTheCallCameTo() throws {
        var machine = Self.sent()
        _ = machine.answered(Self.status(200, code: -32000), now: Self.at(1))
        #expect(try failure(machine.expired(now: Self.at(10_000))).kind == .rejected)
    }

    @Test(arguments: [401, 403, 429, 502, 504]) func theseAnswersAreNoReasonToAsk(_ status: Int) throws {
        var machine = Self.sent()
        _ = try failure(machine.answered(Self.status(status), now: Self.at(1)))
        #expect(machine.stale == nil)
    }

    // MARK: Eras

    @Test(arguments: [(400, nil as Int?), (404, nil), (405, nil), (400, -32600), (400, -32022), (400, -32000)])
    func aModernMemoryThatProvesWrongIsReplacedByALegacySession(_ status: Int, _ code: Int?) throws {
        var machine = Self.sent(Self.modern)
        #expect(discards(machine.answered(Self.status(status, code: code), now: Self.at(1))) === Self.modern)
        #expect(isSend(machine.connected(Self.legacy, waited: true, now: Self.at(2)), over: Self.legacy))
    }

    @Test func aModernServerThatStaysModernMeantWhatItSaid() throws {
        var machine = Self.sent(Self.modern)
        _ = machine.answered(Self.status(400), now: Self.at(1))
        let failure = try failure(machine.connected(Self.modern, waited: true, now: Self.at(2)))
        #expect(failure.kind == .rejected)
        #expect(failure.status == 400)
        #expect(failure.replays == 0)
    }

    @Test(arguments: [(400, -32602), (400, -32020), (400, -32021), (404, -32601)])
    func aModernErrorProvesTheMemoryRight(_ status: Int, _ code: Int) throws {
        var machine = Self.sent(Self.modern)
        let failure = try failure(machine.answered(Self.status(status, code: code), now: Self.at(1)))
        #expect(failure.kind == .rejected)
        #expect(failure.executed == .no)
    }

    @Test(arguments: [401, 403, 408, 413, 429, 500, 503])
    func theseStatusesProveNothingAboutTheEra(_ status: Int) throws {
        var machine = Self.sent(Self.modern)
        _ = try failure(machine.answered(Self.status(status), now: Self.at(1)))
    }

    @Test func aHandshakeThatDisprovesTheLegacyMemoryIsBegunAnewOnce() throws {
        var machine = Self.machine()
        _ = machine.start(now: Self.start)
        let forgets = HandshakeError(
            failure: MCPCallError(kind: .rejected, executed: .no, detail: "initialize"), concernsCredentials: true,
            isRefusal: false, forgetsEra: true)
        guard case .acquire(nil) = machine.connectionFailed(forgets, now: Self.at(1)) else {
            Issue.record("not begun anew")
            return
        }
        #expect(try failure(machine.connectionFailed(forgets, now: Self.at(2))).kind == .rejected)
    }

    // MARK: Modern results

    @Test func inputThatCannotBeGivenIsDeclinedAFewTimes() throws {
        var machine = Self.sent(Self.modern)
        let asked = Self.result(#"{"resultType":"input_required","requestState":"x"}"#)
        var action = machine.answered(asked, now: Self.at(1))
        var rounds = 0
        while case .decline = action {
            rounds += 1
            #expect(isSend(machine.declined(true, now: Self.at(1)), over: Self.modern))
            action = machine.answered(asked, now: Self.at(1))
        }
        #expect(rounds == 4)
        let failure = try failure(action)
        #expect(failure.kind == .rejected)
        #expect(failure.executed == .unknown)
        #expect(failure.detail.contains("input"))
        var client = Self.sent(Self.modern, takesInput: true)
        _ = try success(client.answered(asked, now: Self.at(1)))
    }

    @Test func aResultThatAsksIsTheCallsWhereTheCallerTakesIt() throws {
        let asked = Self.result(#"{"resultType":"input_required","requestState":"x"}"#)
        var machine = Self.sent(Self.modern, takesInput: true)
        #expect(try success(machine.answered(asked, now: Self.at(1))).asks)
        var complete = Self.sent(Self.modern, takesInput: true)
        #expect(try !success(complete.answered(Self.result(), now: Self.at(1))).asks)
        var legacy = Self.sent(takesInput: true)
        #expect(try !success(legacy.answered(asked, now: Self.at(1))).asks)
    }

    // MARK: Questions

    @Test func theDeadlinesRestWhileTheUserIsAsked() throws {
        var machine = Self.sent(timeout: .seconds(2), idle: .seconds(1))
        machine.asked(now: Self.at(500))
        #expect(machine.expiry == .distantFuture)
        guard case .none = machine.expired(now: Self.at(60_000)) else {
            Issue.record("expired")
            return
        }
        machine.questionAnswered(now: Self.at(60_000), deadline: Self.at(63_000), idleTimeout: .seconds(2))
        #expect(machine.expiry == Self.at(62_000), "the silence begins with the answer")
        machine.progressed(now: Self.at(61_500))
        #expect(machine.expiry == Self.at(63_000))
        let result = try success(machine.answered(Self.result(), now: Self.at(61_600)))
        #expect(result.timings.upstream == .milliseconds(500 + 1_600), "without the user's time")
    }

    @Test func theDeadlinesRestUntilTheLastOfSeveralQuestionsIsAnswered() throws {
        var machine = Self.sent(timeout: .seconds(2))
        machine.asked(now: Self.at(100))
        machine.asked(now: Self.at(200))
        machine.questionAnswered(now: Self.at(5_000), deadline: Self.at(7_000), idleTimeout: nil)
        #expect(machine.expiry == .distantFuture)
        machine.questionAnswered(now: Self.at(9_000), deadline: Self.at(11_000), idleTimeout: nil)
        #expect(machine.expiry == Self.at(11_000))
        let failure = try failure(machine.expired(now: Self.at(11_000)))
        #expect(failure.kind == .timeout && failure.executed == .unknown)
    }

    @Test func aDeclineIsToldWithTheOutcome() throws {
        var machine = Self.sent()
        machine.noteDecline()
        #expect(try success(machine.answered(Self.result(), now: Self.at(1))).hasDeclined)
        var failing = Self.sent()
        failing.noteDecline()
        #expect(try failure(failing.failed(Self.broken, now: Self.at(1))).hasDeclined)
        var other = Self.sent()
        #expect(try !success(other.answered(Self.result(), now: Self.at(1))).hasDeclined)
    }

    @Test func anUnknownResultTypeIsInvalidAndAnAbsentOneComplete() throws {
        var machine = Self.sent(Self.modern)
        let failure = try failure(machine.answered(Self.result(#"{"resultType":"later"}"#), now: Self.at(1)))
        #expect(failure.kind == .invalid)
        #expect(failure.executed == .yes)
        for json in [#"{"resultType":"complete"}"#, "{}"] {
            var machine = Self.sent(Self.modern)
            _ = try success(machine.answered(Self.result(json), now: Self.at(1)))
        }
        // A legacy server may call a member of its result what it wants.
        var legacy = Self.sent()
        _ = try success(legacy.answered(Self.result(#"{"resultType":"later"}"#), now: Self.at(1)))
    }
}
