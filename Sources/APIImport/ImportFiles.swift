import Foundation
import JSON

/// A document and the files to which it refers: all below one directory, none from the network.
final class ImportFiles {
    static let maximumBytes = 64 << 20
    static let maximumFiles = 1_000

    /// A place in one of the files.
    struct Place: Hashable {
        /// Path below the directory, normalised.
        let file: String
        let pointer: String
    }

    /// Path of the document below the directory.
    let main: String
    /// Directory of the files; nil for a document that is not a file.
    private let directory: URL?
    private var documents: [String: JSONValue] = [:]
    private var bytes = 0

    /// Creates the files of a document that is not a file, and so cannot refer to others.
    init(content: [UInt8], named name: String) throws(ImportError) {
        directory = nil
        main = name
        guard content.count <= Self.maximumBytes else { throw Self.tooLarge(name) }
        documents[main] = try Self.parse(content, named: name)
    }

    /// Reads the document.
    init(_ path: String) throws(ImportError) {
        let url = URL(fileURLWithPath: path).standardizedFileURL.resolvingSymlinksInPath()
        directory = url.deletingLastPathComponent()
        main = url.lastPathComponent
        documents[main] = try read(url, named: path)
    }

    /// The document itself.
    var root: JSONValue { documents[main] ?? .null }

    private func read(_ url: URL, named name: String) throws(ImportError) -> JSONValue {
        let values = try? url.resourceValues(forKeys: [.fileSizeKey, .isRegularFileKey])
        guard values?.isRegularFile == true, let size = values?.fileSize else {
            throw ImportError("\(name): no such file, or none that can be read")
        }
        guard size <= Self.maximumBytes - bytes else { throw Self.tooLarge(name) }
        bytes += size
        guard let data = try? Data(contentsOf: url) else { throw ImportError("\(name): cannot be read") }
        return try Self.parse(Array(data), named: name)
    }

    private static func tooLarge(_ name: String) -> ImportError {
        ImportError("\(name): larger than \(maximumBytes >> 20) MiB, with the files read before")
    }

    private static func parse(_ content: [UInt8], named name: String) throws(ImportError) -> JSONValue {
        do throws(ImportError) {
            return try parse(content.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(content.dropFirst(3)) : content)
        } catch {
            throw ImportError("\(name): \(error)")
        }
    }

    /// Parses JSON or YAML, depending on the content: nearly all JSON is YAML, but not all, and parsing it as JSON is
    /// faster.
    static func parse(_ content: [UInt8]) throws(ImportError) -> JSONValue {
        do throws(JSONError) {
            return try JSONValue(parsing: content, maximumDepth: YAMLDocument.maximumDepth)
        } catch {
            let first = content.first { $0 > 0x20 }
            if first == UInt8(ascii: "{") || first == UInt8(ascii: "["),
                error.code == .tooDeep || error.code == .invalidUTF8
            {
                throw ImportError("\(error)")
            }
            return try YAMLDocument.parse(content)
        }
    }

    /// Returns the value at a place; nil where there is none.
    func value(at place: Place) -> JSONValue? {
        documents[place.file].flatMap { JSONPointer.value(at: place.pointer, in: $0) }
    }

    /// Returns the place to which a reference in `file` leads.
    ///
    /// - Throws: ``ImportError`` for a reference to the network, out of the directory, or to a file that cannot be
    ///   read.
    func resolve(_ reference: String, from file: String) throws(ImportError) -> Place {
        let parts = reference.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
        let path = String(parts.first ?? "")
        let fragment = parts.count > 1 ? (String(parts[1]).removingPercentEncoding ?? String(parts[1])) : ""
        guard fragment.isEmpty || fragment.hasPrefix("/") else {
            throw ImportError("the reference \(ImportText.cut(reference, 100)) is no JSON pointer")
        }
        guard !path.isEmpty else { return Place(file: file, pointer: fragment) }
        guard !path.contains("://"), !path.hasPrefix("//") else {
            throw ImportError(
                "the reference \(ImportText.cut(reference, 100)) leads to the network and is not followed")
        }
        guard let directory else {
            throw ImportError(
                "the reference \(ImportText.cut(reference, 100)) leads to a file, and the document is none")
        }
        let name = try normalised(path.removingPercentEncoding ?? path, beside: file, reference)
        if documents[name] == nil {
            guard documents.count < Self.maximumFiles else {
                throw ImportError("more than \(Self.maximumFiles) files")
            }
            // A symbolic link must not lead out of the directory either.
            let url = directory.appendingPathComponent(name).resolvingSymlinksInPath()
            guard url.path.hasPrefix(directory.path == "/" ? "/" : directory.path + "/") else {
                throw ImportError(
                    "the reference \(ImportText.cut(reference, 100)) leads out of the document's directory")
            }
            documents[name] = try read(url, named: name)
        }
        return Place(file: name, pointer: fragment)
    }

    private func normalised(_ path: String, beside file: String, _ reference: String) throws(ImportError) -> String {
        guard !path.hasPrefix("/") else {
            throw ImportError("the reference \(ImportText.cut(reference, 100)) leads out of the document's directory")
        }
        var components = file.split(separator: "/").dropLast().map(String.init)
        for component in path.split(separator: "/") where component != "." {
            if component != ".." {
                components.append(String(component))
            } else if components.popLast() == nil {
                throw ImportError(
                    "the reference \(ImportText.cut(reference, 100)) leads out of the document's directory")
            }
        }
        return components.joined(separator: "/")
    }
}
