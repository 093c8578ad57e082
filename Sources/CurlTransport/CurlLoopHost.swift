import CCurl
import Glibc
import NIOCore
import NIOPosix

/// Drives a reactor from an event loop, so that a request and its answer need no other thread.
///
/// Between a loop and an engine with a thread of its own, each request costs two wake-ups of a sleeping thread. Here a
/// transfer that is started on the loop is sent before `start` returns, and its answer wakes the loop as any other
/// socket does: SwiftNIO cannot watch an epoll, but it can read an eventfd, and the kernel's asynchronous I/O writes to
/// one when the reactor's epoll has events (`ccurl_bell`).
///
/// `@unchecked Sendable`: `eventLoop` and `bell`'s address are immutable; everything else is confined to the loop.
final class CurlLoopHost: @unchecked Sendable {
    let eventLoop: any EventLoop
    private let ended: EndSignal
    private let bell: UnsafeMutablePointer<ccurl_bell>
    private let bellSocket: Int32
    /// nil after the end.
    private var reactor: CurlReactor?
    private var channel: (any Channel)?
    private var timer: Scheduled<Void>?
    private var timerDeadline = NIODeadline.distantFuture
    private var starting: [CurlTransfer] = []

    /// - Returns: nil, with `errno`, when the kernel has no asynchronous I/O for us: a container may forbid it, gVisor and
    ///   kernels before 4.18 cannot poll with it, and a machine has a limit for all processes. The reactor needs a thread
    ///   then.
    init?(reactor: CurlReactor, eventLoop: any EventLoop, ended: EndSignal) {
        let socket = ccurl_eventfd_create()
        guard socket >= 0 else { return nil }
        bell = .allocate(capacity: 1)
        bell.initialize(to: ccurl_bell())
        // Armed at once, since only that tells whether the kernel can do it.
        guard ccurl_bell_open(bell, reactor.epoll, socket) == 0 else {
            let reason = errno
            close(socket)
            bell.deallocate()
            errno = reason
            return nil
        }
        bellSocket = socket
        self.reactor = reactor
        self.eventLoop = eventLoop
        self.ended = ended
    }

    deinit { bell.deallocate() }

    /// Begins; called once, from anywhere.
    func run() {
        eventLoop.execute { self.open() }
    }

    /// Takes a transfer to be started at the end of this turn of the loop; false when it cannot: not on the loop, or
    /// after the end.
    ///
    /// Together with the others of the turn, not one by one: going through SwiftNIO, the gateway and libcurl for each
    /// request in turn costs a quarter more than going through each of them for all requests, by the misses of the
    /// instruction cache alone.
    func start(_ transfer: CurlTransfer) -> Bool {
        guard eventLoop.inEventLoop, reactor != nil, channel != nil else { return false }
        starting.append(transfer)
        if starting.count == 1 {
            eventLoop.assumeIsolated().execute { self.turn() }
        }
        return true
    }

    private func open() {
        let opened = NIOPipeBootstrap(group: eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(CurlBellHandler(host: self))
                }
            }
            .takingOwnershipOfDescriptor(input: bellSocket)
        opened.assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let channel):
                self.channel = channel
                turn()
            case .failure:
                // Out of memory at best. The descriptor is still ours.
                close(bellSocket)
                end()
            }
        }
    }

    /// The reactor's epoll has, or had, events.
    fileprivate func rang() {
        reactor?.takeEvents(waiting: 0)
        turn()
        guard reactor != nil, ccurl_bell_arm(bell) != 0 else { return }
        // Without room in the kernel now; looking again soon is all that can be done.
        eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(1)) { self.rang() }
    }

    private func turn() {
        guard let reactor else { return }
        reactor.noteTime()
        startTransfers()
        repeat {
            if reactor.mailbox.shouldStop { return end() }
            reactor.advance()
            // When nothing was pushed meanwhile, every push from here on signals the epoll.
        } while !reactor.mailbox.prepareToSleep()
        scheduleTimer()
    }

    private func startTransfers() {
        guard !starting.isEmpty else { return }
        reactor?.start(starting)
        starting.removeAll(keepingCapacity: true)
    }

    /// One timer for all of the reactor's deadlines. It is only ever brought forward: most deadlines belong to requests
    /// that are answered long before, and a timer that fires for nothing now and then costs less than one that is set
    /// for each.
    private func scheduleTimer() {
        guard let deadline = reactor?.nextDeadline, deadline < timerDeadline else { return }
        timer?.cancel()
        timerDeadline = deadline
        timer = eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [self] in
            timerDeadline = .distantFuture
            turn()
        }
    }

    private func end() {
        guard let reactor else { return }
        startTransfers()
        self.reactor = nil
        timer?.cancel()
        timer = nil
        ccurl_bell_close(bell)
        reactor.stop()
        channel?.close(promise: nil)
        channel = nil
        ended.signal()
    }
}

/// Each read of the eventfd is one ring of the bell.
private final class CurlBellHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let host: CurlLoopHost

    init(host: CurlLoopHost) { self.host = host }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { host.rang() }
}
