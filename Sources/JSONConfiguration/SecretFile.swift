import Foundation

/// Reader of files that contain secrets.
package enum SecretFile {
    /// Error of a secret file that cannot be used.
    package struct ReadError: Error, CustomStringConvertible {
        package let description: String
    }

    /// Largest size of a secret, in bytes; a larger file means that the path is wrong.
    static let maximumBytes = 64 * 1024

    /// Returns the file's text without one trailing line end.
    ///
    /// - Throws: ``ReadError`` when the file cannot be read, is empty, is not UTF-8 or is over 64 KiB.
    @Sendable
    package static func read(_ path: String) throws -> String {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw ReadError(description: "it cannot be read")
        }
        guard data.count <= maximumBytes else { throw ReadError(description: "it is over 64 KiB") }
        guard var text = String(data: data, encoding: .utf8) else { throw ReadError(description: "it is not UTF-8") }
        if text.hasSuffix("\r\n") {
            text.removeLast()
        } else if text.hasSuffix("\n") {
            text.removeLast()
        }
        guard !text.isEmpty else { throw ReadError(description: "it is empty") }
        return text
    }
}
