import Glibc
import NIOCore
import NIOPosix
import ProcessMemory

/// One connection: requests out, responses in, one exchange at a time.
///
/// A request is written to the socket directly, because only this tells how much of it left before the connection broke:
/// whether it may be repeated depends on that. What the socket does not take at once goes through the channel.
///
/// `@unchecked Sendable`: confined to the client's event loop.
final class PlainConnection: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer

    let client: PlainClient
    let origin: PlainOrigin
    /// Time at which the last exchange ended.
    var idleSince = NIODeadline.uptimeNanoseconds(0)

    var channel: (any Channel)?
    /// The channel's socket; -1 before it is connected, and once it is closed or being closed.
    private var socket: Int32 = -1
    /// True from `activate` until the client was told of the end.
    private(set) var isOpen = false
    /// Number of exchanges so far; that of the present one.
    private(set) var exchanges = 0

    // The exchange; see PlainConnection+Response.swift.
    var transfer: PlainTransfer?
    var parser = ResponseParser()
    var body = ByteBuffer()
    /// Memory that the collected body has drawn.
    var reservation: MemoryReservation?
    /// Piece of a streamed body for which the receiver, or the memory budget, has no room yet.
    var held: ByteBuffer?
    var receivedBytes = 0
    var isStreaming = false
    var decoder: ContentDecoder?
    /// True once a byte of the response was read.
    var hasBegun = false
    /// True once the response is complete.
    var hasEnded = false
    /// True if bytes followed the response.
    var hasExcess = false
    /// True while the receiver takes no bytes.
    var isReadingPaused = false
    private var isReading = true
    /// Bytes that were read meanwhile.
    var rest = ByteBuffer()
    /// True if the peer has closed, and what it sent before is in `rest`.
    var inputHasEnded = false

    // The request's body; see PlainConnection+Upload.swift.
    var requestIsComplete = false
    var uploadedBytes = 0
    var isSourceEmpty = false
    var isUploading = false
    var uploadIsAbandoned = false

    /// Largest body in bytes that is copied behind its head, so that one packet carries both.
    private static let smallBody = 16 << 10

    init(origin: PlainOrigin, client: PlainClient) {
        self.origin = origin
        self.client = client
    }

    // MARK: Opening and closing

    /// Prepares for requests.
    /// - Returns: False when the channel is closed already.
    func activate(_ channel: any Channel) -> Bool {
        let handle = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
            $0
        }
        guard channel.isActive, let handle else { return false }
        self.channel = channel
        socket = handle
        isOpen = true
        if origin.key.socketPath == nil { keepAlive() }
        return true
    }

    /// Lets the kernel find out about peers that are gone, with libcurl's times.
    private func keepAlive() {
        for (level, option, value) in [
            (SOL_SOCKET, SO_KEEPALIVE, Int32(1)), (Int32(IPPROTO_TCP), TCP_KEEPIDLE, 60),
            (Int32(IPPROTO_TCP), TCP_KEEPINTVL, 60),
        ] {
            var value = value
            setsockopt(socket, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    /// True if the peer has neither closed this connection nor sent anything.
    var isQuiet: Bool {
        var byte: UInt8 = 0
        return recv(socket, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)) < 0
            && (errno == EAGAIN || errno == EWOULDBLOCK)
    }

    /// Closes a connection without an exchange.
    func close() {
        socket = -1
        let channel = channel
        leave()
        channel?.close(promise: nil)
    }

    /// Closes the connection in the middle of its exchange. A regular close looks like a client that has sent everything
    /// and still reads: the peer would continue until its next write. A reset notifies it at once.
    func abandon() {
        if socket >= 0 {
            var option = linger(l_onoff: 1, l_linger: 0)
            setsockopt(socket, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        }
        transfer?.connection = nil
        transfer = nil
        reservation = nil
        close()
    }

    /// Tells the client, once, that this connection is not to be used any more.
    private func leave() {
        guard isOpen else { return }
        isOpen = false
        client.closed(self)
    }

    func handlerAdded(context: ChannelHandlerContext) { client.socketOpened() }

    func handlerRemoved(context: ChannelHandlerContext) {
        lost()
        channel = nil
        client.socketClosed()
    }

    func channelInactive(context: ChannelHandlerContext) { lost() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Resets and other errors of the socket; channelInactive follows.
        context.close(promise: nil)
    }

    func channelReadComplete(context: ChannelHandlerContext) {}

    private func lost() {
        socket = -1
        leave()
        if isReadingPaused, transfer != nil { inputHasEnded = true } else { concludeInput() }
    }

    /// Handles the end of what the peer sends, or a request that could not be sent.
    func concludeInput() {
        guard let transfer else { return }
        let isUsed = exchanges > 1
        if hasEnded || parser.endOfInput() {
            hasEnded = true
            hasExcess = true
            return finish()
        }
        self.transfer = nil
        reservation = nil
        client.noteTime()
        if !hasBegun, isUsed {
            switch transfer.request.body {
            case .stream where transfer.requestSent: break
            default:
                // Nothing was sent, or it does no harm twice.
                if !transfer.requestSent || transfer.request.mayResend { return client.resend(transfer) }
                return fail(transfer, .resendRefused, "the connection died after the request was sent")
            }
        }
        fail(
            transfer, .closedEarly,
            hasBegun
                ? "the peer closed the connection before the response was complete"
                : "the peer closed the connection before it answered")
    }

    private func fail(_ transfer: PlainTransfer, _ kind: CurlError.Kind, _ message: String) {
        client.end(transfer, .failure(CurlError(kind: kind, message: message, requestSent: transfer.requestSent)))
    }

    // MARK: Request

    /// Carries out an exchange on this connection.
    func begin(_ transfer: PlainTransfer) {
        let request = transfer.request
        exchanges += 1
        self.transfer = transfer
        transfer.connection = self
        transfer.timings.reusedConnection = exchanges > 1
        if exchanges > 1 { transfer.timings.connect = .zero }
        parser.reset(isHead: request.method == "HEAD")
        receivedBytes = 0
        reservation = nil
        held = nil
        isStreaming = false
        hasBegun = false
        hasEnded = false
        hasExcess = false
        requestIsComplete = false
        uploadedBytes = 0
        isSourceEmpty = false
        uploadIsAbandoned = false
        switch request.body {
        case .bytes(let bytes) where request.method != "HEAD":
            send(transfer, bytes, framing: .length(bytes.readableBytes))
        case .stream(let source) where request.method != "HEAD":
            guard send(transfer, nil, framing: source.length.map { .length($0) } ?? .chunked) else { return }
            source.attach(transfer)
            upload()
        default:
            // These methods announce an empty body (RFC 9110 §8.6).
            let announces = request.method == "POST" || request.method == "PUT" || request.method == "PATCH"
            send(transfer, nil, framing: announces ? .length(0) : .none)
        }
    }

    /// Sends the head, and a body that is there as a whole.
    /// - Returns: False when the connection broke.
    @discardableResult
    private func send(
        _ transfer: PlainTransfer, _ body: ByteBuffer?, framing: RequestHeadWriter.Framing
    ) -> Bool {
        let isSmall = (body?.readableBytes ?? 0) <= Self.smallBody
        client.head.write(transfer.request, transfer.target, framing: framing, body: isSmall ? body : nil)
        var isStream = false
        if case .stream = transfer.request.body, transfer.request.method != "HEAD" { isStream = true }
        let first = client.head.bytes
        let sent = send(first, hasMore: !isSmall)
        guard sent >= 0 else {
            // The channel learns of it by itself; nothing of the request has left.
            abandonSocket()
            return false
        }
        if sent > 0 { transfer.requestSent = true }
        var left = sent < first.count ? ByteBuffer(bytes: first[sent...]) : nil
        if !isSmall, var body {
            if left == nil {
                let sent = max(0, body.withUnsafeReadableBytes { send($0, hasMore: false) })
                body.moveReaderIndex(forwardBy: sent)
            }
            if var head = left {
                head.writeBuffer(&body)
                left = head
            } else if body.readableBytes > 0 {
                left = body
            }
        }
        guard let left else {
            requestIsComplete = !isStream
            return true
        }
        transfer.requestSent = true
        channel?.writeAndFlush(left).assumeIsolated().whenComplete { [self, exchange = exchanges] result in
            if !isStream, case .success = result { requestIsSent(exchange) }
        }
        return true
    }

    /// - Returns: Number of bytes that the kernel took; negative when the connection is broken.
    private func send(_ bytes: UnsafeRawBufferPointer, hasMore: Bool) -> Int {
        let flags = Int32(MSG_NOSIGNAL) | (hasMore ? Int32(MSG_MORE) : 0)
        let sent = Glibc.send(socket, bytes.baseAddress, bytes.count, flags)
        if sent < 0, errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ENOBUFS { return 0 }
        return sent
    }

    /// Closes a socket that does not take anything, and continues with the transfer elsewhere where that is possible.
    private func abandonSocket() {
        socket = -1
        let channel = channel
        leave()
        concludeInput()
        channel?.close(promise: nil)
    }

    /// Handles the last byte of an exchange's request having been sent.
    func requestIsSent(_ exchange: Int) {
        guard exchange == exchanges, transfer != nil else { return }
        requestIsComplete = true
        if hasEnded { finish() }
    }

    /// True if this side holds the exchange back.
    var isHeldBack: Bool { isReadingPaused || isSourceEmpty }

    // MARK: Events of the channel

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        guard transfer != nil else {
            // Nothing was asked. Whatever it is, it must not become the answer to the next request.
            return close()
        }
        if hasEnded {
            hasExcess = true
        } else if isReadingPaused {
            rest.writeImmutableBuffer(bytes)
        } else {
            client.noteTime()
            process(bytes)
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, !isUploading { upload() }
    }

    /// Continues where the receiver takes bytes again, or the body's source has some.
    func wake() {
        guard let transfer else { return }
        if isReadingPaused, !transfer.mustWait(window: client.configuration.streamWindow) {
            isReadingPaused = false
            transfer.lastActivity = client.now
            let bytes = rest
            rest = ByteBuffer()
            process(bytes)
            if isReadingPaused || self.transfer !== transfer { return }
            if inputHasEnded { return concludeInput() }
            setReading(true)
        }
        if isSourceEmpty {
            isSourceEmpty = false
            transfer.lastActivity = client.now
            upload()
        }
    }

    /// Starts or stops reading from the socket.
    func setReading(_ reads: Bool) {
        guard reads != isReading else { return }
        isReading = reads
        try? channel?.syncOptions?.setOption(.autoRead, value: reads)
    }
}
