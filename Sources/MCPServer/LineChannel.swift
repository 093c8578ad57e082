import Dispatch
import Foundation
import MCP
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Reader of lines from a file descriptor, on a thread of its own: a blocking read must not occupy a thread of the
/// cooperative pool.
enum LineReader {
    /// Largest number of lines that wait; then reading pauses.
    private static let ahead = 64

    static func lines(of descriptor: Int32, limit: Int) -> (lines: AsyncStream<InputLine>, taken: @Sendable () -> Void)
    {
        let (stream, continuation) = AsyncStream.makeStream(of: InputLine.self)
        let room = DispatchSemaphore(value: ahead)
        Thread.detachNewThread {
            var splitter = LineSplitter(limit: limit)
            let deliver: (InputLine) -> Void = { line in
                room.wait()
                continuation.yield(line)
            }
            withUnsafeTemporaryAllocation(byteCount: 64 * 1024, alignment: 1) { buffer in
                while true {
                    let count = read(descriptor, buffer.baseAddress, buffer.count)
                    if count > 0 {
                        splitter.feed(UnsafeRawBufferPointer(rebasing: buffer[..<count]), deliver)
                    } else if count == 0 || errno != EINTR {
                        break
                    }
                }
            }
            splitter.end(deliver)
            continuation.finish()
        }
        return (stream, { room.signal() })
    }
}

/// Writer of lines to a file descriptor, one at a time, off the cooperative pool.
final class LineWriter: Sendable {
    private let descriptor: Int32
    private let queue = DispatchQueue(label: "mcp.stdio.output")
    private let waiting = Mutex(0)
    /// Number of unsent bytes above which messages that no caller waits for are dropped.
    private static let backlogLimit = 4 * 1024 * 1024

    init(descriptor: Int32) { self.descriptor = descriptor }

    /// Writes a message and a line end, and waits until they are written, so that a slow reader slows down the writers.
    func write(_ message: [UInt8]) async {
        await withCheckedContinuation { continuation in
            queue.async {
                self.put(message)
                continuation.resume()
            }
        }
    }

    /// Writes a message in order, without waiting.
    func post(_ message: [UInt8]) {
        let fits = waiting.withLock { waiting in
            guard waiting + message.count <= Self.backlogLimit else { return false }
            waiting += message.count
            return true
        }
        guard fits else { return }
        queue.async {
            self.put(message)
            self.waiting.withLock { $0 -= message.count }
        }
    }

    /// Waits until all posted messages are written.
    func flush() async {
        await withCheckedContinuation { continuation in queue.async { continuation.resume() } }
    }

    private func put(_ message: [UInt8]) {
        (message + [0x0A]).withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = writeBytes(descriptor, UnsafeRawBufferPointer(rebasing: rest))
                if count > 0 {
                    rest = rest[(rest.startIndex + count)...]
                } else if errno != EINTR {
                    return  // The reader has gone; the end of the input will show it.
                }
            }
        }
    }
}

/// Calls `write(2)`, which a method of the same name hides in ``LineWriter``.
private func writeBytes(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
    write(descriptor, bytes.baseAddress, bytes.count)
}
