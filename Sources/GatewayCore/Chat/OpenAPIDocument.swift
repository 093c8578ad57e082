import HTTPServer
package import JSON
import MCP
package import MCPClient
import NIOCore
import NIOHTTP1

/// Response to `GET /openapi.json`.
final class OpenAPIRequest: GatewayRequest {
    private let chat: ChatRoutes

    init(
        _ exchange: HTTPExchange, _ worker: Worker, _ settings: RequestSettings, _ facts: RequestHeaders,
        chat: ChatRoutes
    ) {
        self.chat = chat
        super.init(exchange, worker, settings, facts)
    }

    override var route: String { "openapi" }

    override func serve() {
        let document = OpenAPIDocument.make(chat.configuration, catalogs: chat.catalogs)
        respond(json: ByteBuffer(bytes: document.serialized))
    }
}

/// OpenAPI 3.1 document of the configured types, with the arguments as the live tools describe them.
package enum OpenAPIDocument {
    /// Returns the OpenAPI document of the chat types.
    package static func make(_ chat: ChatConfiguration, catalogs: [String: ToolCatalog]) -> JSONValue {
        var schemas: JSONObject = ["Error": error, "Problem": problem]
        var alternatives: [JSONValue] = []
        var examples: JSONObject = [:]
        let types = chat.types + ToolTypes.make(chat, catalogs)
        for type in types {
            let name =
                "Request." + type.name.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? String($0) : "_" }.joined()
            let entry = catalogs[type.upstream]?[type.tool]
            schemas[name] = request(type, isDefault: type.name == chat.defaultType, entry: entry)
            alternatives.append(["$ref": .string("#/components/schemas/\(name)")])
            examples[type.name] = ["value": example(type, entry)]
        }
        if chat.unknownTypes != nil {
            schemas["Request"] = [
                "type": "object", "description": "A type that the old backend serves.",
                "properties": ["type": ["not": ["enum": .array(types.map { .string($0.name) })]]],
            ]
            alternatives.append(["$ref": "#/components/schemas/Request"])
        }
        if chat.questions != nil {
            schemas["Answer"] = QuestionSchemas.answer
            schemas["Question"] = QuestionSchemas.question
            alternatives.append(["$ref": "#/components/schemas/Answer"])
            examples["answer"] = ["value": QuestionSchemas.exampleAnswer]
        }
        let body: JSONValue = [
            "required": true,
            "content": [
                "application/json": ["schema": ["anyOf": .array(alternatives)], "examples": .object(examples)]
            ],
        ]
        return [
            "openapi": "3.1.0",
            "info": ["title": "Chat gateway", "version": .string(GatewayVersion.number)],
            "paths": [
                "/api/chat/": [
                    "post": [
                        "operationId": "chat", "summary": "Asks for replies of one type.", "requestBody": body,
                        "responses": responses(
                            types, isOpen: chat.unknownTypes != nil, asks: chat.questions != nil),
                    ]
                ]
            ],
            "components": ["schemas": .object(schemas)],
        ]
    }

    private static func request(_ type: ChatTypeConfiguration, isDefault: Bool, entry: ToolCatalog.Entry?) -> JSONValue
    {
        var properties: JSONObject = ["type": ["const": .string(type.name)]]
        var required: [JSONValue] = isDefault ? [] : ["type"]
        for argument in type.arguments where argument.constant == nil {
            var schema = entry?.definition.inputSchema["properties"]?[argument.target]?.object ?? [:]
            // A reference would point into the tool's own document.
            if JSONValue.object(schema).text.contains("\"$ref\"") { schema = [:] }
            if argument.isRequired, schema["type"]?.string == "string", schema["minLength"] == nil {
                schema["minLength"] = 1
            }
            // The tool's schema describes neither a value before its conversion nor a missing one.
            if argument.coercion != .none || !argument.isRequired { schema["type"] = nil }
            properties[argument.source] = .object(schema)
            if argument.isRequired { required.append(.string(argument.source)) }
        }
        var schema: JSONObject = ["type": "object", "properties": .object(properties), "required": .array(required)]
        if let description = entry?.definition.description { schema["description"] = .string(description) }
        if !type.tool.isEmpty { schema["x-mcp-tool"] = ToolMapping.json(type, entry) }
        return .object(schema)
    }

    private static func example(_ type: ChatTypeConfiguration, _ entry: ToolCatalog.Entry?) -> JSONValue {
        var example: JSONObject = ["type": .string(type.name)]
        for argument in type.arguments where argument.isRequired && argument.constant == nil {
            example[argument.source] = value(entry?.definition.inputSchema["properties"]?[argument.target] ?? [:])
        }
        return .object(example)
    }

    /// Returns an example for a schema: the value that it names itself, else one of its type.
    private static func value(_ schema: JSONValue) -> JSONValue {
        if let known = schema["examples"]?.array?.first ?? schema["default"] ?? schema["enum"]?.array?.first {
            return known
        }
        return switch schema["type"]?.string {
        case "integer", "number": 1
        case "boolean": true
        case "array": []
        case "object": [:]
        default: "text"
        }
    }

    /// - Parameters:
    ///   - isOpen: True if payloads of types that are not listed are served too.
    ///   - asks: True if a tool's question to its user is passed on.
    private static func responses(_ types: [ChatTypeConfiguration], isOpen: Bool, asks: Bool) -> JSONValue {
        var reply: JSONValue = [
            "type": "object", "required": ["type", "replies"],
            "properties": [
                "type": isOpen ? ["type": "string"] : ["enum": .array(types.map { .string($0.name) })],
                "replies": [
                    "type": "array",
                    "description": """
                    The tool's structured result, or its text. A result without text is told in words: an embedded \
                    resource is its text, or `URI (type, N bytes)`; a link is `Title: URI`; an image or audio is \
                    `image (type, N bytes)` or `audio (type, N bytes)`.
                    """,
                ],
            ],
        ]
        if asks { reply["properties"]?["question"] = ["$ref": "#/components/schemas/Question"] }
        let events =
            "Events delta and progress, then one "
            + (asks
                ? "reply, question or error; the data of reply and question is"
                : "reply or error; the data of reply is")
            + " the JSON answer."
        var responses: JSONObject = [
            "200": [
                "description": .string(
                    asks
                        ? "The replies; or no replies and a question, after whose answer they come." : "The replies."),
                "content": [
                    "application/json": ["schema": reply],
                    "text/event-stream": ["schema": ["type": "string", "description": .string(events)]],
                ],
            ]
        ]
        for status in Set(GatewayErrorLabel.allCases.map(\.facts.status)).union([500]).sorted() {
            let labels = GatewayErrorLabel.allCases.filter {
                $0.facts.status == status || ($0 == .toolError && status == 503)
            }
            let names = labels.map(\.rawValue).joined(separator: ", ")
            responses["\(status)"] = [
                "description": .string("Label: \(names)."),
                "content": [
                    "application/json": ["schema": ["$ref": "#/components/schemas/Error"]],
                    "text/plain": ["schema": ["type": "string"]],
                    "application/problem+json": ["schema": ["$ref": "#/components/schemas/Problem"]],
                ],
            ]
        }
        // A tool may declare any 4xx status.
        responses["4XX"] = [
            "description": "An error of the tool with a status of its own.",
            "content": ["application/json": ["schema": ["$ref": "#/components/schemas/Error"]]],
        ]
        return .object(responses)
    }

    private static let error: JSONValue = [
        "type": "object", "required": ["error"], "properties": ["error": ["type": "string"]],
    ]

    private static let problem: JSONValue = [
        "type": "object", "required": ["type", "title", "status", "detail", "instance", "label", "executed"],
        "properties": [
            "type": ["type": "string"], "title": ["type": "string"], "status": ["type": "integer"],
            "detail": ["type": "string"], "instance": ["type": "string"], "label": ["type": "string"],
            "executed": ["enum": ["no", "yes", "unknown"]],
        ],
    ]
}
