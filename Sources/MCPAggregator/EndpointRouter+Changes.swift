import JSON
import Logging
import MCP
package import MCPServer

extension EndpointRouter {
    /// Passes on the changes that the upstreams announce, until the task is cancelled.
    ///
    /// - Parameter announce: Notifies the endpoint's clients.
    package func followChanges(_ announce: @escaping @Sendable (ServerChange) -> Void) async {
        await withTaskGroup(of: Void.self) { group in
            for index in members.indices {
                group.addTask { await self.follow(index, announce) }
            }
        }
    }

    package func watch(_ uris: [String]) async {
        let descriptions = state.withLock { $0.descriptions }
        for uri in uris {
            let owners = await candidates(forResource: uri, .anonymous, .latestModern)
            guard let owner = owners.first(where: { descriptions[$0]?.capabilities.resources?.subscribe == true })
            else { continue }
            let wake = state.withLock { state -> (@Sendable () -> Void)? in
                guard !state.watched[owner].contains(uri) else { return nil }
                if state.watched[owner].count >= limits.watchedResources { state.watched[owner].removeFirst() }
                state.watched[owner].append(uri)
                return state.wakers[owner]
            }
            wake?()
        }
    }

    /// Listens to one upstream repeatedly: again when other resources are to be watched, and after a pause when the
    /// upstream ended the stream or offers none.
    private func follow(_ index: Int, _ announce: @escaping @Sendable (ServerChange) -> Void) async {
        let (changes, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        state.withLock { $0.wakers[index] = { continuation.yield() } }
        var iterator = changes.makeAsyncIterator()
        var pause = Duration.milliseconds(250)
        while !Task.isCancelled {
            await describe(index)
            guard let capabilities = state.withLock({ $0.descriptions[index]?.capabilities }) else {
                // The upstream is unreachable; the next attempt finds out.
                try? await Task.sleep(for: pause)
                pause = min(pause * 2, .seconds(10))
                continue
            }
            let listening = Task { await listen(index, capabilities, announce) }
            let woken = Task { [iterator] in
                var iterator = iterator
                return await iterator.next() != nil
            }
            let outcome = await withTaskCancellationHandler {
                await withTaskGroup(of: Bool.self) { group in
                    group.addTask { await listening.value }
                    group.addTask { await woken.value }
                    let first = await group.next() ?? false
                    listening.cancel()
                    woken.cancel()
                    return first
                }
            } onCancel: {
                listening.cancel()
                woken.cancel()
            }
            iterator = changes.makeAsyncIterator()
            if outcome { pause = .milliseconds(250) } else { pause = min(pause * 2, .seconds(30)) }
            if !Task.isCancelled { try? await Task.sleep(for: pause) }
        }
    }

    /// Listens once; returns whether the upstream's stream was open at all.
    private func listen(
        _ index: Int, _ capabilities: ServerCapabilities, _ announce: @escaping @Sendable (ServerChange) -> Void
    ) async -> Bool {
        let upstream = members[index].upstream
        let filter = SubscriptionFilter(
            toolsListChanged: capabilities.tools?.listChanged == true,
            promptsListChanged: capabilities.prompts?.listChanged == true,
            resourcesListChanged: capabilities.resources?.listChanged == true,
            resourceSubscriptions: state.withLock { $0.watched[index] })
        guard filter != SubscriptionFilter() else {
            // There is nothing to listen for until a client watches a resource.
            try? await Task.sleep(for: .seconds(3600))
            return false
        }
        do {
            try await upstream.listen(
                to: filter, onOpen: { [weak self] in self?.missed(index, announce) },
                onNotification: { [weak self] in self?.changed($0, index, announce) })
            return true
        } catch {
            logger.debug(
                "upstream announces no changes", metadata: ["upstream": "\(upstream.name)", "error": "\(error)"])
            return false
        }
    }

    /// Handles the opening of the stream, for the first time or again: changes in between are unknown.
    private func missed(_ index: Int, _ announce: @escaping @Sendable (ServerChange) -> Void) {
        let isFirst = state.withLock { state in
            defer { state.hasListened[index] = true }
            return !state.hasListened[index]
        }
        guard !isFirst else { return }
        lists[index].expire()
        for change in [ServerChange.tools, .prompts, .resources] { changes[index].note(change, announce) }
    }

    private func changed(
        _ notification: JSONRPCNotification, _ index: Int, _ announce: @escaping @Sendable (ServerChange) -> Void
    ) {
        let change: ServerChange
        switch notification.method {
        case MCPMethod.toolsListChanged: change = .tools
        case MCPMethod.promptsListChanged: change = .prompts
        case MCPMethod.resourcesListChanged: change = .resources
        case MCPMethod.resourcesUpdated:
            // Perhaps a part of the resource that is watched, so that any URI may come.
            guard let uri = notification.params?["uri"]?.string else { return }
            return changes[index].note(.resource(uri: uri), announce)
        default: return
        }
        // Clients ask for the list as soon as they hear of the change.
        lists[index].expire()
        changes[index].note(change, announce)
    }
}
