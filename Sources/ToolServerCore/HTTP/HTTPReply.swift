import JSON
import MCPServer
import NIOCore
import NIOHTTP1

/// A complete response, before any of it is sent.
struct HTTPReply: Sendable {
    var status: HTTPResponseStatus
    var headers: HTTPHeaders
    var body: ByteBuffer

    init(status: HTTPResponseStatus, headers: HTTPHeaders = [:], body: ByteBuffer = ByteBuffer()) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    static func json(_ value: JSONValue, status: HTTPResponseStatus = .ok, headers: HTTPHeaders = [:]) -> HTTPReply {
        var headers = headers
        headers.replaceOrAdd(name: "Content-Type", value: "application/json")
        headers.replaceOrAdd(name: "X-Content-Type-Options", value: "nosniff")
        headers.replaceOrAdd(name: "Cache-Control", value: "no-store")
        return HTTPReply(status: status, headers: headers, body: ByteBuffer(bytes: value.serialized))
    }

    static func error(_ text: String, status: HTTPResponseStatus, headers: HTTPHeaders = [:]) -> HTTPReply {
        json(["error": .string(text)], status: status, headers: headers)
    }

    static func methodNotAllowed(allow: String) -> HTTPReply {
        error("Method not allowed", status: .methodNotAllowed, headers: ["Allow": allow])
    }

    /// Returns the response to credentials that are invalid or cannot be checked.
    static func rejected(_ status: Int, _ wwwAuthenticate: String?, _ message: String) -> HTTPReply {
        var headers = HTTPHeaders()
        if let wwwAuthenticate { headers.add(name: "WWW-Authenticate", value: wwwAuthenticate) }
        if status == 503 { headers.add(name: "Retry-After", value: "2") }
        return error(message, status: HTTPResponseStatus(statusCode: status), headers: headers)
    }

    static let notFound = HTTPReply.error("Not found", status: .notFound)

    static func text(_ text: String, type: String = "text/plain; charset=utf-8") -> HTTPReply {
        HTTPReply(status: .ok, headers: ["Content-Type": type], body: ByteBuffer(string: text))
    }
}

extension HTTPReply {
    /// Takes over a whole response of the MCP transport.
    init(_ response: MCPHTTPResponse) {
        guard case .whole(let status, let headers, let body) = response else {
            self = .error("Internal error", status: .internalServerError)
            return
        }
        self.init(
            status: HTTPResponseStatus(statusCode: status), headers: HTTPHeaders(headers), body: ByteBuffer(bytes: body)
        )
    }

    /// The same response for the MCP transport.
    var response: MCPHTTPResponse {
        .whole(
            status: Int(status.code), headers: headers.map { ($0.name, $0.value) },
            body: Array(body.readableBytesView))
    }
}
