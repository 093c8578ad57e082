import CurlTransport
import MCPClient
import NIOCore

/// A server of the old backend, which takes the clients' payloads as they are.
final class ChatEndpoint: Endpoint {
    private let upstream: Upstream
    private let address: UpstreamAddress
    private let engine: CurlEngine
    private let eventLoop: any EventLoop

    init(_ upstream: Upstream, _ address: UpstreamAddress, engine: CurlEngine, eventLoop: any EventLoop) {
        self.upstream = upstream
        self.address = address
        self.engine = engine
        self.eventLoop = eventLoop
    }

    let retriesRefusals = false

    func send(_ call: UpstreamCall, _ attempt: CallAttempt) -> any RunningCall {
        guard case .payload(let payload) = call else {
            attempt.ended(.refused(GatewayError(.internal, detail: "the old backend takes payloads")))
            return EndedCall()
        }
        // At least a millisecond: zero would mean no limit.
        let left = max(.milliseconds(1), Duration.nanoseconds((payload.deadline - .now()).nanoseconds))
        let request = CurlRequest(
            method: "POST", url: address.url + payload.query, unixSocketPath: address.socketPath,
            headers: payload.headers, body: payload.body, timeout: left,
            connectTimeout: upstream.configuration.connectTimeout, maximumResponseBytes: upstream.responseLimit,
            tls: upstream.tls)
        return engine.start(
            request, on: eventLoop,
            receiver: TransferReceiver { result in
                switch result {
                case .success(let response): attempt.ended(.response(response))
                case .failure(let failure): attempt.ended(.failure(UpstreamFailure(failure)))
                }
            })
    }

    /// Sends a GET, which does nothing; the status of the response does not matter.
    func check(
        _ credentials: ForwardedCredentials, deadline: NIODeadline,
        completion: @escaping (Result<ToolCatalog, UpstreamFailure>) -> Void
    ) {
        let request = CurlRequest(
            method: "GET", url: address.url, unixSocketPath: address.socketPath,
            headers: CurlHeaders(credentials.credentials), timeout: .nanoseconds((deadline - .now()).nanoseconds),
            connectTimeout: upstream.configuration.connectTimeout, maximumResponseBytes: upstream.responseLimit,
            tls: upstream.tls)
        let catalog = upstream.catalog ?? ToolCatalog(tools: [], era: .modern)
        _ = engine.start(
            request, on: eventLoop,
            receiver: TransferReceiver { completion($0.map { _ in catalog }.mapError { UpstreamFailure($0) }) })
    }
}

/// Passes the end of a transfer on.
final class TransferReceiver: CurlTransferReceiver {
    private let completion: (Result<CurlResponse, CurlError>) -> Void

    init(_ completion: @escaping (Result<CurlResponse, CurlError>) -> Void) {
        self.completion = completion
    }

    func transferDone(_ result: Result<CurlResponse, CurlError>) { completion(result) }
}

extension CurlTransfer: RunningCall {}
