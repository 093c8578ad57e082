import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// The tool-server as a desktop MCP client starts it.
    @Suite struct Stdio {
        private func start() async throws -> ChildProcess {
            let database = try RunningStack.current.database
            // No --transport: stdio is the default.
            return try await ChildProcess.start(
                .init(BuiltProduct.toolServer.path, ["--database", database], keepsInput: true))
        }

        private func answer(of process: ChildProcess, to id: JSONValue) async throws -> JSONValue {
            var found: JSONValue?
            await eventually(within: .seconds(20)) {
                found = messages(of: process).first { $0["id"] == id }
                return found != nil || process.exit != nil
            }
            return try #require(found, "\(process.log)")
        }

        private func messages(of process: ChildProcess) -> [JSONValue] {
            process.output.split(separator: "\n").compactMap { try? JSONValue(parsing: Array($0.utf8)) }
        }

        @Test func aLegacyClientTalksLineByLine() async throws {
            let process = try await start()
            try process.write(
                #"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","#
                    + #""capabilities":{},"clientInfo":{"name":"desktop","version":"1"}}}"# + "\n")
            let server = try await answer(of: process, to: 0)
            #expect(server["result"]?["protocolVersion"] == "2025-06-18")
            try process.write(#"{"jsonrpc":"2.0","method":"notifications/initialized"}"# + "\n")
            try process.write(#"{"jsonrpc":"2.0","id":"t","method":"tools/list"}"# + "\n")
            let tools = try await answer(of: process, to: "t")
            #expect(tools["result"]?["tools"]?.array?.contains { $0["name"] == "echo" } == true)

            // Rubbish gets an error, not an exit.
            try process.write("this is no JSON\n")
            #expect(await eventually { messages(of: process).contains { $0["error"]?["code"] == -32700 } })

            // What is in flight at the end of input is still answered.
            try process.write(
                #"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"search_projects","#
                    + #""arguments":{"query":"urgent"}}}"# + "\n")
            process.closeInput()
            #expect(try await process.exit() == .status(0))
            let call = try await answer(of: process, to: 9)
            #expect(call["result"]?["structuredContent"]?["results"]?.array?.contains("Urgent Q2") == true)
            // Nothing but messages on standard output.
            #expect(messages(of: process).count == process.output.split(separator: "\n").count)
        }

        @Test func aModernClientNeedsNoHandshake() async throws {
            let process = try await start()
            let meta =
                #""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#
                + #""io.modelcontextprotocol/clientCapabilities":{}}"#
            try process.write(#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{\#(meta)}}"# + "\n")
            let server = try await answer(of: process, to: 1)
            #expect(server["result"]?["supportedVersions"]?.array?.contains("2026-07-28") == true)
            try process.write(
                #"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","#
                    + #""arguments":{"message":"Hello"},\#(meta)}}"# + "\n")
            let call = try await answer(of: process, to: 2)
            #expect(call["result"]?["structuredContent"] == ["Echo": "Hello"])
            process.closeInput()
            #expect(try await process.exit() == .status(0))
        }
    }
}
