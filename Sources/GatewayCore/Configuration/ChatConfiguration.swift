import Configuration
package import JSON

/// The types of `POST /api/chat/`: `defaultType` (default `chat`) and `types`, a map of ``ChatTypeConfiguration``.
package struct ChatConfiguration: Hashable, Sendable {
    /// The type of a payload without `type`.
    package let defaultType: String
    /// In the file's order; names are unique.
    package let types: [ChatTypeConfiguration]

    init(_ reader: ConfigurationReader) {
        defaultType = reader.string("defaultType", default: "chat", "The type of a payload that names none.")
        types = reader.map("types", "What a payload's type means.", of: "type") { name, reader in
            ChatTypeConfiguration(name: name, reader)
        }.map(\.value)
        if !types.contains(where: { $0.name == defaultType }), !types.isEmpty || reader.isPresent("defaultType") {
            let names = types.map { "\"\($0.name)\"" }.joined(separator: ", ")
            reader.fail("defaultType", expected: "one of \(names)", found: "\"\(defaultType)\"")
        }
    }
}

/// One type: which tool it calls, with what, and how the result becomes `replies`.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `tool` | string | – | the tool's name |
/// | `upstream` | string | `tools` | where the tool is |
/// | `arguments` | map | empty | ``ChatArgumentConfiguration`` by the tool's argument |
/// | `missing` | string | `Missing A or B` | the answer when a required field is missing |
/// | `timeout` | duration | 10 s | from the request's first byte to the answer |
/// | `reply` | section | – | ``ChatReplyConfiguration`` |
/// | `useToolStatus` | boolean | false | whether a 4xx that the tool declares is the answer's |
package struct ChatTypeConfiguration: Hashable, Sendable {
    package let name: String
    package let tool: String
    package let upstream: String
    package let arguments: [ChatArgumentConfiguration]
    package let missing: String
    package let timeout: Duration
    package let reply: ChatReplyConfiguration
    package let useToolStatus: Bool

    init(name: String, _ reader: ConfigurationReader) {
        self.name = name
        tool = reader.requiredString("tool", "The tool's name.")
        upstream = reader.string("upstream", default: "tools", "The upstream that has the tool.")
        arguments = reader.map("arguments", "The tool's arguments, by name.", of: "argument") { target, reader in
            ChatArgumentConfiguration(target: target, reader)
        }.map(\.value)
        let fields = arguments.filter { $0.isRequired && $0.constant == nil }.map(\.source)
        missing = reader.string(
            "missing", default: "Missing " + (fields.isEmpty ? "field" : fields.joined(separator: " or ")),
            "The answer when a required field is missing.")
        timeout = reader.duration(
            "timeout", default: .seconds(10), in: .milliseconds(1)...(.seconds(3600)),
            "From the request's first byte to the answer, sessions and replays included.")
        reply = reader.section("reply", "How the tool's result becomes replies.") { ChatReplyConfiguration($0) }
        useToolStatus = reader.bool(
            "useToolStatus", default: false, "Whether a 4xx status that the tool declares for its error is used.")
    }
}

/// One argument of the tool, and the payload's field that it comes from.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `from` | string | the argument's name | the payload's field |
/// | `required` | boolean | true without `default` or `value` | a missing field is an error |
/// | `trim` | boolean | false | white space around a string is removed; anything but a string is an error |
/// | `default` | any | – | when the field is missing |
/// | `value` | any | – | a constant; the payload is not looked at |
/// | `coerce` | `none`, `string`, `integer`, `number`, `boolean` | `none` | turns another scalar into this one |
/// | `falsyIsMissing` | boolean | true | `""`, `0`, `false`, `[]` and `{}` count as missing, as `null` does |
package struct ChatArgumentConfiguration: Hashable, Sendable {
    package enum Coercion: String, CaseIterable, Sendable { case none, string, integer, number, boolean }

    package let target: String
    package let source: String
    package let isRequired: Bool
    package let trim: Bool
    package let defaultValue: JSONValue?
    package let constant: JSONValue?
    package let coercion: Coercion
    package let falsyIsMissing: Bool

    init(target: String, _ reader: ConfigurationReader) {
        self.target = target
        source = reader.string("from", default: target, "The payload's field.")
        trim = reader.bool("trim", default: false, "Whether white space around the string is removed.")
        defaultValue = reader.json("default", "The value when the field is missing.")
        constant = reader.json("value", "A constant: the payload is not looked at.")
        isRequired = reader.bool(
            "required", default: defaultValue == nil && constant == nil, "Whether a missing field is an error.")
        coercion = reader.choice(
            "coerce", default: Coercion.none, "Turns a scalar of another type into this one.")
        falsyIsMissing = reader.bool(
            "falsyIsMissing", default: true, "Whether \"\", 0, false, [] and {} count as missing, as null does.")
        if constant != nil, defaultValue != nil {
            reader.fail("default", expected: "no default beside a value", found: "both")
        }
        if source == "type" { reader.fail("from", expected: "a field other than \"type\"", found: "\"type\"") }
    }
}

/// How a tool's result becomes `replies`.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `shape` | `list`, `wrapped` | `list` | the result is the list, or a single value that is put into one |
/// | `path` | string | – | place in the structured result, such as `data.items`; else `results`, `result` or all |
/// | `limit` | integer | 0 | replies at most; 0: all |
/// | `text` | `json`, `plain` | `json` for a list, else `plain` | what text is without a structured result |
package struct ChatReplyConfiguration: Hashable, Sendable {
    package enum Shape: String, CaseIterable, Sendable { case list, wrapped }
    package enum Text: String, CaseIterable, Sendable { case json, plain }

    package let shape: Shape
    package let path: [String]
    package let limit: Int
    package let text: Text

    init(_ reader: ConfigurationReader) {
        shape = reader.choice(
            "shape", default: Shape.list, "list: the result is the list; wrapped: one value in a list.")
        path = (reader.optionalString("path", "The value's place in the structured result, with dots.") ?? "")
            .split(separator: ".").map(String.init)
        limit = reader.integer("limit", default: 0, in: 0...1_000_000, "Replies at most; 0: all.")
        text = reader.choice(
            "text", default: shape == .list ? Text.json : .plain,
            "What the text stands for when there is no structured result.")
    }
}
