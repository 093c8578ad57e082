/// Method names of all revisions. `isRequest(_:in:)` tells which of them a revision has.
package enum MCPMethod {
    /// Handshake of the legacy revisions (Lifecycle).
    package static let initialize = "initialize"
    /// Check of the connection (Ping).
    package static let ping = "ping"
    /// List of tools (Tools, "Listing Tools").
    package static let toolsList = "tools/list"
    /// Call of a tool (Tools, "Calling Tools").
    package static let toolsCall = "tools/call"
    /// List of prompts (Prompts, "Listing Prompts").
    package static let promptsList = "prompts/list"
    /// Messages of a prompt (Prompts, "Getting a Prompt").
    package static let promptsGet = "prompts/get"
    /// List of resources (Resources, "Listing Resources").
    package static let resourcesList = "resources/list"
    /// List of resource templates (Resources, "Resource Templates").
    package static let resourcesTemplatesList = "resources/templates/list"
    /// Contents of a resource (Resources, "Reading Resources").
    package static let resourcesRead = "resources/read"
    /// Subscription to a resource, legacy (Resources, "Subscriptions").
    package static let resourcesSubscribe = "resources/subscribe"
    /// End of a subscription, legacy (Resources, "Subscriptions").
    package static let resourcesUnsubscribe = "resources/unsubscribe"
    /// Completions of an argument (Completion).
    package static let completionComplete = "completion/complete"
    /// Least severe log messages that the client wants, legacy (Logging).
    package static let loggingSetLevel = "logging/setLevel"
    /// Description of the server, from 2026-07-28 (Discovery).
    package static let serverDiscover = "server/discover"
    /// Stream of announcements, from 2026-07-28 (Subscriptions).
    package static let subscriptionsListen = "subscriptions/listen"

    // From the server to the client (in 2026-07-28 only inside results that ask for input).
    /// Request to the client's model (Sampling).
    package static let samplingCreateMessage = "sampling/createMessage"
    /// Question to the client's user (Elicitation).
    package static let elicitationCreate = "elicitation/create"
    /// List of the client's roots (Roots).
    package static let rootsList = "roots/list"

    // Notifications.
    /// Notification of a client that the handshake is complete (Lifecycle).
    package static let initialized = "notifications/initialized"
    /// Notification that a request is cancelled (Cancellation).
    package static let cancelled = "notifications/cancelled"
    /// Notification of progress (Progress).
    package static let progress = "notifications/progress"
    /// Notification with a log message (Logging).
    package static let message = "notifications/message"
    /// Notification that the tools changed (Tools).
    package static let toolsListChanged = "notifications/tools/list_changed"
    /// Notification that the prompts changed (Prompts).
    package static let promptsListChanged = "notifications/prompts/list_changed"
    /// Notification that the resources changed (Resources).
    package static let resourcesListChanged = "notifications/resources/list_changed"
    /// Notification that a resource changed (Resources, "Subscriptions").
    package static let resourcesUpdated = "notifications/resources/updated"
    /// Notification that the roots changed (Roots).
    package static let rootsListChanged = "notifications/roots/list_changed"
    /// Notification that a stream of announcements has begun (Subscriptions).
    package static let subscriptionsAcknowledged = "notifications/subscriptions/acknowledged"

    private static let common: Set<String> = [
        toolsList, toolsCall, promptsList, promptsGet, resourcesList, resourcesTemplatesList, resourcesRead,
        completionComplete,
    ]
    private static let legacyRequests = common.union([
        initialize, ping, resourcesSubscribe, resourcesUnsubscribe, loggingSetLevel,
    ])
    private static let modernRequests = common.union([serverDiscover, subscriptionsListen])

    /// Returns whether a client of `version` may send `method` as a request.
    package static func isRequest(_ method: String, in version: MCPVersion) -> Bool {
        (version.era == .modern ? modernRequests : legacyRequests).contains(method)
    }

    /// Returns the parameter that `Mcp-Name` repeats in 2026-07-28; nil for methods without one.
    package static func nameParameter(of method: String) -> String? {
        switch method {
        case toolsCall, promptsGet: "name"
        case resourcesRead: "uri"
        default: nil
        }
    }
}
