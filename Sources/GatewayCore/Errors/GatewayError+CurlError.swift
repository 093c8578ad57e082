import CurlTransport

extension GatewayError {
    /// Creates the error of a passed-through request that the upstream did not answer.
    init(_ failure: CurlError) {
        let label: GatewayErrorLabel =
            switch failure.kind {
            case .couldNotResolve, .couldNotConnect, .tlsFailed, .resendRefused, .closedEarly: .upstreamUnreachable
            case .timedOut: .upstreamTimeout
            case .tooLarge, .invalidResponse: .upstreamInvalid
            case .invalidRequest: .malformedRequest
            case .shutdown: .draining
            case .overloaded: .overloaded
            case .cancelled, .other: .upstreamFailed
            }
        self.init(label, executed: failure.requestSent ? .unknown : .no, detail: failure.description)
    }
}
