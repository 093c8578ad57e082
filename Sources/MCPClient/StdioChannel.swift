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

/// Lines to and from a server on a pair of file descriptors, which the channel owns.
final class StdioChannel: Sendable {
    private let output: Mutex<Int32?>
    private let input: Int32
    private let limit: Int
    /// Bytes that wait to be written.
    private let waiting = Atomic<Int>(0)
    /// Blocking writes must not hold a thread of the cooperative pool, and come in order.
    private let queue = DispatchQueue(label: "mcp.stdio.client")

    /// - Parameter limit: bytes of a line; a longer one is dropped as it comes.
    init(input: Int32, output: Int32, limit: Int) {
        // A server that exits must not kill the client in the middle of a write.
        _ = signal(SIGPIPE, SIG_IGN)
        self.input = input
        self.output = Mutex(output)
        self.limit = limit
    }

    /// Reads on a thread of its own until the server closes its output: then `take` gets nil, and nothing after it.
    func read(_ take: @escaping @Sendable (InputLine?) -> Void) {
        let (input, limit) = (input, limit)
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

    /// Writes a message and a line end after whatever is waiting. What a server that has gone cannot take is dropped.
    /// - Returns: false when it is not written, because the server has left as much unread as a line may hold.
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

    /// The end of input for the server, after what is waiting.
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

// Inside the class the system calls hide behind methods of the same name.
private func systemRead(_ descriptor: Int32, _ buffer: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    read(descriptor, buffer, count)
}

private func systemWrite(_ descriptor: Int32, _ buffer: UnsafeRawPointer?, _ count: Int) -> Int {
    write(descriptor, buffer, count)
}
