import CYaml
import JSON

/// Reader of a YAML document as JSON, by the core schema of YAML 1.2.
///
/// It works on the parser's events with a stack of its own: a document nested too deeply, or one whose aliases expand
/// to more values than the limit (`&a [*b, *b, …]` nine times over), is an error before it costs anything.
enum YAMLDocument {
    static let maximumDepth = 128
    /// Largest number of values of the document, those of aliases counted each time.
    static let maximumValues = 4_000_000

    /// Returns the document's value.
    ///
    /// - Throws: `ImportError` with the line for text that is not YAML, is beyond the limits, or is followed by another
    ///   document.
    static func parse(_ bytes: [UInt8]) throws(ImportError) -> JSONValue {
        let result: Result<JSONValue, ImportError> = bytes.withUnsafeBufferPointer { buffer in
            var parser = yaml_parser_t()
            guard yaml_parser_initialize(&parser) == 1 else { return .failure(ImportError("out of memory")) }
            defer { yaml_parser_delete(&parser) }
            yaml_parser_set_input_string(&parser, buffer.baseAddress, buffer.count)
            do throws(ImportError) {
                return .success(try read(&parser))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private static func read(_ parser: inout yaml_parser_t) throws(ImportError) -> JSONValue {
        var builder = YAMLBuilder()
        while true {
            var event = yaml_event_t()
            guard yaml_parser_parse(&parser, &event) == 1 else {
                let problem = parser.problem.map { String(cString: $0) } ?? "unreadable"
                throw ImportError("not YAML: \(problem) in line \(parser.problem_mark.line + 1)")
            }
            defer { yaml_event_delete(&event) }
            if event.type == YAML_STREAM_END_EVENT { return try builder.finish() }
            try builder.take(event)
        }
    }
}

/// Builder of a value from the events of a parser.
private struct YAMLBuilder {
    private enum Container {
        case array([JSONValue])
        case object(JSONObject, key: String?)
    }

    private struct Level {
        var container: Container
        let anchor: String?
        /// Number of values inside so far.
        var count = 1
    }

    private var levels: [Level] = []
    private var anchors: [String: (value: JSONValue, count: Int)] = [:]
    private var root: JSONValue?
    private var documents = 0
    private var total = 0

    mutating func take(_ event: yaml_event_t) throws(ImportError) {
        let line = event.start_mark.line + 1
        switch event.type {
        case YAML_DOCUMENT_START_EVENT:
            documents += 1
            guard documents == 1 else { throw ImportError("line \(line): a second document in one file") }
        case YAML_ALIAS_EVENT:
            let name = Self.text(event.data.alias.anchor) ?? ""
            guard let known = anchors[name] else { throw ImportError("line \(line): nothing is anchored as \(name)") }
            try add(known.value, count: known.count, line)
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            let text = String(
                decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            let isPlain = scalar.style == YAML_PLAIN_SCALAR_STYLE && scalar.tag == nil
            let isKey = if case .object(_, nil)? = levels.last?.container { true } else { false }
            let value = isPlain && !isKey ? Self.plain(text) : .string(text)
            if let anchor = Self.text(scalar.anchor) { anchors[anchor] = (value, 1) }
            try add(value, count: 1, line)
        case YAML_SEQUENCE_START_EVENT:
            try open(.array([]), Self.text(event.data.sequence_start.anchor), line)
        case YAML_MAPPING_START_EVENT:
            try open(.object([:], key: nil), Self.text(event.data.mapping_start.anchor), line)
        case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT:
            try close(line)
        default:
            break
        }
    }

    func finish() throws(ImportError) -> JSONValue {
        guard let root else { throw ImportError("the document is empty") }
        return root
    }

    private mutating func open(_ container: Container, _ anchor: String?, _ line: Int) throws(ImportError) {
        guard levels.count < YAMLDocument.maximumDepth else {
            throw ImportError("line \(line): nested more than \(YAMLDocument.maximumDepth) levels deep")
        }
        if case .object(_, nil)? = levels.last?.container { throw ImportError("line \(line): a key that is no text") }
        levels.append(Level(container: container, anchor: anchor))
    }

    private mutating func close(_ line: Int) throws(ImportError) {
        guard let level = levels.popLast() else { return }
        let value: JSONValue =
            switch level.container {
            case .array(let elements): .array(elements)
            case .object(let members, _): .object(members)
            }
        if let anchor = level.anchor { anchors[anchor] = (value, level.count) }
        // The values inside are counted already.
        try add(value, count: level.count, line, isCounted: true)
    }

    private mutating func add(
        _ value: JSONValue, count: Int, _ line: Int, isCounted: Bool = false
    ) throws(ImportError) {
        total += isCounted ? 1 : count
        guard total <= YAMLDocument.maximumValues else {
            throw ImportError("line \(line): more than \(YAMLDocument.maximumValues) values, aliases followed")
        }
        guard !levels.isEmpty else {
            root = value
            return
        }
        let top = levels.count - 1
        levels[top].count += count
        switch levels[top].container {
        case .array(var elements):
            // Emptied first, so that there is one reference and nothing is copied.
            levels[top].container = .array([])
            elements.append(value)
            levels[top].container = .array(elements)
        case .object(let members, nil):
            guard let key = Self.key(value) else { throw ImportError("line \(line): a key that is no text") }
            levels[top].container = .object(members, key: key)
        case .object(var members, let key?):
            levels[top].container = .array([])
            guard members[key] == nil else { throw ImportError("line \(line): the key \"\(key)\" comes twice") }
            members[key] = value
            levels[top].container = .object(members, key: nil)
        }
    }

    /// Returns a key as text: keys such as `200` are text, however they are written.
    private static func key(_ value: JSONValue) -> String? {
        switch value {
        case .string(let text): text
        case .number, .bool, .null: value.text
        case .array, .object: nil
        }
    }

    private static func text(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? {
        pointer.map { String(cString: $0) }
    }

    /// Reads a plain scalar: null, a boolean, a number, else text.
    private static func plain(_ text: String) -> JSONValue {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        default: break
        }
        if let number = JSONNumber(text) { return .number(number) }
        guard let first = text.utf8.first,
            first == UInt8(ascii: "+") || first == UInt8(ascii: ".") || first == UInt8(ascii: "-")
        else {
            if text.hasPrefix("0x"), let value = Int(text.dropFirst(2), radix: 16) { return .number(value) }
            if text.hasPrefix("0o"), let value = Int(text.dropFirst(2), radix: 8) { return .number(value) }
            return .string(text)
        }
        if first == UInt8(ascii: "+"), let number = JSONNumber(String(text.dropFirst())) { return .number(number) }
        return .string(text)
    }
}
