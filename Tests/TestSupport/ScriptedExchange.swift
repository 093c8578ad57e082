package import NIOCore
package import NIOHTTP1

/// What a `ScriptedHTTPServer` has seen so far.
package struct ScriptedServerRecord: Sendable {
    package var requests: [ScriptedRequest] = []
    /// Connections since the start / open now.
    package var acceptedConnections = 0
    package var openConnections = 0
    /// Requests that the parser refused (their connection was closed).
    package var malformedRequests = 0
    /// Bytes of request bodies read, also of those not yet whole.
    package var bodyBytesReceived = 0
    /// Bytes of responses that the kernel took.
    package var bytesSent = 0
    /// Responses that ended early because the client closed the connection.
    package var abandonedResponses = 0
}

/// `waitUntil` gave up.
package struct ScriptedServerTimeout: Error {
    package let log: ScriptedServerRecord
}

/// A request as the server saw it.
package struct ScriptedRequest: Sendable {
    package let method: String
    /// Request target as sent, query included.
    package let path: String
    package let headers: HTTPHeaders
    package var body: ByteBuffer
    /// Number of the connection, counted from 0 since the server was made.
    package let connectionID: Int
    /// Number of the request, counted from 0 over all connections.
    package var index: Int

    /// The body as text.
    package var text: String { String(buffer: body) }
    /// Value of the first header with that name, for tests that do not import NIOHTTP1.
    package func header(_ name: String) -> String? { headers.first(name: name) }
    /// Header lines as they came, `Name: value`.
    package var headerLines: [String] { headers.map { "\($0.name): \($0.value)" } }
}

/// What the server does about one request.
package enum ScriptedResponse: Sendable {
    /// A response with Content-Length.
    case whole(status: Int, headers: [(String, String)], body: ByteBuffer)
    /// A chunked response, each piece sent after its delay; the connection stays usable.
    case stream(status: Int, headers: [(String, String)], pieces: [(after: Duration, bytes: String)])
    /// A chunked response produced by a closure; the body ends when it returns, the connection breaks when it throws.
    case produce(
        status: Int, headers: [(String, String)], body: @Sendable (ScriptedBodyWriter) async throws -> Void)
    /// These bytes exactly, head included; the connection stays open (or is closed after them).
    case raw(String, close: Bool)
    /// The same with bytes that need not be text.
    case rawBytes([UInt8], close: Bool)
    /// Waits, then does the other.
    indirect case delayed(Duration, then: ScriptedResponse)
    /// Closes (or resets: RST instead of FIN) without a byte.
    case closeBeforeResponse
    case resetBeforeResponse
    /// Announces `contentLength` bytes, sends `body`, closes.
    case closeMidBody(status: Int, headers: [(String, String)], contentLength: Int, body: String)
    /// Never answers; the connection stays open until the client or `stop()` closes it.
    case hang

    /// A JSON response.
    package static func json(
        _ body: String, status: Int = 200, headers: [(String, String)] = []
    ) -> ScriptedResponse {
        .whole(
            status: status, headers: [("Content-Type", "application/json")] + headers, body: ByteBuffer(string: body))
    }

    /// A plain text response.
    package static func text(
        _ body: String, status: Int = 200, headers: [(String, String)] = []
    ) -> ScriptedResponse {
        .whole(status: status, headers: [("Content-Type", "text/plain")] + headers, body: ByteBuffer(string: body))
    }

    /// A response without a body (202, 204, 404 …).
    package static func empty(_ status: Int, headers: [(String, String)] = []) -> ScriptedResponse {
        .whole(status: status, headers: headers, body: ByteBuffer())
    }

    /// A `text/event-stream` response made of these pieces (each must hold whole lines as the test wants them).
    package static func events(
        _ pieces: [(after: Duration, bytes: String)], headers: [(String, String)] = []
    ) -> ScriptedResponse {
        .stream(status: 200, headers: [("Content-Type", "text/event-stream")] + headers, pieces: pieces)
    }

    /// A body of which only a part arrives.
    package static func closeMidBody(_ body: String = "{\"half\":") -> ScriptedResponse {
        .closeMidBody(
            status: 200, headers: [("Content-Type", "application/json")], contentLength: body.utf8.count + 100,
            body: body)
    }
}
