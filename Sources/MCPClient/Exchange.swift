import CurlTransport
import MCP
import NIOCore

/// Owner of one exchange; called on the event loop that started it.
protocol ExchangeOwner: AnyObject {
    /// Handles the head of an answer that arrives in pieces; messages may follow.
    func exchangeBegan(_ head: ExchangeAnswer, isEventStream: Bool)
    /// Handles the answer; the last call, unless `exchangeFailed` came.
    func exchangeAnswered(_ answer: ExchangeAnswer)
    /// Handles a notification or a request of the server, before the answer.
    func exchangeReceived(_ message: JSONRPCMessage)
    /// - Parameter resumption: Position from which the broken stream can be resumed.
    func exchangeFailed(_ failure: TransportFailure, resumption: StreamResumption?)
}

extension ExchangeOwner {
    func exchangeBegan(_ head: ExchangeAnswer, isEventStream: Bool) {}
}

/// A position in an event stream.
struct StreamResumption {
    var lastEventID: String
    /// Pause that the server requested; nil when it did not.
    var pause: TimeAmount?
}

/// One HTTP exchange of one JSON-RPC request. Retains its owner until the last call of the owner.
final class Exchange: CurlTransferReceiver {
    private var reader: ExchangeReader
    private var owner: (any ExchangeOwner)?
    private var transfer: CurlTransfer?
    /// True once the answer arrives in pieces: its head has been read.
    private var isStreamed = false
    private var tails: OpenTails?
    /// Start of the exchange. A streamed answer is complete before libcurl reports its timings, so they are measured.
    private var started = NIODeadline.uptimeNanoseconds(0)
    private var firstByte = Duration.zero
    private var connect = Duration.zero

    init(number: Int64, limit: Int, owner: any ExchangeOwner) {
        self.reader = ExchangeReader(id: number, limit: limit)
        self.owner = owner
    }

    /// True while the transfer is in progress.
    var isOpen: Bool { transfer != nil }
    /// Session that the head of the answer names.
    var sessionID: String? { reader.headOnly.sessionID }

    func start(_ request: CurlRequest, by caller: MCPCaller) {
        started = .now()
        tails = caller.tails
        transfer = caller.transport.start(request, on: caller.eventLoop, receiver: self)
    }

    /// Ends the transfer without another call of the owner.
    func abandon() {
        owner = nil
        transfer?.cancel()
        transfer = nil
    }

    /// Releases the owner without another call; the transfer may end by itself.
    func release() {
        owner = nil
        if transfer != nil { tails?.add(self) }
    }

    func transferHead(status: Int, headers: CurlHeaders) {
        isStreamed = true
        firstByte = .nanoseconds((NIODeadline.now() - started).nanoseconds)
        reader.head(status: status, headers: headers)
        owner?.exchangeBegan(reader.headOnly, isEventStream: reader.isEventStream)
    }

    func transferBody(_ bytes: ByteBuffer) {
        if owner == nil { return }
        deliver(reader.chunk(bytes))
    }

    func transferDone(_ result: Result<CurlResponse, CurlError>) {
        transfer = nil
        switch result {
        case .success(let response):
            if isStreamed {
                deliver(reader.finish())
            } else {
                connect = response.timings.connect
                firstByte = response.timings.firstByte
                deliver(reader.whole(response))
            }
            fail(TransportFailure(kind: .garbled, sent: true, detail: "the stream ended without an answer"))
        case .failure(let error):
            fail(TransportFailure(error))
        }
    }

    private func deliver(_ incoming: [ExchangeReader.Incoming]) {
        for item in incoming {
            guard let owner else { return }
            switch item {
            case .message(let message):
                owner.exchangeReceived(message)
            case .answer(var answer):
                answer.connect = connect
                answer.firstByte = firstByte
                self.owner = nil
                // The answer counts as soon as it is there; the stream may continue for a moment.
                if transfer != nil { tails?.add(self) }
                owner.exchangeAnswered(answer)
            }
        }
    }

    private func fail(_ failure: TransportFailure) {
        guard let owner else { return }
        self.owner = nil
        var resumption: StreamResumption?
        if reader.isEventStream, let id = reader.lastEventID {
            resumption = StreamResumption(
                lastEventID: id, pause: reader.retryMilliseconds.map { .milliseconds(Int64($0)) })
        }
        owner.exchangeFailed(failure, resumption: resumption)
    }
}

extension TransportFailure {
    init(_ error: CurlError) {
        let kind: Kind =
            switch error.kind {
            case .couldNotConnect: .refused
            case .closedEarly, .resendRefused, .other: .broken
            case .couldNotResolve, .tlsFailed, .invalidRequest, .cancelled, .shutdown: .impossible
            case .timedOut: .timedOut
            case .tooLarge: .tooLarge
            case .invalidResponse: .garbled
            }
        self.init(kind: kind, sent: error.requestSent, detail: "\(error.kind.rawValue): \(error.message)")
    }
}

/// Receiver that ignores the outcome, for cancellations and `DELETE`.
final class IgnoredExchange: CurlTransferReceiver {
    func transferDone(_ result: Result<CurlResponse, CurlError>) {}
}
