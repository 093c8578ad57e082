import NIOCore

/// The body of a request that is written while it is sent.
extension PlainConnection {
    /// Largest piece in bytes.
    private static let pieceBytes = 16 << 10
    /// Bytes after which other connections get their turn.
    private static let turnBytes = 256 << 10
    /// Room in front of a chunk for its size in hexadecimal digits and a line's end.
    private static let chunkHead = 10

    /// Sends what the body's source has, as far as the connection takes it.
    func upload() {
        guard let transfer, case .stream(let source) = transfer.request.body, let channel, !isUploading,
            !requestIsComplete, !uploadIsAbandoned, !isSourceEmpty, transfer.request.method != "HEAD"
        else { return }
        isUploading = true
        defer { isUploading = false }
        var left = Self.turnBytes
        while channel.isWritable {
            guard left > 0 else { return client.eventLoop.execute { self.upload() } }
            let wanted = min(Self.pieceBytes, source.length.map { $0 - uploadedBytes } ?? Self.pieceBytes)
            var piece = ByteBufferAllocator().buffer(capacity: Self.chunkHead + wanted + 2)
            piece.moveWriterIndex(to: Self.chunkHead)
            piece.moveReaderIndex(to: Self.chunkHead)
            var reading = CurlBodySource.Reading.end
            if wanted > 0 {
                piece.writeWithUnsafeMutableBytes(minimumWritableBytes: wanted) { memory in
                    let target = UnsafeMutableRawBufferPointer(rebasing: memory[..<wanted])
                    reading = source.read(into: target) { client.deliver(.consumed(transfer, $0)) }
                    if case .bytes(let count) = reading { return count }
                    return 0
                }
            }
            // The writer may have ended the transfer when it was told of the consumption.
            guard self.transfer === transfer else { return }
            switch reading {
            case .bytes(let count):
                transfer.lastActivity = client.now
                uploadedBytes += count
                left -= count
                if source.length == nil { frame(&piece, count) }
                channel.writeAndFlush(piece, promise: nil)
            case .wait:
                isSourceEmpty = true
                return
            case .failed: return client.abort(transfer, .cancelled, "the request body's source failed")
            case .end: return endUpload(transfer, source, channel)
            }
            guard self.transfer === transfer, !uploadIsAbandoned else { return }
        }
    }

    /// Puts the size before a chunk, and the end of a line behind it.
    private func frame(_ piece: inout ByteBuffer, _ count: Int) {
        let size = String(count, radix: 16) + "\r\n"
        let start = Self.chunkHead - size.utf8.count
        piece.setString(size, at: start)
        piece.moveReaderIndex(to: start)
        piece.writeStaticString("\r\n")
    }

    private func endUpload(_ transfer: PlainTransfer, _ source: CurlBodySource, _ channel: any Channel) {
        if let length = source.length, uploadedBytes < length {
            return client.abort(transfer, .cancelled, "the request body ended before its length")
        }
        // An empty write is complete when those before it are.
        let end = source.length == nil ? ByteBuffer(staticString: "0\r\n\r\n") : ByteBuffer()
        channel.writeAndFlush(end).assumeIsolated().whenComplete { [self, exchange = exchanges] result in
            if case .success = result { requestIsSent(exchange) }
        }
    }
}
