import NIOCore

/// Waits for a connection without calling anything. Shares the handshake with every call of the partition.
final class ConnectDriver {
    private let caller: MCPCaller
    private let credentials: ForwardedCredentials
    private var completion: ((Result<UpstreamConnection, MCPCallFailure>) -> Void)?
    private var expiry: Scheduled<Void>?

    init(
        caller: MCPCaller, credentials: ForwardedCredentials,
        completion: @escaping (Result<UpstreamConnection, MCPCallFailure>) -> Void
    ) {
        self.caller = caller
        self.credentials = credentials
        self.completion = completion
    }

    func start(deadline: NIODeadline) {
        expiry = caller.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
            self.finish(.failure(MCPCallFailure(kind: .timeout, executed: .no, detail: "no connection in time")))
        }
        let driver = NIOLoopBound(self, eventLoop: caller.eventLoop)
        let acquisition = caller.acquire(credentials) {
            PoolWaiter(eventLoop: caller.eventLoop) { driver.value.woken($0) }
        }
        switch acquisition {
        case .ready(let connection): connected(connection)
        case .handshake(let order): caller.run(order)
        case .wait: break
        }
    }

    private func woken(_ wake: PoolWake) {
        switch wake {
        case .ready(let connection): connected(connection)
        case .handshake(let order): caller.run(order)
        case .failed(let failure): finish(.failure(failure.failure))
        }
    }

    private func connected(_ connection: UpstreamConnection) {
        caller.upstream.release(credentials.partition, connection, now: .now())
        finish(.success(connection))
    }

    private func finish(_ result: Result<UpstreamConnection, MCPCallFailure>) {
        expiry?.cancel()
        expiry = nil
        let completion = self.completion
        self.completion = nil
        completion?(result)
    }
}
