import CCurl
package import Logging
package import NIOCore
package import ProcessMemory
import Synchronization

/// Options of an engine.
package struct CurlEngineConfiguration: Sendable {
    /// Largest number of connections to one host and port; further transfers wait (within their timeout). 0: no limit.
    package var maxConnectionsPerHost: Int
    /// Largest number of connections kept for reuse.
    package var maxIdleConnections: Int
    /// Idle time after which a connection is not used again (libcurl: whole seconds; at least 1). It must be shorter than the
    /// upstream's idle timeout, or requests race with its closing.
    package var maxIdleAge: Duration
    /// Largest number of easy handles kept for reuse, with a libcurl whose handles can be used twice.
    package var maxPooledHandles: Int
    /// Largest number of bytes of one streamed transfer on their way to its receiver; beyond it the socket is not read.
    package var streamWindow: Int
    /// Size of a transfer's read buffer in bytes (1 KiB to 512 KiB). Each running transfer has one: small ones suit many
    /// slow streams.
    package var receiveBuffer: Int
    /// Rule for the addresses, in network order, to which connections may be made. It gets the address of the
    /// connection itself, so that a name cannot resolve to another one between check and use. Nil: all are allowed.
    package var allowsAddress: (@Sendable ([UInt8]) -> Bool)?
    /// Budget of the process. A collected body beyond it ends its transfer with `.overloaded`; a streamed one is then
    /// received in pieces of at most 64 KiB.
    package var memory: MemoryBudget

    /// Creates a configuration.
    package init(
        maxConnectionsPerHost: Int = 0, maxIdleConnections: Int = 1024, maxIdleAge: Duration = .seconds(4),
        maxPooledHandles: Int = 256, streamWindow: Int = 256 << 10, receiveBuffer: Int = 16 << 10,
        allowsAddress: (@Sendable ([UInt8]) -> Bool)? = nil, memory: MemoryBudget = .unlimited
    ) {
        self.maxConnectionsPerHost = maxConnectionsPerHost
        self.maxIdleConnections = maxIdleConnections
        self.maxIdleAge = maxIdleAge
        self.maxPooledHandles = maxPooledHandles
        self.streamWindow = max(1, streamWindow)
        self.receiveBuffer = receiveBuffer
        self.allowsAddress = allowsAddress
        self.memory = memory
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

/// Counters written by one thread and read by any; each number is exact, a combination of several may not be
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

/// An HTTP/1.1 client: connections on an event loop, and one thread that owns a libcurl multi handle with its connections.
///
/// Requests for `http:` URLs without a proxy stay on the event loop, where the engine has one (`PlainClient`). All others
/// are libcurl's: TLS, proxies, and URLs in unusual forms. Its thread is started for the first of them.
///
/// All methods may be called from any thread. On the engine's own event loop a transfer costs no task and no lock, and does
/// not leave the thread. For libcurl's thread it is pushed on a lock-free stack, and its outcome comes back to its event
/// loop together with those of the same turn.
package final class CurlEngine: Sendable {
    private let plain: PlainClient?
    private let libcurl: CurlThread
    let configuration: CurlEngineConfiguration

    /// Creates the engine. One whose thread cannot be started (out of descriptors or memory) logs an error and fails every
    /// transfer that needs it with `.shutdown`.
    /// - Parameters:
    ///   - label: Name of the thread, cut at 15 bytes.
    ///   - eventLoop: Loop of NIOPosix for the connections that do not need libcurl; it must outlive the engine's
    ///     `shutdown`. Nil: libcurl carries every transfer.
    package init(
        label: String, configuration: CurlEngineConfiguration = CurlEngineConfiguration(),
        eventLoop: (any EventLoop)? = nil, logger: Logger = Logger(label: "curl")
    ) {
        self.configuration = configuration
        plain = eventLoop.map { PlainClient(eventLoop: $0, configuration: configuration) }
        libcurl = CurlThread(label: label, configuration: configuration, logger: logger)
        if eventLoop == nil { libcurl.start() }
    }

    /// Stops the engine without `shutdown`: it ends every transfer and frees everything.
    deinit {
        plain?.stopSoon()
        libcurl.abandon()
    }

    /// Counters since the start.
    package var statistics: CurlEngineStatistics {
        let counters = [libcurl.counters, plain?.counters].compactMap(\.self)
        func sum(_ counter: (CurlEngineCounters) -> Int) -> Int { counters.reduce(0) { $0 + counter($1) } }
        return CurlEngineStatistics(
            active: sum { $0.active.load(ordering: .relaxed) }, started: sum { $0.started.load(ordering: .relaxed) },
            succeeded: sum { $0.succeeded.load(ordering: .relaxed) },
            failed: sum { $0.failed.load(ordering: .relaxed) },
            openedConnections: sum { $0.openedConnections.load(ordering: .relaxed) },
            openSockets: sum { $0.openSockets.load(ordering: .relaxed) },
            reusedConnections: sum { $0.reusedConnections.load(ordering: .relaxed) })
    }

    /// Starts a transfer.
    /// - Parameter receiver: Retained until its `transferDone`, which is always called, on `eventLoop`, and not before
    ///   this returns.
    @discardableResult
    package func start(
        _ request: CurlRequest, on eventLoop: any EventLoop, receiver: any CurlTransferReceiver
    ) -> CurlTransfer {
        let transfer = prepare(request, eventLoop: eventLoop, manualCredit: false, receiver: receiver)
        transfer.post(CurlTransfer.Command.start)
        return transfer
    }

    /// Creates a transfer without starting it. Without a loop its receiver is called on the thread that carries it out.
    func prepare(
        _ request: CurlRequest, eventLoop: (any EventLoop)?, manualCredit: Bool, receiver: any CurlTransferReceiver
    ) -> CurlTransfer {
        if let transfer = plain?.prepare(
            request, eventLoop: eventLoop, manualCredit: manualCredit, receiver: receiver)
        {
            return transfer
        }
        libcurl.start()
        return CurlTransfer(
            request, eventLoop: eventLoop, mailbox: libcurl.mailbox, memory: configuration.memory,
            manualCredit: manualCredit, receiver: receiver)
    }

    /// Ends every transfer with `.shutdown`, closes all connections and joins the thread. Later transfers fail with
    /// `.shutdown` at once. May be called more than once.
    package func shutdown() async {
        await plain?.shutdown()
        await libcurl.shutdown()
    }
}
