import CurlTransport
import Foundation
import JSON
import NIOCore
import TestSupport
import Testing

/// One exchange with the old API, as it was recorded.
struct ContractCase: Sendable, CustomTestStringConvertible {
    let json: JSONValue

    var id: String { json["id"]?.string ?? "" }
    var testDescription: String { id }
    /// Which state the tool server was in.
    var upstream: String { json["upstream"]?.string ?? "" }
    var isStrict: Bool { json["strict"]?.bool == true }
    var type: String? { (try? JSONValue(parsing: json["request"]?["body"]?.string ?? ""))?["type"]?.string }

    static let all: [ContractCase] = {
        guard let text = try? Checkout.text("Tests/Fixtures/contract.json"),
            let cases = try? JSONValue(parsing: text)["cases"]?.array
        else { return [] }
        return cases.map(ContractCase.init)
    }()

    /// The cases of a state of the tool server.
    static func all(upstream: String) -> [ContractCase] { all.filter { $0.upstream == upstream } }

    /// Every `@FILL@` stands for a repeated piece of text.
    private func filled(_ text: String) -> String {
        guard let fill = json["request"]?["fill"]?.array, let piece = fill[0].string, let count = fill[1].int else {
            return text
        }
        return text.replacing("@FILL@", with: String(repeating: piece, count: count))
    }

    private func filled(_ value: JSONValue?) throws -> JSONValue? {
        try value.map { try JSONValue(parsing: filled($0.text)) }
    }

    // MARK: The request

    private static let engine = CurlEngine(label: "contract")

    /// Sends the request to a gateway.
    func send(to gateway: RunningService) async throws -> CurlResponse {
        let request = json["request"] ?? [:]
        var headers = CurlHeaders()
        for (name, value) in request["headers"]?.object ?? [:] { headers.append(name: name, value: value.string ?? "") }
        var body: ByteBuffer?
        if let text = request["body"]?.string {
            body = ByteBuffer(string: filled(text))
        } else if let encoded = request["body_b64"]?.string {
            body = ByteBuffer(bytes: Array(try #require(Data(base64Encoded: encoded))))
        }
        var sent = CurlRequest(
            method: request["method"]?.string ?? "", url: gateway.url + (request["path"]?.string ?? ""),
            headers: headers, body: body, timeout: .seconds(60))
        if request["chunked"]?.bool == true, let body {
            let source = CurlBodySource()
            source.write(body)
            source.finish()
            sent.body = .stream(source)
        }
        return try await Self.engine.execute(sent)
    }

    // MARK: The answer

    /// Compares as the recording says: status, media type up to parameters, JSON as values, text byte for byte.
    func compare(_ response: CurlResponse, status: Int? = nil) throws {
        let expect = json["expect"] ?? [:]
        #expect(response.status == status ?? expect["status"]?.int)
        for (name, value) in expect["headers"]?.object ?? [:] {
            #expect(response.headers.first(name: name) == value.string)
        }
        if let expected = try filled(expect["json"]) {
            #expect(response.mediaType == "application/json")
            #expect(try response.json == expected)
        } else if let text = expect["text"]?.string {
            #expect(["text/plain", "text/html"].contains(response.mediaType ?? ""))
            if !text.isEmpty { #expect(response.text == text) }
        }
    }

    /// The tool call that the recording has: the name and the arguments; nil where it has none or does not compare.
    func call() throws -> (tool: String, arguments: JSONValue)? {
        guard let call = try filled(json["upstream_call"]), !call.isNull, let tool = call["command"]?.string else {
            return nil
        }
        return (tool, call["arguments"] ?? [:])
    }

    /// Rows that the exchange adds to `ai_chatmessage`.
    var saved: [SavedMessage] {
        (json["saved"]?.array ?? []).map { row in
            SavedMessage(
                user: row["user"]?.string ?? "", message: row["message"]?.string ?? "",
                response: row["response"]?.string ?? "")
        }
    }
}

/// A row of `ai_chatmessage` with the user's name.
struct SavedMessage: Hashable, Sendable {
    let user: String
    let message: String
    let response: String
}

extension CurlResponse {
    var text: String { String(buffer: body) }
    var json: JSONValue { get throws { try JSONValue(parsing: Array(body.readableBytesView)) } }
    /// The media type, without parameters.
    var mediaType: String? {
        headers.first(name: "Content-Type")?.split(separator: ";").first.map { String($0.trimmingPrefix(" ")) }
    }
    /// `{"error": TEXT}`, nil for anything else.
    var errorText: String? {
        guard mediaType == "application/json", let object = try? json.object, object.count == 1 else { return nil }
        return object["error"]?.string
    }
}
