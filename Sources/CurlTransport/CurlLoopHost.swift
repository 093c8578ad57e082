import CCurl
import Glibc
import NIOCore
import NIOPosix

/// Driver of a reactor on an event loop, so that a request and its response need no other thread.
///
/// Between a loop and an engine with a thread of its own, each request costs two wake-ups of a sleeping thread. Here a
/// transfer that is started on the loop is sent before `start` returns, and its response wakes the loop as any other
/// socket does: SwiftNIO cannot watch an epoll, but it can read an eventfd, and the kernel's asynchronous I/O writes to
/// one when the reactor's epoll has events (`ccurl_bell`).
///
/// `@unchecked Sendable`: `eventLoop` and `bell`'s address are immutable; everything else is confined to the loop.
final class CurlLoopHost: @unchecked Sendable {
    let eventLoop: any EventLoop
    private let ended: EndSignal
    private let bell: UnsafeMutablePointer<ccurl_bell>
    private let bellSocket: Int32
    /// The reactor; nil after the end.
    private var reactor: CurlReactor?
    private var channel: (any Channel)?
    private var timer: Scheduled<Void>?
    private var timerDeadline = NIODeadline.distantFuture
    private var starting: [CurlTransfer] = []

    /// - Returns: Nil, with `errno`, when the kernel refuses asynchronous I/O: a container may forbid it, gVisor and
    ///   kernels before 4.18 do not support polling with it, and there is a limit for the whole machine. The reactor
    ///   needs a thread then.
    init?(reactor: CurlReactor, eventLoop: any EventLoop, ended: EndSignal) {
        let socket = ccurl_eventfd_create()
        guard socket >= 0 else { return nil }
        bell = .allocate(capacity: 1)
        bell.initialize(to: ccurl_bell())
        // Armed at once, because only this shows whether the kernel supports it.
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

    /// Starts the reactor; called once, from any thread.
    func run() {
        eventLoop.execute { self.open() }
    }

    /// Takes a transfer to be started at the end of this turn of the loop; false when it cannot: not on the loop, or
    /// after the end.
    ///
    /// The transfers of a turn are started together: passing each request through SwiftNIO, the gateway and libcurl in
    /// turn costs a quarter more than passing all requests through each of them, because of misses of the instruction
    /// cache.
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
                // The system is out of memory at best. The descriptor still belongs to this object.
                close(bellSocket)
                end()
            }
        }
    }

    /// Handles events of the reactor's epoll, of which some may be gone.
    fileprivate func rang() {
        reactor?.takeEvents(waiting: 0)
        turn()
        guard reactor != nil, ccurl_bell_arm(bell) != 0 else { return }
        // The kernel has no room at the moment; the only remedy is to try again soon.
        eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(1)) { self.rang() }
    }

    private func turn() {
        guard let reactor else { return }
        reactor.noteTime()
        startTransfers()
        repeat {
            if reactor.mailbox.shouldStop { return end() }
            reactor.advance()
            // If nothing was pushed meanwhile, every push from here on signals the epoll.
        } while !reactor.mailbox.prepareToSleep()
        scheduleTimer()
    }

    private func startTransfers() {
        guard !starting.isEmpty else { return }
        reactor?.start(starting)
        starting.removeAll(keepingCapacity: true)
    }

    /// Sets the one timer for all of the reactor's deadlines. It is only ever moved forward: most deadlines belong to
    /// requests that are answered long before, and a timer that fires in vain now and then costs less than one for each
    /// request.
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

/// Handler of the eventfd: each read is one signal.
private final class CurlBellHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let host: CurlLoopHost

    init(host: CurlLoopHost) { self.host = host }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { host.rang() }
}
