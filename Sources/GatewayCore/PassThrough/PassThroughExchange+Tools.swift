import JSON
import MCP
import NIOCore
import NIOHTTP1

/// The allowlist of tools. Everything is looked at before anything is sent.
extension PassThroughExchange {
    /// Goes on with the whole body (nil: there is none) when the request calls no tool that is not allowed; otherwise
    /// answers it.
    ///
    /// The answer is 403. To JSON-RPC requests it is an error for each id, with the code of an unknown tool (-32602): to
    /// this client there is no such tool. A batch is refused as a whole. To everything else it is `forbidden`.
    func inspect(
        _ tools: ToolAllowlist, hasBody: Bool, limit: Int, _ goOn: @escaping (ByteBuffer?) -> Void
    ) {
        let method = exchange.head.method
        var inPath = PassThroughPath.tools(exchange.path)
        // The only path below the endpoint that is no tool's.
        if exchange.path == "/mcp/session/new", method == .GET || method == .HEAD { inPath = [] }
        if let refused = (inPath + toolsInHeaders).first(where: { !tools.allows($0) }) {
            return respond(Self.notAllowed(refused))
        }
        guard hasBody else { return goOn(nil) }
        exchange.collectBody(upTo: limit) { [self] result in
            switch result {
            case .failure(.disconnected): break
            case .failure(let failure): respond(GatewayError(failure))
            case .success(let body):
                let finding = body.withUnsafeReadableBytes { ToolCallInspection.look($0, isEndpoint: inPath.isEmpty) }
                guard let finding else {
                    return respond(GatewayError(.forbidden, text: "Only JSON bodies are accepted here"))
                }
                guard let error = Self.refusal(of: finding, tools) else { return goOn(body) }
                refuse(finding, error)
            }
        }
    }

    /// Modern clients repeat the name in a header; a server that trusts it instead of the body must not be misled.
    private var toolsInHeaders: [String] {
        let headers = exchange.head.headers
        guard headers[MCPHeader.method].contains(where: { $0.lowercased() == "tools/call" }) else { return [] }
        return headers[MCPHeader.name].map { MCPHeader.decodeValue($0) ?? $0 }
    }

    private static func refusal(of finding: ToolCallInspection.Finding, _ tools: ToolAllowlist) -> GatewayError? {
        for request in finding.requests {
            if request.isUnclear { return GatewayError(.forbidden, text: "The call names no tool") }
            if let tool = request.tools.first(where: { !tools.allows($0) }) { return notAllowed(tool) }
        }
        return nil
    }

    private static func notAllowed(_ tool: String) -> GatewayError {
        var text = "Tool not allowed: "
        for scalar in tool.unicodeScalars.prefix(128) {
            text.unicodeScalars.append(scalar.properties.generalCategory == .control ? "\u{FFFD}" : scalar)
        }
        return GatewayError(.forbidden, text: text, detail: "not in passthrough.tools")
    }

    private func refuse(_ finding: ToolCallInspection.Finding, _ error: GatewayError) {
        let ids = finding.requests.compactMap(\.id)
        guard !ids.isEmpty else { return respond(error) }
        note(error)
        let response = GatewayErrorResponse(
            error, code: JSONRPCError.Code.invalidParams.rawValue, to: ids, isBatch: finding.isBatch)
        var headers = headers(capacity: 8)
        headers.add(contentsOf: response.headers)
        exchange.respond(status: response.status, headers: headers, body: response.body)
    }
}
