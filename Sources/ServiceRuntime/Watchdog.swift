package import Logging
package import NIOCore

/// Tells systemd that the process is alive, as long as its event loops are.
package struct Watchdog: Sendable {
    private let notifier: SystemdNotifier
    private let isAnswering: @Sendable (TimeAmount) -> Bool
    private let logger: Logger

    /// - Parameter isAnswering: Whether all loops have turned within the time given.
    package init(
        notifier: SystemdNotifier, logger: Logger, isAnswering: @escaping @Sendable (TimeAmount) -> Bool
    ) {
        self.notifier = notifier
        self.isAnswering = isAnswering
        self.logger = logger
    }

    /// Runs until the task is cancelled; returns at once where systemd does not watch.
    package func run() async {
        guard let interval = notifier.watchdogInterval else { return }
        while !Task.isCancelled {
            if isAnswering(TimeAmount(interval / 2)) {
                notifier.send(.watchdog)
            } else {
                // Systemd ends the process with SIGABRT when this lasts; the backtrace then shows where it hangs.
                logger.error("event loop does not answer")
            }
            // A task that is blocked with the rest of the pool does not ping either, which is as it should be.
            try? await Task.sleep(for: interval / 3)
        }
    }
}
