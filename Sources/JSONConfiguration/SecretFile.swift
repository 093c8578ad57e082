import Foundation

/// Reads the files that hold secrets.
package enum SecretFile {
    /// Why a secret file cannot be used.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// A secret is short; a larger file is a mistake in the path.
    static let maximumBytes = 64 * 1024

    /// The file's text without one trailing line end.
    ///
    /// - Throws: ``Failure`` when the file cannot be read, is empty, is no UTF-8 or is over 64 KiB.
    @Sendable
    package static func read(_ path: String) throws -> String {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw Failure(description: "it cannot be read")
        }
        guard data.count <= maximumBytes else { throw Failure(description: "it is over 64 KiB") }
        guard var text = String(data: data, encoding: .utf8) else { throw Failure(description: "it is not UTF-8") }
        if text.hasSuffix("\r\n") {
            text.removeLast()
        } else if text.hasSuffix("\n") {
            text.removeLast()
        }
        guard !text.isEmpty else { throw Failure(description: "it is empty") }
        return text
    }
}
