import NIOCore
import ProcessMemory

extension PlainConnection {
    /// Largest piece of a streamed body in bytes.
    private static let pieceBytes = 16 << 10
    /// Largest memory reserved for a declared Content-Length, which may be false, in bytes.
    private static let maximumReservation = 1 << 20

    private enum Step {
        case more, paused, complete
        case fault(ResponseError)
    }

    /// Handles bytes of the response.
    func process(_ buffer: ByteBuffer) {
        guard let transfer else { return }
        transfer.lastActivity = client.now
        if !hasBegun {
            hasBegun = true
            transfer.timings.firstByte = Duration(client.now - transfer.started)
        }
        var position = 0
        let step = buffer.withUnsafeReadableBytes { bytes in
            do throws(ResponseError) {
                return try read(bytes, &position, transfer)
            } catch {
                return Step.fault(error)
            }
        }
        switch step {
        case .more: break
        case .paused:
            var left = buffer
            left.moveReaderIndex(forwardBy: position)
            isReadingPaused = true
            rest = left
            setReading(false)
        case .complete:
            hasEnded = true
            hasExcess = position < buffer.readableBytes
            // A body that was answered with an error is not sent to its end.
            if requestIsComplete || parser.status >= 300 || uploadIsAbandoned { finish() }
        case .fault(let fault): client.abort(transfer, fault.kind, fault.message)
        }
    }

    private func read(
        _ bytes: UnsafeRawBufferPointer, _ position: inout Int, _ transfer: PlainTransfer
    ) throws(ResponseError) -> Step {
        while true {
            if isStreaming, parser.isInBody || decoder != nil || held != nil, mustWait(transfer) { return .paused }
            if let piece = held {
                held = nil
                if !pass(on: piece, transfer) { return .paused }
            }
            if let decoder, !(try decode(decoder, transfer)) { return .paused }
            guard let event = try parser.next(bytes, &position, limit: Self.pieceBytes) else { return .more }
            switch event {
            case .head: try beginResponse(transfer)
            case .body(let range):
                let piece = UnsafeRawBufferPointer(rebasing: bytes[range])
                if let decoder {
                    decoder.add(ByteBuffer(bytes: piece))
                } else if !(try receive(piece, transfer)) {
                    return .paused
                }
            case .end:
                if let decoder, !decoder.isComplete {
                    throw ResponseError(message: "the content is cut off")
                }
                return .complete
            }
        }
    }

    private func mustWait(_ transfer: PlainTransfer) -> Bool {
        transfer.mustWait(window: client.configuration.streamWindow)
    }

    /// - Returns: False when the receiver takes no more.
    private func decode(_ decoder: ContentDecoder, _ transfer: PlainTransfer) throws(ResponseError) -> Bool {
        while true {
            if isStreaming, mustWait(transfer) { return false }
            guard let piece = try decoder.next() else { return true }
            let isTaken = try piece.withUnsafeReadableBytes { (bytes) throws(ResponseError) in
                try receive(bytes, transfer)
            }
            if !isTaken { return false }
        }
    }

    private func beginResponse(_ transfer: PlainTransfer) throws(ResponseError) {
        let request = transfer.request
        let limit = request.maximumResponseBytes
        if limit > 0, let length = parser.announcedLength, length > limit {
            throw ResponseError(kind: .tooLarge, message: "response announces \(length) bytes, limit \(limit)")
        }
        if request.decodesContent, parser.isInBody, let coding = parser.headers.first(name: "Content-Encoding"),
            !coding.isEmpty, coding.lowercased() != "identity"
        {
            guard let made = ContentDecoder(coding) else {
                throw ResponseError(message: "the content coding \(coding.prefix(40)) is not known")
            }
            decoder = made
        }
        if !requestIsComplete, parser.status >= 300 {
            uploadIsAbandoned = true
            isSourceEmpty = false
        }
        isStreaming = request.mode.streams(parser.headers)
        if isStreaming { client.deliver(.head(transfer, status: parser.status, parser.headers)) }
    }

    /// - Returns: False when the receiver, or the memory budget, has no room, and the bytes are held back.
    private func receive(
        _ bytes: UnsafeRawBufferPointer, _ transfer: PlainTransfer
    ) throws(ResponseError) -> Bool {
        let limit = transfer.request.maximumResponseBytes
        if limit > 0, bytes.count > limit - receivedBytes {
            throw ResponseError(kind: .tooLarge, message: "response is longer than \(limit) bytes")
        }
        receivedBytes += bytes.count
        if isStreaming { return pass(on: ByteBuffer(bytes: bytes), transfer) }
        guard client.configuration.memory.hold(receivedBytes, in: &reservation) else {
            throw ResponseError(
                kind: .overloaded,
                message: "no room in limits.memory for a response of \(receivedBytes) bytes or more")
        }
        if receivedBytes == bytes.count {
            let announced = min(parser.announcedLength ?? 0, Self.maximumReservation)
            body = ByteBufferAllocator().buffer(capacity: max(bytes.count, announced))
        }
        body.writeBytes(bytes)
        return true
    }

    /// Passes a piece of a streamed body on.
    /// - Returns: False when the memory budget has no room, and the piece is held back.
    private func pass(on piece: ByteBuffer, _ transfer: PlainTransfer) -> Bool {
        guard transfer.began(piece.readableBytes) else {
            held = piece
            return false
        }
        client.deliver(.body(transfer, piece, window: client.configuration.streamWindow))
        return true
    }

    /// Ends an exchange whose response is complete.
    func finish() {
        guard let transfer else { return }
        transfer.timings.total = Duration(client.now - transfer.started)
        var response = CurlResponse(
            status: parser.status, headers: parser.takeHeaders(), body: body, timings: transfer.timings)
        response.reservation = reservation
        self.transfer = nil
        transfer.connection = nil
        body = ByteBuffer()
        reservation = nil
        decoder = nil
        setReading(true)
        if isOpen, requestIsComplete, parser.isPersistent, !hasExcess { client.release(self) } else { close() }
        client.end(transfer, .success(response))
    }
}
