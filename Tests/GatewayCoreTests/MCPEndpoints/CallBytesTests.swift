import CurlTransport
import Foundation
import JSON
import MCP
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import GatewayCore

/// Arguments and results pass through an endpoint byte for byte, between clients and servers of every revision.
@Suite struct CallBytesTests {
    /// Revisions of a client and of a server, and the forms of their responses.
    struct Pair: Sendable, CustomTestStringConvertible {
        let client: MCPVersion
        let server: MCPVersion
        /// True if the server answers with an event stream, and the client accepts nothing else.
        let streams: Bool

        static let all = MCPVersion.allCases.flatMap { client in
            MCPVersion.allCases.flatMap { server in
                [false, true].map { Pair(client: client, server: server, streams: $0) }
            }
        }

        var testDescription: String { "client \(client), server \(server), \(streams ? "events" : "JSON")" }
    }

    /// Values that a tree would spell in another way: numbers, escapes, half a surrogate pair, order, duplicates, blanks.
    private static let odd =
        #"{"z": 1e400,"a":1.0,"big":12345678901234567890,"m":-0.0E+1,"t\u0065xt":"\u0041\/\u00e9é\ud83d\ude00\ud800","dup":1,"dup":2, "list":[ 1 ,null ]}"#
    /// Content, with structured content of the same kind.
    private static let content = #"[{"type":"text","text":"\u0041\/ \ud800","n":1.00}]"#

    private func with(
        _ upstream: MemberServer, _ body: (TestGateway) async throws -> Void
    ) async throws {
        var document = try #require(TestConfiguration.document(upstream: upstream.url).object)
        document["upstreams"] = [
            "tools": [
                "url": .string(upstream.url + "/mcp/"), "trusted": true, "retryWindow": "0s", "probeInterval": "60s",
                "protocolVersion": .string(upstream.version.rawValue),
            ]
        ]
        document["chat"] = ["types": [:]]
        document["mcp"] = ["endpoints": ["/mcp/": ["upstreams": ["tools": [:]]]]]
        let read = JSONValue.object(document)
        let test = try await TestGateway.start { try TestConfiguration.read(read) }
        do { try await body(test) } catch {
            await test.stop()
            upstream.stop()
            throw error
        }
        await test.stop()
        upstream.stop()
    }

    @Test(arguments: Pair.all)
    func argumentsAndResultsKeepTheirBytes(_ pair: Pair) async throws {
        let result =
            #"{ "structuredContent": \#(Self.odd), "content":\#(Self.content),"isError":false ,"extra":[2.50,1E2]}"#
        let upstream = try await MemberServer(pair.server, result: result, streams: pair.streams)
        try await with(upstream) { test in
            let client = try await RawMCPClient(test, pair.client)
            let answer = try await client.call("echo", arguments: Self.odd, asEvents: pair.streams)
            // To the server.
            let sent = try #require(upstream.calls.last)
            #expect(sent.contains(#""arguments":\#(Self.odd)"#), "\(sent)")
            // To the client.
            #expect(answer.contains(#""content":\#(Self.content)"#), "\(answer)")
            #expect(answer.contains(#""extra":[2.50,1E2]"#), "\(answer)")
            #expect(answer.contains(#""structuredContent": \#(Self.odd)"#) == pair.client.hasStructuredContent)
            if pair.client.hasStructuredContent {
                // Nothing was cut, so even what stands between the members is there.
                #expect(answer.contains(#""result":\#(result.dropLast())"#), "\(answer)")
            }
            let members = try #require(JSONValue(parsing: answer)["result"]?.object)
            #expect((members["resultType"] != nil) == (pair.client.era == .modern))
            #expect(members["isError"]?.bool == false)
        }
    }

    @Test(arguments: Pair.all)
    func whatAnotherRevisionHasIsCutAndTheRestStays(_ pair: Pair) async throws {
        let result =
            #"{"resultType":"complete","content":\#(Self.content),"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"1"},"own":1.50},"ttlMs":5}"#
        let upstream = try await MemberServer(pair.server, result: result, streams: pair.streams)
        try await with(upstream) { test in
            let client = try await RawMCPClient(test, pair.client)
            let answer = try await client.call("echo", arguments: "{}", asEvents: pair.streams)
            #expect(answer.contains(#""content":\#(Self.content)"#), "\(answer)")
            let members = try #require(JSONValue(parsing: answer)["result"]?.object)
            let isModern = pair.client.era == .modern
            #expect(members["resultType"]?.string == (isModern ? "complete" : nil))
            #expect(members["ttlMs"]?.int == (isModern ? 5 : nil))
            let meta = try #require(members["_meta"]?.object)
            #expect(meta["own"]?.number?.text == "1.50")
            // The gateway is the server of its client.
            #expect(meta[MCPMeta.serverInfo]?["name"]?.string == (isModern ? GatewayVersion.name : nil))
        }
    }

    @Test func aBatchKeepsThemToo() async throws {
        let upstream = try await MemberServer(.v2025_11_25, result: #"{"content":\#(Self.content)}"#, streams: false)
        try await with(upstream) { test in
            let client = try await RawMCPClient(test, .v2025_03_26)
            let calls = ["[1.0]", Self.odd].enumerated().map { index, value in
                client.message("echo", arguments: #"{"n":\#(value)}"#, id: index + 2)
            }
            let answer = try await client.post("[\(calls.joined(separator: ", "))]", asEvents: false)
            #expect(answer.components(separatedBy: #""content":\#(Self.content)"#).count == 3, "\(answer)")
            let sent = upstream.calls
            #expect(sent.contains { $0.contains(#""arguments":{"n":[1.0]}"#) })
            #expect(sent.contains { $0.contains(#""arguments":{"n":\#(Self.odd)}"#) })
        }
    }

    @Test func theLastOfTwoArgumentsCounts() async throws {
        let upstream = try await MemberServer(.latestModern, result: #"{"content":[]}"#, streams: false)
        try await with(upstream) { test in
            let client = try await RawMCPClient(test, .latestLegacy)
            let body =
                #"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"arguments":{"n":1},"name":"echo","arguments":{"n":2.0}}}"#
            _ = try await client.post(body, asEvents: false)
            let sent = try #require(upstream.calls.last)
            #expect(sent.contains(#""arguments":{"n":2.0}"#))
            #expect(!sent.contains(#"{"n":1}"#))
        }
    }

    /// A message over stdio is one line: only line breaks between tokens become blanks.
    @Test func aStdioServerGetsOneLine() async throws {
        let notes = try TemporaryDirectory("notes")
        let script = #"""
            answer() { printf '{"jsonrpc":"2.0","id":%s,%s}\n' "$id" "$1"; }
            while IFS= read -r line; do
              id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
              case "$line" in
                *'"server/discover"'*) answer '"error":{"code":-32601,"message":"Method not found"}' ;;
                *'"initialize"'*) answer '"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}' ;;
                *'"tools/list"'*) answer '"result":{"tools":[{"name":"echo","inputSchema":{"type":"object"}}]}' ;;
                *'"tools/call"'*) printf '%s' "$line" > "$NOTES/line"; answer "$RESULT" ;;
                *) [ -z "$id" ] || answer '"result":{}' ;;
              esac
            done
            """#
        var document = try #require(TestConfiguration.document(upstream: "http://unused").object)
        document["upstreams"] = [
            "program": [
                "command": "sh", "args": ["-c", .string(script)],
                "env": [
                    "NOTES": .string(notes.url.path),
                    "RESULT": .string(#""result":{"content":\#(Self.content),"structuredContent":\#(Self.odd)}"#),
                ],
            ]
        ]
        document["chat"] = ["types": [:]]
        document["mcp"] = ["endpoints": ["/mcp/": ["upstreams": ["program": [:]]]]]
        let read = JSONValue.object(document)
        let test = try await TestGateway.start { try TestConfiguration.read(read) }
        do {
            let client = try await RawMCPClient(test, .latestModern)
            let answer = try await client.call(
                "echo", arguments: "{\n\"a\":\r\n1.0,\"b\":\(Self.odd)\n}", asEvents: false)
            let line = try String(contentsOfFile: notes.path("line"), encoding: .utf8)
            #expect(line.contains("\"arguments\":{ \"a\":  1.0,\"b\":\(Self.odd) }"), "\(line)")
            #expect(answer.contains(#""content":\#(Self.content),"structuredContent":\#(Self.odd)"#), "\(answer)")
        } catch {
            await test.stop()
            throw error
        }
        await test.stop()
    }
}

/// A server of one revision whose results are text of the test.
private final class MemberServer: Sendable {
    let version: MCPVersion
    private let server: ScriptedHTTPServer

    /// - Parameters:
    ///   - result: Text of the result of every call.
    ///   - streams: True if calls are answered with an event stream.
    init(_ version: MCPVersion, result: String, streams: Bool) async throws {
        self.version = version
        server = try await ScriptedHTTPServer { request in
            guard let message = ScriptedMCPMessage(request) else { return .empty(400) }
            guard let id = message.id else { return .empty(202) }
            switch message.method {
            case MCPMethod.serverDiscover where version.era == .modern:
                return message.result([
                    "resultType": "complete", "supportedVersions": [.string(version.rawValue)],
                    "capabilities": ["tools": [:]],
                ])
            case MCPMethod.initialize:
                return message.result(
                    [
                        "protocolVersion": .string(version.rawValue), "capabilities": ["tools": [:]],
                        "serverInfo": ["name": "member", "version": "1"],
                    ], headers: [("Mcp-Session-Id", "session")])
            case MCPMethod.toolsList:
                return message.result(["tools": [["name": "echo", "inputSchema": ["type": "object"]]]])
            case MCPMethod.toolsCall:
                let text = #"{"jsonrpc":"2.0","id":\#(id.text),"result":\#(result)}"#
                guard streams else { return .json(text) }
                return .events([(after: .zero, bytes: "event: message\ndata: \(text)\n\n")])
            default: return message.result([:])
            }
        }
    }

    var url: String { server.url }
    func stop() { server.stop() }

    /// Bodies of the calls so far.
    var calls: [String] { server.requests.map(\.text).filter { $0.contains(#""tools/call""#) } }
}

/// A client of one revision that sends and receives text.
private struct RawMCPClient {
    private let test: TestGateway
    private let version: MCPVersion
    private let session: String?

    init(_ test: TestGateway, _ version: MCPVersion) async throws {
        self.test = test
        self.version = version
        guard version.era == .legacy else {
            session = nil
            return
        }
        let body =
            #"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"\#(version.rawValue)","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}"#
        let response = try await test.send("POST", "/mcp/", headers: Self.headers("application/json"), body: body)
        let opened: String = try #require(response.headers.first(name: "Mcp-Session-Id"))
        session = opened
    }

    private static func headers(_ accept: String) -> CurlHeaders {
        [(name: "Content-Type", value: "application/json"), (name: "Accept", value: accept)]
    }

    /// Text of a call.
    func message(_ tool: String, arguments: String, id: Int) -> String {
        let meta =
            version.era == .legacy
            ? ""
            : #","_meta":{"\#(MCPMeta.protocolVersion)":"\#(version.rawValue)","\#(MCPMeta.clientCapabilities)":{}}"#
        return
            #"{"jsonrpc":"2.0","id":\#(id),"method":"tools/call","params":{"name":"\#(tool)","arguments": \#(arguments)\#(meta)}}"#
    }

    /// Calls a tool and returns the message of the response.
    func call(_ tool: String, arguments: String, asEvents: Bool) async throws -> String {
        try await post(message(tool, arguments: arguments, id: 7), name: tool, asEvents: asEvents)
    }

    /// Posts a body and returns the message of the response: of an event stream, its last data.
    func post(_ body: String, name: String = "echo", asEvents: Bool) async throws -> String {
        var headers = Self.headers(asEvents ? "text/event-stream" : "application/json")
        headers.append(name: MCPHeader.protocolVersion, value: version.rawValue)
        if let session { headers.append(name: MCPHeader.sessionID, value: session) }
        if version.era == .modern {
            headers.append(name: MCPHeader.method, value: MCPMethod.toolsCall)
            headers.append(name: MCPHeader.name, value: name)
        }
        let response = try await test.send("POST", "/mcp/", headers: headers, body: body)
        #expect(response.status == 200)
        #expect(response.contentType == (asEvents ? "text/event-stream" : "application/json"))
        guard asEvents else { return response.text }
        let data = response.text.components(separatedBy: "\n").filter { $0.hasPrefix("data: ") }
        return String(try #require(data.last).dropFirst(6))
    }
}
