import Glibc
package import Logging

/// Limits of the process's open file descriptors (`RLIMIT_NOFILE`), and the connections for which they leave room.
///
/// A process that runs out of descriptors cannot accept a connection even to refuse it, so that clients wait in vain.
package struct DescriptorLimit: Hashable, Sendable {
    /// Limit in force, which the process may raise.
    package var soft: Int
    /// Largest limit that the process may set.
    package var hard: Int

    /// Creates a pair of limits.
    package init(soft: Int, hard: Int) {
        self.soft = soft
        self.hard = hard
    }

    /// Adjustment for a number of connections.
    package struct Plan: Hashable, Sendable {
        /// Soft limit to set; nil when the present one suffices.
        package let soft: Int?
        /// Number of connections that fit; 0: no limit, which only a configuration without a limit gets.
        package let connections: Int
    }

    /// Current limits of the process; nil when the kernel does not report them.
    package static var current: DescriptorLimit? {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return nil }
        return DescriptorLimit(soft: Int(clamping: limit.rlim_cur), hard: Int(clamping: limit.rlim_max))
    }

    /// Returns the limit to set and the connections that fit.
    ///
    /// - Parameters:
    ///   - connections: Configured limit; 0: none, for which up to a million descriptors are taken.
    ///   - others: Number of descriptors for everything else. It is reduced if necessary, down to a third of the hard
    ///     limit.
    package func plan(connections: Int, others: Int) -> Plan {
        let hard = max(self.hard, soft)
        let others = min(others, hard / 3)
        let wanted = connections == 0 ? 1 << 20 : Self.descriptors(for: connections) + others
        let limit = max(soft, min(wanted, hard))
        let fitting = max(1, (limit - others - Self.spare) / 9 * 8)
        let bound = connections == 0 ? fitting : wanted <= limit ? connections : min(connections, fitting)
        return Plan(soft: limit > soft ? limit : nil, connections: bound)
    }

    /// Raises the soft limit as far as the connections need it, and returns how many fit. If fewer than configured fit,
    /// a warning is logged.
    ///
    /// - Parameters:
    ///   - connections: Configured limit; 0: none.
    ///   - others: Number of descriptors for everything else.
    ///   - key: Configuration key of the limit, for the log.
    package static func raise(connections: Int, others: Int, key: String, logger: Logger) -> Int {
        guard var limit = current else { return connections }
        if let soft = limit.plan(connections: connections, others: others).soft {
            var wanted = rlimit(rlim_cur: rlim_t(soft), rlim_max: rlim_t(max(limit.hard, soft)))
            if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &wanted) == 0 {
                limit.soft = soft
            } else {
                limit.hard = limit.soft
            }
        }
        let bound = limit.plan(connections: connections, others: others).connections
        if bound < connections {
            logger.warning(
                "fewer connections than configured: the limit of open files is too low",
                metadata: [
                    "config.key": "\(key)", "configured": "\(connections)", "connections": "\(bound)",
                    "limit": "\(limit.soft)",
                ])
        }
        return bound
    }

    /// Number of connections accepted beyond the limit in order to refuse them, in addition to an eighth of the limit.
    private static let spare = 16

    private static func descriptors(for connections: Int) -> Int { connections + connections / 8 + spare }
}
