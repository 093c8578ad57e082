import HTTPServer
import HTTPSyntax
import Identity
import JSON
import Logging
import MCPServer
import MCPServerHTTP
import NIOCore
import NIOHTTP1
import OAuthServer

/// Routes of the main port.
struct ToolServerRoutes: Sendable {
    let streamable: StreamableHTTP
    let identity: any IdentityProvider
    let dialect: CommandDialect
    /// Login routes; nil where the server's own accounts are not used.
    let login: LoginRoutes?
    /// Protected resource metadata; nil where the server is not an OAuth resource.
    let metadata: ResourceMetadata?
    /// Authorization server; nil where the server issues no tokens.
    let oauth: OAuthServer?
    let challenge: BearerChallenge
    let requiresAuthentication: Bool
    let inFlight: RequestsInFlight
    let metrics: ToolServerMetrics
    let logger: Logger

    func respond(_ request: AsyncHTTPRequest, _ responder: AsyncHTTPResponder, requestID: String) async {
        let route = Route(path: request.path)
        if route == .mcp {
            // Streams that only listen would delay a drain indefinitely.
            let listens = request.head.method == .GET || request.head.headers["Mcp-Method"] == ["subscriptions/listen"]
            if !listens { inFlight.begin() }
            let response = await message(request).adding(("X-Request-Id", requestID))
            await MCPHTTPEndpoint.send(response, responder) { if !listens { inFlight.end() } }
            return
        }
        inFlight.begin()
        defer { inFlight.end() }
        var reply = await reply(to: request, route: route)
        reply.headers.replaceOrAdd(name: "X-Request-Id", value: requestID)
        await responder.respond(status: reply.status, headers: reply.headers, body: reply.body)
    }

    /// Answers a request to the MCP endpoint: JSON-RPC of both eras, or the old dialect.
    private func message(_ request: AsyncHTTPRequest) async -> MCPHTTPResponse {
        let authentication = await authenticate(request)
        var mapped = MCPHTTPRequest(
            method: request.head.method.rawValue, path: String(request.path),
            headers: MCPHTTPHeaders(request.head.headers.map { (name: $0.name, value: $0.value) }),
            body: Array(request.body.readableBytesView))
        switch authentication {
        case .anonymous: break
        case .principal(let known): mapped.principal = known
        case .rejected(let status, let wwwAuthenticate, let message):
            if status == 503, let answer = streamable.unavailable(mapped, message) { return answer }
            return HTTPReply.rejected(status, wwwAuthenticate, message).response
        }
        return await streamable.handle(mapped) { [dialect] request, body in
            await dialect.run(body, CommandDialect.Caller(request))
        }
    }

    private func reply(to request: AsyncHTTPRequest, route: Route) async -> HTTPReply {
        let head = request.head
        switch route {
        case .mcp, .unknown: return .notFound
        case .newSession:
            guard head.method == .GET || head.method == .HEAD else { return .methodNotAllowed(allow: "GET, HEAD") }
            return await authenticated(request) { principal in
                guard let id = streamable.openSession(principal: principal) else {
                    return .error(
                        "Every session has a call under way", status: .serviceUnavailable, headers: ["Retry-After": "2"]
                    )
                }
                return HTTPReply(status: .ok, headers: ["Mcp-Session-Id": id, "Cache-Control": "no-store"])
            }
        case .tool(let name):
            guard head.method == .POST else { return .methodNotAllowed(allow: "POST") }
            return await authenticated(request) { principal in
                HTTPReply(
                    await dialect.run(
                        tool: name, body: Array(request.body.readableBytesView),
                        CommandDialect.Caller(
                            principal: principal, traceparent: head.headers.first(name: "traceparent"))))
            }
        case .metadata:
            guard let metadata, metadata.url.isMetadata(request.path) else { return .notFound }
            guard head.method == .GET || head.method == .HEAD else { return .methodNotAllowed(allow: "GET, HEAD") }
            return metadata.reply
        case .authorization: return await oauth?.reply(to: request) ?? .notFound
        case .logIn:
            guard let login else { return .notFound }
            guard head.method == .POST else { return .methodNotAllowed(allow: "POST") }
            return await login.logIn(
                body: Array(request.body.readableBytesView), headers: head.headers, peer: request.remoteAddress)
        case .logOut:
            guard let login else { return .notFound }
            guard head.method == .POST else { return .methodNotAllowed(allow: "POST") }
            return await login.logOut(headers: head.headers)
        }
    }

    private func authenticated(
        _ request: AsyncHTTPRequest, _ body: (Principal?) async -> HTTPReply
    ) async -> HTTPReply {
        switch await authenticate(request) {
        case .anonymous: return await body(nil)
        case .principal(let principal): return await body(principal)
        case .rejected(let status, let wwwAuthenticate, let message):
            return .rejected(status, wwwAuthenticate, message)
        }
    }

    private func authenticate(_ request: AsyncHTTPRequest) async -> Authentication {
        let credentials = PresentedCredentials(headers: request.head.headers, peer: Peer(request.remoteAddress))
        do {
            switch try await identity.identify(credentials) {
            case .none:
                guard requiresAuthentication else { return .anonymous }
                metrics.refused(.missing)
                return .rejected(
                    status: 401, wwwAuthenticate: challenge.unauthenticated(), message: "Not authenticated")
            case .principal(let principal): return .principal(principal)
            case .rejected(let kind, let reason):
                metrics.refused(kind)
                logger.debug("credential refused", metadata: ["reason": "\(reason)"])
                return .rejected(status: 401, wwwAuthenticate: challenge.invalidToken(reason), message: reason)
            }
        } catch {
            // A caller whose credentials cannot be checked must not be served as anonymous.
            logger.error("identity unavailable", metadata: ["error": "\(error)"])
            return .rejected(status: 503, wwwAuthenticate: nil, message: Self.unavailable(error))
        }
    }

    private static func unavailable(_ error: any Error) -> String {
        error is VerificationKeysUnavailable
            ? "The keys of the token's issuer are unavailable" : "The database is unavailable"
    }
}
