package import HTTPSyntax
import NIOCore
package import NIOHTTP1

/// Handler of the requests of one connection, on that connection's event loop, without a task per request.
///
/// Confined to the event loop and therefore not `Sendable`. Every exchange must be answered exactly once, with
/// `respond`, or `startResponse` … `endResponse`, or `abort`, during the call or later.
package protocol HTTPRequestHandler: AnyObject {
    /// Handles a request whose head has arrived; its body has not been requested.
    func handle(_ exchange: HTTPExchange)

    /// Answers a request that could not be read: `headersTooLarge`, `requestTimeout`, `malformed`, or one too many
    /// connections. `exchange.head` contains what is known (method `-` and an empty `uri` otherwise); its body cannot
    /// be read. The connection closes after the response. The default answers `{"error": …}`.
    func reject(_ failure: HTTPError, _ exchange: HTTPExchange)
}

extension HTTPRequestHandler {
    package func reject(_ failure: HTTPError, _ exchange: HTTPExchange) {
        exchange.respond(failure)
    }
}

extension HTTPExchange {
    /// Answers with the failure's status and `{"error": TEXT}`; 503 carries `Retry-After`.
    ///
    /// - Parameter more: Additional header fields.
    package func respond(_ failure: HTTPError, adding more: HTTPHeaders = [:]) {
        // Descriptions are constants and numbers of this program, so that nothing needs escaping.
        var headers = more
        headers.add(name: "Content-Type", value: "application/json")
        if failure.status == .serviceUnavailable { headers.add(name: "Retry-After", value: "1") }
        respond(
            status: failure.status, headers: headers, body: ByteBuffer(string: #"{"error": "\#(failure)"}"#))
    }

    /// Answers a request for another host, or from a page that may not send it.
    package func respond(_ refusal: SiteRule.Refusal, adding more: HTTPHeaders = [:]) {
        var headers = more
        headers.add(name: "Content-Type", value: "application/json")
        headers.add(name: "X-Content-Type-Options", value: "nosniff")
        headers.add(name: "Cache-Control", value: "no-store")
        respond(
            status: HTTPResponseStatus(statusCode: refusal.status), headers: headers,
            body: ByteBuffer(string: #"{"error":"\#(refusal.text)"}"#))
    }
}
