import JSON
import NIOCore

/// Text with references to the arguments of a call: `{name}` stands for an argument, `{{` for a brace.
struct Template: Hashable, Sendable {
    enum Part: Hashable, Sendable {
        case text(String)
        /// An argument, or a fact of the caller's identity (``CallerIdentity``).
        case argument(String)
    }

    /// Error in the text of a template.
    struct SyntaxError: Error, CustomStringConvertible {
        let description: String
    }

    let parts: [Part]

    /// Reads a template.
    init(_ text: String) throws(SyntaxError) {
        var parts: [Part] = []
        var literal = ""
        var rest = text[...]
        while let brace = rest.firstIndex(of: "{") {
            literal += rest[..<brace]
            rest = rest[rest.index(after: brace)...]
            if rest.first == "{" {
                literal.append("{")
                rest = rest.dropFirst()
                continue
            }
            guard let end = rest.firstIndex(of: "}") else {
                throw SyntaxError(description: "a brace that is not closed")
            }
            let name = String(rest[..<end])
            guard !name.isEmpty, !name.contains("{") else { throw SyntaxError(description: "a brace without a name") }
            if !literal.isEmpty { parts.append(.text(literal)) }
            literal = ""
            parts.append(.argument(name))
            rest = rest[rest.index(after: end)...]
        }
        literal += rest
        if !literal.isEmpty { parts.append(.text(literal)) }
        self.parts = parts
    }

    /// Names of the arguments that the template refers to.
    var arguments: [String] {
        parts.compactMap { if case .argument(let name) = $0 { name } else { nil } }
    }

    /// Name of the argument that the whole template consists of; nil for any other text.
    var whole: String? {
        guard parts.count == 1, case .argument(let name) = parts[0] else { return nil }
        return name
    }
}

/// Arguments of one call, as slices of their JSON text.
struct TemplateArguments {
    /// Error of a call that cannot be made with these arguments; the caller gets its message.
    struct ArgumentError: Error {
        let message: String
    }

    private let bytes: UnsafeRawBufferPointer
    private var values: [(name: String, value: JSONSlice)] = []

    /// - Parameter bytes: The JSON text of an object; of duplicate members the last counts.
    init(_ bytes: UnsafeRawBufferPointer) throws(ArgumentError) {
        self.bytes = bytes
        var values: [(name: String, value: JSONSlice)] = []
        var scanner = JSONScanner(bytes)
        do {
            try scanner.object { member in
                let name = JSONText.string(member.key, in: bytes)
                if let place = values.firstIndex(where: { $0.name.utf8.elementsEqual(name.utf8) }) {
                    values[place].value = member.value
                } else {
                    values.append((name, member.value))
                }
            }
        } catch {
            throw ArgumentError(message: "The arguments are not a JSON object")
        }
        self.values = values
    }

    var names: [String] { values.map(\.name) }

    subscript(name: String) -> JSONSlice? {
        values.first { $0.name.utf8.elementsEqual(name.utf8) }?.value
    }

    /// Returns the JSON text of an argument.
    func json(_ slice: JSONSlice) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes[slice.range]) }

    /// Returns the texts of an argument: one, or those of a list; nil when it is absent or null.
    func texts(_ name: String) throws(ArgumentError) -> [String]? {
        guard let slice = self[name], slice.kind != .null else { return nil }
        guard slice.kind == .array else { return [try text(slice, name)] }
        var elements: [JSONSlice] = []
        JSONScanner.elements(of: slice, in: bytes) { element in
            elements.append(element)
            return true
        }
        var texts: [String] = []
        for element in elements { texts.append(try text(element, name)) }
        return texts
    }

    /// Returns the text of a template; nil when it refers to an absent argument.
    ///
    /// - Parameter transform: Applied to the text of each argument.
    func text(
        _ template: Template, _ transform: (String, String) throws(ArgumentError) -> String
    ) throws(ArgumentError) -> String? {
        var text = ""
        for part in template.parts {
            switch part {
            case .text(let literal): text += literal
            case .argument(let name):
                guard let slice = self[name], slice.kind != .null else { return nil }
                text += try transform(try self.text(slice, name), name)
            }
        }
        return text
    }

    private func text(_ slice: JSONSlice, _ name: String) throws(ArgumentError) -> String {
        switch slice.kind {
        case .string, .number, .bool: return JSONText.string(slice, in: bytes)
        case .null, .array, .object:
            throw ArgumentError(message: "\(name): expected a string, a number or a boolean, found \(slice.kind)")
        }
    }

    /// Returns the text; throws if it could end a header or a line of a request.
    static func checked(_ text: String, _ name: String) throws(ArgumentError) -> String {
        guard text.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control }) else {
            throw ArgumentError(message: "\(name): control characters are not allowed")
        }
        return text
    }
}
