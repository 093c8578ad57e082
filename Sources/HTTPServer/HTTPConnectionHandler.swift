import NIOCore
import NIOHTTP1
import ProcessMemory

/// Handler that carries out the actions of `HTTPConnectionStateMachine` on one channel: bytes in, bytes out, one
/// exchange at a time.
///
/// It is the only handler of its pipeline. Reading continues while a response is due, so that a client that leaves is
/// noticed; pipelined bytes are buffered up to `bufferLimit`, then reading stops.
final class HTTPConnectionHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Reader of the current exchange's body.
    enum BodySink {
        case none
        case collect((Result<ByteBuffer, HTTPError>) -> Void)
        case stream((ByteBuffer, @escaping () -> Void) -> Void, (Result<HTTPHeaders?, HTTPError>) -> Void)
    }

    /// Delay before a half-closed connection is checked: a client that half-closes right after its request usually has
    /// its response by then.
    private static let probeDelay = TimeAmount.milliseconds(20)
    /// Largest number of pipelined requests that are begun in one turn of the event loop; then it is the turn of other
    /// connections.
    static let requestsPerTurn = 16

    let connections: HTTPLoopConnections
    private let isOverflow: Bool
    private let bufferLimit: Int
    private var handler: (any HTTPRequestHandler)?
    var context: ChannelHandlerContext?
    /// Address of the peer, read once: the channel asks the kernel each time.
    private let remoteAddress: SocketAddress?
    /// Index of this connection in `connections`.
    var index = -1

    var machine: HTTPConnectionStateMachine
    var parser: HTTPRequestParser
    var inbound = ByteBuffer()
    var exchange: HTTPExchange?

    // Request body; see HTTPConnectionHandler+RequestBody.swift.
    var sink = BodySink.none
    var collected: ByteBuffer?
    var collectLimit = 0
    var isChunkOutstanding = false
    var consumed: (() -> Void)?
    /// Number of bytes read since the request began.
    var bytesReceived = 0

    // Response; see HTTPConnectionHandler+Response.swift.
    var outbound = ByteBuffer()
    var outboundIsHandedOver = true
    var isChannelWritable = true
    /// True if the response is complete, but too much of it waits for a slow reader to finish the exchange.
    var isAwaitingFlush = false
    var bytesHandedOver = 0
    /// Memory that output has drawn which the channel holds for a slow reader.
    private var outputReservation: MemoryReservation?
    var isInRead = false
    var needsFlush = false
    private var isFlushing = false
    private var becameWritableWhileFlushing = false
    private var bytesTakenAtStall = 0
    var probes = 0

    private var isProcessing = false
    /// Number of requests begun in this turn.
    private var requestsInTurn = 0
    /// True while further requests in the buffer wait for the next turn.
    private var isYielding = false
    /// True if the input ended meanwhile.
    private var hasInputEnded = false
    private var isReadSuppressed = false

    init(
        connections: HTTPLoopConnections, handler: any HTTPRequestHandler, remoteAddress: SocketAddress?,
        isOverflow: Bool,
        now: NIODeadline
    ) {
        self.connections = connections
        self.handler = handler
        self.remoteAddress = remoteAddress
        self.isOverflow = isOverflow
        let configuration = connections.configuration
        bufferLimit = configuration.maximumHeaderBytes + 32 * 1024
        machine = HTTPConnectionStateMachine(
            timeouts: connections.timeouts, isDraining: connections.isDraining, now: now)
        parser = HTTPRequestParser(
            maximumHeaderBytes: configuration.maximumHeaderBytes,
            maximumHeaderCount: configuration.maximumHeaderCount)
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        connections.add(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        connectionLost()
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        guard isOverflow else { return }
        refuse(.tooManyConnections)
    }

    func channelInactive(context: ChannelHandlerContext) {
        connectionLost()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        let count = bytes.readableBytes
        isInRead = true
        switch machine.phase {
        case .closing, .lingering, .closed: return
        case .idle, .head, .exchange: break
        }
        if inbound.readableBytes == 0 { inbound = bytes } else { inbound.writeBuffer(&bytes) }
        bytesReceived += count
        process()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        endOfRead()
    }

    func read(context: ChannelHandlerContext) {
        if mayRead { context.read() } else { isReadSuppressed = true }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .some(.inputClosed) = event as? ChannelEvent else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        // NIO reports the end of input without a channelReadComplete when it reached it in the same turn.
        endOfRead()
        // The requests in the buffer are still answered.
        if isYielding { hasInputEnded = true } else { perform(machine.inputClosed(now: .now())) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Resets and other socket errors; channelInactive notifies the exchange.
        context.close(promise: nil)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isChannelWritable = context.channel.isWritable
        machine.writabilityChanged(isWritable: isChannelWritable, now: .now())
        guard isChannelWritable else {
            bytesTakenAtStall = bytesTaken
            return
        }
        outputReservation = nil
        if isFlushing { becameWritableWhileFlushing = true } else { becameWritable() }
    }

    private func endOfRead() {
        isInRead = false
        if needsFlush { flushNow() }
    }

    private func connectionLost() {
        guard index >= 0 else { return }
        connections.remove(self)
        machine.channelClosed()
        loseExchange()
        handler = nil
        inbound = ByteBuffer()
        outbound = ByteBuffer()
        outputReservation = nil
    }

    // MARK: Requests

    /// Takes requests and body parts out of the buffer as far as they are wanted. Not reentrant: the loop that called a
    /// handler sees what the handler does meanwhile (answer, ask for the body).
    func process() {
        guard !isProcessing, !isYielding else { return }
        isProcessing = true
        requestsInTurn = 0
        while step() {}
        isProcessing = false
        // Releases the read buffer, so that the channel can reuse it instead of allocating.
        if inbound.readableBytes == 0 { inbound = ByteBuffer() }
        resumeReading()
    }

    /// Continues with the buffered requests after other connections had their turn.
    private func yieldTurn() {
        isYielding = true
        context?.eventLoop.assumeIsolated().execute { [self] in
            isYielding = false
            process()
            guard hasInputEnded, !isYielding else { return }
            hasInputEnded = false
            perform(machine.inputClosed(now: .now()))
        }
    }

    private func resumeReading() {
        guard isReadSuppressed, mayRead else { return }
        isReadSuppressed = false
        context?.read()
    }

    private var mayRead: Bool { inbound.readableBytes < bufferLimit }

    private func step() -> Bool {
        switch machine.phase {
        case .exchange: return stepBody()
        case .closing, .lingering, .closed:
            inbound = ByteBuffer()
            return false
        case .idle, .head: break
        }
        parser.skipEmptyLines(&inbound)
        guard inbound.readableBytes > 0, machine.bytesArrived(now: .now()) else {
            perform(machine.bufferExhausted(now: .now()))
            return false
        }
        guard requestsInTurn < Self.requestsPerTurn else {
            yieldTurn()
            return false
        }
        let available = inbound.readableBytes
        do throws(HTTPError) {
            guard let request = try parser.nextHead(&inbound) else {
                perform(machine.bufferExhausted(now: .now()))
                return false
            }
            machine.headParsed(keepAlive: request.keepAlive, hasBody: request.framing != .none)
            let exchange = beginExchange(request)
            exchange.requestBytes = available - inbound.readableBytes
            handler?.handle(exchange)
        } catch {
            machine.headRefused()
            refuse(error)
        }
        return true
    }

    private func beginExchange(_ request: HTTPParsedRequest) -> HTTPExchange {
        let exchange = HTTPExchange(
            request: request, start: machine.requestStart, remoteAddress: remoteAddress,
            listenerName: connections.configuration.name, connection: self, eventLoop: connections.eventLoop)
        self.exchange = exchange
        requestsInTurn += 1
        bytesReceived = 0
        probes = 0
        connections.counters.requestStarted()
        if machine.isInputClosed { scheduleProbe(after: Self.probeDelay) }
        return exchange
    }

    /// Lets the handler answer a request that could not be read.
    private func refuse(_ failure: HTTPError) {
        if failure == .tooManyConnections { machine.headRefused() }
        let known = parser.partialHead(inbound)
        let head = HTTPRequestHead(version: .http1_1, method: known?.method ?? .RAW(value: "-"), uri: known?.uri ?? "")
        let exchange = beginExchange(
            HTTPParsedRequest(head: head, framing: .none, keepAlive: false, expectsContinue: false))
        exchange.requestBytes = inbound.readableBytes
        inbound = ByteBuffer()
        handler?.reject(failure, exchange)
    }

    // MARK: Actions

    func perform(_ action: HTTPConnectionStateMachine.Action) {
        switch action {
        case .none: break
        case .next, .readRest: process()
        case .close: context?.close(promise: nil)
        case .closeAfterFlush, .lingerAfterFlush: closeAfterFlush(lingering: action == .lingerAfterFlush)
        case .reject(let failure): refuse(failure)
        case .failBody(let failure): failBody(failure)
        case .disconnect:
            loseExchange()
            context?.close(promise: nil)
        // A response that comes in pieces may take arbitrarily long, so the check does not wait for its end.
        case .probe: scheduleProbe(after: machine.response == .started ? .zero : Self.probeDelay)
        }
        // The body may not have been requested yet, or a piece of it is still being processed.
        if action == .readRest, machine.phase == .exchange { scheduleProbe(after: Self.probeDelay) }
    }

    private func closeAfterFlush(lingering: Bool) {
        guard let context else { return }
        // A promise, because closing drops unwritten bytes; once per connection, not per request.
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenSuccess { [self] in
            finishExchange(isComplete: true)
            guard let context = self.context else { return }
            if lingering {
                machine.lingering(now: .now())
                inbound = ByteBuffer()
                context.close(mode: .output, promise: nil)
                resumeReading()
            } else {
                machine.channelClosed()
                context.close(promise: nil)
            }
        }
        bytesTakenAtStall = bytesTaken
        handOver(promise: written)
        requestFlush()
    }

    /// Reports to the reader of the body or the writer of the response that the client has left.
    func loseExchange() {
        guard let exchange else { return }
        // First, so that whatever the handler then does has no effect any more.
        exchange.connection = nil
        takeSink(failing: .disconnected)
        // A handler that has finished its part has nothing to abandon.
        if machine.response != .ended, !isAwaitingFlush, let left = exchange.onDisconnect {
            exchange.onDisconnect = nil
            left()
        }
        finishExchange(isComplete: false, status: 499)
    }

    /// Ends the bookkeeping of the current exchange and breaks its cycles.
    func finishExchange(isComplete: Bool, status: Int? = nil) {
        guard let exchange else { return }
        self.exchange = nil
        isAwaitingFlush = false
        exchange.connection = nil
        takeSink(failing: .disconnected)
        connections.counters.requestFinished()
        let onFinish = exchange.onFinish
        exchange.onFinish = nil
        exchange.onDisconnect = nil
        exchange.onWritable = nil
        exchange.reservation = nil
        onFinish?(
            HTTPExchangeSummary(
                status: status ?? exchange.status, requestBytes: exchange.requestBytes,
                responseBytes: exchange.responseBytes, duration: Duration(.now() - exchange.start),
                isComplete: isComplete))
    }

    // MARK: Deadlines and drain

    func isDue(_ now: NIODeadline) -> Bool { machine.readDeadline <= now || machine.writeDeadline <= now }

    func deadlinesPassed(now: NIODeadline) {
        if machine.writeDeadline <= now {
            let taken = bytesTaken
            perform(machine.writeDeadlinePassed(now: now, taken: taken - bytesTakenAtStall))
            bytesTakenAtStall = taken
        }
        if machine.readDeadline <= now { perform(machine.readDeadlinePassed()) }
    }

    func drain(now: NIODeadline) { perform(machine.drain(now: now)) }

    func closeNow() {
        machine.channelClosed()
        context?.close(promise: nil)
    }

    /// Number of bytes written on this connection that the kernel has taken.
    private var bytesTaken: Int {
        let buffered = try? context?.channel.syncOptions?.getOption(.bufferedWritableBytes)
        return bytesHandedOver - (buffered ?? 0)
    }

    // MARK: Memory

    /// Budget of the process.
    var memory: MemoryBudget { connections.configuration.memory }

    /// Counts the output that the channel holds. It is in memory already, so it is counted even beyond the limit.
    func chargeOutput() {
        guard !isChannelWritable, index >= 0 else { return }
        memory.charge(bytesHandedOver - bytesTaken, in: &outputReservation)
    }

    // MARK: Flushing

    /// Flushes at the end of the current read turn, or at once outside one.
    func requestFlush() {
        if isInRead, isChannelWritable { needsFlush = true } else { flushNow() }
    }

    private func flushNow() {
        needsFlush = false
        guard let context else { return }
        isFlushing = true
        context.flush()
        isFlushing = false
        guard becameWritableWhileFlushing else { return }
        becameWritableWhileFlushing = false
        // Later, not here: a handler that writes and flushes whenever it can would otherwise recurse without end.
        context.eventLoop.assumeIsolated().execute { [self] in
            if isChannelWritable { becameWritable() }
        }
    }

    private func becameWritable() {
        if isAwaitingFlush {
            completeResponse()
        } else {
            exchange?.onWritable?()
        }
    }
}
