import Foundation

/// A descriptor that takes lines, and what is still to be said about those that it did not take. Belongs to one thread.
struct LogSink {
    private let fileDescriptor: Int32
    /// The largest number of bytes that one `write` may have.
    private let largestPiece: Int
    /// Lines that were lost and have not been spoken of.
    private var unreported = 0
    /// Indicates whether the last line that was written is not whole.
    private var isTorn = false

    init(fileDescriptor: Int32) {
        self.fileDescriptor = fileDescriptor
        var status = stat()
        // Several processes may write to one pipe; up to 4 KiB it does not mix what they write (POSIX, PIPE_BUF).
        let isPipe = fstat(fileDescriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO
        largestPiece = isPipe ? 4096 : .max
    }

    /// Writes lines, and how many were lost where that has not been told.
    ///
    /// - Parameters:
    ///   - lines: Whole lines.
    ///   - lost: Lines that were lost behind them.
    /// - Returns: The number of lines that were lost because the descriptor refused them.
    mutating func write(_ lines: [UInt8], lost: Int) -> Int {
        if unreported > 0 { report() }
        let refused = lines.withUnsafeBytes { put($0) }
        unreported += refused + lost
        if unreported > 0, refused == 0 { report() }
        return refused
    }

    private mutating func report() {
        var line = LogLine()
        line.begin(level: .warning, label: "log", message: "log lines dropped")
        line.add("lines", unreported)
        line.end()
        let bytes = (isTorn ? [UInt8(ascii: "\n")] : []) + line.bytes
        if bytes.withUnsafeBytes({ put($0) }) == 0 { unreported = 0 }
    }

    /// Hands lines to the descriptor and returns how many did not go out whole.
    private mutating func put(_ lines: UnsafeRawBufferPointer) -> Int {
        var rest = lines[...]
        while !rest.isEmpty {
            let piece = UnsafeRawBufferPointer(rebasing: piece(of: rest))
            let written = Foundation.write(fileDescriptor, piece.baseAddress, piece.count)
            if written > 0 {
                isTorn = piece[written - 1] != UInt8(ascii: "\n")
                rest = rest.dropFirst(written)
            } else if written < 0, errno == EAGAIN {
                // Another process made it non-blocking, which holds for all that have it.
                var descriptor = pollfd(fd: fileDescriptor, events: Int16(POLLOUT), revents: 0)
                poll(&descriptor, 1, -1)
            } else if written == 0 || errno != EINTR {
                // Closed, or the disk is full. The process goes on; later lines are tried again.
                return rest.count { $0 == UInt8(ascii: "\n") }
            }
        }
        return 0
    }

    /// The whole lines that fit into one piece, or the first line where that is longer.
    private func piece(of rest: Slice<UnsafeRawBufferPointer>) -> Slice<UnsafeRawBufferPointer> {
        guard rest.count > largestPiece else { return rest }
        let newline = UInt8(ascii: "\n")
        let end = rest.prefix(largestPiece).lastIndex(of: newline) ?? rest.firstIndex(of: newline)
        return end.map { rest[...$0] } ?? rest
    }
}
