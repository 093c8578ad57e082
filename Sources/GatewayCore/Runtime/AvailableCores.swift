import Foundation

/// Number of cores that this process may use, which in a container are fewer than the machine has.
package enum AvailableCores {
    /// Returns the number of cores in the scheduler's affinity mask, limited to the control group's quota; at least 1.
    package static func count() -> Int {
        let read = { (path: String) in
            FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
        }
        let allowed = affinity(read: read) ?? ProcessInfo.processInfo.activeProcessorCount
        return max(1, min(allowed, quota(read: read) ?? .max))
    }

    /// Returns the number of cores in the affinity mask, which Linux shows as groups of hexadecimal digits:
    /// `Cpus_allowed:  ff,ffffffff`.
    static func affinity(read: (String) -> String?) -> Int? {
        guard let status = read("/proc/self/status"),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("Cpus_allowed:") })
        else { return nil }
        let bits = line.dropFirst("Cpus_allowed:".count).reduce(0) { $0 + ($1.hexDigitValue?.nonzeroBitCount ?? 0) }
        return bits > 0 ? bits : nil
    }

    /// Returns the control group's CPU quota in whole cores, rounded up: half a core is one worker.
    static func quota(read: (String) -> String?) -> Int? {
        // Version 2: "max 100000" or "150000 100000".
        if let text = read("/sys/fs/cgroup/cpu.max") {
            let parts = text.split { $0 == " " || $0 == "\n" }
            guard parts.count == 2, let quota = Double(parts[0]), let period = Double(parts[1]), period > 0 else {
                return nil
            }
            return cores(quota / period)
        }
        // Version 1: -1 means no quota.
        func number(_ name: String) -> Double? {
            read("/sys/fs/cgroup/cpu/\(name)").flatMap { Double($0.filter { $0 != "\n" }) }
        }
        guard let quota = number("cpu.cfs_quota_us"), quota > 0, let period = number("cpu.cfs_period_us"), period > 0
        else { return nil }
        return cores(quota / period)
    }

    private static func cores(_ share: Double) -> Int? {
        share.isFinite && share < 1e6 ? max(1, Int(share.rounded(.up))) : nil
    }
}
