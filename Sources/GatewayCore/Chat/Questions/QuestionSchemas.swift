import JSON

/// Schemas of questions and answers in the OpenAPI document.
enum QuestionSchemas {
    /// Payload of the built-in type `answer`.
    static let answer: JSONValue = [
        "type": "object", "description": "Answers a question; the response is that of the type that asked.",
        "required": ["type", "id", "action"],
        "properties": [
            "type": ["const": .string(QuestionsConfiguration.answerType)],
            "id": ["type": "string", "minLength": 1, "description": "The question's id."],
            "action": ["enum": ["accept", "decline", "cancel"]],
            "values": [
                "type": ["object", "null"], "description": "With accept: values by the names of the question's fields.",
            ],
        ],
    ]

    static let exampleAnswer: JSONValue = [
        "type": .string(QuestionsConfiguration.answerType), "id": "the question's id", "action": "accept",
        "values": ["seats": 2],
    ]

    /// Member `question` of a response.
    static let question: JSONValue = [
        "type": "object",
        "description": "A question of the tool to its user: a form with fields, or a page to visit.",
        "required": ["id", "message", "expires"], "oneOf": [["required": ["fields"]], ["required": ["url"]]],
        "properties": [
            "id": ["type": "string", "description": "To be sent back; good once, and for this caller alone."],
            "message": ["type": "string"], "fields": ["type": "array", "items": field],
            "url": ["type": "string", "format": "uri", "description": "Page that the user visits before accepting."],
            "expires": ["type": "string", "format": "date-time"],
        ],
    ]

    private static let field: JSONValue = [
        "type": "object", "required": ["name", "label", "kind", "required"],
        "properties": [
            "name": ["type": "string"], "label": ["type": "string"],
            "kind": ["enum": .array(QuestionField.Kind.allCases.map { .string($0.rawValue) })],
            "options": [
                "type": "array",
                "items": [
                    "type": "object", "required": ["value", "label"], "properties": ["label": ["type": "string"]],
                ],
            ],
            "default": true, "required": ["type": "boolean"], "hint": ["type": "string"],
            "format": ["type": "string"], "pattern": ["type": "string"], "minLength": ["type": "integer"],
            "maxLength": ["type": "integer"], "minimum": ["type": "number"], "maximum": ["type": "number"],
            "minItems": ["type": "integer"], "maxItems": ["type": "integer"],
        ],
    ]
}
