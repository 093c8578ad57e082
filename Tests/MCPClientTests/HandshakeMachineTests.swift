import JSON
import MCP
import NIOCore
import Testing

@testable import MCPClient

/// Which era, and how a session begins: every row of "Which era", without sockets.
@Suite struct HandshakeMachineTests {
    static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    static func machine(
        _ start: HandshakeMachine.Start = .probe, era: MCPUpstreamConfiguration.Era = .auto,
        isVersionFixed: Bool = false
    ) -> HandshakeMachine {
        HandshakeMachine(
            start: start, url: "http://upstream/mcp/", era: era, isVersionFixed: isVersionFixed,
            deadline: Self.start + .seconds(10),
            backoff: Backoff(window: .seconds(2), pause: .milliseconds(25), jitter: { 1 }))
    }

    static func answer(_ status: Int, _ result: String? = nil, session: String? = nil) -> MessageResponse {
        var content = MessageResponse.Content.nothing
        if let result {
            MessageScanner.scan(ByteBuffer(string: #"{"jsonrpc":"2.0","id":7,"result":"# + result + "}"), id: 7) {
                if case .answer(let found) = $0 { content = found }
            }
        }
        var answer = MessageResponse(status: status, content: content)
        answer.sessionID = session
        return answer
    }

    static func error(_ status: Int, _ code: Int, data: JSONValue? = nil) -> MessageResponse {
        MessageResponse(status: status, content: .error(JSONRPCError(code: code, message: "m", data: data)))
    }

    @Test func whatIsKeptOfAServerIsBounded() throws {
        let capabilities: JSONValue = ["tools": ["listChanged": true]]
        let small: JSONValue = [
            "protocolVersion": "2025-11-25", "capabilities": capabilities, "instructions": "Be nice.",
        ]
        #expect(HandshakeMachine.kept(small) == small.serialized)
        let long = JSONValue.string(String(repeating: "x", count: 100_000))
        let large: JSONValue = ["protocolVersion": "2025-11-25", "capabilities": capabilities, "instructions": long]
        #expect(
            try JSONValue(parsing: HandshakeMachine.kept(large))
                == ["protocolVersion": "2025-11-25", "capabilities": capabilities])
        #expect(HandshakeMachine.kept(["capabilities": ["x": long]]).isEmpty)
        #expect(HandshakeMachine.isSessionID(String(repeating: "s", count: 4096)))
        #expect(!HandshakeMachine.isSessionID(String(repeating: "s", count: 4097)))
    }

    func message(_ action: HandshakeMachine.Action) throws -> HandshakeMachine.Message {
        guard case .send(let message, _) = action else { throw Unexpected(what: "\(action)") }
        return message
    }

    func established(_ action: HandshakeMachine.Action) throws -> HandshakeMachine.Established {
        guard case .connected(let established) = action else { throw Unexpected(what: "\(action)") }
        return established
    }

    func failure(_ action: HandshakeMachine.Action) throws -> HandshakeError {
        guard case .failed(let failure) = action else { throw Unexpected(what: "\(action)") }
        return failure
    }

    static let initializeResult =
        #"{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"s","version":"1"}}"#

    // MARK: The probe

    @Test func aServerThatNamesAModernVersionIsModern() throws {
        var machine = Self.machine()
        #expect(try message(machine.begin()) == .discover(.v2026_07_28))
        let action = machine.answered(
            Self.answer(200, #"{"supportedVersions":["2026-07-28","2025-11-25"],"capabilities":{}}"#))
        let connection = try established(action)
        #expect(connection.version == .v2026_07_28)
        #expect(connection.sessionID == nil)
        #expect(String(decoding: connection.description, as: UTF8.self).contains("supportedVersions"))
    }

    @Test(arguments: [(400, -32020), (400, -32021), (200, -32020), (400, -32022), (500, -32021), (404, -32022)])
    func theseErrorsProveAModernServer(_ status: Int, _ code: Int) throws {
        var machine = Self.machine()
        _ = machine.begin()
        #expect(try established(machine.answered(Self.error(status, code))).version == .v2026_07_28)
    }

    @Test(
        arguments: [
            (200, -32601), (400, -32601), (404, -32601), (500, -32601), (400, -32600), (400, -32000), (404, -32001),
            (200, -32602), (405, -32000), (500, -32603), (503, -32000), (200, -32002),
        ])
    func anyOtherJSONRPCErrorMeansLegacy(_ status: Int, _ code: Int) throws {
        var machine = Self.machine()
        _ = machine.begin()
        #expect(try message(machine.answered(Self.error(status, code))) == .initialize(.v2025_11_25))
    }

    @Test(arguments: [400, 404, 405, 406, 415, 202])
    func theseStatusesWithoutAModernBodyMeanLegacy(_ status: Int) throws {
        var machine = Self.machine()
        _ = machine.begin()
        #expect(try message(machine.answered(Self.answer(status))) == .initialize(.v2025_11_25))
    }

    @Test(arguments: [#"{}"#, #"{"tools":[]}"#, #"{"supportedVersions":["2025-11-25"]}"#, #"{"supportedVersions":7}"#])
    func aResultThatIsNoDiscoveryOrListsLegacyOnlyMeansLegacy(_ result: String) throws {
        var machine = Self.machine()
        _ = machine.begin()
        #expect(try message(machine.answered(Self.answer(200, result))) == .initialize(.v2025_11_25))
    }

    @Test(arguments: [401, 403, 408, 413, 429])
    func theseStatusesProveNothingAndAreReported(_ status: Int) throws {
        for answer in [Self.answer(status), Self.error(status, -32601), Self.error(status, -32022)] {
            var machine = Self.machine()
            _ = machine.begin()
            let failure = try failure(machine.answered(answer))
            #expect(failure.failure.status == status)
            #expect(failure.failure.executed == .no)
            #expect(failure.concernsCredentials == [401, 403, 413, 429].contains(status))
            #expect(!failure.forgetsEra)
        }
    }

    @Test(arguments: [500, 502, 503, 504]) func aFailureOfTheServerIsDecidedByInitialize(_ status: Int) throws {
        var machine = Self.machine()
        _ = machine.begin()
        #expect(try message(machine.answered(Self.answer(status))) == .initialize(.v2025_11_25))
        _ = machine.answered(Self.answer(200, Self.initializeResult))
        _ = try established(machine.answered(Self.answer(202)))
        // Where that is refused too, the first word is the better one.
        for (refusal, kind) in [
            (Self.error(404, -32601), MCPCallError.Kind.failed), (Self.answer(405), .failed),
            (Self.answer(401), .unauthorized), (Self.answer(500), .failed),
        ] {
            var machine = Self.machine()
            _ = machine.begin()
            _ = machine.answered(Self.answer(status))
            let failure = try failure(machine.answered(refusal)).failure
            #expect(failure.kind == kind)
            #expect(failure.executed == .no)
        }
        var modern = Self.machine(era: .modern)
        _ = modern.begin()
        #expect(try failure(modern.answered(Self.answer(status))).failure.status == status)
    }

    @Test func silenceAndStreamsWithoutAnAnswerAreDecidedByInitialize() throws {
        for kind in [TransportError.Kind.garbled, .timedOut, .tooLarge] {
            var machine = Self.machine()
            _ = machine.begin()
            let action = machine.failed(
                TransportError(kind: kind, sent: true, detail: "none"), now: Self.start + .seconds(4))
            #expect(try message(action) == .initialize(.v2025_11_25))
        }
        // Silence must leave time for it.
        var machine = Self.machine()
        _ = machine.begin()
        #expect(machine.messageDeadline(now: Self.start) < Self.start + .seconds(4))
        _ = machine.answered(Self.answer(404))
        #expect(machine.messageDeadline(now: Self.start) == Self.start + .seconds(10))
    }

    @Test func oneRevisionInsteadOfAListCountsToo() throws {
        var machine = Self.machine()
        _ = machine.begin()
        #expect(
            try established(machine.answered(Self.answer(200, #"{"protocolVersion":"2026-07-28"}"#))).version
                == .v2026_07_28)
    }

    @Test func anUnsupportedVersionIsReplacedByOneThatTheServerNames() throws {
        var machine = Self.machine()
        _ = machine.begin()
        let refusal = Self.error(400, -32022, data: ["supported": ["2026-07-28"], "requested": "x"])
        #expect(try message(machine.answered(refusal)) == .discover(.v2026_07_28))
        #expect(
            try established(machine.answered(Self.answer(200, #"{"supportedVersions":["2026-07-28"]}"#))).version
                == .v2026_07_28)
        // Named and refused again: not for ever.
        var stubborn = Self.machine()
        _ = stubborn.begin()
        _ = stubborn.answered(refusal)
        #expect(try failure(stubborn.answered(refusal)).failure.kind == .rejected)
    }

    @Test func anUnsupportedVersionWithLegacyOnesFallsBack() throws {
        var machine = Self.machine()
        _ = machine.begin()
        let refusal = Self.error(400, -32022, data: ["supported": ["2025-06-18"]])
        #expect(try message(machine.answered(refusal)) == .initialize(.v2025_11_25))
    }

    @Test func withoutACommonVersionTheHandshakeFails() throws {
        for answer in [
            Self.error(400, -32022, data: ["supported": ["2031-01-01"]]),
            Self.answer(200, #"{"supportedVersions":["2031-01-01"]}"#),
        ] {
            var machine = Self.machine()
            _ = machine.begin()
            #expect(try failure(machine.answered(answer)).failure.detail == "no common protocol version")
        }
    }

    @Test func aConfiguredModernUpstreamNeverFallsBack() throws {
        var machine = Self.machine(era: .modern)
        _ = machine.begin()
        #expect(try failure(machine.answered(Self.answer(404))).failure.kind == .rejected)
    }

    // MARK: initialize

    @Test func aSessionIsOpenedAndConfirmedBeforeAnybodyUsesIt() throws {
        var machine = Self.machine(.initialize)
        #expect(try message(machine.begin()) == .initialize(.v2025_11_25))
        let confirm = try message(machine.answered(Self.answer(200, Self.initializeResult, session: "abc")))
        #expect(confirm == .initialized(.v2025_06_18, sessionID: "abc"))
        let connection = try established(machine.answered(Self.answer(202)))
        #expect(connection.version == .v2025_06_18)
        #expect(connection.sessionID == "abc")
        #expect(String(decoding: connection.description, as: UTF8.self).contains("serverInfo"))
    }

    @Test(arguments: [200, 202, 204])
    func any2xxConfirms(_ status: Int) throws {
        var machine = Self.machine(.initialize)
        _ = machine.begin()
        _ = machine.answered(Self.answer(200, Self.initializeResult))
        let connection = try established(machine.answered(Self.answer(status)))
        #expect(connection.sessionID == nil, "a server without session ids works")
    }

    @Test(arguments: [307, 400, 401, 404, 500, 503]) func aRefusedNotificationIsAWarning(_ status: Int) throws {
        var machine = Self.machine(.initialize)
        _ = machine.begin()
        _ = machine.answered(Self.answer(200, Self.initializeResult, session: "abc"))
        #expect(machine.needsHeadOnly)
        let connection = try established(machine.answered(Self.answer(status)))
        #expect(connection.sessionID == "abc")
        #expect(connection.complaint == "status \(status)")
        var silent = Self.machine(.initialize)
        _ = silent.begin()
        _ = silent.answered(Self.answer(200, Self.initializeResult))
        let action = silent.failed(
            TransportError(kind: .timedOut, sent: true, detail: "silence"), now: Self.start + .seconds(4))
        #expect(try established(action).complaint == "silence")
    }

    // MARK: The revision

    @Test(
        arguments: [
            error(400, -32602, data: ["supported": ["2024-11-05", "2025-03-26"], "requested": "2025-11-25"]),
            error(200, -32602, data: ["supported": ["2025-03-26"]]),
            error(400, -32022, data: ["supported": ["2025-03-26"]]),
            said(400, "Bad Request: Unsupported protocol version (supported versions: 2025-03-26, 2024-11-05)"),
        ])
    func aRefusedRevisionIsReplacedByOneThatTheServerNames(_ refusal: MessageResponse) throws {
        var machine = Self.machine(.initialize)
        _ = machine.begin()
        #expect(try message(machine.answered(refusal)) == .initialize(.v2025_03_26))
        _ = machine.answered(Self.answer(200, Self.initializeResult))
        #expect(try established(machine.answered(Self.answer(202))).requested == .v2025_03_26)
    }

    @Test(
        arguments: [error(200, -32602), error(400, -32600), answer(400), said(500, "unsupported protocolVersion")])
    func aRefusedRevisionIsReplacedByTheOlderOnesInTurn(_ refusal: MessageResponse) throws {
        var machine = Self.machine(.initialize)
        var action = machine.begin()
        var asked: [MCPVersion] = []
        while case .send(.initialize(let version), _) = action {
            asked.append(version)
            action = machine.answered(refusal)
        }
        #expect(asked == MCPVersion.legacy.reversed())
        #expect(try failure(action).failure.detail.contains("2024-11-05"))
        var fixed = Self.machine(.initialize, isVersionFixed: true)
        _ = fixed.begin()
        _ = try failure(fixed.answered(refusal))
    }

    static func said(_ status: Int, _ words: String) -> MessageResponse {
        var answer = MessageResponse(status: status, content: .nothing)
        answer.excerpt = words
        return answer
    }

    @Test(arguments: [answer(401), answer(403), answer(404), answer(429), answer(503), error(404, -32601)])
    func otherRefusalsAreNotAboutTheRevision(_ refusal: MessageResponse) throws {
        var machine = Self.machine(.initialize)
        _ = machine.begin()
        _ = try failure(machine.answered(refusal))
    }

    @Test func whatAServerSaysIsNoLineOfTheLog() throws {
        var machine = Self.machine(.initialize)
        _ = machine.begin()
        let failure = try failure(machine.answered(Self.said(404, "gone\nforged \u{202E}line"))).failure
        #expect(failure.detail.hasSuffix("(gone\u{FFFD}forged \u{FFFD}line)"))
    }

    @Test func aSessionIdOfAFailedInitializeIsNotAdopted() throws {
        var machine = Self.machine(.initialize)
        _ = machine.begin()
        var answer = Self.error(404, -32000)
        answer.sessionID = "dead"
        #expect(try failure(machine.answered(answer)).failure.kind == .rejected)
    }

    @Test(arguments: ["", "a b", "a\u{7F}", "é"])
    func aSessionIdThatIsNoVisibleASCIIIsInvalid(_ id: String) throws {
        var machine = Self.machine(.initialize)
        _ = machine.begin()
        #expect(
            try failure(machine.answered(Self.answer(200, Self.initializeResult, session: id))).failure.kind == .invalid
        )
    }

    @Test(arguments: [#"{}"#, #"{"protocolVersion":7}"#])
    func anInitializeWithoutVersionIsInvalid(_ result: String) throws {
        var machine = Self.machine(.initialize)
        _ = machine.begin()
        #expect(try failure(machine.answered(Self.answer(200, result))).failure.kind == .invalid)
    }

    @Test(arguments: ["2031-01-01", "2026-07-28"])
    func aVersionThatIsNotSpokenIsRejected(_ version: String) throws {
        var machine = Self.machine(.initialize)
        _ = machine.begin()
        let answer = Self.answer(200, #"{"protocolVersion":"\#(version)"}"#)
        #expect(try failure(machine.answered(answer)).failure.kind == .rejected)
    }

    @Test(arguments: [(400, -32022), (400, -32020), (404, -32601), (200, -32601), (404, -32001)])
    func anInitializeThatDisprovesTheMemoryForgetsIt(_ status: Int, _ code: Int) throws {
        var machine = Self.machine(.initialize)
        _ = machine.begin()
        #expect(try failure(machine.answered(Self.error(status, code))).forgetsEra)
        // After a probe there is no memory to forget.
        var probed = Self.machine(.probe)
        _ = probed.begin()
        _ = probed.answered(Self.answer(404))
        #expect(try !failure(probed.answered(Self.error(status, code))).forgetsEra)
    }

    @Test func cookiesOfAHandshakeAreNobodys() throws {
        var machine = Self.machine(.initialize)
        _ = machine.begin()
        var answer = Self.answer(401)
        answer.setCookies = ["a=b"]
        answer.wwwAuthenticate = ["Bearer"]
        let failure = try failure(machine.answered(answer)).failure
        #expect(failure.setCookies.isEmpty)
        #expect(failure.wwwAuthenticate == ["Bearer"])
        #expect(failure.kind == .unauthorized)
    }

    // MARK: Transport

    @Test func aRefusedHandshakeIsTriedAgainAndSaysInTheEndThatItWasRefused() throws {
        var machine = Self.machine()
        _ = machine.begin()
        var now = Self.start
        var tries = 0
        while case .wait(let until) = machine.failed(CallMachineTests.refused, now: now) {
            now = until
            tries += 1
            #expect(try message(machine.resume()) == .discover(.v2026_07_28))
        }
        #expect(tries > 4)
        #expect(now - Self.start < .seconds(2))
        var last = Self.machine()
        _ = last.begin()
        _ = last.failed(CallMachineTests.refused, now: Self.start)
        let end = try failure(last.failed(CallMachineTests.refused, now: Self.start + .seconds(3)))
        #expect(end.isRefusal)
        #expect(end.failure.kind == .unreachable)
        #expect(!end.concernsCredentials)
    }

    @Test func aBrokenConnectionIsReplacedOnceSinceNothingCanRunTwice() throws {
        var machine = Self.machine()
        _ = machine.begin()
        #expect(try message(machine.failed(CallMachineTests.broken, now: Self.start)) == .discover(.v2026_07_28))
        #expect(try message(machine.failed(CallMachineTests.broken, now: Self.start)) == .initialize(.v2025_11_25))
        #expect(try message(machine.failed(CallMachineTests.broken, now: Self.start)) == .initialize(.v2025_11_25))
        let failure = try failure(machine.failed(CallMachineTests.broken, now: Self.start))
        #expect(failure.failure.executed == .no)
        #expect(failure.isRefusal, "the call itself was not sent")
    }

    @Test func aRedirectIsFollowedAndBelongsToTheResult() throws {
        var machine = Self.machine()
        _ = machine.begin()
        var redirect = Self.answer(307)
        redirect.location = "http://upstream/mcp"
        guard case .send(.discover, "http://upstream/mcp") = machine.answered(redirect) else {
            Issue.record("not followed")
            return
        }
        _ = machine.answered(Self.answer(404))
        _ = machine.answered(Self.answer(200, Self.initializeResult))
        #expect(try established(machine.answered(Self.answer(202))).url == "http://upstream/mcp")
    }

    @Test func aRedirectLoopEnds() throws {
        var machine = Self.machine(.initialize)
        _ = machine.begin()
        var redirect = Self.answer(307)
        redirect.location = "/mcp"
        _ = machine.answered(redirect)
        #expect(try failure(machine.answered(redirect)).failure.kind == .invalid)
    }
}
