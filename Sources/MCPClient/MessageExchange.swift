import CurlTransport
import MCP
import NIOCore
import ProcessMemory

/// Owner of one exchange; called on the event loop that started it.
protocol MessageOwner: AnyObject {
    /// Handles the head of an answer that arrives in pieces; messages may follow.
    func exchangeBegan(_ head: MessageResponse, isEventStream: Bool)
    /// Handles the answer; the last call, unless `exchangeFailed` came.
    func exchangeAnswered(_ answer: MessageResponse)
    /// Handles a notification or a request of the server, before the answer.
    func exchangeReceived(_ message: JSONRPCMessage)
    /// - Parameter resumption: Position from which the broken stream can be resumed.
    func exchangeFailed(_ failure: TransportError, resumption: StreamResumption?)
}

extension MessageOwner {
    func exchangeBegan(_ head: MessageResponse, isEventStream: Bool) {}
}

/// A position in an event stream.
struct StreamResumption {
    var lastEventID: String
    /// Pause that the server requested; nil when it did not.
    var pause: TimeAmount?
}

/// One HTTP exchange of one JSON-RPC request. Retains its owner until the last call of the owner.
final class MessageExchange: CurlTransferReceiver {
    private var reader: MessageResponseReader
    private var owner: (any MessageOwner)?
    private var transfer: CurlTransfer?
    /// True once the answer arrives in pieces: its head has been read.
    private var isStreamed = false
    private var tails: OpenTails?
    /// Pieces that arrive while a long message of the answer is read beside the event loop.
    private var pieces = HeldPieces()
    private var eventLoop: (any EventLoop)?
    /// Start of the exchange. A streamed answer is complete before libcurl reports its timings, so they are measured.
    private var started = NIODeadline.uptimeNanoseconds(0)
    private var firstByte = Duration.zero
    private var connect = Duration.zero

    /// - Parameters:
    ///   - limit: Largest answer, in bytes.
    ///   - memory: Budget from which an answer draws while it arrives in pieces.
    init(number: Int64, limit: Int, memory: MemoryBudget, owner: any MessageOwner) {
        self.reader = MessageResponseReader(id: number, limit: limit, memory: memory)
        self.owner = owner
    }

    private static let starved = TransportError(
        kind: .overloaded, sent: true, detail: "no room in limits.memory for the answer")

    /// True while the transfer is in progress.
    var isOpen: Bool { transfer != nil }
    /// Session that the head of the answer names.
    var sessionID: String? { reader.headOnly.sessionID }

    func start(_ request: CurlRequest, by caller: MCPCaller) {
        started = .now()
        tails = caller.tails
        eventLoop = caller.eventLoop
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
        if owner == nil || pieces.keep(bytes) { return }
        read(bytes)
    }

    /// Reads a piece of the answer: beside the event loop where it completes a long message.
    private func read(_ piece: ByteBuffer) {
        guard let eventLoop, reader.completesLongMessage(piece) else {
            deliver(reader.chunk(piece))
            return failIfStarved()
        }
        transfer?.pause()
        pieces.beginReading()
        ParsingQueue.answers.run(on: eventLoop, changing: reader.lend()) { reader in
            reader.chunk(piece)
        } then: { [self] reader, incoming in
            self.reader = reader
            pieces.endReading()
            deliver(incoming)
            failIfStarved()
            if owner == nil { pieces.drop() }
            while let piece = pieces.next() { read(piece) }
            if let end = pieces.takeEnd() { return ended(end) }
            if !pieces.isReading { transfer?.resume() }
        }
    }

    private func failIfStarved() {
        guard reader.isStarved, owner != nil else { return }
        transfer?.cancel()
        fail(Self.starved)
    }

    func transferDone(_ result: Result<CurlResponse, CurlError>) {
        transfer = nil
        if !pieces.keep(result) { ended(result) }
    }

    private func ended(_ result: Result<CurlResponse, CurlError>) {
        switch result {
        case .success(let response):
            if isStreamed {
                if let eventLoop, reader.completesLongMessage(nil) {
                    return readBeside(eventLoop) { $0.finish() }
                }
                deliver(reader.finish())
            } else {
                connect = response.timings.connect
                firstByte = response.timings.firstByte
                if response.body.readableBytes >= ParsingQueue.longAnswer, let eventLoop {
                    return readBeside(eventLoop) { $0.whole(response) }
                }
                deliver(reader.whole(response))
            }
            failWithoutAnswer()
        case .failure(let error):
            fail(TransportError(error))
        }
    }

    /// Reads the rest of a long answer beside the event loop.
    private func readBeside(
        _ eventLoop: any EventLoop,
        _ read: @escaping @Sendable (inout MessageResponseReader) -> [MessageResponseReader.Incoming]
    ) {
        ParsingQueue.answers.run(on: eventLoop, changing: reader.lend(), read) { [self] reader, incoming in
            self.reader = reader
            deliver(incoming)
            failWithoutAnswer()
        }
    }

    private func failWithoutAnswer() {
        if reader.isStarved { return fail(Self.starved) }
        fail(TransportError(kind: .garbled, sent: true, detail: "the stream ended without an answer"))
    }

    private func deliver(_ incoming: [MessageResponseReader.Incoming]) {
        for item in incoming {
            guard let owner else { return }
            switch item {
            case .message(let message):
                owner.exchangeReceived(message)
            case .answer(var answer):
                answer.connect = connect
                answer.firstByte = firstByte
                answer.reservation = reader.takeReservation()
                self.owner = nil
                // The answer counts as soon as it is there; the stream may continue for a moment.
                if transfer != nil { tails?.add(self) }
                owner.exchangeAnswered(answer)
            }
        }
    }

    private func fail(_ failure: TransportError) {
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

extension TransportError {
    init(_ error: CurlError) {
        let kind: Kind =
            switch error.kind {
            case .couldNotConnect: .refused
            case .closedEarly, .resendRefused, .other: .broken
            case .couldNotResolve, .tlsFailed, .invalidRequest, .cancelled, .shutdown: .impossible
            case .timedOut: .timedOut
            case .tooLarge: .tooLarge
            case .overloaded: .overloaded
            case .invalidResponse: .garbled
            }
        self.init(kind: kind, sent: error.requestSent, detail: "\(error.kind.words): \(error.message)")
    }
}

/// Receiver that ignores the outcome, for cancellations and `DELETE`.
final class IgnoredResponse: CurlTransferReceiver {
    func transferDone(_ result: Result<CurlResponse, CurlError>) {}
}
