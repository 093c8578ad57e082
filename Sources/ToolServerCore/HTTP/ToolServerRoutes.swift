import HTTPServer
import JSON
import Logging
import MCPServer
import MCPServerHTTP
import NIOCore
import NIOHTTP1

/// Everything that the main port answers.
struct ToolServerRoutes: Sendable {
    let streamable: StreamableHTTP
    let identity: any IdentityProvider
    let dialect: CommandDialect
    /// Nil where the server's own accounts are not used.
    let login: LoginRoutes?
    let crossOrigin: CrossOriginGuard
    let inFlight: RequestsInFlight
    let logger: Logger

    func respond(_ request: AsyncHTTPRequest, _ responder: AsyncHTTPResponder, requestID: String) async {
        let route = Route(path: request.path)
        if route == .mcp, !isForbidden(request, route) {
            // Streams that only listen would hold a drain up for ever.
            let listens = request.head.method == .GET || request.head.headers["Mcp-Method"] == ["subscriptions/listen"]
            if !listens { inFlight.begin() }
            defer { if !listens { inFlight.end() } }
            let response = await message(request).adding(("X-Request-Id", requestID))
            await MCPHTTPEndpoint.send(response, responder)
            return
        }
        inFlight.begin()
        defer { inFlight.end() }
        var reply = await reply(to: request, route: route)
        reply.headers.replaceOrAdd(name: "X-Request-Id", value: requestID)
        await responder.respond(status: reply.status, headers: reply.headers, body: reply.body)
    }

    /// A request to the MCP endpoint: JSON-RPC of both eras, or the old dialect.
    private func message(_ request: AsyncHTTPRequest) async -> MCPHTTPResponse {
        let principal: Principal?
        switch await Self.authenticate(request.head, identity: identity, logger: logger) {
        case .anonymous: principal = nil
        case .principal(let known): principal = known
        case .rejected(let status, let wwwAuthenticate, let message):
            return HTTPReply.rejected(status, wwwAuthenticate, message).response
        }
        let mapped = MCPHTTPRequest(
            method: request.head.method.rawValue, path: String(request.path),
            headers: MCPHTTPHeaders(request.head.headers.map { (name: $0.name, value: $0.value) }),
            body: Array(request.body.readableBytesView), principal: principal)
        return await streamable.handle(mapped) { [dialect] request, body in
            await dialect.run(body, principal: request.principal, traceparent: request.headers["traceparent"])?
                .response
        }
    }

    private func reply(to request: AsyncHTTPRequest, route: Route) async -> HTTPReply {
        if isForbidden(request, route) { return .error("Origin not allowed", status: .forbidden) }
        let head = request.head
        switch route {
        case .mcp, .unknown: return .notFound
        case .newSession:
            guard head.method == .GET || head.method == .HEAD else { return .methodNotAllowed(allow: "GET, HEAD") }
            return await authenticated(request) { principal in
                HTTPReply(
                    status: .ok,
                    headers: [
                        "Mcp-Session-Id": streamable.openSession(principal: principal), "Cache-Control": "no-store",
                    ])
            }
        case .tool(let name):
            guard head.method == .POST else { return .methodNotAllowed(allow: "POST") }
            return await authenticated(request) { principal in
                await dialect.run(
                    tool: name, body: Array(request.body.readableBytesView), principal: principal,
                    traceparent: head.headers.first(name: "traceparent"))
            }
        case .logIn:
            guard let login else { return .notFound }
            guard head.method == .POST else { return .methodNotAllowed(allow: "POST") }
            return await login.logIn(body: Array(request.body.readableBytesView), headers: head.headers)
        case .logOut:
            guard let login else { return .notFound }
            guard head.method == .POST else { return .methodNotAllowed(allow: "POST") }
            return await login.logOut(headers: head.headers)
        }
    }

    /// A foreign page may not act with the browser's cookies, nor log the browser in as somebody else.
    private func isForbidden(_ request: AsyncHTTPRequest, _ route: Route) -> Bool {
        let head = request.head
        guard head.method != .GET, head.method != .HEAD else { return false }
        guard head.headers.contains(name: "Cookie") || route == .logIn || route == .logOut else { return false }
        return crossOrigin.isForeign(head.headers)
    }

    private func authenticated(
        _ request: AsyncHTTPRequest, _ body: (Principal?) async -> HTTPReply
    ) async -> HTTPReply {
        switch await Self.authenticate(request.head, identity: identity, logger: logger) {
        case .anonymous: return await body(nil)
        case .principal(let principal): return await body(principal)
        case .rejected(let status, let wwwAuthenticate, let message):
            return .rejected(status, wwwAuthenticate, message)
        }
    }

    static func authenticate(
        _ head: HTTPRequestHead, identity: any IdentityProvider, logger: Logger
    ) async -> Authentication {
        let credentials = PresentedCredentials(
            cookieHeaders: head.headers["Cookie"], authorization: head.headers.first(name: "Authorization"))
        do {
            switch try await identity.identify(credentials) {
            case .none: return .anonymous
            case .principal(let principal): return .principal(principal)
            case .rejected(let wwwAuthenticate, let message):
                return .rejected(status: 401, wwwAuthenticate: wwwAuthenticate, message: message)
            }
        } catch {
            // Somebody who may be logged in must not be served as nobody.
            logger.error("identity unavailable", metadata: ["error": "\(error)"])
            return .rejected(status: 503, wwwAuthenticate: nil, message: "The database is unavailable")
        }
    }
}
