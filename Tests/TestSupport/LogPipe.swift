import Foundation
package import JSON

/// A pipe for a process's log, which a test reads when it wants to: until then it fills up.
package final class LogPipe: Sendable {
    /// The end that a log is written to.
    package let writing: Int32
    private let reading: Int32

    package init() throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw ProcessError("no pipe: \(String(cString: strerror(errno)))") }
        (reading, writing) = (ends[0], ends[1])
    }

    /// Nobody will read: writing fails from now on.
    package func closeReading() { close(reading) }

    package func closeWriting() { close(writing) }

    /// Fills the pipe with empty lines: the next that is written to it waits.
    package func fill() {
        let flags = fcntl(writing, F_GETFL)
        _ = fcntl(writing, F_SETFL, flags | O_NONBLOCK)
        let filler = [UInt8](repeating: UInt8(ascii: "\n"), count: 4096)
        while write(writing, filler, filler.count) > 0 {}
        while write(writing, filler, 1) > 0 {}
        _ = fcntl(writing, F_SETFL, flags)
    }

    /// Reads until the other end is closed, on a thread of its own that runs when this returns.
    package func read() -> Reading {
        let (stream, continuation) = AsyncStream<String>.makeStream()
        Thread.detachNewThread { [reading] in
            let data = try? FileHandle(fileDescriptor: reading, closeOnDealloc: true).readToEnd()
            continuation.yield(String(decoding: data ?? Data(), as: UTF8.self))
            continuation.finish()
        }
        return Reading(stream: stream)
    }

    /// What is read from a pipe until its end.
    package struct Reading: Sendable {
        fileprivate let stream: AsyncStream<String>

        /// All that was written, once the writing end is closed.
        package var text: String {
            get async { await stream.first { _ in true } ?? "" }
        }

        /// Its lines that are not empty.
        package var lines: [JSONValue] {
            get async throws { try await text.split(separator: "\n").map { try JSONValue(parsing: Array($0.utf8)) } }
        }
    }
}
