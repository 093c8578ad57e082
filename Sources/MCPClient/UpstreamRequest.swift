import CurlTransport
import MCP
import NIOCore

/// HTTP requests to an upstream, created only here.
extension MCPUpstream {
    /// Returns a `POST` of one message. The answer arrives in pieces where its head declares an event stream.
    func post(
        _ body: ByteBuffer, url: String, headers: CurlHeaders, timeout: Duration,
        mode: CurlRequest.Mode = .byContent, mayResend: Bool = false
    ) -> CurlRequest {
        var request = CurlRequest(
            method: "POST", url: url, unixSocketPath: configuration.unixSocketPath, headers: headers, body: body,
            timeout: timeout, connectTimeout: min(configuration.connectTimeout, timeout),
            maximumResponseBytes: configuration.maximumResponseBytes, mode: mode, mayResend: mayResend,
            tls: configuration.tls, proxy: configuration.proxy)
        request.decodesContent = true
        configuration.signing?(&request)
        return request
    }

    /// Returns a `GET` of an event stream (legacy): one that broke after `lastEventID`, or the server's own.
    func eventStream(
        over connection: UpstreamConnection, after lastEventID: String?, credentials: ForwardedCredentials,
        timeout: Duration
    ) -> CurlRequest {
        var headers = connection.headers
        headers.remove(name: "Content-Type")
        headers.set(name: "Accept", value: "text/event-stream")
        if let lastEventID { headers.append(name: MCPHeader.lastEventID, value: lastEventID) }
        for header in credentials.credentials { headers.append(header) }
        var request = CurlRequest(
            method: "GET", url: connection.url, unixSocketPath: configuration.unixSocketPath, headers: headers,
            timeout: timeout, connectTimeout: min(configuration.connectTimeout, timeout),
            maximumResponseBytes: configuration.maximumResponseBytes, mode: .streaming, mayResend: true,
            tls: configuration.tls, proxy: configuration.proxy)
        request.decodesContent = true
        configuration.signing?(&request)
        return request
    }

    func deletion(of session: EvictedSession) -> CurlRequest {
        var headers = session.connection.headers
        headers.remove(name: "Content-Type")
        for header in session.credentials { headers.append(header) }
        var request = CurlRequest(
            method: "DELETE", url: session.connection.url, unixSocketPath: configuration.unixSocketPath,
            headers: headers, timeout: .seconds(5), connectTimeout: configuration.connectTimeout,
            maximumResponseBytes: 1 << 20, mayResend: true, tls: configuration.tls, proxy: configuration.proxy)
        configuration.signing?(&request)
        return request
    }
}

extension NIODeadline {
    /// Returns the time until the deadline; at least a millisecond, since libcurl takes zero for "no limit".
    func remaining(from now: NIODeadline) -> Duration {
        max(.nanoseconds((self - now).nanoseconds), .milliseconds(1))
    }
}
