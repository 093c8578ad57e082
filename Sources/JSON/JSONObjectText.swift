/// A JSON object as its text, from which members are cut and to which members are joined: everything else of it stays
/// byte for byte, numbers, escapes, order and duplicates included.
package struct JSONObjectText: Sendable {
    private let text: [UInt8]
    /// The members of the text that have not been cut out, in their order.
    private var members: [JSONMember]
    private var isCut = false
    /// Members that were joined, in their order.
    private var joined: [(key: String, text: [UInt8])] = []

    /// Copies the text of an object that a scanner has accepted in these bytes; a slice of another kind is an empty
    /// object.
    package init(_ object: JSONSlice, in bytes: UnsafeRawBufferPointer) {
        let isObject = object.kind == .object && object.upperBound <= bytes.count
        self.init(text: isObject ? Array(bytes[object.range]) : Array("{}".utf8))
    }

    /// Writes an object.
    package init(_ object: JSONObject) {
        self.init(text: object.serialized)
    }

    private init(text: [UInt8]) {
        self.text = text
        members = Self.members(of: text)
    }

    private static func members(of text: [UInt8]) -> [JSONMember] {
        var members: [JSONMember] = []
        members.reserveCapacity(8)
        text.withUnsafeBytes { bytes in
            JSONScanner.members(of: JSONSlice(.object, 0, bytes.count), in: bytes) { member in
                members.append(member)
                return true
            }
        }
        return members
    }

    // MARK: Reading

    /// Tree of a member; of duplicate keys the last value counts. Nil when there is no such member.
    package subscript(key: String) -> JSONValue? {
        if let added = joined.last(where: { ExactString($0.key) == ExactString(key) }) {
            return added.text.withUnsafeBytes { Self.value(of: $0) }
        }
        return text.withUnsafeBytes { bytes in last(key, in: bytes).map { JSONValue($0, in: bytes) } }
    }

    /// Returns the type of a member; nil when there is no such member.
    package func kind(of key: String) -> JSONKind? {
        if joined.contains(where: { ExactString($0.key) == ExactString(key) }) { return self[key]?.kind }
        return text.withUnsafeBytes { last(key, in: $0)?.kind }
    }

    /// Returns the text of a member that is an object; nil when there is no such member, or one of another kind.
    package func text(of key: String) -> JSONObjectText? {
        guard !joined.contains(where: { ExactString($0.key) == ExactString(key) }) else {
            return self[key]?.object.map { JSONObjectText($0) }
        }
        return text.withUnsafeBytes { bytes in
            last(key, in: bytes).flatMap { $0.kind == .object ? JSONObjectText($0, in: bytes) : nil }
        }
    }

    /// Calls the closure with a member of the text as a slice; returns nil when there is none, or when it was joined.
    package func withSlice<Value>(of key: String, _ body: (JSONSlice, UnsafeRawBufferPointer) -> Value) -> Value? {
        text.withUnsafeBytes { bytes in last(key, in: bytes).map { body($0, bytes) } }
    }

    /// True if the object has no members.
    package var isEmpty: Bool { members.isEmpty && joined.isEmpty }

    /// The object as a tree.
    package var object: JSONObject {
        let bytes = serialized
        return bytes.withUnsafeBytes { JSONValue(JSONSlice(.object, 0, $0.count), in: $0).object } ?? [:]
    }

    private func last(_ key: String, in bytes: UnsafeRawBufferPointer) -> JSONSlice? {
        members.last { JSONText.equals($0.key, key, in: bytes) }?.value
    }

    private static func value(of bytes: UnsafeRawBufferPointer) -> JSONValue? {
        try? JSONValue(parsing: bytes, maximumDepth: JSONScanner.largestMaximumDepth)
    }

    // MARK: Changing

    /// Cuts out every member with that name.
    package mutating func cut(_ key: String) {
        joined.removeAll { ExactString($0.key) == ExactString(key) }
        let count = members.count
        members = text.withUnsafeBytes { bytes in members.filter { !JSONText.equals($0.key, key, in: bytes) } }
        isCut = isCut || members.count != count
    }

    /// Joins a member to the end, in place of every member with that name.
    package mutating func join(_ key: String, _ value: JSONValue) {
        join(key, text: value.serialized)
    }

    /// Joins a member whose value is text.
    package mutating func join(_ key: String, _ fragment: JSONFragment) {
        join(key, text: fragment.bytes)
    }

    private mutating func join(_ key: String, text value: [UInt8]) {
        if text.withUnsafeBytes({ last(key, in: $0) }) != nil || !joined.isEmpty { cut(key) }
        joined.append((key, value))
    }

    // MARK: Writing

    /// Number of bytes that ``append(to:)`` writes at most.
    package var sizeLimit: Int {
        joined.reduce(text.count + 2) { $0 + $1.key.utf8.count * 6 + $1.text.count + 4 }
    }

    /// The text.
    package var serialized: [UInt8] {
        if !isCut, joined.isEmpty { return text }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(sizeLimit)
        append(to: &bytes)
        return bytes
    }

    /// Appends the text.
    package func append(to bytes: inout [UInt8]) {
        if isCut {
            bytes.append(Byte.openBrace)
            for (index, member) in members.enumerated() {
                if index > 0 { bytes.append(Byte.comma) }
                bytes.append(contentsOf: text[member.key.lowerBound..<member.value.upperBound])
            }
        } else {
            bytes.append(contentsOf: text.dropLast())
        }
        var isFirst = members.isEmpty
        for member in joined {
            if !isFirst { bytes.append(Byte.comma) }
            isFirst = false
            JSONText.appendQuoted(member.key, to: &bytes)
            bytes.append(Byte.colon)
            bytes.append(contentsOf: member.text)
        }
        bytes.append(Byte.closeBrace)
    }

    /// The text as a fragment.
    package var fragment: JSONFragment {
        let bytes = serialized
        return bytes.withUnsafeBytes { JSONFragment(JSONSlice(.object, 0, $0.count), in: $0) }
    }
}
