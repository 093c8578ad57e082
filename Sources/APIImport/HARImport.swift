import Foundation
import JSON

/// Import that derives `chat.types` from a browser's recording (HAR 1.2) of an old front-end.
///
/// Only names are taken from a recording: of types and of fields, where they look like names, and the shapes of
/// replies. No value of a field, cookie, header, query or response is.
package struct HARImport {
    private static let maximumBytes = 512 << 20
    private static let maximumTypes = 1_000
    private static let maximumFields = 100

    private var types: [(name: String, type: RecordedType)] = []
    private var positions: [String: Int] = [:]
    private var notes = ImportNotes()
    private var secrets: Set<String> = []
    private var defaults = 0
    private var payloads = 0

    /// Reads the recording at `path` and returns the section `chat`.
    ///
    /// - Throws: `ImportError` for a file that is not a recording, or one without a payload of the old API.
    package static func run(_ path: String) throws(ImportError) -> ImportedConfiguration {
        let url = URL(fileURLWithPath: path)
        let size = (try? url.resourceValues(forKeys: [.fileSizeKey]))?.fileSize ?? 0
        guard size <= maximumBytes else { throw ImportError("\(path): larger than \(maximumBytes >> 20) MiB") }
        guard let data = try? Data(contentsOf: url) else {
            throw ImportError("\(path): no such file, or none that can be read")
        }
        return try run(Array(data), named: path)
    }

    static func run(_ bytes: [UInt8], named path: String = "recording") throws(ImportError) -> ImportedConfiguration {
        let content = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
        let recording: JSONValue
        do throws(JSONError) {
            recording = try JSONValue(parsing: content)
        } catch {
            throw ImportError("\(path): not JSON: \(error)")
        }
        guard let entries = recording["log"]?["entries"]?.array else {
            throw ImportError("\(path): expected a recording in HAR form: \"log.entries\" is missing")
        }
        var work = HARImport()
        for entry in entries { work.noteSecrets(entry) }
        for (index, entry) in entries.enumerated() { work.take(entry, "entry \(index + 1)") }
        return try work.configuration(path)
    }

    // MARK: Reading

    /// Collects cookies, tokens and other values that identify a caller: a text that equals one is not taken for a
    /// name.
    private mutating func noteSecrets(_ entry: JSONValue) {
        for side in ["request", "response"] {
            for list in ["cookies", "headers", "queryString"] {
                for item in entry[side]?[list]?.array ?? [] {
                    guard let value = item["value"]?.string else { continue }
                    secrets.insert(value)
                    for part in value.split(whereSeparator: { " ;=,&\"".contains($0) }) { secrets.insert(String(part)) }
                }
            }
        }
    }

    private mutating func take(_ entry: JSONValue, _ place: String) {
        guard entry["request"]?["method"] == "POST", let text = entry["request"]?["postData"]?["text"]?.string,
            let payload = (try? JSONValue(parsing: text))?.object
        else { return }
        let answer = Self.answer(entry["response"])
        // Either the payload names its type, or its response does.
        guard let name = payload["type"] ?? answer?["type"] else { return }
        guard let name = name.string, isName(name) else {
            return notes.add(place, "a type whose name does not look like one is left out")
        }
        payloads += 1
        if payload["type"] == nil { defaults += 1 }
        guard positions[name] != nil || types.count < Self.maximumTypes else {
            return notes.add(place, "more than \(Self.maximumTypes) types: the rest is left out")
        }
        let position = positions[name] ?? types.count
        if position == types.count {
            types.append((name, RecordedType()))
            positions[name] = position
        }
        if payload["type"] == nil { types[position].type.isDefault = true }
        let status = entry["response"]?["status"]?.int ?? 0
        guard (200...299).contains(status) else {
            return notes.add(place, "request of type \(name) failed; its fields are left out")
        }
        var fields: [(String, JSONValue)] = []
        for (field, value) in payload where field != "type" {
            if isName(field), fields.count < Self.maximumFields {
                fields.append((field, value))
            } else {
                notes.add(place, "a field of type \(name) whose name does not look like one is left out")
            }
        }
        types[position].type.take(fields, replies: answer?["replies"])
    }

    /// Returns the response's JSON, or the event `reply` of a stream.
    private static func answer(_ response: JSONValue?) -> JSONObject? {
        guard let content = response?["content"], var text = content["text"]?.string else { return nil }
        if content["encoding"] == "base64" {
            guard let data = Data(base64Encoded: text) else { return nil }
            text = String(decoding: data, as: UTF8.self)
        }
        if let value = try? JSONValue(parsing: text) { return value.object }
        var isReply = false
        for line in text.split(whereSeparator: \.isNewline) {
            if line.hasPrefix("event:") { isReply = line.dropFirst(6).filter { $0 != " " } == "reply" }
            if isReply, line.hasPrefix("data:") { return (try? JSONValue(parsing: String(line.dropFirst(5))))?.object }
        }
        return nil
    }

    /// Returns whether a text looks like a name in a program: not a secret, a number, an address or a sentence.
    private func isName(_ text: String) -> Bool {
        guard (1...40).contains(text.utf8.count), !secrets.contains(text) || Self.common.contains(text) else {
            return false
        }
        let digits = text.utf8.count { (0x30...0x39).contains($0) }
        guard let first = text.unicodeScalars.first, first.isASCII, first.properties.isAlphabetic || first == "_",
            digits <= 3
        else { return false }
        return text.unicodeScalars.allSatisfy {
            $0.isASCII && ($0.properties.isAlphabetic || "0123456789_-.".unicodeScalars.contains($0))
        }
    }

    /// Words that also occur as values of headers and queries.
    private static let common: Set<String> = [
        "chat", "message", "query", "text", "type", "search", "name", "json", "history", "model", "id", "token", "user",
    ]

    // MARK: Writing

    private mutating func configuration(_ path: String) throws(ImportError) -> ImportedConfiguration {
        guard !types.isEmpty else {
            throw ImportError(
                "\(path): no POST request with a JSON object that has a \"type\", or whose answer has one")
        }
        var section: JSONObject = [:]
        let standard = types.first(where: \.type.isDefault)?.name
        if let standard, standard != "chat" { section["defaultType"] = .string(standard) }
        if standard == nil, positions["chat"] == nil {
            section["defaultType"] = .string(types[0].name)
            notes.add("defaultType", "every recorded payload has a type; the first one recorded is the default")
        }
        var configured: JSONObject = [:]
        for (name, type) in types {
            configured[name] = .object(type.configuration(tool: name))
            notes.add("chat.types.\(name)", "\(type.summary); the tool's name is a guess")
        }
        section["types"] = .object(configured)
        return ImportedConfiguration(text: JSONValue.object(["chat": .object(section)]).prettyText, notes: notes.lines)
    }
}

/// A type as it was recorded: counts and kinds, no values.
private struct RecordedType {
    var isDefault = false
    private var calls = 0
    /// Fields with the number of times that they had a value, and the kinds of their values.
    private var fields: [(name: String, count: Int, kinds: Set<JSONKind>)] = []
    private var lengths: Set<Int> = []
    private var kinds: Set<JSONKind> = []
    private var replies = 0

    mutating func take(_ members: [(String, JSONValue)], replies value: JSONValue?) {
        calls += 1
        for (name, value) in members {
            // The old API treated values that are false in Python as missing.
            let counts = Self.isMissing(value) ? 0 : 1
            if let index = fields.firstIndex(where: { $0.name == name }) {
                fields[index].count += counts
                fields[index].kinds.insert(value.kind)
            } else if fields.count < 100 {
                fields.append((name, counts, [value.kind]))
            }
        }
        guard let list = value?.array else { return }
        replies += 1
        lengths.insert(min(list.count, 2))
        for element in list.prefix(100) { kinds.insert(element.kind) }
    }

    private static func isMissing(_ value: JSONValue) -> Bool {
        switch value {
        case .null: true
        case .bool(let value): !value
        case .number(let number): number == JSONNumber(0)
        case .string(let text): text.isEmpty
        case .array(let elements): elements.isEmpty
        case .object(let members): members.isEmpty
        }
    }

    /// True if there was always one reply, a text or an object: a single value that the old API put into a list.
    private var isWrapped: Bool { replies > 0 && lengths == [1] && (kinds == [.string] || kinds == [.object]) }

    func configuration(tool: String) -> JSONObject {
        var type: JSONObject = ["tool": .string(tool)]
        var arguments: JSONObject = [:]
        for field in fields { arguments[field.name] = field.count == calls ? [:] : ["required": false] }
        if !arguments.isEmpty { type["arguments"] = .object(arguments) }
        if isWrapped {
            type["reply"] = kinds == [.object] ? ["shape": "wrapped", "text": "json"] : ["shape": "wrapped"]
        } else {
            type["reply"] = ["shape": "list"]
        }
        return type
    }

    var summary: String {
        let described = fields.map { field in
            let kinds = field.kinds.map(\.description).sorted().joined(separator: " or ")
            return "\(field.name) (\(kinds)\(field.count == calls ? "" : ", not always there"))"
        }
        let answers =
            replies == 0
            ? "no answer was recorded"
            : "replies: \(isWrapped ? "one" : "a list") of \(kinds.map(\.description).sorted().joined(separator: " or "))"
        return
            "\(calls) recorded; fields: \(described.isEmpty ? "none" : described.joined(separator: ", ")); \(answers)"
    }
}
