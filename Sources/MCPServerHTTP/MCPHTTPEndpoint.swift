package import HTTPServer
package import HTTPSyntax
import JSON
package import MCPServer
import NIOCore
package import NIOHTTP1

/// Result of authentication, before the body is read.
package enum Authentication: Sendable {
    /// No credentials, and none needed.
    case anonymous
    case principal(Principal)
    /// Invalid or insufficient credentials: 401 or 403, with the `WWW-Authenticate` to send.
    case rejected(status: Int, wwwAuthenticate: String?, message: String)
}

/// An MCP endpoint on the `async` interface of ``HTTPServer``: translates requests, bodies, event streams and
/// disconnects.
///
/// A client that leaves cancels the task that serves it, or abandons the stream that it reads. ``StreamableHTTP``
/// decides what follows: the end of the request in 2026-07-28, nothing in the legacy revisions.
package final class MCPHTTPEndpoint: Sendable {
    /// Largest body in bytes; a larger one is answered with 413.
    package static let defaultBodyLimit = 4 * 1024 * 1024

    /// Transport that answers.
    package let streamable: StreamableHTTP
    private let authenticate: @Sendable (HTTPRequestHead) async -> Authentication
    private let fallback: StreamableHTTP.UnknownBodyHandler?

    /// - Parameters:
    ///   - authenticate: Determines the caller of a request.
    ///   - fallback: Answers a POST whose body is a JSON object but not a JSON-RPC message.
    package init(
        streamable: StreamableHTTP,
        authenticate: @escaping @Sendable (HTTPRequestHead) async -> Authentication = { _ in .anonymous },
        fallback: StreamableHTTP.UnknownBodyHandler? = nil
    ) {
        self.streamable = streamable
        self.authenticate = authenticate
        self.fallback = fallback
    }

    /// Answers one request to the endpoint; the caller decides which paths belong to it.
    package func respond(_ request: AsyncHTTPRequest, _ responder: AsyncHTTPResponder) async {
        let principal: Principal?
        switch await authenticate(request.head) {
        case .anonymous: principal = nil
        case .principal(let known): principal = known
        case .rejected(let status, let challenge, let message):
            await Self.reject(status, challenge, message, responder)
            return
        }
        var mapped = MCPHTTPRequest(
            method: request.head.method.rawValue, path: String(request.path),
            headers: MCPHTTPHeaders(request.head.headers.map { (name: $0.name, value: $0.value) }),
            body: Array(request.body.readableBytesView), principal: principal)
        mapped.reservation = request.reservation
        await Self.send(await streamable.handle(mapped, foreignBody: fallback), responder)
    }

    /// Returns a handler for a server that serves nothing but this endpoint.
    ///
    /// - Parameter site: Rule for accepting `Host` and `Origin`; nil: they are not checked.
    package func handler(
        bodyLimit: Int = MCPHTTPEndpoint.defaultBodyLimit, paths: Set<String> = ["/mcp", "/mcp/"],
        site: SiteRule? = nil
    ) -> AsyncHTTPHandler {
        AsyncHTTPHandler(bodyLimit: bodyLimit, site: { site }) { request, responder in
            guard paths.contains(String(request.path)) else {
                await Self.reject(404, nil, "Not found", responder)
                return
            }
            await self.respond(request, responder)
        }
    }

    /// Sends a response of the library. A streamed one continues after this has returned.
    ///
    /// - Parameters:
    ///   - further: Header fields of the HTTP server, beside those of the response.
    ///   - whenOver: Called once the response is complete or the client has left.
    package static func send(
        _ response: MCPHTTPResponse, _ responder: AsyncHTTPResponder, adding further: HTTPHeaders = [:],
        whenOver: @escaping @Sendable () -> Void = {}
    ) async {
        let status = HTTPResponseStatus(statusCode: response.status)
        var headers = HTTPHeaders(response.headers)
        headers.add(contentsOf: further)
        switch response {
        case .whole(_, _, let body):
            await responder.respond(status: status, headers: headers, body: ByteBuffer(bytes: body))
            whenOver()
        case .stream(_, _, let body):
            responder.stream(status: status, headers: headers, from: ResponseBody(stream: body), whenOver: whenOver)
        }
    }

    /// Messages of a stream as the body of its response.
    private struct ResponseBody: HTTPBodySource {
        let stream: MCPResponseStream

        func whenReady(_ wake: @escaping @Sendable () -> Void) { stream.whenReady(wake) }

        func take() -> HTTPBodyPiece {
            switch stream.take() {
            case .bytes(let bytes): .bytes(ByteBuffer(bytes: bytes))
            case .nothing: .nothing
            case .end: .end
            }
        }

        func abandon() { stream.abandon() }
    }

    private static func reject(
        _ status: Int, _ challenge: String?, _ message: String, _ responder: AsyncHTTPResponder
    ) async {
        var headers: HTTPHeaders = ["Content-Type": "application/json"]
        if let challenge { headers.add(name: "WWW-Authenticate", value: challenge) }
        let body = JSONValue.object(["error": .string(message)]).serialized
        await responder.respond(
            status: HTTPResponseStatus(statusCode: status), headers: headers, body: ByteBuffer(bytes: body))
    }
}
