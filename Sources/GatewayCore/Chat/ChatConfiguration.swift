package import JSON
import JSONConfiguration

/// The types of `POST /api/chat/`.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `defaultType` | string | `chat`, else the only type | type of a payload that names none |
/// | `types` | map | empty | ``ChatTypeConfiguration`` |
/// | `tools` | section | – | types that come from an upstream's own tools: ``ToolTypesConfiguration`` |
/// | `questions`, `questionTimeout`, `questionLifetime`, `heldQuestions` | | | ``QuestionsConfiguration`` |
/// | `unknownTypes` | section | – | upstream of other types: ``UnknownTypesConfiguration``; absent: they are refused |
package struct ChatConfiguration: Hashable, Sendable {
    /// The type of a payload without `type`.
    package let defaultType: String
    /// Types in the file's order; names are unique.
    package let types: [ChatTypeConfiguration]
    /// Destination of payloads whose type is not configured; nil: such payloads are errors.
    package let unknownTypes: UnknownTypesConfiguration?
    /// Rules by which the tools of an upstream become types; nil: only configured types exist.
    package let tools: ToolTypesConfiguration?
    /// Questions of tools to their users; nil: they are declined.
    package let questions: QuestionsConfiguration?

    /// - Parameter upstream: The upstream of types that name none.
    init(_ reader: ConfigurationReader, upstream: String) {
        types = reader.map("types", "Types of payloads and the tools that serve them, by the type's name.", of: "type")
        { name, reader in
            ChatTypeConfiguration(name: name, reader, upstream: upstream)
        }.map(\.value)
        let only = types.count == 1 ? types[0].name : "chat"
        defaultType = reader.string(
            "defaultType", default: types.contains { $0.name == "chat" } ? "chat" : only,
            "Type of a payload that names none. Default: chat, else the only type.")
        unknownTypes = reader.optionalSection(
            "unknownTypes",
            "Upstream of the types that are not configured. Not set: they are refused with 400."
        ) {
            UnknownTypesConfiguration($0)
        }
        tools = reader.optionalSection("tools", "Types made from an upstream's tools: each tool is a type of its name.")
        {
            ToolTypesConfiguration($0, upstream: upstream)
        }
        questions = QuestionsConfiguration(reader)
        if questions != nil, types.contains(where: { $0.name == QuestionsConfiguration.answerType }) {
            reader.fail(
                "types.\(QuestionsConfiguration.answerType)",
                expected: "another name: with questions, the type that answers them has this one",
                found: "\"\(QuestionsConfiguration.answerType)\"")
        }
        if unknownTypes == nil, tools == nil, !types.contains(where: { $0.name == defaultType }),
            !types.isEmpty || reader.isPresent("defaultType")
        {
            let names = types.map { "\"\($0.name)\"" }.joined(separator: ", ")
            reader.fail("defaultType", expected: "one of \(names)", found: "\"\(defaultType)\"")
        }
    }
}

/// One chat type: the tool that it calls, the arguments, and the conversion of the result into `replies`; or the old
/// backend that serves it.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `tool` | string | – | the tool's name; not needed while the old backend serves the type |
/// | `upstream` | string | `tools`, else the only one | upstream of the tool; an old backend gets the payload |
/// | `canary` | section | – | ``CanaryConfiguration``: a share of the callers gets the tool, the rest the old backend |
/// | `shadow` | section | – | ``ShadowConfiguration``: the old backend answers, the tool is asked too |
/// | `arguments` | map | empty | ``ChatArgumentConfiguration`` by the tool's argument |
/// | `missing` | string | `Missing A or B` | error text when a required field is missing |
/// | `timeout` | duration | 10 s | from the request's first byte to the answer; of a streamed one: between events |
/// | `streamTimeout` | duration | 10 min | from the request's first byte to the end of a streamed answer |
/// | `reply` | section | – | ``ChatReplyConfiguration`` |
/// | `useToolStatus` | boolean | false | a 4xx status that the tool declares becomes the answer's; 503 always does |
/// | `access` | `anonymous`, `authenticated` | `anonymous` | callers; `authenticated`: with a credential |
package struct ChatTypeConfiguration: Hashable, Sendable {
    /// Name in the payload's `type`.
    package let name: String
    /// Name of the tool.
    package let tool: String
    /// Name of the upstream that has the tool.
    package let upstream: String
    /// Arguments of the tool.
    package let arguments: [ChatArgumentConfiguration]
    /// Text of the error for a missing field.
    package let missing: String
    /// Time limit of a call.
    package let timeout: Duration
    /// Time limit of a streamed reply.
    package let streamTimeout: Duration
    /// Shape of the reply.
    package let reply: ChatReplyConfiguration
    /// Permission for the tool's error to set the HTTP status.
    package let useToolStatus: Bool
    /// Share of callers that the tool serves; nil for all.
    package let canary: CanaryConfiguration?
    /// Comparison of the tool with the upstream that answers; nil: none.
    package let shadow: ShadowConfiguration?
    /// Callers that may use the type.
    package let access: Access

    /// Callers that may use a type: all, or only those with a credential. Whether the credential is valid, and what it
    /// allows, is decided by the tool.
    package enum Access: String, CaseIterable, Sendable { case anonymous, authenticated }

    init(name: String, _ reader: ConfigurationReader, upstream: String) {
        self.name = name
        tool =
            reader.optionalString(
                "tool",
                "Name of the tool that serves the type. Not needed while a chat backend serves it.",
                example: "search_projects") ?? ""
        self.upstream = reader.string(
            "upstream", default: upstream,
            "Name of the upstream that has the tool. One of kind chat gets the payload unchanged where no tool is "
                + "named. Default: the one named tools, else the only one.")
        arguments = reader.map("arguments", "Arguments of the tool, by name.", of: "argument") { target, reader in
            ChatArgumentConfiguration(target: target, reader)
        }.map(\.value)
        missing = reader.string(
            "missing", default: Self.missing(arguments), "Text of the answer when a required field is missing.")
        timeout = reader.duration(
            "timeout", default: .seconds(10), in: .milliseconds(1)...(.seconds(3600)),
            Self.timeoutDocumentation)
        streamTimeout = reader.duration(
            "streamTimeout", default: Self.standardStreamTimeout, in: .milliseconds(1)...(.seconds(86_400)),
            Self.streamTimeoutDocumentation)
        reply = reader.section("reply", "Conversion of the tool's result into replies.") { ChatReplyConfiguration($0) }
        useToolStatus = reader.bool(
            "useToolStatus", default: false,
            "true: a 4xx status that the tool declares for its error is the status of the answer; otherwise it is "
                + "400. A declared 503 is always used.")
        access = reader.choice(
            "access", default: Access.anonymous,
            "Callers that are served. authenticated: a request without a forwarded cookie or Authorization is refused "
                + "with 401."
        )
        canary = reader.optionalSection(
            "canary",
            "Canary: a share of the callers is served by the type's own upstream, the others by another."
        ) {
            CanaryConfiguration($0)
        }
        shadow = reader.optionalSection(
            "shadow",
            "Shadow: another upstream answers, and the type's own is called too, for comparison."
        ) {
            ShadowConfiguration($0)
        }
        if canary != nil, shadow != nil {
            reader.fail("shadow", expected: "either a canary or a shadow", found: "both")
        }
    }
}

extension ChatTypeConfiguration {
    static let timeoutDocumentation =
        "Time limit from the request's first byte to the answer, sessions and retries included; beyond it the answer "
        + "is 504. For a streamed answer: to its first event, and from each event to the next."
    static let streamTimeoutDocumentation =
        "Time limit from the request's first byte to the end of a streamed answer."
    static let standardStreamTimeout = Duration.seconds(600)

    /// Creates the type that an upstream's tool provides by itself.
    init(tool: String, arguments: [ChatArgumentConfiguration], _ rules: ToolTypesConfiguration) {
        name = tool
        self.tool = tool
        upstream = rules.upstream
        self.arguments = arguments
        missing = Self.missing(arguments)
        timeout = rules.timeout
        streamTimeout = rules.streamTimeout
        reply = rules.reply
        useToolStatus = rules.useToolStatus
        access = .anonymous
        canary = nil
        shadow = nil
    }

    /// Returns the error text for missing fields, for a type without a text of its own.
    static func missing(_ arguments: [ChatArgumentConfiguration]) -> String {
        let fields = arguments.filter { $0.isRequired && $0.constant == nil }.map(\.source)
        return "Missing " + (fields.isEmpty ? "field" : fields.joined(separator: " or "))
    }
}

/// One argument of the tool, and the payload's field that it comes from.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `from` | string | the argument's name | the payload's field |
/// | `required` | boolean | true without `default` or `value` | a missing field is an error |
/// | `trim` | boolean | false | white space around a string is removed; anything but a string is an error |
/// | `default` | any | – | value of the argument when the field is missing |
/// | `value` | any | – | constant value of the argument; the payload is not read |
/// | `coerce` | `none`, `string`, `integer`, `number`, `boolean` | `none` | type that other scalars become |
/// | `falsyIsMissing` | boolean | true | `""`, `0`, `false`, `[]` and `{}` count as missing, as `null` does |
package struct ChatArgumentConfiguration: Hashable, Sendable {
    /// Conversion of a scalar into the argument's type.
    package enum Coercion: String, CaseIterable, Sendable { case none, string, integer, number, boolean }

    /// Name of the tool's argument.
    package let target: String
    /// Name of the payload's field.
    package let source: String
    /// True if the payload must have the field.
    package let isRequired: Bool
    /// True if white space around a string is removed.
    package let trim: Bool
    /// Value for a missing field.
    package let defaultValue: JSONValue?
    /// Constant value, instead of a field.
    package let constant: JSONValue?
    /// Conversion into the argument's type.
    package let coercion: Coercion
    /// True if `""`, `0`, `false`, `[]` and `{}` count as missing.
    package let falsyIsMissing: Bool

    init(target: String, _ reader: ConfigurationReader) {
        self.target = target
        source = reader.string(
            "from", default: target,
            "Name of the payload's field that the argument is taken from. Default: the argument's name.")
        trim = reader.bool("trim", default: false, "true: white space around a string is removed.")
        defaultValue = reader.json("default", "Value of the argument when the field is missing.", example: "projects")
        constant = reader.json("value", "Constant value of the argument; the payload is not read.", example: "projects")
        isRequired = reader.bool(
            "required", default: defaultValue == nil && constant == nil,
            "true: a missing field is an error (missing_field, 400).")
        coercion = reader.choice(
            "coerce", default: Coercion.none,
            "Type into which a number, string or boolean of another type is converted.")
        falsyIsMissing = reader.bool(
            "falsyIsMissing", default: true, "true: \"\", 0, false, [] and {} count as missing, as null does.")
        if constant != nil, defaultValue != nil {
            reader.fail("default", expected: "no default beside a value", found: "both")
        }
        if source == "type" { reader.fail("from", expected: "a field other than \"type\"", found: "\"type\"") }
    }
}

extension ChatArgumentConfiguration {
    /// Creates an argument that takes the payload's field of the same name.
    init(field: String, isRequired: Bool, falsyIsMissing: Bool) {
        target = field
        source = field
        self.isRequired = isRequired
        trim = false
        defaultValue = nil
        constant = nil
        coercion = .none
        self.falsyIsMissing = falsyIsMissing
    }
}

/// Conversion of a tool's result into `replies`.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `shape` | `list`, `wrapped` | `list` | the list itself, or one value, put into a list |
/// | `path` | string | – | place in the structured result, such as `data.items`; else `results`, `result` or all |
/// | `limit` | integer | 0 | largest number of replies; 0: all |
/// | `text` | `json`, `plain` | `json` for a list, else `plain` | meaning of a result that is only text |
package struct ChatReplyConfiguration: Hashable, Sendable {
    /// Shape of the reply.
    package enum Shape: String, CaseIterable, Sendable { case list, wrapped }
    /// Form of values in the reply.
    package enum Text: String, CaseIterable, Sendable { case json, plain }

    /// Shape of the reply.
    package let shape: Shape
    /// Keys that lead to the value in the tool's result.
    package let path: [String]
    /// Largest number of results.
    package let limit: Int
    /// Form of values.
    package let text: Text

    init(_ reader: ConfigurationReader) {
        shape = reader.choice(
            "shape", default: Shape.list, "list: the result is the list; wrapped: one value in a list.")
        path =
            (reader.optionalString(
                "path", "Path of the value in the structured result: names divided by dots.", example: "data.items")
            ?? "")
            .split(separator: ".").map(String.init)
        limit = reader.integer(
            "limit", default: 0, in: 0...1_000_000, "Largest number of replies; further ones are left out. 0: no limit."
        )
        text = reader.choice(
            "text", default: shape == .list ? Text.json : .plain,
            "Meaning of the result's text where there is no structured result.")
    }
}
