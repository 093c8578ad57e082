import CZlib
import NIOCore

/// Decoder of one content coding (RFC 9110 §8.4.1): gzip, or deflate in its zlib format.
final class ContentDecoder {
    private let stream: UnsafeMutablePointer<z_stream>
    private var input = ByteBuffer()
    private var isFinished = false
    private var hasBegun = false

    /// Largest piece of output in bytes.
    private static let pieceBytes = 16 << 10
    /// zlib's number for the largest window, with the format found out from the data.
    private static let windowBits: Int32 = 15 + 32

    /// - Parameter coding: Value of `Content-Encoding`.
    /// - Returns: Nil for a coding that is not decoded here, or without memory.
    init?(_ coding: String) {
        guard ["gzip", "x-gzip", "deflate"].contains(coding.lowercased()) else { return nil }
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let size = Int32(MemoryLayout<z_stream>.size)
        // `deinit` frees the stream, which zlib leaves alone where it is not initialized.
        guard inflateInit2_(stream, Self.windowBits, ZLIB_VERSION, size) == Z_OK else { return nil }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// Adds bytes to be decoded.
    func add(_ bytes: ByteBuffer) {
        var bytes = bytes
        hasBegun = true
        if input.readableBytes == 0 { input = bytes } else { input.writeBuffer(&bytes) }
    }

    /// Returns the next piece of the content; nil when more bytes are needed.
    /// - Throws: `ResponseError` when the bytes are not what the coding says.
    func next() throws(ResponseError) -> ByteBuffer? {
        while input.readableBytes > 0 || stream.pointee.avail_out == 0 {
            // Another member may follow (RFC 1952 §2.2).
            if isFinished {
                guard input.readableBytes > 0 else { return nil }
                isFinished = false
                inflateReset(stream)
            }
            var piece = ByteBufferAllocator().buffer(capacity: Self.pieceBytes)
            var status = Z_OK
            var written = 0
            input.readWithUnsafeMutableReadableBytes { bytes in
                stream.pointee.next_in = bytes.baseAddress?.assumingMemoryBound(to: Bytef.self)
                stream.pointee.avail_in = uInt(clamping: bytes.count)
                let offered = Int(clamping: stream.pointee.avail_in)
                piece.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.pieceBytes) { output in
                    stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: Bytef.self)
                    stream.pointee.avail_out = uInt(clamping: Self.pieceBytes)
                    status = inflate(stream, Z_NO_FLUSH)
                    written = Self.pieceBytes - Int(clamping: stream.pointee.avail_out)
                    return written
                }
                return offered - Int(clamping: stream.pointee.avail_in)
            }
            switch status {
            case Z_STREAM_END: isFinished = true
            case Z_OK: break
            // Neither more input nor more output: all is decoded so far.
            case Z_BUF_ERROR where written == 0 && input.readableBytes == 0: return nil
            default: throw ResponseError(message: "the content is not what Content-Encoding says")
            }
            if isFinished { stream.pointee.avail_out = uInt(clamping: Self.pieceBytes) }
            if written > 0 { return piece }
        }
        return nil
    }

    /// True if the content ends here, or has not begun.
    var isComplete: Bool { !hasBegun || isFinished && input.readableBytes == 0 }
}
