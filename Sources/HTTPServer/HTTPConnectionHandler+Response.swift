import NIOCore
import NIOHTTP1

extension HTTPConnectionHandler {
    /// Largest body, in bytes, that is copied after the head into one buffer; larger ones are written separately.
    private static let copyLimit = 4096
    /// Number of unflushed streamed bytes at which they are written to the channel.
    private static let streamLimit = 64 * 1024

    func responseHasStarted(_ exchange: HTTPExchange) -> Bool {
        exchange !== self.exchange || machine.response != .pending
    }

    var isWritable: Bool { isChannelWritable && !isAwaitingFlush }

    func respond(_ exchange: HTTPExchange, status: HTTPResponseStatus, headers: HTTPHeaders, body: ByteBuffer?) {
        guard !responseHasStarted(exchange), context != nil else { return }
        let head = HTTPResponseHeadWriter(status: status, headers: headers)
        let control = head.control()
        let length: HTTPResponseHeadWriter.ContentLength
        let isHead = exchange.head.method == .HEAD
        switch status.code {
        case 204: length = .omitted
        case 304: length = control.contentLength.map { .value($0) } ?? .omitted
        default: length = .value(body?.readableBytes ?? (isHead ? control.contentLength : nil) ?? 0)
        }
        let sendsBody = !isHead && !status.forbidsBody
        exchange.responseFraming = .none
        writeHead(
            exchange, head, length: length, control: control,
            reserving: sendsBody ? min(body?.readableBytes ?? 0, Self.copyLimit) : 0)
        if sendsBody, let body { append(body, to: exchange) }
        endOfResponse()
    }

    func startResponse(_ exchange: HTTPExchange, status: HTTPResponseStatus, headers: HTTPHeaders) {
        guard !responseHasStarted(exchange), context != nil else { return }
        let head = HTTPResponseHeadWriter(status: status, headers: headers)
        var control = head.control()
        let length: HTTPResponseHeadWriter.ContentLength
        if exchange.head.method == .HEAD || status.forbidsBody {
            exchange.responseFraming = .none
            length = status.code == 204 ? .omitted : control.contentLength.map { .value($0) } ?? .omitted
        } else if let count = control.contentLength {
            exchange.responseFraming = .length(remaining: count)
            length = .value(count)
        } else if exchange.head.version.minor == 0 {
            exchange.responseFraming = .untilClose
            control.asksToClose = true
            length = .omitted
        } else {
            exchange.responseFraming = .chunked
            length = .chunked
        }
        writeHead(exchange, head, length: length, control: control, reserving: 0)
    }

    func writeBody(_ exchange: HTTPExchange, _ bytes: ByteBuffer) {
        guard exchange === self.exchange, machine.response == .started, !isAwaitingFlush, bytes.readableBytes > 0 else {
            return
        }
        switch exchange.responseFraming {
        case .none: return
        case .untilClose: append(bytes, to: exchange)
        case .length(let remaining):
            // Bytes beyond the announced length would be read as the next response.
            let count = min(remaining, bytes.readableBytes)
            guard let part = bytes.getSlice(at: bytes.readerIndex, length: count), count > 0 else { return }
            exchange.responseFraming = .length(remaining: remaining - count)
            append(part, to: exchange)
        case .chunked:
            prepareOutbound()
            let before = outbound.readableBytes
            outbound.writeString(String(bytes.readableBytes, radix: 16))
            outbound.writeStaticString("\r\n")
            exchange.responseBytes += outbound.readableBytes - before
            append(bytes, to: exchange)
            appendStatic("\r\n", to: exchange)
        }
        if outbound.readableBytes >= Self.streamLimit { handOver(promise: nil) }
        // Unflushed bytes count as waiting; otherwise the channel would not become writable again.
        if !isChannelWritable { requestFlush() }
    }

    func flushResponse(_ exchange: HTTPExchange) {
        guard exchange === self.exchange else { return }
        handOver(promise: nil)
        requestFlush()
    }

    func endResponse(_ exchange: HTTPExchange) {
        guard exchange === self.exchange, machine.response == .started, !isAwaitingFlush else { return }
        switch exchange.responseFraming {
        case .none, .untilClose: break
        case .length(let remaining): if remaining > 0 { return abort(exchange) }
        case .chunked: appendStatic("0\r\n\r\n", to: exchange)
        }
        endOfResponse()
    }

    func abort(_ exchange: HTTPExchange) {
        guard exchange === self.exchange, let context, machine.response != .ended, !isAwaitingFlush else { return }
        // Where the end of the connection is the end of the body, only a reset shows that it is incomplete.
        let needsReset = exchange.responseFraming == .untilClose && machine.response == .started
        if machine.response == .pending { exchange.status = 500 }
        machine.channelClosed()
        finishExchange(isComplete: false)
        if needsReset { connections.resetOnClose(context.channel) }
        context.close(promise: nil)
    }

    // MARK: The end of a response

    private func endOfResponse() {
        guard machine.keepAlive, machine.isBodyComplete else {
            return perform(machine.responseEnded(now: .now()))
        }
        handOver(promise: nil)
        requestFlush()
        // The connection may have been lost while writing.
        guard exchange != nil else { return }
        // The next request waits until a slow reader has taken this response.
        if isChannelWritable { completeResponse() } else { isAwaitingFlush = true }
    }

    func completeResponse() {
        isAwaitingFlush = false
        let action = machine.responseEnded(now: .now())
        // Draining may have begun since the head was sent; then the connection is closed like any other.
        if action == .next { finishExchange(isComplete: true) }
        perform(action)
    }

    // MARK: Bytes

    private func writeHead(
        _ exchange: HTTPExchange, _ head: HTTPResponseHeadWriter, length: HTTPResponseHeadWriter.ContentLength,
        control: HTTPResponseHeadWriter.Control, reserving bodyBytes: Int
    ) {
        discardBufferedBody(of: exchange)
        exchange.status = Int(clamping: head.status.code)
        let persists = machine.responseStarted(asksToClose: control.asksToClose)
        let connection: StaticString? =
            if !persists { "close" } else if exchange.head.version.minor == 0 { "keep-alive" } else { nil }
        if !control.hasDate { connections.date.update() }
        prepareOutbound()
        let before = outbound.readableBytes
        head.write(
            to: &outbound, length: length, connection: connection, date: control.hasDate ? nil : connections.date,
            reserving: bodyBytes)
        exchange.responseBytes += outbound.readableBytes - before
    }

    /// Writes `100 Continue`, when the client requested it, or to check whether it is still there.
    func writeInterim(_ exchange: HTTPExchange) {
        prepareOutbound()
        appendStatic("HTTP/1.1 100 Continue\r\n\r\n", to: exchange)
        handOver(promise: nil)
        requestFlush()
    }

    private func append(_ bytes: ByteBuffer, to exchange: HTTPExchange) {
        exchange.responseBytes += bytes.readableBytes
        if bytes.readableBytes <= Self.copyLimit {
            prepareOutbound()
            outbound.writeImmutableBuffer(bytes)
        } else {
            handOver(promise: nil)
            bytesHandedOver += bytes.readableBytes
            context?.write(wrapOutboundOut(bytes), promise: nil)
            chargeOutput()
        }
    }

    func appendStatic(_ text: StaticString, to exchange: HTTPExchange) {
        prepareOutbound()
        exchange.responseBytes += text.utf8CodeUnitCount
        outbound.writeStaticString(text)
    }

    /// Makes `outbound` writable again after it was handed over. By then the channel has mostly written and released
    /// it, and its storage serves the next response too.
    private func prepareOutbound() {
        guard outboundIsHandedOver else { return }
        outboundIsHandedOver = false
        outbound.clear()
    }

    func handOver(promise: EventLoopPromise<Void>?) {
        guard let context else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        if outboundIsHandedOver {
            if let promise { context.write(wrapOutboundOut(ByteBuffer()), promise: promise) }
            return
        }
        outboundIsHandedOver = true
        bytesHandedOver += outbound.readableBytes
        context.write(wrapOutboundOut(outbound), promise: promise)
        chargeOutput()
        // Thousands of idle connections each keep their buffer: only small ones are worth it.
        if outbound.capacity > 2 * Self.copyLimit { outbound = ByteBuffer() }
    }

    // MARK: Finding out whether a client that stopped sending has left

    /// Schedules a check whether a client that stopped sending has left. A client that half-closed its connection and
    /// one that left look alike until something is sent: the kernel of one that left responds with a reset. So
    /// something without effect is sent: an interim response before the response (RFC 9110 section 15.2: clients must
    /// accept any number), a leading zero of the next chunk's size within a chunked one (RFC 9112 section 7.1:
    /// `chunk-size = 1*HEXDIG`, `last-chunk = 1*"0"`). A client of HTTP/1.0, or one that reads a body of announced
    /// length, is found to have left by the next write.
    func scheduleProbe(after delay: TimeAmount) {
        guard let context, let exchange else { return }
        context.eventLoop.assumeIsolated().scheduleTask(in: delay) { [weak self, weak exchange] in
            guard let self, let exchange, exchange === self.exchange else { return }
            probe(exchange)
        }
    }

    private func probe(_ exchange: HTTPExchange) {
        guard !isAwaitingFlush, exchange.head.version.minor > 0 else { return }
        // The second one is for a client that closes after having half-closed; more of them add only bytes.
        guard probes < 8 else { return }
        switch machine.response {
        case .pending: writeInterim(exchange)
        case .started where exchange.responseFraming == .chunked:
            appendStatic("0", to: exchange)
            handOver(promise: nil)
            requestFlush()
        case .started, .ended: return
        }
        probes += 1
        scheduleProbe(after: .seconds(1 << Int64(min(probes - 1, 4))))
    }
}

extension HTTPResponseStatus {
    fileprivate var forbidsBody: Bool { code == 204 || code == 304 || code < 200 }
}
