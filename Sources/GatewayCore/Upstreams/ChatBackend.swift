import CurlTransport
import NIOCore

/// An upstream of kind `chat`: the old backend, which takes the clients' payloads as they are.
package struct ChatBackend: Sendable {
    package let configuration: UpstreamConfiguration
    let responseLimit: Int
    let tls: CurlTLS?
    /// In the order of the configuration's addresses, at least one.
    let servers: [ChatBackendServer]
    let load = UpstreamLoad()

    package var name: String { configuration.name }

    init(_ configuration: UpstreamConfiguration, responseLimit: Int) {
        self.configuration = configuration
        self.responseLimit = responseLimit
        tls = configuration.tls.map(CurlTLS.init)
        servers = configuration.addresses.map { ChatBackendServer($0) }
    }

    /// Whether both are the same one, not only alike: a reload keeps what has not changed.
    func isSame(as other: ChatBackend) -> Bool { servers[0] === other.servers[0] }

    /// A request that finds out whether a server answers: the answer's status does not matter, and a GET does nothing.
    func check(_ server: Int) -> CurlRequest {
        CurlRequest(
            method: "GET", url: servers[server].address.url, unixSocketPath: servers[server].address.socketPath,
            timeout: .seconds(5), connectTimeout: configuration.connectTimeout, maximumResponseBytes: responseLimit,
            tls: tls)
    }
}

extension ChatBackend: GateUpstream {
    func health(of server: Int) -> UpstreamGateState.Health { servers[server].health.current }
    func breakers(of server: Int) -> BreakerBoard { servers[server].breakers }
}

/// One of the servers of the old backend, shared by all shards.
final class ChatBackendServer: Sendable {
    let address: UpstreamAddress
    let health = ServerHealth()
    /// What the shards' breakers do.
    let breakers = BreakerBoard()

    init(_ address: UpstreamAddress) {
        self.address = address
    }
}

/// A payload on its way to the old backend.
struct ChatBackendRequest: GateRequest {
    /// `?` and what follows, or nothing.
    var query: String
    var headers: CurlHeaders
    var body: ByteBuffer
    var deadline: NIODeadline
}

/// Sends payloads to one server of the old backend.
final class ChatBackendCaller: GateCaller {
    typealias Upstream = ChatBackend
    typealias Answer = Result<CurlResponse, CurlError>

    private let backend: ChatBackend
    private let server: ChatBackendServer
    private let engine: CurlEngine
    private let eventLoop: any EventLoop

    init(_ backend: ChatBackend, _ server: ChatBackendServer, engine: CurlEngine, eventLoop: any EventLoop) {
        self.backend = backend
        self.server = server
        self.engine = engine
        self.eventLoop = eventLoop
    }

    func send(_ call: ChatBackendRequest, completion: @escaping (Answer) -> Void) -> CurlTransfer {
        // At least a millisecond: zero would mean no limit.
        let left = max(.milliseconds(1), Duration.nanoseconds((call.deadline - .now()).nanoseconds))
        let request = CurlRequest(
            method: "POST", url: server.address.url + call.query, unixSocketPath: server.address.socketPath,
            headers: call.headers, body: call.body, timeout: left,
            connectTimeout: backend.configuration.connectTimeout, maximumResponseBytes: backend.responseLimit,
            tls: backend.tls)
        return engine.start(request, on: eventLoop, receiver: Receiver(completion))
    }

    private final class Receiver: CurlTransferReceiver {
        private let completion: (Answer) -> Void

        init(_ completion: @escaping (Answer) -> Void) {
            self.completion = completion
        }

        func transferDone(_ result: Answer) { completion(result) }
    }

    static func verdict(_ answer: Answer) -> CircuitBreaker.Verdict {
        switch answer {
        case .success: .reached
        case .failure(let error):
            switch error.kind {
            case .couldNotResolve, .couldNotConnect, .tlsFailed, .closedEarly, .resendRefused: .unreachable
            case .timedOut: error.requestSent ? .unknown : .unreachable
            case .tooLarge, .invalidResponse: .reached
            case .cancelled, .invalidRequest, .shutdown, .other: .unknown
            }
        }
    }

    static let retriesRefusals = false

    static func elsewhere(_ call: ChatBackendRequest, after answer: Answer) -> ChatBackendRequest? {
        guard case .failure(let error) = answer, !error.requestSent else { return nil }
        return [.couldNotResolve, .couldNotConnect, .tlsFailed, .closedEarly].contains(error.kind) ? call : nil
    }

    /// Its answers have no place for that.
    static func note(queued: Duration, in answer: inout Answer) {}

    static func settled(_ answer: Answer, of call: ChatBackendRequest) -> Answer { answer }

    static var cancelled: Answer {
        .failure(CurlError(kind: .cancelled, message: "cancelled by the caller", requestSent: false))
    }
}

extension CurlTransfer: GateRunning {}
