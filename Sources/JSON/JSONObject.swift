import OrderedCollections

/// Members of a JSON object in their order, one value per key.
///
/// Equality and hash ignore the order, as JSON does. Keys are compared byte by byte, unlike Swift strings: two Unicode
/// spellings of a letter are two keys.
package struct JSONObject: Sendable, ExpressibleByDictionaryLiteral {
    private var members: OrderedDictionary<ExactString, JSONValue>

    /// Makes an empty object.
    package init() {
        members = [:]
    }

    /// Creates an object. Of duplicate keys the last value is kept, at the place of the first.
    package init(_ pairs: some Sequence<(String, JSONValue)>) {
        members = [:]
        for (key, value) in pairs { members[ExactString(key)] = value }
    }

    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        self.init(elements)
    }

    /// Member with that name. Setting nil removes the member; a new name goes to the end.
    package subscript(key: String) -> JSONValue? {
        get { members[ExactString(key)] }
        set { members[ExactString(key)] = newValue }
    }

    /// Names of the members, in their order.
    package var keys: [String] { members.keys.map(\.text) }
    /// Values of the members, in their order.
    package var values: [JSONValue] { Array(members.values) }

    /// Removes a member and returns its value.
    @discardableResult
    package mutating func removeValue(forKey key: String) -> JSONValue? {
        members.removeValue(forKey: ExactString(key))
    }

    /// Makes room for members.
    package mutating func reserveCapacity(_ count: Int) {
        members.reserveCapacity(count)
    }

    /// Adds the members of `other`; its values replace existing ones.
    package mutating func merge(_ other: JSONObject) {
        for (key, value) in other.members { members[key] = value }
    }

    /// Returns the same members and those of `other`, whose values replace existing ones.
    package func merging(_ other: JSONObject) -> JSONObject {
        var merged = self
        merged.merge(other)
        return merged
    }
}

extension JSONObject: RandomAccessCollection {
    package var startIndex: Int { 0 }
    package var endIndex: Int { members.count }
    /// Number of members.
    package var count: Int { members.count }
    /// True if the object has no members.
    package var isEmpty: Bool { members.isEmpty }

    package subscript(position: Int) -> (key: String, value: JSONValue) {
        let element = members.elements[position]
        return (element.key.text, element.value)
    }
}

extension JSONObject: Hashable {
    package static func == (left: JSONObject, right: JSONObject) -> Bool {
        guard left.count == right.count else { return false }
        return left.members.allSatisfy { right.members[$0.key] == $0.value }
    }

    package func hash(into hasher: inout Hasher) {
        // Objects with the same members in any order must have the same hash, so the members' hashes are combined by a
        // commutative operation.
        var combined = 0
        for (key, value) in members {
            var member = Hasher()
            member.combine(key)
            member.combine(value)
            combined ^= member.finalize()
        }
        hasher.combine(combined)
    }
}
