import NIOCore

/// The life of one HTTP/1 connection, without bytes, channels or clocks: events come in with the time at which they
/// happened, actions come out. `HTTPConnectionHandler` carries them out.
///
/// ```
/// idle ─first byte─▶ head ─whole─▶ exchange ─response ended, body read─▶ idle
///                     │ refused ─────▲  ├─ no keep-alive ─▶ closing ─flushed─▶ closed
///                                       └─ body unread ─▶ lingering ─EOF or deadline─▶ closed
/// ```
/// Requests are handled one at a time, so pipelined ones are answered in order; what follows stays unparsed.
struct HTTPConnectionStateMachine {
    struct Timeouts {
        var header: TimeAmount
        var body: HTTPBodyDeadline.Limits
        var idle: TimeAmount
        var write: TimeAmount
        /// Bytes per second that a reader must take while output waits for it.
        var writeRate = 0
        var linger: TimeAmount
        /// A connection accepted just before a drain may already have sent a request that was not read yet.
        var drainNewConnection = TimeAmount.milliseconds(250)
        var drainIdle: TimeAmount
    }

    enum Phase: Equatable {
        /// Between requests.
        case idle
        /// Some of a head has arrived.
        case head
        /// A request is being answered.
        case exchange
        /// The last response is being flushed.
        case closing
        /// Our side is shut; what the client still sends is thrown away, so that it can read the response.
        case lingering
        case closed
    }

    enum Response: Equatable {
        case pending
        case started
        case ended
    }

    enum Action: Equatable {
        case none
        /// Close now.
        case close
        /// Close when everything written has been flushed.
        case closeAfterFlush
        /// When everything has been flushed, shut the output and discard input until EOF or the deadline.
        case lingerAfterFlush
        /// Look for the next request in the buffer.
        case next
        /// Answer a request that never became whole.
        case reject(HTTPFailure)
        /// Tell whoever reads the body.
        case failBody(HTTPFailure)
        /// The exchange has lost its client: report it, then close.
        case disconnect
        /// The input is at its end while a response is due: find out whether anybody is there.
        case probe
        /// The input is at its end: read what is buffered, which may complete the body.
        case readRest
    }

    let timeouts: Timeouts
    private let openedAt: NIODeadline

    private(set) var phase = Phase.idle
    private(set) var response = Response.ended
    private(set) var isBodyComplete = true
    private(set) var keepAlive = false
    private(set) var isDraining: Bool
    private(set) var isInputClosed = false
    private(set) var requestStart: NIODeadline
    private var hasServed = false
    private var bodyDeadline = HTTPBodyDeadline()

    /// When the peer must have sent something; `.distantFuture` when nothing is expected of it.
    private(set) var readDeadline: NIODeadline
    /// When the peer must have taken something.
    private(set) var writeDeadline = NIODeadline.distantFuture

    init(timeouts: Timeouts, isDraining: Bool, now: NIODeadline) {
        self.timeouts = timeouts
        self.isDraining = isDraining
        openedAt = now
        requestStart = now
        readDeadline = now + (isDraining ? timeouts.drainNewConnection : timeouts.idle)
    }

    // MARK: Request

    /// There are bytes to look at. False: throw them away.
    mutating func bytesArrived(now: NIODeadline) -> Bool {
        switch phase {
        case .idle:
            phase = .head
            requestStart = now
            readDeadline = now + timeouts.header
            return true
        case .head, .exchange: return true
        case .closing, .lingering, .closed: return false
        }
    }

    mutating func headParsed(keepAlive: Bool, hasBody: Bool) {
        precondition(phase == .head)
        phase = .exchange
        response = .pending
        isBodyComplete = !hasBody
        self.keepAlive = keepAlive && !isDraining
        readDeadline = .distantFuture
        hasServed = true
        if hasBody { bodyDeadline = HTTPBodyDeadline() }
    }

    /// What arrived is no acceptable head; what follows it cannot be understood.
    mutating func headRefused() {
        phase = .exchange
        response = .pending
        isBodyComplete = false
        keepAlive = false
        readDeadline = .distantFuture
        hasServed = true
    }

    /// Notes that a handler waits for more of the body than has arrived.
    ///
    /// - Parameter received: Bytes that have arrived since the request began.
    mutating func bodyAwaited(now: NIODeadline, received: Int) -> Action {
        guard phase == .exchange else { return .none }
        if isInputClosed { return .disconnect }
        readDeadline = bodyDeadline.wait(received: received, now: now, timeouts.body)
        return .none
    }

    /// Notes that no handler waits for the body at the moment, so that the client cannot be late.
    mutating func bodyPaused(now: NIODeadline) {
        guard phase == .exchange else { return }
        bodyDeadline.pause(now: now)
        readDeadline = .distantFuture
    }

    mutating func bodyCompleted() {
        isBodyComplete = true
        readDeadline = .distantFuture
    }

    /// The body's framing is broken or it was given up: no further request can be found behind it.
    mutating func bodyFailed() {
        keepAlive = false
        readDeadline = .distantFuture
    }

    // MARK: Response

    /// Returns whether the connection persists after this response, which its head announces.
    mutating func responseStarted(asksToClose: Bool) -> Bool {
        response = .started
        if asksToClose || isDraining || !isBodyComplete { keepAlive = false }
        return keepAlive
    }

    /// The response has been handed over (`next`), or all of it has been written.
    mutating func responseEnded(now: NIODeadline) -> Action {
        guard phase == .exchange else { return .none }
        response = .ended
        if keepAlive, isBodyComplete {
            phase = .idle
            readDeadline = now + (isDraining ? timeouts.drainIdle : timeouts.idle)
            return .next
        }
        let action = closeAfterFlush(now: now)
        return isBodyComplete || isInputClosed ? action : .lingerAfterFlush
    }

    /// The response's last byte is out and the output has been shut.
    mutating func lingering(now: NIODeadline) {
        guard phase == .closing else { return }
        phase = .lingering
        writeDeadline = .distantFuture
        readDeadline = now + timeouts.linger
    }

    /// No further whole request was found in the buffer.
    mutating func bufferExhausted(now: @autoclosure () -> NIODeadline) -> Action {
        guard phase == .idle || phase == .head else { return .none }
        if isInputClosed || (phase == .idle && isDraining && timeouts.drainIdle <= .zero && hasServed) {
            return closeAfterFlush(now: now())
        }
        return .none
    }

    // MARK: Channel

    mutating func inputClosed(now: NIODeadline) -> Action {
        isInputClosed = true
        switch phase {
        case .idle, .head: return closeAfterFlush(now: now)
        case .lingering: return close()
        case .exchange: return isBodyComplete ? (response == .ended ? .none : .probe) : .readRest
        case .closing, .closed: return .none
        }
    }

    /// The channel is gone, or the handler gave its response up.
    mutating func channelClosed() {
        _ = close()
    }

    mutating func writabilityChanged(isWritable: Bool, now: NIODeadline) {
        if phase == .closing { return }
        writeDeadline = isWritable ? .distantFuture : now + timeouts.write
    }

    /// The server is stopping.
    mutating func drain(now: NIODeadline) -> Action {
        isDraining = true
        switch phase {
        case .idle:
            let grace = hasServed ? now + timeouts.drainIdle : openedAt + timeouts.drainNewConnection
            guard grace > now else { return closeAfterFlush(now: now) }
            readDeadline = min(readDeadline, grace)
            return .none
        case .exchange:
            if response == .pending { keepAlive = false }
            return .none
        case .head, .closing, .lingering, .closed: return .none
        }
    }

    mutating func readDeadlinePassed() -> Action {
        readDeadline = .distantFuture
        switch phase {
        case .idle, .lingering: return close()
        case .head:
            headRefused()
            return .reject(.requestTimeout)
        case .exchange:
            bodyFailed()
            return .failBody(.requestTimeout)
        case .closing, .closed: return .none
        }
    }

    /// - Parameter taken: Bytes that the peer took since the deadline was set.
    mutating func writeDeadlinePassed(now: NIODeadline, taken: Int) -> Action {
        if taken > 0, Int64(taken) >= leastTaken {
            writeDeadline = now + timeouts.write
            return .none
        }
        writeDeadline = .distantFuture
        switch phase {
        case .exchange: return .disconnect
        case .closed: return .none
        default: return close()
        }
    }

    /// Bytes that a reader at the minimum rate takes between two write deadlines.
    private var leastTaken: Int64 {
        let (bytes, overflows) = (timeouts.write.nanoseconds / 1_000_000).multipliedReportingOverflow(
            by: Int64(timeouts.writeRate))
        return overflows ? .max : bytes / 1000
    }

    /// What a slow reader has not taken yet of the last response must not be lost.
    private mutating func closeAfterFlush(now: NIODeadline) -> Action {
        phase = .closing
        readDeadline = .distantFuture
        writeDeadline = min(writeDeadline, now + timeouts.write)
        return .closeAfterFlush
    }

    private mutating func close() -> Action {
        phase = .closed
        readDeadline = .distantFuture
        writeDeadline = .distantFuture
        return .close
    }
}
