import NIOCore

/// Driver that waits for a connection without sending a request. It shares the handshake with every call of the
/// partition.
final class ConnectDriver {
    private let caller: MCPCaller
    private let credentials: ForwardedCredentials
    private var completion: ((Result<UpstreamConnection, MCPCallError>) -> Void)?
    private var expiry: Scheduled<Void>?

    init(
        caller: MCPCaller, credentials: ForwardedCredentials,
        completion: @escaping (Result<UpstreamConnection, MCPCallError>) -> Void
    ) {
        self.caller = caller
        self.credentials = credentials
        self.completion = completion
    }

    func start(deadline: NIODeadline) {
        expiry = caller.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
            self.finish(.failure(MCPCallError(kind: .timeout, executed: .no, detail: "no connection in time")))
        }
        caller.connect(credentials) { [self] result in
            if case .success(let connection) = result {
                caller.upstream.release(credentials.partition, connection, now: .now())
            }
            finish(result)
        }
    }

    private func finish(_ result: Result<UpstreamConnection, MCPCallError>) {
        expiry?.cancel()
        expiry = nil
        let completion = self.completion
        self.completion = nil
        completion?(result)
    }
}
