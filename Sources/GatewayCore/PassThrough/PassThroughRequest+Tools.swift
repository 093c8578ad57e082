import HTTPSyntax
import JSON
import MCP
import NIOCore
import NIOHTTP1

/// Inspection of the bodies sent to the MCP endpoint: the tools that may be called, and the calls that limits count.
/// The whole body is inspected before anything is sent.
extension PassThroughRequest {
    /// True if the body must be read before it is sent on.
    var inspectsBody: Bool {
        prefix == .mcp && (target?.tools != nil || settings.limiter != nil)
    }

    /// Continues with the whole body (nil: there is none) if the request calls no hidden tool and its calls are within
    /// their limits; otherwise answers it.
    ///
    /// A hidden tool is answered as an unknown tool: to JSON-RPC requests with -32602 for each id, a batch being
    /// refused as a whole; to a command, and to a call by the tool's own path, with 404.
    func inspect(hasBody: Bool, limit: Int, _ goOn: @escaping (ByteBuffer?) -> Void) {
        let method = exchange.head.method
        var inPath = PassThroughPath.tools(exchange.path)
        // `/mcp/session/new` is the only path below the endpoint that does not name a tool.
        if exchange.path == "/mcp/session/new", method == .GET || method == .HEAD { inPath = [] }
        if let tool = inPath.first(where: isHidden) { return respond(Self.unknown("tool", tool)) }
        guard hasBody else {
            return withinLimits(.messages(1, types: limitedTypes(inPath.isEmpty ? [] : [inPath]))) { goOn(nil) }
        }
        exchange.collectBody(upTo: limit) { [self] result in
            switch result {
            case .failure(.disconnected): break
            case .failure(let failure): respond(GatewayError(failure))
            case .success(let body):
                guard let finding = readable(body, inPath) else { return }
                let calls = inPath.isEmpty ? finding.requests.map(\.tools).filter { !$0.isEmpty } : [inPath]
                withinLimits(.messages(finding.requests.count, types: limitedTypes(calls))) { [self] in
                    listsTools = finding.requests.contains(where: \.listsTools)
                    goOn(body)
                }
            }
        }
    }

    /// Returns the requests in a body; nil, and answered, when it must not be sent on.
    private func readable(_ body: ByteBuffer, _ inPath: [String]) -> ToolCallInspection.Finding? {
        let finding = body.withUnsafeReadableBytes { ToolCallInspection.look($0, isEndpoint: inPath.isEmpty) }
        guard target?.tools != nil else {
            // The upstream answers a malformed body.
            return finding ?? ToolCallInspection.Finding(requests: [.init()], isBatch: false)
        }
        guard let finding else {
            respond(GatewayError(.forbidden, text: "Only JSON bodies are accepted here"))
            return nil
        }
        if finding.requests.contains(where: \.isAmbiguous) {
            answer(finding, .invalidRequest, "method, id, params and params.name must come once", status: 400)
            return nil
        }
        if let tool = toolsInHeaders.first(where: isHidden) {
            answer(finding, .invalidParams, "Unknown tool: \(tool.printable)", hidden: tool)
            return nil
        }
        for request in finding.requests {
            if request.isUnclear {
                answer(finding, .invalidParams, "Invalid params: name: expected a string")
                return nil
            }
            if let tool = request.tools.first(where: isHidden) {
                answer(finding, .invalidParams, "Unknown tool: \(tool.printable)", hidden: tool)
                return nil
            }
        }
        return finding
    }

    /// Returns the types whose limits the calls count against, once for each call.
    ///
    /// - Parameter calls: For each call, the names under which a reader may see its tool.
    private func limitedTypes(_ calls: [[String]]) -> [String] {
        guard let upstream = target?.upstream.name else { return [] }
        return limitedTools.types(ofCalls: calls.map { $0.map { .init(upstream: upstream, name: $0) } })
    }

    private func isHidden(_ tool: String) -> Bool {
        target?.tools?.allowsCall(of: tool) == false
    }

    /// Names of tools in headers. Modern clients repeat the name there; a server that trusts the header instead of the
    /// body must not be misled.
    private var toolsInHeaders: [String] {
        let headers = exchange.head.headers
        guard headers[MCPHeader.method].contains(where: { HTTPSyntax.name($0, is: "tools/call") }) else { return [] }
        return headers[MCPHeader.name].map { MCPHeader.decodeValue($0) ?? $0 }
    }

    private static func unknown(_ noun: String, _ name: String) -> GatewayError {
        GatewayError(
            .notFound, text: "Unknown \(noun): \(name.printable)", detail: "not in passthrough.tools, or not pinned")
    }

    /// Answers every request of a body with one error: messages by their ids, a command with 404 or 400.
    private func answer(
        _ finding: ToolCallInspection.Finding, _ code: JSONRPCError.Code, _ text: String, hidden: String? = nil,
        status: Int = 200
    ) {
        if !finding.requests.contains(where: \.isMessage) {
            return respond(hidden.map { Self.unknown("command", $0) } ?? GatewayError(.invalidArgument, text: text))
        }
        note(hidden.map { Self.unknown("tool", $0) } ?? GatewayError(.invalidArgument, text: text))
        let ids = finding.requests.compactMap(\.id)
        // Notifications get no response, nor does a message with an ambiguous id.
        guard !ids.isEmpty || status != 200 else {
            return exchange.respond(status: .accepted, headers: headers(), body: nil)
        }
        let response = GatewayErrorResponse(
            text, code: code.rawValue, status: status, to: ids.isEmpty ? [Array("null".utf8)] : ids,
            isBatch: finding.isBatch)
        var headers = headers(capacity: 8)
        headers.add(contentsOf: response.headers)
        exchange.respond(status: response.status, headers: headers, body: response.body)
    }
}
