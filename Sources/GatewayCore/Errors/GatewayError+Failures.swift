import HTTPServer
import MCPClient

extension GatewayError {
    /// Creates the error of a request that could not be read.
    init(_ failure: HTTPError) {
        let label: GatewayErrorLabel =
            switch failure {
            case .headersTooLarge: .headersTooLarge
            case .requestTimeout: .requestTimeout
            case .malformed, .disconnected: .malformedRequest
            case .bodyTooLarge: .bodyTooLarge
            case .tooManyConnections, .overloaded: .overloaded
            }
        self.init(
            label, detail: failure == .overloaded ? "no room in limits.memory for the body" : failure.description)
    }

    /// Creates the error of a call without a result.
    init(_ failure: MCPCallError) {
        let label: GatewayErrorLabel =
            switch failure.kind {
            case .unauthorized: .unauthorized
            case .forbidden: .forbidden
            case .rateLimited: .upstreamRateLimited
            case .rejected: .upstreamRejected
            case .failed: .upstreamFailed
            case .invalid: .upstreamInvalid
            case .unreachable: .upstreamUnreachable
            case .timeout: .upstreamTimeout
            case .overloaded: .overloaded
            case .cancelled: .internal
            }
        let executed: Executed =
            switch failure.executed {
            case .no: .no
            case .yes: .yes
            case .unknown: .unknown
            }
        self.init(label, executed: executed, retryAfter: failure.retryAfter, detail: failure.detail)
        challenges = failure.wwwAuthenticate
        setCookies = failure.setCookies
    }
}
