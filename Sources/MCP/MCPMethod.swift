/// Method names of all revisions. Which of them a revision knows: `isRequest(_:in:)`.
package enum MCPMethod {
    package static let initialize = "initialize"
    package static let ping = "ping"
    package static let toolsList = "tools/list"
    package static let toolsCall = "tools/call"
    package static let promptsList = "prompts/list"
    package static let promptsGet = "prompts/get"
    package static let resourcesList = "resources/list"
    package static let resourcesTemplatesList = "resources/templates/list"
    package static let resourcesRead = "resources/read"
    package static let resourcesSubscribe = "resources/subscribe"
    package static let resourcesUnsubscribe = "resources/unsubscribe"
    package static let completionComplete = "completion/complete"
    package static let loggingSetLevel = "logging/setLevel"
    package static let serverDiscover = "server/discover"
    package static let subscriptionsListen = "subscriptions/listen"

    // From the server to the client (in 2026-07-28 only inside results that ask for input).
    package static let samplingCreateMessage = "sampling/createMessage"
    package static let elicitationCreate = "elicitation/create"
    package static let rootsList = "roots/list"

    // Notifications.
    package static let initialized = "notifications/initialized"
    package static let cancelled = "notifications/cancelled"
    package static let progress = "notifications/progress"
    package static let message = "notifications/message"
    package static let toolsListChanged = "notifications/tools/list_changed"
    package static let promptsListChanged = "notifications/prompts/list_changed"
    package static let resourcesListChanged = "notifications/resources/list_changed"
    package static let resourcesUpdated = "notifications/resources/updated"
    package static let rootsListChanged = "notifications/roots/list_changed"
    package static let subscriptionsAcknowledged = "notifications/subscriptions/acknowledged"

    private static let common: Set<String> = [
        toolsList, toolsCall, promptsList, promptsGet, resourcesList, resourcesTemplatesList, resourcesRead,
        completionComplete,
    ]
    private static let legacyRequests = common.union([
        initialize, ping, resourcesSubscribe, resourcesUnsubscribe, loggingSetLevel,
    ])
    private static let modernRequests = common.union([serverDiscover, subscriptionsListen])

    /// Whether a client of `version` may send `method` as a request.
    package static func isRequest(_ method: String, in version: MCPVersion) -> Bool {
        (version.era == .modern ? modernRequests : legacyRequests).contains(method)
    }

    /// The parameter that `Mcp-Name` mirrors in 2026-07-28: nil for methods without one.
    package static func nameParameter(of method: String) -> String? {
        switch method {
        case toolsCall, promptsGet: "name"
        case resourcesRead: "uri"
        default: nil
        }
    }
}
