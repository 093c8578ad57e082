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

/// Channel of lines to and from a server on a pair of file descriptors, which it owns.
final class StdioChannel: Sendable {
    private let output: Mutex<Int32?>
    private let input: Int32
    private let limit: Int
    /// Number of bytes that wait to be written.
    private let waiting = Atomic<Int>(0)
    /// Queue for blocking writes, which must be in order and must not occupy a thread of the cooperative pool.
    private let queue = DispatchQueue(label: "mcp.stdio.client")

    /// - Parameter limit: Largest line in bytes; a longer one is dropped while it is read.
    init(input: Int32, output: Int32, limit: Int) {
        // A server that exits must not end the client in the middle of a write.
        _ = signal(SIGPIPE, SIG_IGN)
        self.input = input
        self.output = Mutex(output)
        self.limit = limit
    }

    /// Reads on a thread of its own until the server closes its output: then `take` gets nil, and nothing after it.
    func read(_ take: @escaping @Sendable (InputLine?) -> Void) {
        Self.readLines(of: input, limit: limit, take)
    }

    /// Reads a descriptor on a thread of its own until its other end is closed: then `take` gets nil, and nothing after
    /// it, and the descriptor is closed.
    static func readLines(of input: Int32, limit: Int, _ take: @escaping @Sendable (InputLine?) -> Void) {
        Thread.detachNewThread {
            var splitter = LineSplitter(limit: limit)
            withUnsafeTemporaryAllocation(byteCount: 64 * 1024, alignment: 1) { buffer in
                while true {
                    let count = systemRead(input, buffer.baseAddress, buffer.count)
                    if count > 0 {
                        splitter.feed(UnsafeRawBufferPointer(rebasing: buffer[..<count])) { take($0) }
                    } else if count == 0 || errno != EINTR {
                        break
                    }
                }
            }
            splitter.end { take($0) }
            take(nil)
            close(input)
        }
    }

    /// Writes a message and a line end after all waiting ones. Errors of a server that has exited are ignored.
    /// - Returns: False when it is not written, because the server has left as much unread as a line may hold.
    @discardableResult
    func write(_ message: [UInt8]) -> Bool {
        guard waiting.load(ordering: .relaxed) <= limit else { return false }
        waiting.add(message.count, ordering: .relaxed)
        queue.async {
            self.output.withLock { output in
                guard let output else { return }
                Self.put(message + [0x0A], to: output)
            }
            self.waiting.subtract(message.count, ordering: .relaxed)
        }
        return true
    }

    /// Closes the server's input, after all waiting messages.
    func end() {
        queue.async {
            self.output.withLock { output in
                if let descriptor = output { close(descriptor) }
                output = nil
            }
        }
    }

    private static func put(_ bytes: [UInt8], to descriptor: Int32) {
        bytes.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = systemWrite(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count > 0 {
                    rest = rest.dropFirst(count)
                } else if errno != EINTR {
                    return
                }
            }
        }
    }
}

// Inside the class, methods of the same names hide the system calls.
private func systemRead(_ descriptor: Int32, _ buffer: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    read(descriptor, buffer, count)
}

private func systemWrite(_ descriptor: Int32, _ buffer: UnsafeRawPointer?, _ count: Int) -> Int {
    write(descriptor, buffer, count)
}
