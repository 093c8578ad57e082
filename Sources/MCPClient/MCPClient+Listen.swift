import JSON
package import MCP
import NIOCore

extension MCPClient {
    private static let firstPause = Duration.milliseconds(250)
    private static let longestPause = Duration.seconds(10)
    /// Lifetime of a stream of 2026-07-28, after which it is requested again.
    private static let streamLifetime = Duration.seconds(24 * 3600)

    /// Listens with `subscriptions/listen`, or with the GET stream of a legacy session and `resources/subscribe` for
    /// each resource.
    ///
    /// Broken streams and ended sessions are replaced. Returns when the server ends the subscription regularly
    /// (2026-07-28); throws `CancellationError`, or `MCPCallError` when the server offers no such stream.
    package func listen(to filter: SubscriptionFilter, onOpen: @escaping @Sendable () -> Void) async throws {
        var pause = Self.firstPause
        while true {
            try Task.checkCancellation()
            let began = ContinuousClock.now
            do {
                let description = try await connect()
                if description.version.era == .modern {
                    _ = try await exchange(
                        MCPMethod.subscriptionsListen, params: ["notifications": filter.json],
                        limit: Self.streamLifetime
                    ) { [handlers] notification in
                        if notification.method == MCPMethod.subscriptionsAcknowledged { onOpen() }
                        handlers.onNotification?(notification)
                    }
                    return
                }
                try await listenLegacy(filter, description, onOpen)
            } catch let failure as MCPCallError {
                if failure.kind == .cancelled { throw CancellationError() }
                // Listening changes nothing at the server, so that it can be repeated whatever has happened.
                guard [.unreachable, .timeout, .invalid, .failed, .overloaded].contains(failure.kind) else {
                    throw failure
                }
            }
            if ContinuousClock.now - began > Self.longestPause { pause = Self.firstPause }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, Self.longestPause)
        }
    }

    /// Listens until the session ends.
    private func listenLegacy(
        _ filter: SubscriptionFilter, _ description: MCPServerDescription, _ onOpen: @escaping @Sendable () -> Void
    ) async throws {
        if description.capabilities.resources?.subscribe == true {
            for uri in filter.resourceSubscriptions {
                _ = try await request(MCPMethod.resourcesSubscribe, params: ["uri": .string(uri)])
            }
        }
        let loop = eventLoop
        let flight = NIOLoopBoundBox.makeEmptyBox(valueType: ListenFlight.self, eventLoop: loop)
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                loop.execute {
                    // The cancellation may have come first.
                    if flight.value?.cancelled == true {
                        return continuation.resume(throwing: CancellationError())
                    }
                    let driver = ListenDriver(
                        caller: self.callerOnLoop, credentials: self.credentials, onOpen: onOpen,
                        onNotification: { [handlers = self.handlers] in handlers.onNotification?($0) },
                        onRequest: self.answerer
                    ) { end in
                        switch end {
                        case .sessionEnded: continuation.resume()
                        case .refused(let failure): continuation.resume(throwing: failure)
                        case .stopped: continuation.resume(throwing: CancellationError())
                        }
                    }
                    flight.value = ListenFlight(driver: driver)
                    driver.start()
                }
            }
        } onCancel: {
            loop.execute {
                if let driver = flight.value?.driver {
                    driver.stop()
                } else {
                    flight.value = ListenFlight(cancelled: true)
                }
            }
        }
    }

    private struct ListenFlight {
        var driver: ListenDriver?
        var cancelled = false
    }
}
