import NIOCore

/// State machine of one HTTP/1 connection, without bytes, channels or clocks: takes events with their times, returns
/// actions. `HTTPConnectionHandler` carries them out.
///
/// ```
/// idle ─first byte─▶ head ─whole─▶ exchange ─response ended, body read─▶ idle
///                     │ refused ─────▲  ├─ no keep-alive ─▶ closing ─flushed─▶ closed
///                                       └─ body unread ─▶ lingering ─EOF or deadline─▶ closed
/// ```
/// Requests are handled one at a time, so pipelined ones are answered in order; the bytes after the current request
/// stay unparsed.
struct HTTPConnectionStateMachine {
    struct Timeouts {
        var header: TimeAmount
        var body: HTTPBodyDeadline.Limits
        var idle: TimeAmount
        var write: TimeAmount
        /// Smallest rate, in bytes per second, at which a reader must take output that waits for it.
        var writeRate = 0
        var linger: TimeAmount
        /// Time for a connection accepted just before a drain, which may already have sent a request that was not read
        /// yet.
        var drainNewConnection = TimeAmount.milliseconds(250)
        var drainIdle: TimeAmount
    }

    enum Phase: Equatable {
        /// Between requests.
        case idle
        /// Part of a head has arrived.
        case head
        /// A request is being answered.
        case exchange
        /// The last response is being flushed.
        case closing
        /// The output is shut; further input is discarded, so that the client can read the response.
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
        /// After everything has been flushed, shut the output and discard input until EOF or the deadline.
        case lingerAfterFlush
        /// Look for the next request in the buffer.
        case next
        /// Answer a request that did not arrive completely.
        case reject(HTTPError)
        /// Report the failure to the reader of the body.
        case failBody(HTTPError)
        /// The exchange has lost its client: report it, then close.
        case disconnect
        /// The input has ended while a response is due: check whether the client is still there.
        case probe
        /// The input has ended: read the buffered bytes, which may complete the body.
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

    /// Time by which the peer must have sent something; `.distantFuture` when nothing is expected of it.
    private(set) var readDeadline: NIODeadline
    /// Time by which the peer must have taken something.
    private(set) var writeDeadline = NIODeadline.distantFuture

    init(timeouts: Timeouts, isDraining: Bool, now: NIODeadline) {
        self.timeouts = timeouts
        self.isDraining = isDraining
        openedAt = now
        requestStart = now
        readDeadline = now + (isDraining ? timeouts.drainNewConnection : timeouts.idle)
    }

    // MARK: Request

    /// Handles the arrival of bytes. Returns false when they are to be discarded.
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

    /// Handles an invalid head; the bytes after it cannot be parsed.
    mutating func headRefused() {
        phase = .exchange
        response = .pending
        isBodyComplete = false
        keepAlive = false
        readDeadline = .distantFuture
        hasServed = true
    }

    /// Records that a handler waits for more of the body than has arrived.
    ///
    /// - Parameter received: Number of bytes that have arrived since the request began.
    mutating func bodyAwaited(now: NIODeadline, received: Int) -> Action {
        guard phase == .exchange else { return .none }
        if isInputClosed { return .disconnect }
        readDeadline = bodyDeadline.wait(received: received, now: now, timeouts.body)
        return .none
    }

    /// Records that no handler waits for the body at the moment, so that the client cannot be late.
    mutating func bodyPaused(now: NIODeadline) {
        guard phase == .exchange else { return }
        bodyDeadline.pause(now: now)
        readDeadline = .distantFuture
    }

    mutating func bodyCompleted() {
        isBodyComplete = true
        readDeadline = .distantFuture
    }

    /// Handles a body whose framing is broken or that was abandoned: the next request cannot be found after it.
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

    /// Handles the end of the response: it has been handed over (`next`), or all of it has been written.
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

    /// Begins lingering: the response's last byte has been sent and the output shut.
    mutating func lingering(now: NIODeadline) {
        guard phase == .closing else { return }
        phase = .lingering
        writeDeadline = .distantFuture
        readDeadline = now + timeouts.linger
    }

    /// Handles a buffer without another complete request.
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

    /// Handles the end of the channel, or a response that its handler aborted.
    mutating func channelClosed() {
        _ = close()
    }

    mutating func writabilityChanged(isWritable: Bool, now: NIODeadline) {
        if phase == .closing { return }
        writeDeadline = isWritable ? .distantFuture : now + timeouts.write
    }

    /// Begins draining: the server is stopping.
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

    /// - Parameter taken: Number of bytes that the peer took since the deadline was set.
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

    /// Number of bytes that a reader at the minimum rate takes between two write deadlines.
    private var leastTaken: Int64 {
        let (bytes, overflows) = (timeouts.write.nanoseconds / 1_000_000).multipliedReportingOverflow(
            by: Int64(timeouts.writeRate))
        return overflows ? .max : bytes / 1000
    }

    /// Closes the connection after flushing: a slow reader must not lose the rest of the last response.
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
