package import JSON

/// Severities of RFC 5424, least severe first.
package enum LoggingLevel: String, CaseIterable, Comparable, Hashable, Sendable {
    case debug, info, notice, warning, error, critical, alert, emergency

    private var severity: Int { Self.allCases.firstIndex(of: self) ?? 0 }

    package static func < (left: LoggingLevel, right: LoggingLevel) -> Bool { left.severity < right.severity }
}

/// Parameters of `notifications/message`: a log line for the client.
package struct LoggingMessageNotification: Hashable, Sendable {
    /// Severity.
    package var level: LoggingLevel
    /// Name of the logger; nil for the server as a whole.
    package var logger: String?
    /// Message, of any JSON type.
    package var data: JSONValue

    /// Describes a log message (Logging, "Log Message Notifications").
    package init(level: LoggingLevel, logger: String? = nil, data: JSONValue) {
        self.level = level
        self.logger = logger
        self.data = data
    }

    /// Reads the parameters of the notification.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(params: JSONObject) throws(MCPDecodingError) {
        let reader = MCPReader(params, "params")
        guard let level = LoggingLevel(rawValue: try reader.string("level")) else {
            throw reader.failure("level", "a logging level")
        }
        self.init(level: level, logger: try reader.optionalString("logger"), data: params["data"] ?? .null)
    }

    /// Notification that carries this.
    package var notification: JSONRPCNotification {
        var params: JSONObject = ["level": .string(level.rawValue)]
        params.set("logger", logger)
        params["data"] = data
        return JSONRPCNotification(method: MCPMethod.message, params: params)
    }
}

/// Parameters of `notifications/progress` for a request with a progress token.
package struct ProgressNotification: Hashable, Sendable {
    /// Token of the request.
    package var token: ProgressToken
    /// Progress so far; increases from one notification to the next.
    package var progress: Double
    /// Amount at the end, where it is known.
    package var total: Double?
    /// Message for people, from 2025-03-26.
    package var message: String?
    /// Tool that this step calls (`_meta["dev.chatgateway/tool"]`).
    package var tool: String?

    /// Describes progress (Progress, "Progress Flow").
    package init(
        token: ProgressToken, progress: Double, total: Double? = nil, message: String? = nil, tool: String? = nil
    ) {
        self.token = token
        self.progress = progress
        self.total = total
        self.message = message
        self.tool = tool
    }

    /// Reads the parameters of the notification.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(params: JSONObject) throws(MCPDecodingError) {
        let reader = MCPReader(params, "params")
        guard let token = params["progressToken"].flatMap({ ProgressToken($0) }) else {
            throw reader.failure("progressToken", "string or integer")
        }
        self.init(
            token: token, progress: try reader.double("progress"), total: try reader.optionalDouble("total"),
            message: try reader.optionalString("message"), tool: params["_meta"]?[MCPMeta.tool]?.string)
    }

    /// Returns the notification in a revision.
    package func notification(for version: MCPVersion) -> JSONRPCNotification {
        var params: JSONObject = ["progressToken": token.json, "progress": .number(progress)]
        params.set("total", total)
        if version.hasProgressMessages { params.set("message", message) }
        if let tool { params["_meta"] = [MCPMeta.tool: .string(tool)] }
        return JSONRPCNotification(method: MCPMethod.progress, params: params)
    }
}

/// Parameters of `notifications/cancelled`: the other side no longer wants an answer.
package struct CancelledNotification: Hashable, Sendable {
    /// Identifier of the cancelled request.
    package var requestID: RequestID
    /// Reason for logs and people.
    package var reason: String?

    /// Describes a cancellation (Cancellation, "Cancellation Flow").
    package init(requestID: RequestID, reason: String? = nil) {
        self.requestID = requestID
        self.reason = reason
    }

    /// Reads the parameters of the notification.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(params: JSONObject) throws(MCPDecodingError) {
        let reader = MCPReader(params, "params")
        guard let id = params["requestId"].flatMap({ RequestID($0) }) else {
            throw reader.failure("requestId", "string or integer")
        }
        self.init(requestID: id, reason: try reader.optionalString("reason"))
    }

    /// Notification that carries this.
    package var notification: JSONRPCNotification {
        var params: JSONObject = ["requestId": requestID.json]
        params.set("reason", reason)
        return JSONRPCNotification(method: MCPMethod.cancelled, params: params)
    }
}

/// Parameters of `notifications/resources/updated`.
package struct ResourceUpdatedNotification: Hashable, Sendable {
    /// URI of the resource that changed.
    package var uri: String

    /// Announces a change of a resource (Resources, "Subscriptions").
    package init(uri: String) {
        self.uri = uri
    }

    /// Reads the parameters of the notification.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(params: JSONObject) throws(MCPDecodingError) {
        uri = try MCPReader(params, "params").string("uri")
    }

    /// Notification that carries this.
    package var notification: JSONRPCNotification {
        JSONRPCNotification(method: MCPMethod.resourcesUpdated, params: ["uri": .string(uri)])
    }
}

/// Announcements of a `subscriptions/listen` stream (2026-07-28, Subscriptions).
package struct SubscriptionFilter: Hashable, Sendable {
    /// True if changes of the tools are wanted.
    package var toolsListChanged: Bool
    /// True if changes of the prompts are wanted.
    package var promptsListChanged: Bool
    /// True if changes of the list of resources are wanted.
    package var resourcesListChanged: Bool
    /// URIs whose updates are wanted.
    package var resourceSubscriptions: [String]

    /// Selects announcements (2026-07-28, Subscriptions).
    package init(
        toolsListChanged: Bool = false, promptsListChanged: Bool = false, resourcesListChanged: Bool = false,
        resourceSubscriptions: [String] = []
    ) {
        self.toolsListChanged = toolsListChanged
        self.promptsListChanged = promptsListChanged
        self.resourcesListChanged = resourcesListChanged
        self.resourceSubscriptions = resourceSubscriptions
    }

    /// Reads the JSON form.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(json: JSONValue) throws(MCPDecodingError) {
        let reader = try MCPReader(json, "notifications")
        self.init(
            toolsListChanged: try reader.optionalBool("toolsListChanged") ?? false,
            promptsListChanged: try reader.optionalBool("promptsListChanged") ?? false,
            resourcesListChanged: try reader.optionalBool("resourcesListChanged") ?? false,
            resourceSubscriptions: try reader.optionalStrings("resourceSubscriptions") ?? [])
    }

    /// JSON form.
    package var json: JSONValue {
        var object: JSONObject = [:]
        if toolsListChanged { object["toolsListChanged"] = true }
        if promptsListChanged { object["promptsListChanged"] = true }
        if resourcesListChanged { object["resourcesListChanged"] = true }
        if !resourceSubscriptions.isEmpty { object.set("resourceSubscriptions", resourceSubscriptions) }
        return .object(object)
    }

    /// Returns whether `notification` is of a kind that was requested.
    package func wants(_ notification: JSONRPCNotification) -> Bool {
        switch notification.method {
        case MCPMethod.toolsListChanged: toolsListChanged
        case MCPMethod.promptsListChanged: promptsListChanged
        case MCPMethod.resourcesListChanged: resourcesListChanged
        case MCPMethod.resourcesUpdated:
            notification.params?["uri"]?.string.map(resourceSubscriptions.contains) ?? false
        default: false
        }
    }

    /// Returns the first message of the stream: the part of the filter that the server accepted.
    package func acknowledgement(subscriptionID: RequestID) -> JSONRPCNotification {
        JSONRPCNotification(method: MCPMethod.subscriptionsAcknowledged, params: ["notifications": json])
            .tagged(subscriptionID: subscriptionID)
    }

    /// Returns the result with which a server ends the stream.
    package static func result(subscriptionID: RequestID) -> JSONObject {
        MCPResult.complete(["_meta": [MCPMeta.subscriptionID: subscriptionID.json]], for: .latestModern)
    }
}

extension JSONRPCNotification {
    /// Returns the notification with the id of the `subscriptions/listen` request whose stream carries it.
    package func tagged(subscriptionID: RequestID) -> JSONRPCNotification {
        var params = params ?? [:]
        var meta = params["_meta"]?.object ?? [:]
        meta[MCPMeta.subscriptionID] = subscriptionID.json
        params["_meta"] = .object(meta)
        return JSONRPCNotification(method: method, params: params)
    }
}
