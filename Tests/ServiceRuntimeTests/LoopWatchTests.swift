import Dispatch
import Foundation
import Logging
import NIOCore
import NIOPosix
import Observability
import TestSupport
import Testing

@testable import ServiceRuntime

@Suite struct LoopWatchTests {
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)

    private func lag(_ registry: MetricsRegistry) -> Histogram {
        registry.histogram("lag_seconds", help: "Lag.").with()
    }

    @Test func loopsThatTurnAreAnsweringAndTheirLagIsCounted() async throws {
        let registry = MetricsRegistry()
        let watch = LoopWatch(group: group, lag: lag(registry), interval: .milliseconds(5))
        watch.start()
        let counts = await eventually { !registry.exposition().contains("lag_seconds_count 0\n") }
        #expect(counts)
        #expect(watch.isAnswering(within: .seconds(60)))
        watch.stop()
        try await group.shutdownGracefully()
    }

    @Test func oneLoopThatHangsIsEnoughToNotAnswer() async throws {
        let watch = LoopWatch(group: group, lag: lag(MetricsRegistry()), interval: .milliseconds(5))
        watch.start()
        let release = DispatchSemaphore(value: 0)
        let loop = group.any()
        loop.execute { release.wait() }
        let hangs = await eventually { !watch.isAnswering(within: .milliseconds(50)) }
        #expect(hangs)
        release.signal()
        let recovers = await eventually { watch.isAnswering(within: .seconds(1)) }
        #expect(recovers)
        watch.stop()
        try await group.shutdownGracefully()
    }

    @Test func theWatchdogIsSilentWhileALoopHangs() async throws {
        let name = "@watchdog-\(UInt64.random(in: 0 ... .max))"
        let socket = try NotifySocket(name)
        let notifier = SystemdNotifier(
            environment: ["NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000"], processID: 1)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let alive = Task { await Watchdog(notifier: notifier, logger: logger) { _ in true }.run() }
        #expect(await socket.next() == "WATCHDOG=1")
        #expect(await socket.next() == "WATCHDOG=1")
        alive.cancel()
        await alive.value
        while !socket.isEmpty { _ = await socket.next() }
        let (asked, askedAgain) = AsyncStream<Void>.makeStream()
        let hanging = Task {
            await Watchdog(notifier: notifier, logger: logger) { _ in
                askedAgain.yield()
                return false
            }.run()
        }
        var times = 0
        for await _ in asked {
            times += 1
            if times == 3 { break }
        }
        hanging.cancel()
        await hanging.value
        #expect(socket.isEmpty)
        try await group.shutdownGracefully()
    }
}
