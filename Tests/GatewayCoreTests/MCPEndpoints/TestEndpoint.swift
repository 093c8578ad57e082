import CurlTransport
import Foundation
import JSON
import MCP
import Observability
import Synchronization
import TestSupport
import Testing

@testable import GatewayCore

/// A log in a file, which no reader has to keep up with.
final class LogFile: Sendable {
    let output: LogOutput
    private let directory: TemporaryDirectory
    private let file: FileHandle

    init() throws {
        directory = try TemporaryDirectory("log")
        let path = try directory.write("", to: "log")
        file = try #require(FileHandle(forWritingAtPath: path))
        output = LogOutput(fileDescriptor: file.fileDescriptor)
    }

    /// The lines so far.
    var lines: [JSONValue] {
        get throws {
            _ = output.flush()
            let data = try Data(contentsOf: URL(fileURLWithPath: directory.path("log")))
            return try data.split(separator: UInt8(ascii: "\n")).map { try JSONValue(parsing: Array($0)) }
        }
    }
}

/// Tools that a test changes while a gateway looks at them.
final class ChangingTools: Sendable {
    private let tools: Mutex<[JSONValue]>

    init(_ tools: [JSONValue]) {
        self.tools = Mutex(tools)
    }

    var current: [JSONValue] { tools.withLock { $0 } }
    func replace(with tools: [JSONValue]) { self.tools.withLock { $0 = tools } }

    /// A legacy server that lists them, and answers each call with its tool's name.
    func served() async throws -> FakeToolServer {
        try await FakeToolServer(
            other: { [self] request in
                guard let message = ScriptedMCPMessage(request), message.method == MCPMethod.toolsList else {
                    return nil
                }
                return message.result(["tools": .array(current)])
            }
        ) { .results(.string("called \($0.tool)")) }
    }

    static func tool(_ name: String, _ description: String = "Does something.") -> JSONValue {
        ["name": .string(name), "description": .string(description), "inputSchema": ["type": "object"]]
    }
}

extension TestGateway {
    /// What a client of 2026-07-28 gets as result of a request to an endpoint, or its error.
    func mcp(_ method: String, _ params: JSONObject = [:], path: String = "/mcp/") async throws -> JSONValue {
        var params = params
        params["_meta"] = [
            MCPMeta.protocolVersion: .string(MCPVersion.latestModern.rawValue), MCPMeta.clientCapabilities: [:],
        ]
        let body: JSONValue = ["jsonrpc": "2.0", "id": 1, "method": .string(method), "params": .object(params)]
        var headers: CurlHeaders = [
            (name: "MCP-Protocol-Version", value: MCPVersion.latestModern.rawValue),
            (name: "Mcp-Method", value: method),
            (name: "Accept", value: "application/json"), (name: "Content-Type", value: "application/json"),
        ]
        if let name = params["name"]?.string { headers.append(name: "Mcp-Name", value: MCPHeader.encodeValue(name)) }
        let response = try await send("POST", path, headers: headers, body: body.text)
        return response.json?["result"] ?? response.json?["error"] ?? .string(response.text)
    }

    /// The names that an endpoint lists.
    func toolNames(path: String = "/mcp/") async throws -> [String] {
        try await mcp(MCPMethod.toolsList, path: path)["tools"]?.array?.compactMap { $0["name"]?.string } ?? []
    }

    /// What a tool answers when it is called through an endpoint; the error's message when it fails.
    func callTool(_ name: String, path: String = "/mcp/") async throws -> String? {
        let result = try await mcp(MCPMethod.toolsCall, ["name": .string(name), "arguments": [:]], path: path)
        return result["structuredContent"]?["results"]?.string ?? result["message"]?.string
    }

    /// The value of a sample of the metrics.
    func sample(_ series: String) -> Double? {
        let line = metrics.exposition().split(separator: "\n").first { $0.hasPrefix(series + " ") }
        return line?.split(separator: " ").last.flatMap { Double($0) }
    }
}
