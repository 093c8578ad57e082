import Testing

@testable import ServiceRuntime

@Suite struct AvailableMemoryTests {
    private static let machine = "MemTotal:       16384000 kB\nMemFree:         1024 kB\n"
    private static let machineBytes = 16_384_000 * 1024

    private func bytes(_ files: [String: String]) -> Int? { AvailableMemory.bytes { files[$0] } }

    @Test func theMachinesMemoryIsTheUpperBound() {
        #expect(bytes(["/proc/meminfo": Self.machine]) == Self.machineBytes)
        #expect(bytes(["/proc/meminfo": Self.machine, "/sys/fs/cgroup/memory.max": "max\n"]) == Self.machineBytes)
        // What version 1 shows when there is no limit.
        let none = [
            "/proc/meminfo": Self.machine, "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        ]
        #expect(bytes(none) == Self.machineBytes)
    }

    @Test func aContainersLimitCounts() {
        #expect(
            bytes(["/proc/meminfo": Self.machine, "/sys/fs/cgroup/memory.max": "268435456\n"]) == 256 << 20)
        let first = ["/proc/meminfo": Self.machine, "/sys/fs/cgroup/memory/memory.limit_in_bytes": "134217728\n"]
        #expect(bytes(first) == 128 << 20)
    }

    @Test func aServicesOwnGroupAndThoseAroundItCount() {
        let files = [
            "/proc/meminfo": Self.machine, "/proc/self/cgroup": "0::/system.slice/chat-gateway.service\n",
            "/sys/fs/cgroup/system.slice/memory.max": "1073741824\n",
            "/sys/fs/cgroup/system.slice/chat-gateway.service/memory.max": "max\n",
        ]
        #expect(bytes(files) == 1 << 30)
        let old = [
            "/proc/meminfo": Self.machine, "/proc/self/cgroup": "5:cpu,cpuacct:/a\n4:memory:/a/b\n0::/c\n",
            "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "536870912\n",
            "/sys/fs/cgroup/memory/c/memory.limit_in_bytes": "1\n",
        ]
        #expect(bytes(old) == 512 << 20)
    }

    @Test(arguments: [
        "", "MemTotal:", "MemTotal: x kB", "MemTotal: -1 kB", "MemTotal: 9223372036854775807 kB",
        "MemTotal: 99999999999999999999 kB",
    ])
    func unreadableNumbersAreNoLimit(_ text: String) {
        let files = ["/proc/meminfo": text, "/sys/fs/cgroup/memory.max": "-5\n", "/proc/self/cgroup": "::::"]
        #expect(bytes(files) == nil)
    }

    @Test func theStandardBudgetIsAQuarter() {
        #expect(AvailableMemory.standardBudget { ["/proc/meminfo": Self.machine][$0] } == Self.machineBytes / 4)
        // A container of 64 MiB, and a system that does not say.
        #expect(AvailableMemory.standardBudget { ["/sys/fs/cgroup/memory.max": "67108864"][$0] } == 32 << 20)
        #expect(AvailableMemory.standardBudget { _ in nil } == 32 << 20)
        #expect(AvailableMemory.standardBudget() >= 32 << 20)
    }
}
