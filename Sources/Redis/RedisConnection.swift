import DequeModule
package import NIOCore
import NIOPosix

/// Reason why a command has no reply.
package enum RedisError: Error, Hashable, Sendable, CustomStringConvertible {
    /// There is no connection now.
    case unavailable
    /// The server did not reply in time; the connection is closed.
    case timedOut
    /// Too many commands wait for a reply.
    case tooManyCommands
    /// The connection was lost before the reply came.
    case disconnected(String)

    package var description: String {
        switch self {
        case .unavailable: "not connected"
        case .timedOut: "no reply in time"
        case .tooManyCommands: "too many commands wait for a reply"
        case .disconnected(let reason): reason
        }
    }
}

/// A connection to a Redis or Valkey server, confined to its event loop. Commands are pipelined.
///
/// It is opened by the first command and kept open from then on: after a failure it is opened again, with growing pauses.
/// Commands of the first attempt wait for it; while it is away afterwards they fail at once, so that an outage costs their
/// senders no time.
package final class RedisConnection {
    /// Limits of a connection.
    package struct Limits: Hashable, Sendable {
        /// Time within which a command must have its reply, connecting included.
        package var timeout: TimeAmount
        /// Pause before the connection is opened again; doubles with every failure.
        package var firstPause: TimeAmount
        /// Longest pause.
        package var longestPause: TimeAmount
        /// Largest number of commands that wait for a reply.
        package var commands: Int

        /// Creates limits: 100 ms, pauses of 100 ms to 5 s, 10,000 commands.
        package init(
            timeout: TimeAmount = .milliseconds(100), firstPause: TimeAmount = .milliseconds(100),
            longestPause: TimeAmount = .seconds(5), commands: Int = 10_000
        ) {
            self.timeout = timeout
            self.firstPause = firstPause
            self.longestPause = longestPause
            self.commands = commands
        }
    }

    /// Receiver of a command's reply.
    package typealias Completion = (Result<RedisReply, RedisError>) -> Void

    private final class Command {
        var completion: Completion?
        var timer: Scheduled<Void>?

        init(_ completion: @escaping Completion) { self.completion = completion }

        func end(_ result: Result<RedisReply, RedisError>) {
            timer?.cancel()
            timer = nil
            guard let completion else { return }
            self.completion = nil
            completion(result)
        }
    }

    private enum State {
        /// No command has been sent yet.
        case idle
        /// Commands that wait for the first connection, with their bytes.
        case starting([(Command, ByteBuffer)])
        case open(any Channel)
        /// Not connected; the connection is opened again by itself.
        case away
        case closed
    }

    private let address: RedisAddress
    private let password: String?
    private let limits: Limits
    private let eventLoop: any EventLoop
    /// Told when the connection is open (nil), and when it is lost or cannot be opened (the reason).
    private let onChange: (RedisError?) -> Void
    private var state = State.idle
    /// Channel of the current attempt, until it is open.
    private var opening: (any Channel)?
    private var waiting = Deque<Command>()
    private var pause: TimeAmount
    private var attempt = 0

    /// - Parameters:
    ///   - password: Password of the server; nil where it asks for none.
    ///   - onChange: Called on the event loop: with nil when the connection is open, with the reason when it is not.
    package init(
        _ address: RedisAddress, password: String? = nil, limits: Limits = Limits(), eventLoop: any EventLoop,
        onChange: @escaping (RedisError?) -> Void = { _ in }
    ) {
        self.address = address
        self.password = password
        self.limits = limits
        self.eventLoop = eventLoop
        self.onChange = onChange
        pause = limits.firstPause
    }

    /// Sends a command. The completion is called once, on the event loop, perhaps before this returns.
    package func send(_ arguments: [[UInt8]], _ completion: @escaping Completion) {
        eventLoop.preconditionInEventLoop()
        switch state {
        case .closed, .away: return completion(.failure(.unavailable))
        case .idle:
            state = .starting([])
            connect()
        case .starting, .open: break
        }
        let command = Command(completion)
        let bytes = Self.encoded(arguments)
        switch state {
        case .starting(var first):
            guard first.count < limits.commands else { return completion(.failure(.tooManyCommands)) }
            first.append((command, bytes))
            state = .starting(first)
            start(command)
        case .open(let channel):
            guard waiting.count < limits.commands else { return completion(.failure(.tooManyCommands)) }
            write(command, bytes, channel)
        // The attempt has failed at once.
        case .idle, .away, .closed: completion(.failure(.unavailable))
        }
    }

    /// Closes the connection for good; commands that wait fail.
    package func close() {
        eventLoop.preconditionInEventLoop()
        let before = state
        state = .closed
        if case .open(let channel) = before { channel.close(promise: nil) }
        opening?.close(promise: nil)
        fail(before, .unavailable)
    }

    // MARK: Commands

    private func start(_ command: Command) {
        let bound = NIOLoopBound((self, command), eventLoop: eventLoop)
        command.timer = eventLoop.scheduleTask(in: limits.timeout) {
            let (connection, command) = bound.value
            connection.timedOut(command)
        }
    }

    private func write(_ command: Command, _ bytes: ByteBuffer, _ channel: any Channel) {
        waiting.append(command)
        if command.timer == nil { start(command) }
        channel.writeAndFlush(bytes, promise: nil)
    }

    private func timedOut(_ command: Command) {
        command.timer = nil
        command.end(.failure(.timedOut))
        // Further commands to a silent server would wait as long.
        if let opening {
            lost(.timedOut, opening)
        } else if case .open(let channel) = state {
            lost(.timedOut, channel)
        }
    }

    /// The protocol's array of bulk strings.
    private static func encoded(_ arguments: [[UInt8]]) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(arguments.reduce(16) { $0 + $1.count + 16 })
        buffer.writeString("*\(arguments.count)\r\n")
        for argument in arguments {
            buffer.writeString("$\(argument.count)\r\n")
            buffer.writeBytes(argument)
            buffer.writeString("\r\n")
        }
        return buffer
    }

    // MARK: Connecting

    private func connect() {
        attempt += 1
        let number = attempt
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        ClientBootstrap(group: eventLoop)
            .connectTimeout(limits.timeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        RedisReplyHandler(bound))
                }
            }
            .connect(host: address.host, port: address.port)
            .whenComplete { result in bound.value.connected(result, number) }
    }

    private func connected(_ result: Result<any Channel, any Error>, _ number: Int) {
        switch result {
        case .failure(let error):
            guard number == attempt, !isClosed else { return }
            failed(.disconnected("\(error)"))
        case .success(let channel):
            guard number == attempt, !isClosed else { return channel.close(promise: nil) }
            opening = channel
            // Replies come in the order of the commands; the last one tells that all of them were accepted.
            var greeting: [[String]] = []
            if let password { greeting.append(["AUTH", password]) }
            if address.database > 0 { greeting.append(["SELECT", "\(address.database)"]) }
            greeting.append(["PING"])
            for (index, words) in greeting.enumerated() {
                let isLast = index == greeting.count - 1
                let command = Command { [self] result in
                    switch result {
                    case .success(.error(let text)): lost(.disconnected(text), channel)
                    case .success: if isLast { opened(channel) }
                    case .failure(let error): lost(error, channel)
                    }
                }
                write(command, Self.encoded(words.map { Array($0.utf8) }), channel)
            }
        }
    }

    private func opened(_ channel: any Channel) {
        guard opening === channel else { return }
        opening = nil
        pause = limits.firstPause
        var first: [(Command, ByteBuffer)] = []
        if case .starting(let commands) = state { first = commands }
        state = .open(channel)
        onChange(nil)
        for (command, bytes) in first where command.completion != nil { write(command, bytes, channel) }
    }

    /// Ends the connection, once for each channel.
    fileprivate func lost(_ reason: RedisError, _ channel: any Channel) {
        if opening === channel {
            opening = nil
        } else if case .open(let current) = state, current === channel {
            // The connection in use.
        } else {
            return
        }
        channel.close(promise: nil)
        failed(reason)
    }

    private func failed(_ reason: RedisError) {
        guard !isClosed else { return }
        // Replies of a channel that is still being closed are ignored.
        attempt += 1
        let before = state
        state = .away
        onChange(reason)
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: pause) {
            let connection = bound.value
            if case .away = connection.state { connection.connect() }
        }
        pause = min(pause * 2, limits.longestPause)
        fail(before, reason)
    }

    private func fail(_ state: State, _ reason: RedisError) {
        var commands = Array(waiting)
        waiting.removeAll()
        if case .starting(let first) = state { commands += first.map(\.0) }
        for command in commands { command.end(.failure(reason)) }
    }

    private var isClosed: Bool { if case .closed = state { true } else { false } }

    // MARK: Replies

    fileprivate func received(_ reply: RedisReply, _ channel: any Channel) {
        guard isCurrent(channel) else { return }
        // Every later reply would be taken for that of another command.
        guard let command = waiting.popFirst() else {
            return lost(.disconnected("a reply without a command"), channel)
        }
        command.end(.success(reply))
    }

    private func isCurrent(_ channel: any Channel) -> Bool {
        if case .open(let current) = state { return current === channel }
        return opening === channel
    }
}

/// Last handler of a connection's pipeline.
private final class RedisReplyHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let connection: NIOLoopBound<RedisConnection>
    private let reader = try? RedisReplyReader()

    init(_ connection: NIOLoopBound<RedisConnection>) { self.connection = connection }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        guard let reader else { return lose(context, "out of memory") }
        do {
            try bytes.withUnsafeReadableBytes { try reader.feed($0) }
            while let reply = try reader.next() { connection.value.received(reply, context.channel) }
        } catch {
            lose(context, (error as? RedisReplyReader.Malformed)?.reason ?? "\(error)")
        }
    }

    func channelInactive(context: ChannelHandlerContext) { lose(context, "the connection was closed") }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { lose(context, "\(error)") }

    private func lose(_ context: ChannelHandlerContext, _ reason: String) {
        connection.value.lost(.disconnected(reason), context.channel)
    }
}
