import JSON

/// Places of a schema document: each object and array, and other targets of references.
///
/// A place is a number, and has a link to its parent: its pointer is only written for a message. If they were written
/// for every place, pointers would repeat each name once for everything below it.
struct JSONSchemaPlaces {
    private struct Place {
        let value: JSONValue
        let parent: Int
        let token: String
        /// Nearest place at or above this one with an `$id`: references without a document start there.
        let base: Int
    }

    private struct Step: Hashable {
        let parent: Int
        let token: ExactString
    }

    /// Role of an object in the document with regard to identifiers.
    private enum Role {
        /// A schema: its members are keywords.
        case schema
        /// A map from names to schemas: its members are not keywords.
        case names
    }

    private struct Anchor: Hashable {
        let base: Int
        let name: ExactString
    }

    static let root = 0

    private var places: [Place] = []
    private var steps: [Step: Int] = [:]
    private var anchors: [Anchor: Int] = [:]
    /// Place by the absolute or relative URI as written in `$id`, without fragment.
    private var identifiers: [ExactString: Int] = [ExactString(""): root]

    private static let maps: Set<String> = [
        "properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies",
    ]
    private static let data: Set<String> = ["const", "enum", "default", "examples"]
    /// Approximate size of a place with its step.
    private static let bytesPerPlace = 200

    init(_ root: JSONValue, _ budget: inout JSONSchemaBudget) throws(JSONSchemaError) {
        places.append(Place(value: root, parent: Self.root, token: "", base: Self.root))
        // An explicit stack: a document may be as deep as the parser allowed.
        var stack: [(place: Int, role: Role)] = [(Self.root, .schema)]
        while let (place, role) = stack.popLast() {
            switch places[place].value {
            case .array(let elements):
                guard budget.spend(steps: elements.count) else { throw .tooLarge }
                for (index, element) in elements.enumerated() where Self.isContainer(element) {
                    stack.append((try add(element, "\(index)", below: place, &budget), .schema))
                }
            case .object(let object):
                guard budget.spend(steps: object.count + 1) else { throw .tooLarge }
                if role == .schema { note(object, at: place) }
                for (key, member) in object where Self.isContainer(member) {
                    if role == .schema, Self.data.contains(key) { continue }
                    let inner: Role = role == .schema && Self.maps.contains(key) ? .names : .schema
                    stack.append((try add(member, key, below: place, &budget), inner))
                }
            default: break
            }
        }
    }

    private static func isContainer(_ value: JSONValue) -> Bool {
        switch value {
        case .array, .object: true
        default: false
        }
    }

    private mutating func note(_ object: JSONObject, at place: Int) {
        if let id = object["$id"]?.string, !id.isEmpty, !id.hasPrefix("#") {
            let known = places[place]
            places[place] = Place(value: known.value, parent: known.parent, token: known.token, base: place)
            identifiers[ExactString(String(id.prefix { $0 != "#" }))] = place
        }
        for key in ["$anchor", "$dynamicAnchor"] {
            guard let name = object[key]?.string else { continue }
            anchors[Anchor(base: places[place].base, name: ExactString(name))] = place
        }
    }

    private mutating func add(
        _ value: JSONValue, _ token: String, below parent: Int, _ budget: inout JSONSchemaBudget
    ) throws(JSONSchemaError) -> Int {
        guard budget.spend(bytes: Self.bytesPerPlace) else { throw .tooLarge }
        let place = places.count
        places.append(Place(value: value, parent: parent, token: token, base: places[parent].base))
        steps[Step(parent: parent, token: ExactString(token))] = place
        return place
    }

    /// Returns the value at a place.
    func value(at place: Int) -> JSONValue { places[place].value }

    /// Returns the place of a member or element; nil where there is none.
    mutating func place(
        _ token: String, below parent: Int, _ budget: inout JSONSchemaBudget
    ) throws(JSONSchemaError) -> Int? {
        if let known = steps[Step(parent: parent, token: ExactString(token))] { return known }
        let value: JSONValue? =
            switch places[parent].value {
            case .object(let object): object[token]
            case .array(let elements): Int(token).flatMap { elements.indices.contains($0) ? elements[$0] : nil }
            default: nil
            }
        guard let value else { return nil }
        return try add(value, token, below: parent, &budget)
    }

    /// Returns the place to which a reference at `origin` leads; nil where it leads out of the document or does not
    /// exist.
    mutating func resolve(
        _ reference: String, from origin: Int, _ budget: inout JSONSchemaBudget
    ) throws(JSONSchemaError) -> Int? {
        guard budget.spend(steps: 1 + reference.utf8.count / 16) else { throw .tooLarge }
        let parts = reference.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
        let document = String(parts.first ?? "")
        let fragment = parts.count > 1 ? Self.percentDecoded(parts[1]) : ""
        guard let base = document.isEmpty ? places[origin].base : identifiers[ExactString(document)] else { return nil }
        if fragment.isEmpty { return base }
        guard fragment.hasPrefix("/") else { return anchors[Anchor(base: base, name: ExactString(fragment))] }
        var place = base
        for token in fragment.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
            guard let next = try self.place(JSONPointer.unescaped(token), below: place, &budget) else { return nil }
            place = next
        }
        return place
    }

    /// Returns the place for a message: a pointer such as `#/properties/a`, with shortened names.
    func pointer(to place: Int, _ keyword: String? = nil) -> String {
        var tokens: [String] = []
        var place = place
        while place != Self.root, tokens.count < JSONSchemaText.maximumLength {
            tokens.append(JSONPointer.escaped(JSONSchemaText.cut(places[place].token)))
            place = places[place].parent
        }
        if place != Self.root { tokens.append("…") }
        tokens.append("#")
        return (tokens.reversed() + (keyword.map { [$0] } ?? [])).joined(separator: "/")
    }

    private static func percentDecoded(_ text: Substring) -> String {
        guard text.utf8.contains(UInt8(ascii: "%")) else { return String(text) }
        var bytes: [UInt8] = []
        var rest = text.utf8
        while let byte = rest.popFirst() {
            let digits = rest.prefix(2).compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
            if byte == UInt8(ascii: "%"), digits.count == 2 {
                bytes.append(UInt8(digits[0] << 4 | digits[1]))
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
