import CCurl
import Glibc
import Logging
import Synchronization

/// libcurl's part of an engine: a thread with a reactor, which is started when it is needed.
final class CurlThread: Sendable {
    private enum State {
        case notStarted
        case running(pthread_t)
        case over
    }

    let mailbox = TransferMailbox()
    let counters = CurlEngineCounters()
    private let label: String
    private let configuration: CurlEngineConfiguration
    private let logger: Logger
    private let state = Mutex(State.notStarted)
    private let isStarted = Atomic<Bool>(false)
    private let ended = EndSignal()

    init(label: String, configuration: CurlEngineConfiguration, logger: Logger) {
        self.label = label
        self.configuration = configuration
        self.logger = logger
    }

    /// Starts the thread, once.
    func start() {
        if isStarted.load(ordering: .relaxed) { return }
        state.withLock { state in
            guard case .notStarted = state else { return }
            let reactor = CurlReactor(
                configuration: configuration, mailbox: mailbox, counters: counters, logger: logger)
            let start = ThreadStart(label: label, reactor: reactor, ended: ended)
            if reactor != nil, let thread = start.run() {
                state = .running(thread)
            } else {
                logger.error("curl engine could not start", metadata: ["engine.label": "\(label)"])
                state = .over
                mailbox.end { _, _ in }
                ended.signal()
            }
            isStarted.store(true, ordering: .relaxed)
        }
    }

    /// Ends every transfer, and joins the thread.
    func shutdown() async {
        mailbox.stop()
        state.withLock { state in
            guard case .notStarted = state else { return }
            state = .over
            mailbox.end { _, _ in }
            ended.signal()
        }
        await ended.wait()
        // The thread only has to return, so this does not block.
        if let thread = takeThread() { pthread_join(thread, nil) }
    }

    /// Lets the thread end by itself.
    func abandon() {
        mailbox.stop()
        if let thread = takeThread() { pthread_detach(thread) }
    }

    private func takeThread() -> pthread_t? {
        state.withLock { state in
            guard case .running(let thread) = state else { return nil }
            state = .over
            return thread
        }
    }
}

/// Signal of an end, for those that wait for it.
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
