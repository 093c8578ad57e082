package import JSON

/// A question to the client: a request of its own in the legacy era, a part of an `input_required` result in
/// 2026-07-28.
package enum InputRequest: Hashable, Sendable {
    case elicitation(ElicitParameters)
    case sampling(CreateMessageParameters)
    case roots

    /// Method of the legacy request that asks the same.
    package var method: String {
        switch self {
        case .elicitation: MCPMethod.elicitationCreate
        case .sampling: MCPMethod.samplingCreateMessage
        case .roots: MCPMethod.rootsList
        }
    }

    /// Client capabilities that the question requires.
    package var requiredCapabilities: JSONObject {
        switch self {
        case .elicitation(let parameters):
            if case .url = parameters.mode { ["elicitation": ["url": [:]]] } else { ["elicitation": [:]] }
        case .sampling(let parameters): parameters.tools.isEmpty ? ["sampling": [:]] : ["sampling": ["tools": [:]]]
        case .roots: ["roots": [:]]
        }
    }

    /// Returns whether a client with these capabilities may be asked.
    package func isAllowed(by capabilities: ClientCapabilities) -> Bool {
        switch self {
        case .elicitation(let parameters):
            if case .url = parameters.mode { capabilities.elicitationURL } else { capabilities.elicitation }
        case .sampling(let parameters):
            capabilities.sampling && (parameters.tools.isEmpty || capabilities.samplingTools)
        case .roots: capabilities.roots
        }
    }

    /// Returns the parameters of the question in a revision; nil where the method has none.
    package func params(for version: MCPVersion) -> JSONObject? {
        switch self {
        case .elicitation(let parameters): parameters.params(for: version)
        case .sampling(let parameters): parameters.params(for: version)
        case .roots: nil
        }
    }

    /// Reads a question of a legacy server.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(method: String, params: JSONObject?) throws(MCPDecodingError) {
        switch method {
        case MCPMethod.elicitationCreate: self = .elicitation(try ElicitParameters(params: params ?? [:]))
        case MCPMethod.samplingCreateMessage: self = .sampling(try CreateMessageParameters(params: params ?? [:]))
        case MCPMethod.rootsList: self = .roots
        default: throw MCPDecodingError("method: expected a request to the client, found \"\(method)\"")
        }
    }

    /// JSON form `{"method", "params"}`, without an envelope, as in `inputRequests`.
    package var json: JSONValue {
        var object: JSONObject = ["method": .string(method)]
        if let params = params(for: .latestModern) { object["params"] = .object(params) }
        return .object(object)
    }
}

/// Result with `resultType: input_required` of 2026-07-28 (multi-round tool results).
package struct InputRequiredResult: Hashable, Sendable {
    /// Questions by the key under which their answers come back.
    package var inputRequests: [(key: String, request: InputRequest)]
    /// State that the client returns byte for byte without reading it.
    package var requestState: String?

    /// Asks the client for input (2026-07-28, Multi Round-Trip Requests).
    package init(inputRequests: [(key: String, request: InputRequest)] = [], requestState: String? = nil) {
        self.inputRequests = inputRequests
        self.requestState = requestState
    }

    /// - Throws: ``MCPDecodingError``, also when neither member is present: at least one must be.
    package init(json: JSONValue) throws(MCPDecodingError) {
        let reader = try MCPReader(json, "result")
        requestState = try reader.optionalString("requestState")
        inputRequests = []
        let requests = try reader.optionalObject("inputRequests")
        guard requests != nil || requestState != nil else {
            throw MCPDecodingError("result: neither inputRequests nor requestState")
        }
        for (key, value) in requests ?? [:] {
            let request = try MCPReader(value, "result.inputRequests.\(key)")
            inputRequests.append(
                (
                    key,
                    try InputRequest(method: request.string("method"), params: request.optionalObject("params"))
                ))
        }
    }

    /// JSON form.
    package var json: JSONValue {
        var object: JSONObject = ["resultType": .string(ResultType.inputRequired.rawValue)]
        if !inputRequests.isEmpty {
            object["inputRequests"] = .object(JSONObject(inputRequests.map { ($0.key, $0.request.json) }))
        }
        object.set("requestState", requestState)
        return .object(object)
    }

    package static func == (left: InputRequiredResult, right: InputRequiredResult) -> Bool { left.json == right.json }
    package func hash(into hasher: inout Hasher) { hasher.combine(json) }
}

/// Parameters of `elicitation/create`, a question to the user.
package struct ElicitParameters: Hashable, Sendable {
    /// Form or page that the user is shown (Elicitation, "Elicitation Modes").
    package enum Mode: Hashable, Sendable {
        /// A form for a flat object of primitive properties, as JSON Schema.
        case form(requestedSchema: JSONObject)
        /// A page that the user visits, from 2025-11-25. The id is for legacy revisions.
        case url(String, elicitationID: String?)
    }

    /// Text that the user is shown.
    package var message: String
    /// Form or page.
    package var mode: Mode

    /// Asks in the given mode.
    package init(message: String, mode: Mode) {
        self.message = message
        self.mode = mode
    }

    /// Asks with a form of these fields.
    package init(message: String, requestedSchema: JSONObject) {
        self.init(message: message, mode: .form(requestedSchema: requestedSchema))
    }

    /// Reads the parameters of `elicitation/create`.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(params: JSONObject) throws(MCPDecodingError) {
        let reader = MCPReader(params, "params")
        message = try reader.string("message")
        if try reader.optionalString("mode") == "url" {
            mode = .url(try reader.string("url"), elicitationID: try reader.optionalString("elicitationId"))
        } else {
            mode = .form(requestedSchema: try MCPReader(params["requestedSchema"], "params.requestedSchema").object)
        }
    }

    /// Returns the parameters of the question in a revision; nil where the method has none.
    package func params(for version: MCPVersion) -> JSONObject {
        var object: JSONObject = [:]
        switch mode {
        case .form(let schema):
            if version.hasURLElicitation { object["mode"] = "form" }
            object["message"] = .string(message)
            object["requestedSchema"] = .object(schema)
        case .url(let url, let id):
            object["mode"] = "url"
            object["message"] = .string(message)
            object["url"] = .string(url)
            if version.era == .legacy { object.set("elicitationId", id) }
        }
        return object
    }
}

/// Answer to an elicitation (Elicitation, "Response Actions").
package struct ElicitResult: Hashable, Sendable {
    /// Decision of the user (Elicitation, "Response Actions").
    package enum Action: String, Hashable, Sendable {
        case accept, decline, cancel
    }

    /// Decision of the user.
    package var action: Action
    /// Values of the form, only with `accept`.
    package var content: JSONObject?

    /// Answers an elicitation.
    package init(action: Action, content: JSONObject? = nil) {
        self.action = action
        self.content = content
    }

    /// Reads the JSON form.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(json: JSONValue) throws(MCPDecodingError) {
        let reader = try MCPReader(json, "result")
        guard let action = Action(rawValue: try reader.string("action")) else {
            throw reader.failure("action", "\"accept\", \"decline\" or \"cancel\"")
        }
        self.init(action: action, content: try reader.optionalObject("content"))
    }

    /// JSON form.
    package var json: JSONValue {
        var object: JSONObject = ["action": .string(action.rawValue)]
        if let content { object["content"] = .object(content) }
        return .object(object)
    }
}
