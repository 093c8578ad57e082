import Glibc
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// Client for HTTP/1.1 without TLS and without proxies, on connections of its own event loop.
///
/// A request costs a third of what it costs through libcurl: no thread is woken, no connection or URL object is made, and
/// neither head nor body is copied more than once.
///
/// `@unchecked Sendable`: `eventLoop`, `configuration`, `counters`, `ended`, `receiveAllocator` and `idleAge` are
/// immutable, `isOver` is atomic, and everything else is confined to the event loop.
final class PlainClient: @unchecked Sendable {
    let eventLoop: any EventLoop
    let configuration: CurlEngineConfiguration
    /// Counters that this loop alone writes.
    let counters = CurlEngineCounters()
    let lookup: AddressLookup
    let receiveAllocator: AdaptiveRecvByteBufferAllocator
    private let idleAge: TimeAmount
    private let ended = EndSignal()
    private let isOver = Atomic<Bool>(false)

    private var origins: [PlainTarget.Key: PlainOrigin] = [:]
    private var idleCount = 0
    private var active: [PlainTransfer] = []
    /// Transfers that start at the end of this turn of the loop, and those that are starting.
    private var starting: [PlainTransfer] = []
    private var beginning: [PlainTransfer] = []
    private var isStopped = false
    private var openSockets = 0
    private var recent: [RecentTarget] = []

    var head = RequestHeadWriter()
    /// Time of the turn: precise enough for limits.
    private(set) var now = NIODeadline.now()
    private var timer: Scheduled<Void>?
    private var timerDeadline = NIODeadline.distantFuture

    /// Time limit of connecting where the request sets none; as libcurl's.
    static let longestConnect = TimeAmount.seconds(300)
    /// Smallest time between two checks of limits.
    private static let granularity = TimeAmount.milliseconds(1)
    /// Number of URLs whose parts are remembered.
    private static let recentTargets = 8

    private struct RecentTarget {
        let url: String
        let socketPath: String?
        let target: PlainTarget
        let origin: PlainOrigin
    }

    init(eventLoop: any EventLoop, configuration: CurlEngineConfiguration) {
        self.eventLoop = eventLoop
        self.configuration = configuration
        lookup = AddressLookup(eventLoop: eventLoop)
        idleAge = TimeAmount(limit: max(.seconds(1), configuration.maxIdleAge))
        let buffer = max(1024, configuration.receiveBuffer)
        receiveAllocator = AdaptiveRecvByteBufferAllocator(
            minimum: 1024, initial: min(4096, buffer), maximum: buffer)
    }

    deinit { head.deallocate() }

    // MARK: From any thread

    /// Returns a transfer, which is not started; nil when its request is libcurl's.
    func prepare(
        _ request: CurlRequest, eventLoop: (any EventLoop)?, manualCredit: Bool, receiver: any CurlTransferReceiver
    ) -> PlainTransfer? {
        guard request.proxy == nil else { return nil }
        let target: PlainTarget
        var origin: PlainOrigin?
        if self.eventLoop.inEventLoop {
            guard let known = known(request.url, request.unixSocketPath) else { return nil }
            target = known.target
            origin = known.origin
        } else {
            guard let parsed = PlainTarget(url: request.url, socketPath: request.unixSocketPath) else { return nil }
            target = parsed
        }
        return PlainTransfer(
            request, target: target, origin: origin, eventLoop: eventLoop, client: self, manualCredit: manualCredit,
            receiver: receiver)
    }

    func post(_ command: UInt32, to transfer: PlainTransfer) {
        if command == CurlTransfer.Command.start, isOver.load(ordering: .sequentiallyConsistent) {
            // The loop may have ended, and never see this transfer.
            return TransferEvent.done(transfer, .failure(.engineShutDown)).deliverFromAnywhere()
        }
        guard eventLoop.inEventLoop else { return eventLoop.execute { self.perform(command, transfer) } }
        switch command {
        case CurlTransfer.Command.start: enqueue(transfer)
        case CurlTransfer.Command.cancel where transfer.phase == .waiting:
            // Ended now, so that it is never sent, but told later: the caller is in the middle of something.
            transfer.phase = .done
            eventLoop.execute { self.close(transfer, .failure(Self.cancelled(transfer))) }
        default: eventLoop.execute { self.perform(command, transfer) }
        }
    }

    /// Ends every transfer and closes all connections.
    func shutdown() async {
        stopSoon()
        await ended.wait()
    }

    /// Begins the shutdown.
    func stopSoon() {
        // The loop may have ended since.
        if isOver.exchange(true, ordering: .sequentiallyConsistent) { return }
        eventLoop.execute { self.stop() }
    }

    // MARK: Starting

    private func perform(_ command: UInt32, _ transfer: PlainTransfer) {
        switch command {
        case CurlTransfer.Command.start: enqueue(transfer)
        case CurlTransfer.Command.cancel: abort(transfer, .cancelled, "cancelled")
        default:
            now = .now()
            transfer.connection?.wake()
        }
    }

    /// Starts a transfer at the end of this turn, together with others: passing each request through SwiftNIO, the
    /// gateway and this client in turn costs more than passing all requests through each of them, because of misses of
    /// the instruction cache.
    private func enqueue(_ transfer: PlainTransfer) {
        starting.append(transfer)
        if starting.count == 1 { eventLoop.assumeIsolated().execute { self.turn() } }
    }

    private func turn() {
        now = .now()
        swap(&starting, &beginning)
        for transfer in beginning { begin(transfer) }
        beginning.removeAll(keepingCapacity: true)
    }

    private func begin(_ transfer: PlainTransfer) {
        // It may have been cancelled before it was started.
        guard transfer.phase == .waiting else { return }
        add(1, to: counters.started)
        if isStopped { return end(transfer, .failure(.engineShutDown)) }
        let request = transfer.request
        if let reason = request.refusal {
            return end(transfer, .failure(CurlError(kind: .invalidRequest, message: reason, requestSent: false)))
        }
        transfer.phase = .active
        transfer.index = active.count
        active.append(transfer)
        add(1, to: counters.active)
        transfer.started = now
        transfer.lastActivity = now
        if request.timeout > .zero { transfer.deadline = now + TimeAmount(limit: request.timeout) }
        var origin = transfer.origin ?? self.origin(for: transfer.target.key)
        if origin.isForgotten { origin = self.origin(for: transfer.target.key) }
        transfer.origin = origin
        acquire(transfer, origin)
        if transfer.phase == .active { wakeUp(at: transfer.nextDeadline) }
    }

    private func known(_ url: String, _ socketPath: String?) -> RecentTarget? {
        for entry in recent where entry.url == url && entry.socketPath == socketPath { return entry }
        guard let target = PlainTarget(url: url, socketPath: socketPath) else { return nil }
        let entry = RecentTarget(
            url: url, socketPath: socketPath, target: target, origin: origin(for: target.key))
        if recent.count == Self.recentTargets { recent.removeFirst() }
        recent.append(entry)
        return entry
    }

    private func origin(for key: PlainTarget.Key) -> PlainOrigin {
        if let origin = origins[key] { return origin }
        let origin = PlainOrigin(key)
        origins[key] = origin
        return origin
    }

    // MARK: Connections

    /// Gives a transfer a connection, now or later.
    /// - Parameter isRepetition: True if a connection that was used before has just failed: the others may be as dead.
    private func acquire(_ transfer: PlainTransfer, _ origin: PlainOrigin, isRepetition: Bool = false) {
        if !isRepetition, let connection = takeIdle(of: origin) { return connection.begin(transfer) }
        if isRepetition, isFull(origin), let oldest = origin.idle.first { oldest.close() }
        if isFull(origin) { return origin.wait(transfer) }
        dial(transfer, origin)
    }

    private func isFull(_ origin: PlainOrigin) -> Bool {
        configuration.maxConnectionsPerHost > 0 && origin.open >= configuration.maxConnectionsPerHost
    }

    private func takeIdle(of origin: PlainOrigin) -> PlainConnection? {
        while let connection = origin.idle.popLast() {
            idleCount -= 1
            // Looked at each time: its end may be in the kernel already, where this loop has not been told of it.
            if now - connection.idleSince < idleAge, connection.isQuiet { return connection }
            connection.close()
        }
        return nil
    }

    private func dial(_ transfer: PlainTransfer, _ origin: PlainOrigin) {
        let limit = transfer.request.connectTimeout
        // Not the time of the turn, which may open hundreds of connections.
        let start = NIODeadline.now()
        transfer.connectDeadline = start + (limit > .zero ? TimeAmount(limit: limit) : Self.longestConnect)
        origin.open += 1
        let dial = PlainDial(transfer, origin: origin, client: self)
        transfer.dial = dial
        dial.start()
        if transfer.dial != nil { wakeUp(at: transfer.nextDeadline) }
    }

    /// Returns whether a connection to that address is allowed.
    func allows(_ address: SocketAddress) -> Bool {
        guard let allowsAddress = configuration.allowsAddress else { return true }
        return address.addressBytes.map(allowsAddress) ?? false
    }

    func dialed(_ transfer: PlainTransfer, _ connection: PlainConnection) {
        now = .now()
        transfer.dial = nil
        transfer.timings.connect = Duration(now - transfer.started)
        connection.begin(transfer)
    }

    func dialFailed(_ transfer: PlainTransfer, _ origin: PlainOrigin, _ kind: CurlError.Kind, _ message: String) {
        transfer.dial = nil
        end(transfer, .failure(CurlError(kind: kind, message: message, requestSent: transfer.requestSent)))
        dialEnded(origin)
    }

    /// Handles an attempt that ended without a connection.
    func dialEnded(_ origin: PlainOrigin) {
        origin.open -= 1
        serve(origin)
    }

    /// Takes a connection that is ready for another request.
    func release(_ connection: PlainConnection) {
        let origin = connection.origin
        if origin.hasWaiting {
            // As with an idle connection. What waits gets one of its own where this one is over.
            guard connection.isQuiet else { return connection.close() }
            if let next = origin.nextWaiting() { return connection.begin(next) }
        }
        if idleCount >= configuration.maxIdleConnections {
            guard let oldest = origin.idle.first else { return connection.close() }
            oldest.close()
        }
        connection.idleSince = now
        origin.idle.append(connection)
        idleCount += 1
        wakeUp(at: now + idleAge)
    }

    /// Handles the end of a connection that was open.
    func closed(_ connection: PlainConnection) {
        let origin = connection.origin
        if let index = origin.idle.lastIndex(where: { $0 === connection }) {
            origin.idle.remove(at: index)
            idleCount -= 1
        }
        origin.open -= 1
        serve(origin)
    }

    /// Opens connections for those that wait for one.
    private func serve(_ origin: PlainOrigin) {
        // Attempts that fail at once come back here, and the first call continues.
        if origin.isServing { return }
        origin.isServing = true
        while !isFull(origin), let transfer = origin.nextWaiting() { dial(transfer, origin) }
        origin.isServing = false
    }

    /// Tries again on a connection of its own.
    func resend(_ transfer: PlainTransfer) {
        transfer.connection = nil
        guard transfer.phase == .active, let origin = transfer.origin else { return }
        acquire(transfer, origin, isRepetition: true)
    }

    func socketOpened() {
        openSockets += 1
        add(1, to: counters.openedConnections)
        counters.openSockets.store(openSockets, ordering: .relaxed)
    }

    func socketClosed() {
        openSockets -= 1
        counters.openSockets.store(openSockets, ordering: .relaxed)
        if isStopped, openSockets == 0 { ended.signal() }
    }

    // MARK: Ending

    /// Ends a transfer. Its connection, if it has one, must have been released or closed.
    func end(_ transfer: PlainTransfer, _ result: Result<CurlResponse, CurlError>) {
        switch transfer.phase {
        case .done: return
        case .waiting: break
        case .active:
            let last = active.removeLast()
            if last !== transfer {
                last.index = transfer.index
                active[last.index] = last
            }
            add(-1, to: counters.active)
            if case .success = result, transfer.timings.reusedConnection { add(1, to: counters.reusedConnections) }
        }
        transfer.phase = .done
        close(transfer, result)
    }

    private func close(_ transfer: PlainTransfer, _ result: Result<CurlResponse, CurlError>) {
        transfer.connection = nil
        transfer.dial = nil
        if case .stream(let source) = transfer.request.body { source.attach(nil) }
        switch result {
        case .success: add(1, to: counters.succeeded)
        case .failure: add(1, to: counters.failed)
        }
        deliver(.done(transfer, result))
    }

    /// Ends a transfer in the middle of its exchange.
    func abort(_ transfer: PlainTransfer, _ kind: CurlError.Kind, _ message: String) {
        guard transfer.phase != .done else { return }
        transfer.connection?.abandon()
        let dial = transfer.dial
        end(transfer, .failure(CurlError(kind: kind, message: message, requestSent: transfer.requestSent)))
        dial?.abandon()
    }

    private static func cancelled(_ transfer: PlainTransfer) -> CurlError {
        CurlError(kind: .cancelled, message: "cancelled", requestSent: transfer.requestSent)
    }

    func deliver(_ event: TransferEvent) {
        if let other = event.transfer.eventLoop, other !== eventLoop {
            other.execute { event.deliver() }
        } else {
            event.deliver()
        }
    }

    private func stop() {
        guard !isStopped else { return }
        isStopped = true
        turn()
        for transfer in active { abort(transfer, .shutdown, "engine is shut down") }
        for origin in origins.values { for connection in origin.idle { connection.close() } }
        timer?.cancel()
        timer = nil
        recent = []
        if openSockets == 0 { ended.signal() }
    }

    // MARK: Time

    /// Updates the time, for a turn that begins with an event of a socket.
    func noteTime() { now = .now() }

    /// Sets the one timer for all limits. It is only ever moved forward: most requests are answered long before theirs, and
    /// a timer that fires in vain now and then costs less than one for each request.
    func wakeUp(at deadline: NIODeadline) {
        guard deadline < timerDeadline, !isStopped else { return }
        timer?.cancel()
        timerDeadline = deadline
        timer = eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { self.checkLimits() }
    }

    private func checkLimits() {
        timerDeadline = .distantFuture
        now = .now()
        var next = NIODeadline.distantFuture
        var passed: [(transfer: PlainTransfer, reason: String)] = []
        for transfer in active {
            if let reason = transfer.passedLimit(at: now) {
                passed.append((transfer, reason))
            } else {
                next = min(next, transfer.nextDeadline)
            }
        }
        for (transfer, reason) in passed { abort(transfer, .timedOut, reason) }
        for (key, origin) in origins {
            while let oldest = origin.idle.first, now - oldest.idleSince >= idleAge { oldest.close() }
            if let oldest = origin.idle.first { next = min(next, oldest.idleSince + idleAge) }
            guard origin.isUnused else { continue }
            origin.isForgotten = true
            origins[key] = nil
            recent.removeAll { $0.origin === origin }
        }
        if next < .distantFuture { wakeUp(at: max(next, now + Self.granularity)) }
    }

    /// Changes a counter. Others only read it, so that no atomic addition is needed.
    private func add(_ number: Int, to counter: borrowing Atomic<Int>) {
        counter.store(counter.load(ordering: .relaxed) + number, ordering: .relaxed)
    }
}
