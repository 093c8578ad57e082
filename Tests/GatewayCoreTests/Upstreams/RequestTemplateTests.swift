import CurlTransport
import Foundation
import JSON
import NIOCore
import TestSupport
import Testing

@testable import GatewayCore

/// Requests made of arguments: whatever these hold, they stay where they are put.
@Suite struct RequestTemplateTests {
    static let tool: JSONValue = [
        "method": "POST", "path": "/orders/{id}/items/{name}.json",
        "query": ["q": "{q}", "mixed": "a{q}b", "fixed": "x"], "headers": ["X-Arg": "<{h}>", "X-Fixed": "y"],
        "body": ["lines": "{b}", "note": "n {b}", "list": ["{b}", 1, "{absent}"], "kept": true],
        "inputSchema": [
            "type": "object", "properties": ["id": [:], "name": [:], "q": [:], "h": [:], "b": [:], "absent": [:]],
        ],
    ]

    static func configuration(_ tool: JSONValue, kind: String = "http") throws -> ToolConfiguration {
        let configuration = try TestConfiguration.read([
            "upstreams": ["api": ["kind": .string(kind), "url": "http://h/base/", "tools": ["t": tool]]]
        ])
        return try #require(configuration.upstreams[0].tools.first)
    }

    private func fill(_ template: RequestTemplate, _ arguments: JSONValue) throws -> RequestTemplate.Filled {
        let bytes = arguments.serialized
        return try bytes.withUnsafeBytes { try template.fill(try TemplateArguments($0)) }
    }

    private func template(_ tool: JSONValue) throws -> RequestTemplate {
        guard case .http(let template) = try Self.configuration(tool).binding else { throw CancellationError() }
        return template
    }

    /// Pieces that have fooled others: separators, encodings of them, line ends, NUL, quotes, other scripts.
    private static let pieces = [
        "/", "..", ".", "%2f", "%2e%2e", "?", "#", "&", "=", "\r\n", "\n", "\0", "\u{7f}", "\"", "'", "\\", "{", "}",
        "{{", "{id}", ";", ":", "@", "//evil.example", "http://evil.example/", " ", "\t", "ž", "日本", "😀", "a", "Z9",
        "+",
        "%00", "%0d%0aX-Evil: 1", "\u{202e}", "\u{85}", "\u{FEFF}", "", "X-Evil: 1", ",", "[", "]", "null",
    ]

    @Test func noArgumentLeavesItsPlaceInAHundredThousandCases() throws {
        let template = try template(Self.tool)
        var random = SplitMix(seed: 18)
        var filled = 0
        func hostile() -> String {
            (0..<Int.random(in: 0...4, using: &random)).map { _ in
                Self.pieces.randomElement(using: &random) ?? ""
            }.joined()
        }
        for number in 0..<100_000 {
            let (id, name, q, h, b) = (hostile(), hostile(), hostile(), hostile(), hostile())
            let arguments: JSONValue = [
                "id": .string(id), "name": .string(name), "q": .string(q), "h": .string(h), "b": .string(b),
            ]
            guard let request = try? fill(template, arguments) else { continue }
            filled += 1
            let problem = Self.problem(request, id, name, q, b)
            #expect(problem == nil, "case \(number): \(problem ?? "") of \(arguments.text)")
            if problem != nil { return }
        }
        #expect(filled > 10_000)
    }

    /// Undoes percent-encoding byte by byte; Foundation's drops a byte order mark.
    private static func decoded(_ text: some StringProtocol) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            if byte == UInt8(ascii: "%"), let code = UInt8(digits, radix: 16) {
                bytes.append(code)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return bytes
    }

    /// Says what of a request is not where it belongs; nil when everything is.
    private static func problem(
        _ request: RequestTemplate.Filled, _ id: String, _ name: String, _ q: String, _ b: String
    ) -> String? {
        let allowed = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%/?&=".utf8)
        guard request.target.utf8.allSatisfy(allowed.contains) else { return "a byte in \(request.target)" }
        let halves = request.target.split(separator: "?", omittingEmptySubsequences: false)
        guard halves.count == 2 else { return "two queries" }
        let segments = halves[0].split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard segments.count == 5, segments[1] == "orders", segments[3] == "items" else { return "the path" }
        guard decoded(segments[2]) == Array(id.utf8), segments[2] != ".", segments[2] != ".." else { return "id" }
        guard decoded(segments[4]) == Array((name + ".json").utf8), !name.isEmpty else { return "name" }
        let pairs = halves[1].split(separator: "&").map { $0.split(separator: "=", omittingEmptySubsequences: false) }
        guard pairs.allSatisfy({ $0.count == 2 }), pairs.map({ String($0[0]) }) == ["q", "mixed", "fixed"] else {
            return "the query's names"
        }
        guard decoded(pairs[0][1]) == Array(q.utf8),
            decoded(pairs[1][1]) == Array("a\(q)b".utf8), pairs[2][1] == "x"
        else { return "the query's values" }
        guard request.headers.invalidLine == nil,
            request.headers.map(\.name) == ["X-Arg", "X-Fixed", "Content-Type"]
        else { return "the headers" }
        let body = request.body.flatMap { try? JSONValue(parsing: Array($0.readableBytesView)) }
        let wanted: JSONValue = [
            "lines": .string(b), "note": .string("n " + b), "list": [.string(b), 1], "kept": true,
        ]
        return body == wanted ? nil : "the body"
    }

    @Test func aRecordingServerSeesNothingElse() async throws {
        let server = try await ScriptedHTTPServer { _ in .json("{}") }
        defer { server.stop() }
        var document = Self.tool.object ?? [:]
        document["timeout"] = "10s"
        let changes: JSONObject = [
            "upstreams": [
                "api": ["kind": "http", "url": .string(server.url + "/base/"), "tools": ["t": .object(document)]]
            ],
            "chat": [
                "types": [
                    "x": [
                        "tool": "t",
                        "arguments": .object(
                            JSONObject(["id", "name", "q", "h", "b"].map { ($0, ["falsyIsMissing": false]) })),
                    ]
                ]
            ],
        ]
        let configuration = try TestConfiguration.document(upstream: "", changes)
        let test = try await TestGateway.start { try TestConfiguration.read(configuration) }
        var random = SplitMix(seed: 19)
        for _ in 0..<200 {
            var payload: JSONObject = ["type": "x"]
            for key in ["id", "name", "q", "h", "b"] {
                payload[key] = .string((0..<3).map { _ in Self.pieces.randomElement(using: &random) ?? "" }.joined())
            }
            let status = try await test.chat(JSONValue.object(payload).text).status
            #expect(status == 200 || status == 400)
        }
        let requests = server.requests.filter { $0.method == "POST" }
        #expect(!requests.isEmpty)
        let known: Set<String> = [
            "host", "x-arg", "x-fixed", "content-type", "content-length", "accept", "accept-encoding",
        ]
        for request in requests {
            #expect(request.path.hasPrefix("/base/orders/"))
            #expect(request.path.split(separator: "?")[0].split(separator: "/").count == 5)
            #expect(request.header("Host") == "127.0.0.1:\(server.port)")
            #expect(Set(request.headers.map { $0.name.lowercased() }).isSubset(of: known), "\(request.headerLines)")
        }
        await test.stop()
    }

    @Test func absentAndTypedArguments() throws {
        let template = try template([
            "path": "/x", "query": ["id": "{id}", "text": "v{q}", "brace": "{{x}"],
            "headers": ["X-A": "{h}"], "method": "PUT", "body": ["a": "{b}", "b": "t{q}"],
            "inputSchema": ["type": "object", "properties": ["id": [:], "q": [:], "h": [:], "b": [:]]],
        ])
        let empty = try fill(template, [:])
        #expect(empty.target == "/x?brace=%7Bx%7D")
        #expect(empty.headers.map(\.name) == ["Content-Type"])
        #expect(empty.body.map { String(buffer: $0) } == "{}")
        let full = try fill(template, ["id": [1, "b c", true], "q": 1.50, "h": "v", "b": ["x": nil]])
        #expect(full.target == "/x?id=1&id=b%20c&id=true&text=v1.5&brace=%7Bx%7D")
        #expect(full.body.map { String(buffer: $0) } == #"{"a":{"x":null},"b":"t1.5"}"#)
        #expect(throws: TemplateArguments.ArgumentError.self) { try fill(template, ["id": ["x": 1]]) }
        #expect(throws: TemplateArguments.ArgumentError.self) { try fill(template, ["h": [1]]) }
    }

    @Test(arguments: ["", ".", "..", "a\r\nb", "a\0"]) func aPathTakesNoSuchValue(_ value: String) throws {
        let template = try template([
            "path": "/x/{id}", "inputSchema": ["type": "object", "properties": ["id": [:]]],
        ])
        #expect(throws: TemplateArguments.ArgumentError.self) { try fill(template, ["id": .string(value)]) }
        #expect(throws: TemplateArguments.ArgumentError.self) { try fill(template, [:]) }
    }

    @Test func aFormIsAForm() throws {
        let template = try template([
            "path": "/x", "method": "POST", "headers": ["Content-Type": "application/x-www-form-urlencoded"],
            "body": ["a": "{b}", "c": "d e"], "inputSchema": ["type": "object", "properties": ["b": [:]]],
        ])
        let request = try fill(template, ["b": "x&y=1"])
        #expect(request.body.map { String(buffer: $0) } == "a=x%26y%3D1&c=d%20e")
    }

    @Test(
        arguments: [
            (["path": "x"], "path"), (["path": "/a?b"], "path"), (["path": "/../x"], "path"), (["path": "/{"], "path"),
            (["path": "/{id}"], "{id}"), (["path": "/", "method": "TRACE"], "method"),
            (["path": "/", "headers": ["Host": "h"]], "headers"),
            (["path": "/", "headers": ["X": "a\nb"]], "headers.X"),
            (["path": "/", "inputSchema": ["type": "string"]], "inputSchema"),
            (["path": "/", "inputSchema": []], "inputSchema"),
            (
                [
                    "path": "/", "query": ["q": "{o}"],
                    "inputSchema": ["type": "object", "properties": ["o": ["type": "object"]]],
                ], "query.q"
            ), (["path": "/", "query": ["q": "{caller.id}"]], "caller"),
        ] as [(JSONObject, String)])
    func aMistakeIsNamed(_ tool: JSONObject, _ place: String) throws {
        let error = #expect(throws: (any Error).self) { try Self.configuration(.object(tool)) }
        let text = "\(error.map { "\($0)" } ?? "")"
        #expect(text.contains("upstreams.api.tools.t"))
        #expect(text.contains(place))
    }
}
