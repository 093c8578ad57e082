import NIOCore

/// A transfer over a connection of the event loop, without libcurl.
///
/// `@unchecked Sendable`: `target` and `client` are immutable, and everything else that is declared here is confined to the
/// client's event loop.
final class PlainTransfer: CurlTransfer, @unchecked Sendable {
    let target: PlainTarget
    let client: PlainClient
    /// Connections to the same place; set with the start.
    var origin: PlainOrigin?

    /// Place in the client's list of running transfers.
    var index = 0
    /// Connection that carries the exchange; nil while the transfer waits for one.
    var connection: PlainConnection?
    /// Connection that is being opened for this transfer.
    var dial: PlainDial?
    /// True once some byte of the request may have been sent.
    var requestSent = false

    /// Start of the transfer.
    var started = NIODeadline.uptimeNanoseconds(0)
    /// Latest end of the transfer.
    var deadline = NIODeadline.distantFuture
    /// Latest time at which the connection must be open.
    var connectDeadline = NIODeadline.distantFuture
    /// Time of the last byte in either direction.
    var lastActivity = NIODeadline.uptimeNanoseconds(0)
    /// Times since the start.
    var timings = CurlTimings()

    init(
        _ request: CurlRequest, target: PlainTarget, origin: PlainOrigin?, eventLoop: (any EventLoop)?,
        client: PlainClient, manualCredit: Bool, receiver: any CurlTransferReceiver
    ) {
        self.target = target
        self.origin = origin
        self.client = client
        super.init(
            request, eventLoop: eventLoop, mailbox: nil, memory: client.configuration.memory,
            manualCredit: manualCredit,
            receiver: receiver)
    }

    override func post(_ command: UInt32) { client.post(command, to: self) }

    /// Idle limit of the request; nil when it has none.
    private var idleLimit: TimeAmount? {
        request.idleTimeout > .zero ? TimeAmount(limit: request.idleTimeout) : nil
    }

    /// True if this side holds the transfer back.
    private var isHeldBack: Bool {
        connection?.isHeldBack == true || held.load(ordering: .relaxed)
    }

    /// Next time at which a limit of this transfer may have passed.
    var nextDeadline: NIODeadline {
        var next = deadline
        if dial != nil { next = min(next, connectDeadline) }
        if let limit = idleLimit { next = min(next, lastActivity + limit) }
        return next
    }

    /// Returns what is to be told about a limit that has passed; nil when none has.
    func passedLimit(at now: NIODeadline) -> String? {
        if deadline <= now { return "the response was not complete after \(request.timeout.milliseconds) ms" }
        if dial != nil, connectDeadline <= now {
            return "no connection after \(request.connectTimeout.milliseconds) ms"
        }
        guard let limit = idleLimit else { return nil }
        if isHeldBack { lastActivity = now }
        if lastActivity + limit > now { return nil }
        return "nothing was received for \(request.idleTimeout.milliseconds) ms"
    }
}

extension TimeAmount {
    /// Creates the time of a limit, at most some 68 years, so that it can be added to any time.
    init(limit: Duration) { self.init(min(limit, .seconds(2_147_483_648))) }
}

/// Connections to one place, and the transfers that wait for one of them. Confined to the event loop.
final class PlainOrigin {
    let key: PlainTarget.Key
    /// Connections that may be used, the one used last at the end.
    var idle: [PlainConnection] = []
    /// Number of connections that are open or being opened.
    var open = 0
    private var waiting: CircularBuffer<PlainTransfer> = []
    /// True while the waiting transfers get connections.
    var isServing = false

    init(_ key: PlainTarget.Key) { self.key = key }

    /// True once the client does not know this origin any more, though a transfer may that was just prepared.
    var isForgotten = false

    /// True if nothing is left to be remembered.
    var isUnused: Bool { open == 0 && waiting.isEmpty }

    /// True if a transfer may be waiting for a connection.
    var hasWaiting: Bool { !waiting.isEmpty }

    func wait(_ transfer: PlainTransfer) { waiting.append(transfer) }

    /// Returns the transfer that has waited longest. Those that have ended meanwhile are dropped.
    func nextWaiting() -> PlainTransfer? {
        while let transfer = waiting.popFirst() {
            if transfer.phase == .active { return transfer }
        }
        return nil
    }
}
