import JSON
package import MCP
import Synchronization

/// A change in a server that clients can subscribe to.
package enum ServerChange: Hashable, Sendable {
    case tools
    case prompts
    case resources
    /// The contents of one resource.
    case resource(uri: String)

    /// Notification that announces the change.
    package var notification: JSONRPCNotification {
        switch self {
        case .tools: JSONRPCNotification(method: MCPMethod.toolsListChanged)
        case .prompts: JSONRPCNotification(method: MCPMethod.promptsListChanged)
        case .resources: JSONRPCNotification(method: MCPMethod.resourcesListChanged)
        case .resource(let uri): ResourceUpdatedNotification(uri: uri).notification
        }
    }
}

extension SubscriptionFilter {
    /// Largest number of URIs in one subscription.
    static let uriLimit = 1024
    /// Largest URI in bytes: it is kept for as long as the client listens, by forwarders longer.
    static let maximumURIBytes = 8192

    /// Reads the parameters of `subscriptions/listen`, without the parts that the server does not support.
    static func requested(
        by call: JSONRPCRequest, served: ServerCapabilities
    ) throws(JSONRPCError) -> SubscriptionFilter {
        var filter: SubscriptionFilter
        do {
            filter = try SubscriptionFilter(json: call.params?["notifications"] ?? .null)
        } catch {
            throw .invalidParams(error.message)
        }
        guard filter.resourceSubscriptions.count <= uriLimit else {
            throw .invalidParams("notifications.resourceSubscriptions: at most \(uriLimit)")
        }
        guard filter.resourceSubscriptions.allSatisfy({ $0.utf8.count <= maximumURIBytes }) else {
            throw .invalidParams("notifications.resourceSubscriptions: a URI has at most \(maximumURIBytes) bytes")
        }
        if served.tools?.listChanged != true { filter.toolsListChanged = false }
        if served.prompts?.listChanged != true { filter.promptsListChanged = false }
        if served.resources?.listChanged != true { filter.resourcesListChanged = false }
        if served.resources?.subscribe != true { filter.resourceSubscriptions = [] }
        return filter
    }
}

/// Open `subscriptions/listen` requests of one transport (2026-07-28).
final class ListenSubscriptions: Sendable {
    private struct Subscription {
        let id: RequestID
        let filter: SubscriptionFilter
        let send: @Sendable ([UInt8]) -> Void
        let close: @Sendable () -> Void
    }

    private struct State {
        var next: UInt64 = 0
        var open: [UInt64: Subscription] = [:]
    }

    private let state = Mutex(State())

    /// Acknowledges and registers a subscription. Returns its token.
    func open(
        _ id: RequestID, _ filter: SubscriptionFilter, send: @escaping @Sendable ([UInt8]) -> Void,
        close: @escaping @Sendable () -> Void
    ) -> UInt64 {
        // The acknowledgment is sent under the lock: no change may come before it.
        state.withLock { state in
            state.next += 1
            send(filter.acknowledgement(subscriptionID: id).json.serialized)
            state.open[state.next] = Subscription(id: id, filter: filter, send: send, close: close)
            return state.next
        }
    }

    /// Removes a subscription that the client ended.
    func remove(_ token: UInt64) { state.withLock { _ = $0.open.removeValue(forKey: token) } }

    func announce(_ change: ServerChange) {
        let notification = change.notification
        let subscriptions = state.withLock { $0.open.values.filter { $0.filter.wants(notification) } }
        for subscription in subscriptions {
            subscription.send(notification.tagged(subscriptionID: subscription.id).json.serialized)
        }
    }

    /// Ends all subscriptions, each with its result.
    func end(serverInfo: Implementation) {
        let subscriptions = state.withLock { state in
            defer { state.open = [:] }
            return state.open.values.map { $0 }
        }
        for subscription in subscriptions {
            let result = SubscriptionFilter.result(subscriptionID: subscription.id)
            let signed = MCPResult.complete(result, for: .latestModern, serverInfo: serverInfo)
            subscription.send(Envelope.result(subscription.id, signed))
            subscription.close()
        }
    }

    var count: Int { state.withLock { $0.open.count } }
}
