import CCurl
import Glibc
package import Logging
package import NIOCore
import Synchronization

/// Options of an engine.
package struct CurlEngineConfiguration: Sendable {
    /// Largest number of connections to one host and port; further transfers wait (within their timeout). 0: no limit.
    package var maxConnectionsPerHost: Int
    /// Largest number of connections kept for reuse.
    package var maxIdleConnections: Int
    /// Idle time after which a connection is not used again (whole seconds, at least 1). It must be shorter than the
    /// upstream's idle timeout, or requests race with its closing.
    package var maxIdleAge: Duration
    /// Largest number of easy handles kept for reuse, with a libcurl whose handles can be used twice.
    package var maxPooledHandles: Int
    /// Largest number of bytes of one streamed transfer on their way to its receiver; beyond it the socket is not read.
    package var streamWindow: Int
    /// Size of libcurl's read buffer in bytes (1 KiB to 512 KiB). Each running transfer has one: small ones suit many
    /// slow streams.
    package var receiveBuffer: Int
    /// Rule for the addresses, in network order, to which connections may be made. It gets the address of the
    /// connection itself, so that a name cannot resolve to another one between check and use. Nil: all are allowed.
    package var allowsAddress: (@Sendable ([UInt8]) -> Bool)?

    /// Creates a configuration.
    package init(
        maxConnectionsPerHost: Int = 0, maxIdleConnections: Int = 1024, maxIdleAge: Duration = .seconds(4),
        maxPooledHandles: Int = 256, streamWindow: Int = 256 << 10, receiveBuffer: Int = 16 << 10,
        allowsAddress: (@Sendable ([UInt8]) -> Bool)? = nil
    ) {
        self.maxConnectionsPerHost = maxConnectionsPerHost
        self.maxIdleConnections = maxIdleConnections
        self.maxIdleAge = maxIdleAge
        self.maxPooledHandles = maxPooledHandles
        self.streamWindow = max(1, streamWindow)
        self.receiveBuffer = receiveBuffer
        self.allowsAddress = allowsAddress
    }

    var idleAgeSeconds: Int { max(1, maxIdleAge.milliseconds / 1000) }
}

/// Counters of an engine.
package struct CurlEngineStatistics: Sendable, Hashable {
    /// Number of running transfers.
    package var active: Int
    /// Number of transfers begun.
    package var started: Int
    /// Number of transfers that ended with a response.
    package var succeeded: Int
    /// Number of transfers that ended without a response.
    package var failed: Int
    /// Number of sockets opened since the start (a host with two addresses may need two).
    package var openedConnections: Int
    /// Number of open sockets.
    package var openSockets: Int
    /// Number of successful transfers that reused a connection.
    package var reusedConnections: Int
}

/// Counters written by the engine's thread and read by any; each number is exact, a combination of several may not be
/// consistent.
final class CurlEngineCounters: Sendable {
    let active = Atomic<Int>(0)
    let started = Atomic<Int>(0)
    let succeeded = Atomic<Int>(0)
    let failed = Atomic<Int>(0)
    let openedConnections = Atomic<Int>(0)
    let openSockets = Atomic<Int>(0)
    let reusedConnections = Atomic<Int>(0)
}

enum Libcurl {
    /// Result of `curl_global_init`, which runs once, before the first thread that uses libcurl exists.
    static let isInitialized = curl_global_init(ccurl_global_default) == CURLE_OK

    /// Indicates whether an easy handle can be used for a second transfer. Before 8.1.0 libcurl appends a response's first
    /// header line, when it begins with a blank, to the last header of the handle's previous transfer, whose memory it has
    /// freed (curl's issue 11101).
    static let reusesHandles = curl_version_info(CURLVERSION_FIRST).pointee.version_num >= 0x08_01_00
}

/// An HTTP/1.1 client: one thread, its own or an event loop's, that owns one libcurl multi handle with its connections.
///
/// All methods may be called from any thread. A transfer costs no task and no lock: it is pushed on a lock-free stack,
/// and its outcome comes back to its event loop together with those of the same turn. On the engine's own event loop it
/// does not even leave the thread.
package final class CurlEngine: Sendable {
    private let mailbox = TransferMailbox()
    private let counters = CurlEngineCounters()
    private let thread = Mutex<pthread_t?>(nil)
    private let ended = EndSignal()
    private let host: CurlLoopHost?
    let configuration: CurlEngineConfiguration

    /// Starts the engine. One that could not start (out of descriptors or memory) logs an error and fails every transfer
    /// with `.shutdown`.
    /// - Parameters:
    ///   - label: Name of the thread, cut at 15 bytes.
    ///   - eventLoop: A loop of NIOPosix to run on instead of a thread; it must outlive the engine's `shutdown`. Where
    ///     the kernel does not support this (`CurlLoopHost`), the engine uses a thread all the same, which is logged
    ///     once.
    package convenience init(
        label: String, configuration: CurlEngineConfiguration = CurlEngineConfiguration(),
        eventLoop: (any EventLoop)? = nil, logger: Logger = Logger(label: "curl")
    ) {
        self.init(label: label, configuration: configuration, eventLoop: eventLoop, logger: logger) {
            CurlLoopHost(reactor: $0, eventLoop: $1, ended: $2)
        }
    }

    init(
        label: String, configuration: CurlEngineConfiguration, eventLoop: (any EventLoop)?, logger: Logger,
        makeHost: (CurlReactor, any EventLoop, EndSignal) -> CurlLoopHost?
    ) {
        self.configuration = configuration
        let reactor = CurlReactor(
            configuration: configuration, mailbox: mailbox, counters: counters, logger: logger)
        if let reactor, let eventLoop {
            host = makeHost(reactor, eventLoop, ended)
            if host == nil { Self.noteRefusal(logger) }
        } else {
            host = nil
        }
        if let host {
            host.run()
            return
        }
        let start = ThreadStart(label: label, reactor: reactor, ended: ended)
        if reactor != nil, let started = start.run() {
            thread.withLock { $0 = started }
        } else {
            logger.error("curl engine could not start", metadata: ["engine.label": "\(label)"])
            mailbox.end { _, _ in }
            ended.signal()
        }
    }

    private static let refusalIsNoted = Atomic<Bool>(false)

    private static func noteRefusal(_ logger: Logger) {
        let reason = String(cString: strerror(errno))
        guard !refusalIsNoted.exchange(true, ordering: .relaxed) else { return }
        logger.notice("curl engines need threads", metadata: ["reason": "\(reason)"])
    }

    /// Stops the thread without `shutdown`: it ends every transfer and frees everything.
    deinit {
        mailbox.stop()
        if let thread = thread.withLock({ $0.take() }) { pthread_detach(thread) }
    }

    /// Counters since the start.
    package var statistics: CurlEngineStatistics {
        CurlEngineStatistics(
            active: counters.active.load(ordering: .relaxed), started: counters.started.load(ordering: .relaxed),
            succeeded: counters.succeeded.load(ordering: .relaxed), failed: counters.failed.load(ordering: .relaxed),
            openedConnections: counters.openedConnections.load(ordering: .relaxed),
            openSockets: counters.openSockets.load(ordering: .relaxed),
            reusedConnections: counters.reusedConnections.load(ordering: .relaxed))
    }

    /// Starts a transfer.
    /// - Parameter receiver: Retained until its `transferDone`, which is always called, on `eventLoop`.
    @discardableResult
    package func start(
        _ request: CurlRequest, on eventLoop: any EventLoop, receiver: any CurlTransferReceiver
    ) -> CurlTransfer {
        let transfer = prepare(request, eventLoop: eventLoop, manualCredit: false, receiver: receiver)
        if host?.start(transfer) != true { transfer.post(CurlTransfer.Command.start) }
        return transfer
    }

    /// Creates a transfer without starting it. Without a loop its receiver is called on the engine's thread.
    func prepare(
        _ request: CurlRequest, eventLoop: (any EventLoop)?, manualCredit: Bool, receiver: any CurlTransferReceiver
    ) -> CurlTransfer {
        CurlTransfer(request, eventLoop: eventLoop, mailbox: mailbox, manualCredit: manualCredit, receiver: receiver)
    }

    /// Ends every transfer with `.shutdown`, closes all connections and joins the thread. Later transfers fail with
    /// `.shutdown` at once. May be called more than once.
    package func shutdown() async {
        mailbox.stop()
        await ended.wait()
        // The thread only has to return, so this does not block.
        if let thread = thread.withLock({ $0.take() }) { pthread_join(thread, nil) }
    }
}

/// Signal that the engine's thread has ended, for those that wait for it.
final class EndSignal: Sendable {
    private let state = Mutex<(done: Bool, waiters: [CheckedContinuation<Void, Never>])>((false, []))

    func signal() {
        let waiters = state.withLock { state in
            state.done = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let done = state.withLock { state in
                if !state.done { state.waiters.append(continuation) }
                return state.done
            }
            if done { continuation.resume() }
        }
    }
}

/// State that is passed to the new thread, which owns it.
private final class ThreadStart {
    private let label: String
    private let reactor: CurlReactor?
    private let ended: EndSignal

    init(label: String, reactor: CurlReactor?, ended: EndSignal) {
        self.label = label
        self.reactor = reactor
        self.ended = ended
    }

    /// - Returns: Nil when the thread cannot be created.
    func run() -> pthread_t? {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self)
        let failed = pthread_create(
            &thread, nil,
            { context in
                if let context { Unmanaged<ThreadStart>.fromOpaque(context).takeRetainedValue().body() }
                return nil
            }, context.toOpaque())
        if failed != 0 {
            context.release()
            reactor?.tearDown()
            return nil
        }
        return thread
    }

    private func body() {
        // Signals are for the main thread; a write to a closed socket inside a TLS library must not raise SIGPIPE here.
        var all = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, nil)
        ccurl_name_thread(label)
        reactor?.run()
        ended.signal()
    }
}
