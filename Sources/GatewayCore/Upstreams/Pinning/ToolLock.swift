import Crypto
import Foundation
package import JSON

/// The reviewed definitions of the tools of upstreams that are not trusted: the content of a lock file.
///
/// The file is JSON for people and version control: sorted, indented, one line for each member of a definition, with every
/// code point that does not show as itself escaped. Each definition stands beside the SHA-256 of its canonical text
/// (RFC 8785), so that a file that was cut or edited by hand is noticed.
package struct ToolLock: Hashable, Sendable {
    /// A tool's definition as a server sent it.
    package struct Definition: Hashable, Sendable {
        /// SHA-256 of the canonical text, in lower-case hexadecimal digits.
        package let digest: String
        /// Definition as the server sent it.
        package let json: JSONValue

        /// Describes a definition.
        package init(_ json: JSONValue) {
            digest = SHA256.hash(data: json.canonical).map { String(format: "%02x", $0) }.joined()
            self.json = json
        }

        package static func == (left: Definition, right: Definition) -> Bool { left.digest == right.digest }

        package func hash(into hasher: inout Hasher) { hasher.combine(digest) }
    }

    /// Definitions of the tools of one upstream, by name. A tool has more than one where its server describes it differently
    /// to clients of different revisions.
    package typealias Tools = [ExactString: [Definition]]

    /// The tools by upstream.
    package var upstreams: [ExactString: Tools]

    /// Largest lock file, in bytes.
    package static let maximumBytes = 64 << 20
    private static let version = 1

    /// Holds these tools.
    package init(_ upstreams: [ExactString: Tools] = [:]) {
        self.upstreams = upstreams
    }

    /// Groups the definitions that a server sends to clients of several revisions.
    ///
    /// - Parameter lists: One list for each revision, the latest first. Entries without a name are left out.
    package static func tools(_ lists: [[JSONValue]]) -> Tools {
        var tools: Tools = [:]
        for definition in lists.joined() {
            guard let name = definition["name"]?.string else { continue }
            let found = Definition(definition)
            if tools[ExactString(name)]?.contains(found) != true { tools[ExactString(name), default: []].append(found) }
        }
        return tools
    }

    // MARK: The file

    /// The content of the file.
    package var text: String {
        let upstreams = upstreams.map { name, tools in
            (
                name.text,
                JSONValue.object(
                    JSONObject(
                        tools.map { tool, definitions in
                            (
                                tool.text,
                                .array(definitions.map { ["sha256": .string($0.digest), "definition": $0.json] })
                            )
                        }))
            )
        }
        let document: JSONValue = ["version": .number(Self.version), "upstreams": .object(JSONObject(upstreams))]
        return document.sorted.prettyText.escapedJSON + "\n"
    }

    /// Reads the content of a file.
    ///
    /// - Throws: ``ToolLockError``, for anything but what ``text`` gives: a later version, a member that is missing, a
    ///   definition that is not the one that was hashed.
    package init(json document: JSONValue) throws(ToolLockError) {
        guard document["version"]?.int == Self.version else {
            let found = (document["version"] ?? .null).text.printable
            throw ToolLockError("version: expected \(Self.version), found \(found)")
        }
        guard let upstreams = document["upstreams"]?.object else {
            throw ToolLockError("upstreams: expected an object")
        }
        self.upstreams = [:]
        for (upstream, tools) in upstreams {
            let path = "upstreams.\(upstream.printable)"
            guard let tools = tools.object else { throw ToolLockError("\(path): expected an object") }
            var read: Tools = [:]
            for (tool, definitions) in tools {
                read[ExactString(tool)] = try Self.definitions(definitions, of: tool, "\(path).\(tool.printable)")
            }
            self.upstreams[ExactString(upstream)] = read
        }
    }

    private static func definitions(
        _ json: JSONValue, of tool: String, _ path: String
    ) throws(ToolLockError) -> [Definition] {
        guard let entries = json.array, !entries.isEmpty else {
            throw ToolLockError("\(path): expected an array of definitions")
        }
        var definitions: [Definition] = []
        for (index, entry) in entries.enumerated() {
            let path = "\(path)[\(index)]"
            guard let json = entry["definition"], json["name"]?.string.map({ ExactString($0) }) == ExactString(tool)
            else { throw ToolLockError("\(path).definition: expected the definition of this tool") }
            let definition = Definition(json)
            guard entry["sha256"]?.string == definition.digest else {
                throw ToolLockError("\(path).sha256: expected the hash of the definition, \(definition.digest)")
            }
            definitions.append(definition)
        }
        return definitions
    }
}

/// The reason why a lock file cannot be used, on one line.
package struct ToolLockError: Error, Hashable, CustomStringConvertible {
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}
