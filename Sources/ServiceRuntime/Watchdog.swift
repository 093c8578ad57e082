package import Logging
package import NIOCore

/// Task that notifies systemd that the process is alive, as long as its event loops run.
package struct Watchdog: Sendable {
    private let notifier: SystemdNotifier
    private let isAnswering: @Sendable (TimeAmount) -> Bool
    private let logger: Logger

    /// - Parameter isAnswering: Returns whether all loops have run within the given time.
    package init(
        notifier: SystemdNotifier, logger: Logger, isAnswering: @escaping @Sendable (TimeAmount) -> Bool
    ) {
        self.notifier = notifier
        self.isAnswering = isAnswering
        self.logger = logger
    }

    /// Runs until the task is cancelled; returns at once where systemd's watchdog is off.
    package func run() async {
        guard let interval = notifier.watchdogInterval else { return }
        while !Task.isCancelled {
            if isAnswering(TimeAmount(interval / 2)) {
                notifier.send(.watchdog)
            } else {
                // Systemd ends the process with SIGABRT when this lasts; the backtrace then shows where it hangs.
                logger.error("event loop does not answer")
            }
            // If the whole pool is blocked, so is this task, and systemd gets no message, as intended.
            try? await Task.sleep(for: interval / 3)
        }
    }
}
