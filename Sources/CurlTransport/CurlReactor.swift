import CCurl
import Glibc
import Logging
import NIOCore
import Synchronization

/// Work of an engine on its thread: one multi handle, driven by `curl_multi_socket_action` and an epoll of its own.
///
/// `@unchecked Sendable`: an instance is created on one thread and passed once to the engine's thread, which alone uses
/// it from then on. It shares only the mailbox and the counters with other threads.
final class CurlReactor: @unchecked Sendable {
    let configuration: CurlEngineConfiguration
    private let mailbox: TransferMailbox
    private let counters: CurlEngineCounters
    private let logger: Logger

    private let multi: UnsafeMutableRawPointer
    private let epoll: Int32
    private var sockets: SocketRegistry
    private let events: UnsafeMutablePointer<ccurl_event>

    private var active: [EasyHandle] = []
    private var pool: [EasyHandle] = []
    var outbox = TransferOutbox()

    /// Time at the start of the turn: precise enough for idle limits.
    private(set) var now = NIODeadline.now()
    /// Time at which libcurl wants to be called; nil: not at all.
    private var libcurlDeadline: NIODeadline?
    /// Time at which the first idle limit may have passed.
    private var idleDeadline: NIODeadline?
    /// True while libcurl closes the connection of an aborted exchange.
    private var isAborting = false

    /// Smallest time between two checks of idle limits.
    private static let idleGranularity = TimeAmount.milliseconds(10)

    /// - Returns: Nil when the kernel or libcurl refuses.
    init?(
        configuration: CurlEngineConfiguration, mailbox: TransferMailbox, counters: CurlEngineCounters, logger: Logger
    ) {
        guard Libcurl.isInitialized, mailbox.wakeups >= 0 else { return nil }
        let epoll = ccurl_epoll_create()
        guard epoll >= 0 else { return nil }
        guard ccurl_epoll_watch_wakeups(epoll, mailbox.wakeups) == 0, let multi = curl_multi_init() else {
            close(epoll)
            return nil
        }
        self.configuration = configuration
        self.mailbox = mailbox
        self.counters = counters
        self.logger = logger
        self.multi = multi
        self.epoll = epoll
        sockets = SocketRegistry(epoll: epoll)
        events = .allocate(capacity: Int(ccurl_maximum_events))
        ccurl_multi_setopt_long(multi, CURLMOPT_MAX_HOST_CONNECTIONS, configuration.maxConnectionsPerHost)
        ccurl_multi_setopt_long(multi, CURLMOPT_MAXCONNECTS, configuration.maxIdleConnections)
        ccurl_multi_set_callbacks(multi, socketWanted, timerWanted, Unmanaged.passUnretained(self).toOpaque())
    }

    /// Frees everything. Called once, last, on the thread that owns the reactor; not a `deinit`, because libcurl calls
    /// back (`socketClosing`) for each connection that it closes now.
    func tearDown() {
        pool = []
        curl_multi_cleanup(multi)
        events.deallocate()
        close(epoll)
    }

    // MARK: The loop

    /// Runs until the mailbox is closed, and every transfer has ended.
    func run() {
        logger.debug("curl engine started")
        while !mailbox.shouldStop {
            advance()
            // Something was pushed meanwhile, or a timer is due: the sockets are checked without waiting.
            takeEvents(waiting: mailbox.prepareToSleep() ? sleepMilliseconds() : 0)
        }
        stop()
        logger.debug("curl engine stopped")
    }

    /// Does everything that is due without checking the sockets, and delivers the events.
    private func advance() {
        mailbox.take(perform)
        runTimer()
        collectResults()
        checkIdleLimits()
        deliver()
    }

    /// Ends every transfer and frees everything.
    private func stop() {
        let error = "engine is shut down"
        for handle in active {
            finish(handle, .failure(CurlError(kind: .shutdown, message: error, requestSent: handle.requestSent)))
        }
        mailbox.end(perform)
        deliver()
        tearDown()
    }

    private func deliver() {
        while let (eventLoop, events) = outbox.next() {
            if let eventLoop {
                eventLoop.execute { for event in events { event.deliver() } }
            } else {
                for event in events { event.deliver() }
            }
        }
    }

    /// Handles the events of the sockets.
    private func takeEvents(waiting timeout: Int32) {
        let count = ccurl_epoll_wait(epoll, events, timeout)
        now = NIODeadline.now()
        guard count > 0 else { return }
        var running: Int32 = 0
        for event in UnsafeBufferPointer(start: events, count: Int(count)) {
            if event.socket == mailbox.wakeups { continue }
            // Checked again for each event: an earlier one of this batch may have closed or released the socket.
            switch sockets.holder(onEvent: event.socket) {
            case .transfer: break
            case .unknown: continue
            case .unused:
                endUploads(to: event.socket)
                if !active.contains(where: { $0.exchange.socket == event.socket }) {
                    ccurl_socket_abandon(event.socket)
                }
                continue
            }
            let mask = (event.readable != 0 ? CURL_CSELECT_IN : 0) | (event.writable != 0 ? CURL_CSELECT_OUT : 0)
            curl_multi_socket_action(multi, event.socket, mask, &running)
        }
    }

    /// Ends uploads to a socket that the peer has closed. When a body's source has nothing to send, libcurl stops
    /// reading and waits for the source, perhaps forever. It no longer holds the socket then, so this is called for
    /// sockets without a holder.
    private func endUploads(to socket: Int32) {
        guard ccurl_socket_is_closed(socket) != 0 else { return }
        for index in active.indices.reversed() {
            let handle = active[index]
            guard handle.exchange.socket == socket, handle.exchange.sendingPaused, !handle.exchange.receivingPaused
            else { continue }
            let error = CurlError(
                kind: .closedEarly, message: "the peer closed while the request was being sent",
                requestSent: handle.requestSent)
            finish(handle, .failure(error))
        }
    }

    /// Latest time for the next call of `advance`; nil: not before an event.
    private var nextDeadline: NIODeadline? {
        guard let idleDeadline else { return libcurlDeadline }
        return min(idleDeadline, libcurlDeadline ?? idleDeadline)
    }

    private func sleepMilliseconds() -> Int32 {
        guard let deadline = nextDeadline else { return -1 }
        let wait = (deadline - NIODeadline.now()).nanoseconds
        // Rounded up: waking early would only mean to wait again.
        return wait <= 0 ? 0 : Int32(min((wait + 999_999) / 1_000_000, 3_600_000))
    }

    private func runTimer() {
        guard let deadline = libcurlDeadline, deadline <= now else { return }
        libcurlDeadline = nil
        var running: Int32 = 0
        curl_multi_socket_action(multi, ccurl_socket_timeout, 0, &running)
    }

    private func collectResults() {
        var code = CURLE_OK
        while let easy = ccurl_multi_next_done(multi, &code) {
            guard let context = ccurl_easy_info_private(easy) else { continue }
            let handle = Unmanaged<EasyHandle>.fromOpaque(context).takeUnretainedValue()
            finish(handle, handle.outcome(code))
        }
    }

    private func checkIdleLimits() {
        guard let deadline = idleDeadline, deadline <= now else { return }
        var next: NIODeadline?
        // `finish` moves the last handle into the gap, so the loop goes backwards.
        for index in active.indices.reversed() {
            let handle = active[index]
            guard let limit = handle.idleLimit else { continue }
            if handle.isHeldBack { handle.exchange.lastActivity = now }
            let end = handle.exchange.lastActivity + limit
            if end <= now {
                let error = CurlError(
                    kind: .timedOut, message: "nothing was received for \(limit.nanoseconds / 1_000_000) ms",
                    requestSent: handle.requestSent)
                finish(handle, .failure(error))
            } else {
                next = min(end, next ?? end)
            }
        }
        idleDeadline = next.map { max($0, now + Self.idleGranularity) }
    }

    // MARK: Commands

    private func perform(_ transfer: CurlTransfer, _ commands: UInt32) {
        if commands & CurlTransfer.Command.start != 0 { start(transfer) }
        if commands & CurlTransfer.Command.cancel != 0 { cancel(transfer) }
        if commands & CurlTransfer.Command.wake != 0, let handle = transfer.handle {
            let code = handle.wake(window: configuration.streamWindow)
            // libcurl reports a callback's refusal only here, and leaves the transfer running.
            if code != CURLE_OK { finish(handle, handle.outcome(code)) }
        }
    }

    private func start(_ transfer: CurlTransfer) {
        // The transfer may have been cancelled before it was started.
        guard transfer.phase == .waiting else { return }
        counters.started.add(1, ordering: .relaxed)
        if mailbox.shouldStop { return end(transfer, .failure(.engineShutDown)) }
        if let reason = transfer.request.refusal {
            return end(transfer, .failure(CurlError(kind: .invalidRequest, message: reason, requestSent: false)))
        }
        guard let handle = pool.popLast() ?? EasyHandle(reactor: self) else {
            return end(transfer, .failure(CurlError(kind: .other, message: "out of memory", requestSent: false)))
        }
        let code = handle.prepare(transfer, now: now)
        guard code == CURLE_OK, curl_multi_add_handle(multi, handle.easy) == CURLM_OK else {
            let error = CurlError(
                kind: .other, curlCode: Int32(code.rawValue), message: String(cString: curl_easy_strerror(code)),
                requestSent: false)
            handle.release()
            return end(transfer, .failure(error))
        }
        handle.index = active.count
        active.append(handle)
        counters.active.add(1, ordering: .relaxed)
        transfer.handle = handle
        transfer.phase = .active
        if let limit = handle.idleLimit {
            let end = now + limit
            idleDeadline = min(end, idleDeadline ?? end)
        }
    }

    private func cancel(_ transfer: CurlTransfer) {
        switch transfer.phase {
        case .waiting:
            end(transfer, .failure(CurlError(kind: .cancelled, message: "cancelled", requestSent: false)))
        case .active:
            guard let handle = transfer.handle else { return }
            let error = CurlError(kind: .cancelled, message: "cancelled", requestSent: handle.requestSent)
            finish(handle, .failure(error))
        case .done:
            break
        }
    }

    /// Ends an active transfer. Removing a handle from the multi handle in the middle of its exchange closes its
    /// connection, before this returns.
    private func finish(_ handle: EasyHandle, _ result: Result<CurlResponse, CurlError>) {
        guard let transfer = handle.transfer else { return }
        if case .failure = result { isAborting = true }
        curl_multi_remove_handle(multi, handle.easy)
        isAborting = false
        active.swapAt(handle.index, active.count - 1)
        active[handle.index].index = handle.index
        active.removeLast()
        counters.active.subtract(1, ordering: .relaxed)
        if case .success(let response) = result, response.timings.reusedConnection {
            counters.reusedConnections.add(1, ordering: .relaxed)
        }
        transfer.handle = nil
        handle.release()
        // A handle needs little memory, but keeping those of a burst forever would be a leak.
        if Libcurl.reusesHandles, pool.count < configuration.maxPooledHandles { pool.append(handle) }
        end(transfer, result)
    }

    private func end(_ transfer: CurlTransfer, _ result: Result<CurlResponse, CurlError>) {
        transfer.phase = .done
        switch result {
        case .success: counters.succeeded.add(1, ordering: .relaxed)
        case .failure: counters.failed.add(1, ordering: .relaxed)
        }
        outbox.add(.done(transfer, result))
    }

    // MARK: libcurl's callbacks

    /// Returns whether a connection to that address is allowed.
    func allows(_ address: UnsafeMutablePointer<curl_sockaddr>?) -> Bool {
        guard let allowsAddress = configuration.allowsAddress else { return true }
        guard let address, let bytes = Self.bytes(of: address) else { return false }
        return allowsAddress(bytes)
    }

    /// Returns the bytes of an IP address, of which libcurl's structure declares only the beginning.
    private static func bytes(of address: UnsafeMutablePointer<curl_sockaddr>) -> [UInt8]? {
        guard let offset = MemoryLayout<curl_sockaddr>.offset(of: \.addr) else { return nil }
        let start = UnsafeRawPointer(address) + offset
        switch address.pointee.family {
        case AF_INET where Int(address.pointee.addrlen) >= MemoryLayout<sockaddr_in>.size:
            var ip = start.loadUnaligned(as: sockaddr_in.self).sin_addr
            return withUnsafeBytes(of: &ip) { Array($0) }
        case AF_INET6 where Int(address.pointee.addrlen) >= MemoryLayout<sockaddr_in6>.size:
            var ip = start.loadUnaligned(as: sockaddr_in6.self).sin6_addr
            return withUnsafeBytes(of: &ip) { Array($0) }
        default: return nil
        }
    }

    func socketOpened(_ socket: Int32) {
        sockets.opened(socket)
        counters.openedConnections.add(1, ordering: .relaxed)
        counters.openSockets.store(sockets.openCount, ordering: .relaxed)
    }

    func socketClosing(_ socket: Int32) {
        // A regular close looks like a client that has sent everything and still reads: the peer would continue until
        // its next write. A reset notifies it at once.
        if isAborting { ccurl_reset_on_close(socket) }
        sockets.closed(socket)
        counters.openSockets.store(sockets.openCount, ordering: .relaxed)
    }

    fileprivate func want(_ socket: Int32, _ what: Int32, _ easy: UnsafeMutableRawPointer?) {
        if what != CURL_POLL_REMOVE, let easy, let context = ccurl_easy_info_private(easy) {
            Unmanaged<EasyHandle>.fromOpaque(context).takeUnretainedValue().exchange.socket = socket
        }
        switch what {
        case CURL_POLL_IN: sockets.want(socket, readable: true, writable: false)
        case CURL_POLL_OUT: sockets.want(socket, readable: false, writable: true)
        case CURL_POLL_INOUT: sockets.want(socket, readable: true, writable: true)
        default:
            sockets.release(socket)
            counters.openSockets.store(sockets.openCount, ordering: .relaxed)
        }
    }

    fileprivate func wantTimer(milliseconds: Int) {
        libcurlDeadline = milliseconds < 0 ? nil : now + .milliseconds(Int64(milliseconds))
    }
}

private let socketWanted: ccurl_socket_callback = { easy, socket, what, context, _ in
    guard let context else { return 0 }
    Unmanaged<CurlReactor>.fromOpaque(context).takeUnretainedValue().want(socket, what, easy)
    return 0
}

private let timerWanted: ccurl_timer_callback = { _, milliseconds, context in
    guard let context else { return 0 }
    Unmanaged<CurlReactor>.fromOpaque(context).takeUnretainedValue().wantTimer(milliseconds: milliseconds)
    return 0
}

extension EasyHandle {
    /// Idle limit of the request; nil when it has none.
    var idleLimit: TimeAmount? {
        guard let limit = transfer?.request.idleTimeout, limit > .zero else { return nil }
        return .milliseconds(Int64(limit.milliseconds))
    }

    /// True if this side holds the transfer back.
    var isHeldBack: Bool {
        exchange.receivingPaused || exchange.sendingPaused || transfer?.held.load(ordering: .relaxed) == true
    }
}
