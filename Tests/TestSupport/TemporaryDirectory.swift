package import Foundation
import Glibc

/// A directory that exists until the value that owns it is gone.
package final class TemporaryDirectory: Sendable {
    package let url: URL

    package init(_ purpose: String = "test") throws {
        // Short names: a Unix socket's path must fit in 108 bytes.
        let name = "chat-\(purpose)-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        url = FileManager.default.temporaryDirectory.appending(path: name)
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    /// The path of `name` in the directory.
    package func path(_ name: String) -> String { url.appending(path: name).path }

    /// Writes a file into the directory, with the directories above it, and gives its path.
    @discardableResult
    package func write(_ text: String, to name: String) throws -> String {
        let file = url.appending(path: name)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
        return file.path
    }
}
