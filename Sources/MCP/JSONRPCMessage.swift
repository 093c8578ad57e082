package import JSON

/// A request, which has an id and gets exactly one response.
package struct JSONRPCRequest: Hashable, Sendable {
    /// Identifier of the request.
    package var id: RequestID
    /// Method name.
    package var method: String
    /// Parameters; nil when absent.
    package var params: JSONObject?
    /// `params.arguments` as text, where it was kept as such and is not among the parameters.
    package var arguments: JSONFragment?
    /// Contents of `params._meta`, where they are those of a request of 2026-07-28 and were read already.
    package var metadata: RequestMetadata?

    /// Describes a request (JSON-RPC 2.0, section 4).
    package init(id: RequestID, method: String, params: JSONObject? = nil, arguments: JSONFragment? = nil) {
        self.id = id
        self.method = method
        self.params = params
        self.arguments = arguments
    }

    /// Parameters with the arguments as a tree among them.
    package var wholeParams: JSONObject? {
        guard let arguments else { return params }
        var whole = params ?? [:]
        whole["arguments"] = arguments.value
        return whole
    }

    /// `params._meta`, empty when absent or not an object.
    package var meta: JSONObject { params?["_meta"]?.object ?? [:] }

    /// JSON form.
    package var json: JSONValue {
        var object: JSONObject = ["jsonrpc": "2.0", "id": id.json, "method": .string(method)]
        if let params = wholeParams { object["params"] = .object(params) }
        return .object(object)
    }
}

/// A message that is never answered.
package struct JSONRPCNotification: Hashable, Sendable {
    /// Method name.
    package var method: String
    /// Parameters; nil when absent.
    package var params: JSONObject?

    /// Describes a notification (JSON-RPC 2.0, section 4.1).
    package init(method: String, params: JSONObject? = nil) {
        self.method = method
        self.params = params
    }

    /// JSON form.
    package var json: JSONValue {
        var object: JSONObject = ["jsonrpc": "2.0", "method": .string(method)]
        if let params { object["params"] = .object(params) }
        return .object(object)
    }
}

/// A result or an error. The id is absent only in errors about requests whose id could not be read.
package struct JSONRPCResponse: Hashable, Sendable {
    /// Identifier of the request.
    package var id: RequestID?
    /// Result or error.
    package var outcome: Result<JSONValue, JSONRPCError>

    /// Describes a response (JSON-RPC 2.0, section 5).
    package init(id: RequestID?, outcome: Result<JSONValue, JSONRPCError>) {
        self.id = id
        self.outcome = outcome
    }

    /// Describes a response with a result.
    package init(id: RequestID, result: JSONValue) {
        self.init(id: id, outcome: .success(result))
    }

    /// Describes a response with an error; the identifier is nil where the request's is not known.
    package init(id: RequestID?, error: JSONRPCError) {
        self.init(id: id, outcome: .failure(error))
    }

    /// JSON form.
    package var json: JSONValue {
        var object: JSONObject = ["jsonrpc": "2.0"]
        // An unreadable id is omitted: null is not an id in MCP (base protocol, responses).
        object["id"] = id?.json
        switch outcome {
        case .success(let result): object["result"] = result
        case .failure(let error): object["error"] = error.json
        }
        return .object(object)
    }
}

/// One JSON-RPC 2.0 message. Batches (2025-03-26) are arrays of these; see `JSONRPCBody`.
package enum JSONRPCMessage: Hashable, Sendable {
    case request(JSONRPCRequest)
    case notification(JSONRPCNotification)
    case response(JSONRPCResponse)

    /// Reads an envelope. `params` must be an object; null counts as absent.
    ///
    /// - Throws: `invalidRequest` for anything but an envelope, including an id that is neither string nor integer,
    ///   `invalidParams` for params of another kind. `requestID(of:)` returns the id for such an error.
    package init(_ value: JSONValue) throws(JSONRPCError) {
        guard let object = value.object else { throw .invalidRequest("Invalid Request: expected an object") }
        guard object["jsonrpc"]?.string == "2.0" else {
            throw .invalidRequest("Invalid Request: jsonrpc must be \"2.0\"")
        }
        if let method = object["method"] {
            self = try Self.call(object, method)
        } else {
            self = .response(try Self.response(object))
        }
    }

    private static func call(_ object: JSONObject, _ method: JSONValue) throws(JSONRPCError) -> JSONRPCMessage {
        guard let method = method.string else { throw .invalidRequest("Invalid Request: method must be a string") }
        var requestID: RequestID?
        if let id = object["id"] {
            requestID = RequestID(id)
            guard requestID != nil else {
                throw .invalidRequest("Invalid Request: id must be a string or an integer")
            }
        }
        var params: JSONObject?
        if let value = object["params"], !value.isNull {
            params = value.object
            guard params != nil else { throw .invalidParams("Invalid params: expected an object, found \(value.kind)") }
        }
        guard let requestID else { return .notification(JSONRPCNotification(method: method, params: params)) }
        return .request(JSONRPCRequest(id: requestID, method: method, params: params))
    }

    private static func response(_ object: JSONObject) throws(JSONRPCError) -> JSONRPCResponse {
        let id = object["id"].flatMap { RequestID($0) }
        switch (object["result"], object["error"]) {
        case (let result?, nil):
            guard let id else { throw .invalidRequest("Invalid Request: a result needs the id of its request") }
            return JSONRPCResponse(id: id, result: result)
        case (nil, let error?):
            guard let error = try? JSONRPCError(json: error) else {
                throw .invalidRequest("Invalid Request: error must be an object with a code")
            }
            return JSONRPCResponse(id: id, error: error)
        case (_?, _?):
            throw .invalidRequest("Invalid Request: both result and error")
        case (nil, nil):
            throw .invalidRequest("Invalid Request: neither method, result nor error")
        }
    }

    /// Reads an envelope of a received body, like ``init(_:)-(JSONValue)``.
    ///
    /// - Throws: The errors of that initializer.
    package init(_ element: JSONRPCBody.Element) throws(JSONRPCError) {
        self = try JSONRPCMessage(element.value)
        guard case .request(var request) = self else { return }
        request.arguments = element.arguments
        request.metadata = element.metadata
        self = .request(request)
    }

    /// Returns the id that an error about `value` should echo; nil when none can be read.
    package static func requestID(of value: JSONValue) -> RequestID? {
        value["id"].flatMap { RequestID($0) }
    }

    /// JSON form.
    package var json: JSONValue {
        switch self {
        case .request(let request): request.json
        case .notification(let notification): notification.json
        case .response(let response): response.json
        }
    }

    /// Compact text, without a newline.
    package var serialized: [UInt8] { json.serialized }
}
