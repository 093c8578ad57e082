package import JSON

/// Severities of RFC 5424, least severe first.
package enum LoggingLevel: String, CaseIterable, Comparable, Hashable, Sendable {
    case debug, info, notice, warning, error, critical, alert, emergency

    private var severity: Int { Self.allCases.firstIndex(of: self) ?? 0 }

    package static func < (left: LoggingLevel, right: LoggingLevel) -> Bool { left.severity < right.severity }
}

/// `notifications/message`: a log line for the client.
package struct LoggingMessageNotification: Hashable, Sendable {
    package var level: LoggingLevel
    package var logger: String?
    package var data: JSONValue

    package init(level: LoggingLevel, logger: String? = nil, data: JSONValue) {
        self.level = level
        self.logger = logger
        self.data = data
    }

    package init(params: JSONObject) throws(MCPDecodingError) {
        let reader = MCPReader(params, "params")
        guard let level = LoggingLevel(rawValue: try reader.string("level")) else {
            throw reader.failure("level", "a logging level")
        }
        self.init(level: level, logger: try reader.optionalString("logger"), data: params["data"] ?? .null)
    }

    package var notification: JSONRPCNotification {
        var params: JSONObject = ["level": .string(level.rawValue)]
        params.set("logger", logger)
        params["data"] = data
        return JSONRPCNotification(method: MCPMethod.message, params: params)
    }
}

/// `notifications/progress` of a request that carried a token.
package struct ProgressNotification: Hashable, Sendable {
    package var token: ProgressToken
    /// Increases from one notification to the next.
    package var progress: Double
    package var total: Double?
    /// From 2025-03-26.
    package var message: String?
    /// The tool that this step calls (`_meta["dev.chatgateway/tool"]`).
    package var tool: String?

    package init(
        token: ProgressToken, progress: Double, total: Double? = nil, message: String? = nil, tool: String? = nil
    ) {
        self.token = token
        self.progress = progress
        self.total = total
        self.message = message
        self.tool = tool
    }

    package init(params: JSONObject) throws(MCPDecodingError) {
        let reader = MCPReader(params, "params")
        guard let token = params["progressToken"].flatMap({ ProgressToken($0) }) else {
            throw reader.failure("progressToken", "string or integer")
        }
        self.init(
            token: token, progress: try reader.double("progress"), total: try reader.optionalDouble("total"),
            message: try reader.optionalString("message"), tool: params["_meta"]?[MCPMeta.tool]?.string)
    }

    package func notification(for version: MCPVersion) -> JSONRPCNotification {
        var params: JSONObject = ["progressToken": token.json, "progress": .number(progress)]
        params.set("total", total)
        if version.hasProgressMessages { params.set("message", message) }
        if let tool { params["_meta"] = [MCPMeta.tool: .string(tool)] }
        return JSONRPCNotification(method: MCPMethod.progress, params: params)
    }
}

/// `notifications/cancelled`: the other side no longer wants an answer.
package struct CancelledNotification: Hashable, Sendable {
    package var requestID: RequestID
    package var reason: String?

    package init(requestID: RequestID, reason: String? = nil) {
        self.requestID = requestID
        self.reason = reason
    }

    package init(params: JSONObject) throws(MCPDecodingError) {
        let reader = MCPReader(params, "params")
        guard let id = params["requestId"].flatMap({ RequestID($0) }) else {
            throw reader.failure("requestId", "string or integer")
        }
        self.init(requestID: id, reason: try reader.optionalString("reason"))
    }

    package var notification: JSONRPCNotification {
        var params: JSONObject = ["requestId": requestID.json]
        params.set("reason", reason)
        return JSONRPCNotification(method: MCPMethod.cancelled, params: params)
    }
}

/// `notifications/resources/updated`.
package struct ResourceUpdatedNotification: Hashable, Sendable {
    package var uri: String

    package init(uri: String) {
        self.uri = uri
    }

    package init(params: JSONObject) throws(MCPDecodingError) {
        uri = try MCPReader(params, "params").string("uri")
    }

    package var notification: JSONRPCNotification {
        JSONRPCNotification(method: MCPMethod.resourcesUpdated, params: ["uri": .string(uri)])
    }
}

/// What a `subscriptions/listen` stream delivers (2026-07-28, subscriptions).
package struct SubscriptionFilter: Hashable, Sendable {
    package var toolsListChanged: Bool
    package var promptsListChanged: Bool
    package var resourcesListChanged: Bool
    /// URIs whose updates are wanted.
    package var resourceSubscriptions: [String]

    package init(
        toolsListChanged: Bool = false, promptsListChanged: Bool = false, resourcesListChanged: Bool = false,
        resourceSubscriptions: [String] = []
    ) {
        self.toolsListChanged = toolsListChanged
        self.promptsListChanged = promptsListChanged
        self.resourcesListChanged = resourcesListChanged
        self.resourceSubscriptions = resourceSubscriptions
    }

    package init(json: JSONValue) throws(MCPDecodingError) {
        let reader = try MCPReader(json, "notifications")
        self.init(
            toolsListChanged: try reader.optionalBool("toolsListChanged") ?? false,
            promptsListChanged: try reader.optionalBool("promptsListChanged") ?? false,
            resourcesListChanged: try reader.optionalBool("resourcesListChanged") ?? false,
            resourceSubscriptions: try reader.optionalStrings("resourceSubscriptions") ?? [])
    }

    package var json: JSONValue {
        var object: JSONObject = [:]
        if toolsListChanged { object["toolsListChanged"] = true }
        if promptsListChanged { object["promptsListChanged"] = true }
        if resourcesListChanged { object["resourcesListChanged"] = true }
        if !resourceSubscriptions.isEmpty { object.set("resourceSubscriptions", resourceSubscriptions) }
        return .object(object)
    }

    /// Whether `notification` is of a kind that was asked for.
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

    /// The first message of the stream: what the server agreed to.
    package func acknowledgement(subscriptionID: RequestID) -> JSONRPCNotification {
        JSONRPCNotification(method: MCPMethod.subscriptionsAcknowledged, params: ["notifications": json])
            .tagged(subscriptionID: subscriptionID)
    }

    /// The result with which a server ends the stream.
    package static func result(subscriptionID: RequestID) -> JSONObject {
        MCPResult.complete(["_meta": [MCPMeta.subscriptionID: subscriptionID.json]], for: .latestModern)
    }
}

extension JSONRPCNotification {
    /// The notification with the id of the `subscriptions/listen` request whose stream carries it.
    package func tagged(subscriptionID: RequestID) -> JSONRPCNotification {
        var params = params ?? [:]
        var meta = params["_meta"]?.object ?? [:]
        meta[MCPMeta.subscriptionID] = subscriptionID.json
        params["_meta"] = .object(meta)
        return JSONRPCNotification(method: method, params: params)
    }
}
