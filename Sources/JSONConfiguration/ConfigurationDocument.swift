import Foundation
package import JSON

/// A configuration file as it was read: its bytes, for the places of errors, and its value.
package struct ConfigurationDocument: Sendable {
    /// Path as it was given.
    package let path: String
    /// Text of the file.
    package let bytes: [UInt8]
    /// Value of the text.
    package let value: JSONValue

    /// Reason for which a file cannot be used; one line, without the path.
    package struct ReadError: Error, Hashable, Sendable, CustomStringConvertible {
        /// Such as `cannot be read (No such file or directory)`.
        package let description: String
        /// Lines that tell what to do about it.
        package let advice: [String]
    }

    /// Largest file in bytes. A configuration is small; a larger file is a mistake in the path.
    package static let maximumBytes = 4 << 20

    /// Reads and parses a file.
    ///
    /// - Parameter limit: Largest file in bytes.
    /// - Throws: ``ReadError`` for a file that cannot be read, is over the limit, or is not JSON.
    package init(reading path: String, upTo limit: Int = Self.maximumBytes) throws(ReadError) {
        self.path = path
        bytes = try Self.read(path, upTo: limit)
        do {
            value = try JSONValue(parsing: bytes)
        } catch {
            let place = Self.place(of: error.offset, in: bytes)
            throw ReadError(
                description: "not JSON at \(place) (\(error.code))",
                advice: [
                    "The mistake is there or just before: a comma too many or too few, a missing quotation mark, a comment."
                ])
        }
    }

    // Foundation does not tell why a file cannot be read.
    private static func read(_ path: String, upTo limit: Int) throws(ReadError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unreadable(path, errno) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw unreadable(path, errno) }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
            guard bytes.count <= limit else {
                throw ReadError(
                    description: "over \(limit >> 20) MiB", advice: ["A configuration is smaller: is the path right?"])
            }
        }
    }

    private static func unreadable(_ path: String, _ code: CInt) -> ReadError {
        let whole = URL(fileURLWithPath: path).standardizedFileURL.path
        let advice =
            switch code {
            case ENOENT, ENOTDIR:
                ["It was looked for at \(whole).", "`gateway init` writes one; --config FILE names another."]
            case EACCES: ["\(whole) is not readable for the user with the number \(geteuid())."]
            case EISDIR: ["\(whole) is a directory; --config takes the file in it."]
            default: ["It was looked for at \(whole)."]
            }
        return ReadError(description: "cannot be read (\(String(cString: strerror(code))))", advice: advice)
    }

    private static func place(of offset: Int, in bytes: [UInt8]) -> String {
        let before = bytes.prefix(offset)
        let line = before.count { $0 == UInt8(ascii: "\n") } + 1
        let start = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        return "line \(line), column \(before.endIndex - start + 1)"
    }
}
