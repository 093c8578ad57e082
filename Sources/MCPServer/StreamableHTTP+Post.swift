import HTTPSyntax
import JSON
import MCP

extension StreamableHTTP {
    func post(_ request: MCPHTTPRequest, _ foreignBody: UnknownBodyHandler?) async -> MCPHTTPResponse {
        var request = request
        // The parsed values are many times as large as their text, and live as long as the slowest tool.
        let footprint = JSONValue.footprint(of: request.body)
        guard server.configuration.memory.hold(footprint, in: &request.reservation) else {
            return .error(
                .internalError("Server overloaded: no memory for the request"), status: 503,
                headers: [("Retry-After", "1")])
        }
        let body: JSONRPCBody
        do {
            body = try JSONRPCBody(parsing: request.body, keepingArguments: metas)
        } catch {
            return .error(.parseError("\(error)"), status: 400)
        }
        switch body {
        case .excessive:
            let limit = JSONRPCBody.maximumValues
            return .error(
                .invalidRequest("Invalid Request: more than \(limit) values beside the arguments"), status: 400)
        case .batch(let elements):
            return await batch(elements, request)
        case .message(let element):
            guard let object = element.value.object else {
                return .error(.invalidRequest("Invalid Request: expected an object"), status: 400)
            }
            if object["jsonrpc"] == nil, let foreignBody, let response = await foreignBody(request, object) {
                return response
            }
            return await single(element, object, request)
        }
    }

    /// Returns 401 or 403 for a request that the caller may not make, before anything runs (authorization, error
    /// handling).
    func refused(_ call: JSONRPCRequest, _ request: MCPHTTPRequest) -> MCPHTTPResponse? {
        guard let refusal = server.refusal(of: call, for: request.principal),
            let challenge = configuration.challenge(refusal)
        else { return nil }
        return .error(
            refusal.error, id: call.id, status: refusal.status, headers: [("WWW-Authenticate", challenge)])
    }

    private func single(
        _ element: JSONRPCBody.Element, _ object: JSONObject, _ request: MCPHTTPRequest
    ) async -> MCPHTTPResponse {
        let message: JSONRPCMessage
        do {
            message = try JSONRPCMessage(element)
        } catch {
            return .error(error, id: JSONRPCMessage.requestID(of: element.value), status: 400)
        }
        switch (Self.era(of: object, headers: request.headers), message) {
        case (.modern, .request(let call)):
            return await modern(call, request)
        case (.modern, .notification):
            // The revision defines no notifications of clients for this transport, and no header rules for them.
            return .accepted()
        case (.modern, .response):
            return .error(.invalidRequest("Responses are not accepted in this revision"), status: 400)
        case (.legacy, .request(let call)) where call.method == MCPMethod.initialize:
            return initialize(call, request)
        case (.legacy, _):
            return await legacy(message, request)
        }
    }

    /// Returns the era of a message. Modern metadata in the body always means modern; else `initialize` means legacy;
    /// else the version header decides.
    static func era(of message: JSONObject, headers: MCPHTTPHeaders) -> MCPEra {
        if let meta = message["params"]?["_meta"]?.object, RequestMetadata.isModern(meta) { return .modern }
        if message["method"]?.string == MCPMethod.initialize { return .legacy }
        return isModern(headers[MCPHeader.protocolVersion]) ? .modern : .legacy
    }

    /// Returns whether a version header names a revision without handshake: 2026-07-28 or a later date, supported or
    /// not.
    static func isModern(_ header: String?) -> Bool {
        guard let version = header.flatMap(MCPHeader.decodeValue) else { return false }
        if let known = MCPVersion(rawValue: version) { return known.era == .modern }
        let looksLikeDate =
            version.utf8.count == 10 && version.utf8.allSatisfy { $0 == 0x2D || (0x30...0x39).contains($0) }
        return looksLikeDate && version > MCPVersion.latestModern.rawValue
    }

    /// Returns the forms of response that the client accepts. Without `Accept` it gets JSON.
    static func form(of headers: MCPHTTPHeaders, priming: Int? = nil) -> PostResponder.Form {
        let only = headers.single("Accept")
        if only.count == 0 { return .init(acceptsJSON: true, acceptsStream: false) }
        if only.value == AcceptField.both {
            return .init(acceptsJSON: true, acceptsStream: true, priming: priming)
        }
        let accept = headers.all("Accept")
        let json = AcceptField.accepts("application/json", in: accept)
        let stream = AcceptField.accepts("text/event-stream", in: accept)
        return .init(acceptsJSON: json || !stream, acceptsStream: stream, priming: priming)
    }

    /// Returns a finished answer in a form that the client accepts.
    static func deliver(_ document: [UInt8], _ form: PostResponder.Form, status: Int = 200) -> MCPHTTPResponse {
        guard !form.acceptsJSON else { return .json(document, status: status) }
        let connection = MCPResponseStream()
        connection.push(SSEWriter.event(data: document, event: "message"))
        connection.close()
        return .eventStream(connection)
    }
}
