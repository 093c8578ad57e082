import AuthorizationClient
import HTTPSyntax
import MCPClient
import NIOHTTP1

extension RequestHeaders {
    /// Returns the parts of a caller's request that are sent to an upstream.
    ///
    /// - Parameter headers: The headers of the caller's request.
    func credentials(
        for upstream: Upstream, _ headers: HTTPHeaders, _ partitions: inout PartitionCache
    ) -> ForwardedCredentials {
        guard let rules = upstream.rules else { return credentials(&partitions) }
        // The caller chooses the request identifier, so it is not sent to servers that are not trusted.
        return RequestHeaders(headers, rules, forwardsRequestID: upstream.configuration.isTrusted)
            .credentials(&partitions, subject: upstream.exchangesTokens ? Self.bearer(headers) : nil)
    }

    /// Returns the caller's bearer token (RFC 6750, section 2.1).
    private static func bearer(_ headers: HTTPHeaders) -> String? {
        let values = headers["Authorization"]
        guard values.count == 1, let field = AuthorizationField(values[0]), field.isBearer,
            TokenRequest.isToken(field.credentials)
        else { return nil }
        return field.credentials
    }
}

extension GatewayRequest: Caller {
    /// Returns the parts of this request that are sent to an upstream.
    func credentials(for upstream: Upstream) -> ForwardedCredentials {
        facts.credentials(for: upstream, exchange.head.headers, &worker.partitions)
    }

    /// Returns the `traceparent` of a call: its own span, or while tracing is off the client's, where that is forwarded
    /// to the upstream.
    func traceparent(for upstream: Upstream) -> String? {
        if let span = self.upstream?.span { return span.traceparent }
        return upstream.rules?.forwardsTraceparent == false ? nil : facts.traceparent
    }
}

/// Caller of a request that is over, for a call that follows it.
final class PastCaller: Caller {
    private let facts: RequestHeaders
    private let headers: HTTPHeaders
    private let worker: Worker

    init(_ exchange: GatewayRequest) {
        facts = exchange.facts
        headers = exchange.exchange.head.headers
        worker = exchange.worker
    }

    func credentials(for upstream: Upstream) -> ForwardedCredentials {
        facts.credentials(for: upstream, headers, &worker.partitions)
    }
}
