import Foundation

/// Memory that the process may use, which in a container is less than the machine has.
package enum AvailableMemory {
    /// Smallest standard budget: a few requests and answers of the largest size.
    static let smallestBudget = 32 << 20
    /// Part of the memory that the standard budget is.
    private static let share = 4

    /// Returns the standard of `limits.memory`, in bytes: a quarter of the memory, at least 32 MiB.
    ///
    /// A quarter, because the budget counts bytes as they were received: a buffer that grows has up to twice the size of
    /// its contents, a parsed value several times that of its text while it is looked at, and both processes may share
    /// the memory with each other and with a database.
    package static func standardBudget() -> Int {
        standardBudget { path in
            FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
        }
    }

    static func standardBudget(read: (String) -> String?) -> Int {
        max(smallestBudget, (bytes(read: read) ?? 0) / share)
    }

    /// Returns the smallest of the machine's memory and the limits of the process's control groups, of version 2 or 1;
    /// nil when none of them can be read.
    static func bytes(read: (String) -> String?) -> Int? {
        ([machine(read: read)] + controlGroups(read: read)).compactMap { $0 }.min()
    }

    private static func machine(read: (String) -> String?) -> Int? {
        guard let line = read("/proc/meminfo")?.split(separator: "\n").first(where: { $0.hasPrefix("MemTotal:") }),
            let kibibytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) }), kibibytes > 0
        else { return nil }
        let (bytes, overflows) = kibibytes.multipliedReportingOverflow(by: 1024)
        return overflows ? nil : bytes
    }

    /// Limits of the process's group and of those that contain it. In a container the group's path may be that of the
    /// host, of which only the root is visible; a path that does not exist counts as no limit.
    private static func controlGroups(read: (String) -> String?) -> [Int?] {
        var files = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        for line in (read("/proc/self/cgroup") ?? "").split(separator: "\n") {
            // "0::/path" (version 2), "4:memory:/path" (version 1).
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let isUnified = fields[0] == "0" && fields[1].isEmpty
            guard isUnified || fields[1].split(separator: ",").contains("memory") else { continue }
            var path = ""
            for part in fields[2].split(separator: "/").prefix(32) {
                path += "/" + part
                files.append(
                    isUnified
                        ? "/sys/fs/cgroup\(path)/memory.max" : "/sys/fs/cgroup/memory\(path)/memory.limit_in_bytes")
            }
        }
        // No limit is "max" in version 2, and a number beyond any memory in version 1.
        return files.map { file in
            guard let text = read(file)?.split(separator: "\n").first, let bytes = Int(text), bytes > 0 else {
                return nil
            }
            return bytes
        }
    }
}
