import CurlTransport
import Foundation
import JSON
import NIOCore
import TestSupport
import Testing

@testable import GatewayCore

/// The recorded answers of the old API, as far as the gateway alone decides them: the fake upstream plays the tool.
@Suite struct ContractTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let json: JSONValue
        var testDescription: String { id }
        var id: String { json["id"]?.string ?? "" }
        var upstream: String { json["upstream"]?.string ?? "" }
        var expect: JSONValue { json["expect"] ?? [:] }

        /// Every `@FILL@` stands for a repeated piece of text.
        func filled(_ text: String) -> String {
            guard let fill = json["request"]?["fill"]?.array, let piece = fill[0].string, let count = fill[1].int else {
                return text
            }
            return text.replacing("@FILL@", with: String(repeating: piece, count: count))
        }

        func filled(_ value: JSONValue?) throws -> JSONValue? {
            try value.map { try JSONValue(parsing: filled($0.text)) }
        }
    }

    static let strict: [Case] = {
        let url = TestConfiguration.root.appending(path: "Tests/Fixtures/contract.json")
        guard let data = try? Data(contentsOf: url), let document = try? JSONValue(parsing: Array(data)) else {
            return []
        }
        return (document["cases"]?.array ?? []).map(Case.init).filter { $0.json["strict"]?.bool == true }
    }()

    @Test func theRecordingIsThere() {
        #expect(Self.strict.count > 70)
    }

    @Test(arguments: strict, [GatewayErrorStyle.legacy, .standard])
    func aStrictCaseIsAnsweredAsRecorded(_ recorded: Case, _ style: GatewayErrorStyle) async throws {
        let upstream = try await FakeToolServer { Self.play(recorded, $0) }
        if recorded.upstream == "down" { try await upstream.stopAndWait() }
        try await TestGateway.with(upstream, ["errors": .string(style.rawValue)]) { (test) async throws in
            let response = try await send(recorded, to: test)
            try compare(response, recorded, style)
            try compareCall(upstream.calls, recorded)
        }
    }

    // MARK: The upstream

    /// What the tool did in the recording.
    @Sendable private static func play(_ recorded: Case, _ call: FakeToolServer.Call) -> FakeToolServer.Answer {
        switch recorded.upstream {
        case "status_503": return .response(.empty(503))
        case "status_404": return .response(.empty(404))
        default: break
        }
        if let error = recorded.expect["json"]?["error"]?.string { return .error(error) }
        let replies = (try? recorded.filled(recorded.expect["json"]?["replies"])).flatMap { $0 } ?? []
        let isWrapped = ["ai_prompt", "chat", "get_user_info"].contains(call.tool)
        return .results(isWrapped ? replies[0] ?? .null : replies)
    }

    // MARK: The request

    private func send(_ recorded: Case, to test: TestGateway) async throws -> CurlResponse {
        let request = recorded.json["request"] ?? [:]
        var headers = CurlHeaders()
        for (name, value) in request["headers"]?.object ?? [:] { headers.append(name: name, value: value.string ?? "") }
        var body: ByteBuffer?
        if let text = request["body"]?.string {
            body = ByteBuffer(string: recorded.filled(text))
        } else if let encoded = request["body_b64"]?.string, let data = Data(base64Encoded: encoded) {
            body = ByteBuffer(bytes: Array(data))
        }
        var sent = CurlRequest(
            method: request["method"]?.string ?? "", url: test.url(request["path"]?.string ?? ""), headers: headers,
            body: body)
        if request["chunked"]?.bool == true, let body {
            let source = CurlBodySource()
            source.write(body)
            source.finish()
            sent.body = .stream(source)
        }
        return try await test.engine.execute(sent)
    }

    // MARK: The answer

    private func compare(_ response: CurlResponse, _ recorded: Case, _ style: GatewayErrorStyle) throws {
        let expect = recorded.expect
        var status = expect["status"]?.int
        // The recording's 500 for a broken upstream is 502 today.
        if style == .standard, recorded.upstream.hasPrefix("status_") { status = 502 }
        #expect(response.status == status)
        for (name, value) in expect["headers"]?.object ?? [:] {
            #expect(response.headers.first(name: name) == value.string)
        }
        let type = response.contentType?.split(separator: ";").first.map(String.init)
        if let json = try recorded.filled(expect["json"]) {
            #expect(type == "application/json")
            #expect(response.json == json)
        } else if let text = expect["text"]?.string {
            #expect(type == "text/plain")
            #expect(response.text == text)
        }
    }

    private func compareCall(_ calls: [FakeToolServer.Call], _ recorded: Case) throws {
        guard ["ok", "down"].contains(recorded.upstream) else { return }
        if let call = try recorded.filled(recorded.json["upstream_call"]), !call.isNull {
            #expect(calls.count == 1)
            #expect(calls.first?.tool == call["command"]?.string)
            #expect(calls.first?.arguments == call["arguments"])
        } else if recorded.expect["status"]?.int != 200 {
            #expect(calls.isEmpty)
        }
    }
}
