import Foundation
package import JSON
import JSONConfiguration

/// Reader of gateway.json.
package enum ConfigurationFile {
    /// Reason why a file cannot be used, as one line that names the file.
    package struct Failure: Error, CustomStringConvertible {
        /// Description such as `configuration gateway.json: No such file or directory`.
        package let description: String
    }

    /// Largest size of a configuration; a larger file means that the path is wrong.
    private static let maximumBytes = 4 << 20

    /// Returns the document in a file.
    /// - Throws: ``Failure``.
    package static func read(_ path: String) throws -> JSONValue {
        let handle = open(path, O_RDONLY | O_CLOEXEC)
        guard handle >= 0 else { throw failure(path, String(cString: strerror(errno))) }
        let file = FileHandle(fileDescriptor: handle, closeOnDealloc: true)
        let data: Data
        do {
            data = try file.read(upToCount: maximumBytes + 1) ?? Data()
        } catch {
            throw failure(path, "cannot be read (is it a directory?)")
        }
        guard data.count <= maximumBytes else { throw failure(path, "over 4 MiB") }
        do {
            return try JSONValue(parsing: Array(data))
        } catch {
            throw failure(path, "not JSON at \(place(of: error.offset, in: data)) (\(error.code))")
        }
    }

    private static func place(of offset: Int, in data: Data) -> String {
        let before = data.prefix(offset)
        let line = before.count { $0 == UInt8(ascii: "\n") } + 1
        let start = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? before.startIndex
        return "line \(line), column \(before.endIndex - start + 1)"
    }

    private static func failure(_ path: String, _ reason: String) -> Failure {
        Failure(description: "configuration \(path): \(reason)")
    }
}
