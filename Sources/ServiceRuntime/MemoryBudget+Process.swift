package import JSON
package import JSONConfiguration
package import Observability
package import ProcessMemory

extension ConfigurationReader {
    /// Reads `memory` of a section `limits`; nil: ``AvailableMemory/standardBudget()``.
    package func memoryBudget() -> Int? {
        optionalBytes(
            "memory", in: (1 << 20)...(1 << 44),
            """
            Memory in bytes for request bodies, answers that are held, buffers of streams, lists of tools, stored events \
            and pages of rows together; the first 64 KiB of each are free. What would exceed it is refused with 503 \
            (overloaded), a streamed answer slows down, and a reader too far behind is cut off. By default a quarter of \
            the memory that the control group or the machine has, at least 32MiB.
            """, example: "512MiB")
    }
}

extension MetricsRegistry {
    /// Adds the metrics of a process's memory budget.
    package func addMemoryMetrics(_ memory: MemoryBudget, prefix: String) {
        sampled("\(prefix)_memory_limit_bytes", help: "Memory budget of the process (limits.memory).") {
            [MetricSample(Double(memory.limit))]
        }
        sampled(
            "\(prefix)_memory_used_bytes", help: "Bodies, answers, buffers and lists that draw from the memory budget."
        ) {
            [MetricSample(Double(memory.statistics.used))]
        }
        sampled(
            "\(prefix)_memory_refusals_total", help: "Times that the memory budget had no room.", type: "counter"
        ) {
            [MetricSample(Double(memory.statistics.refusals))]
        }
    }
}

extension MemoryBudget {
    /// State of the budget as `/status/memory` shows it.
    package var status: JSONValue {
        let state = statistics
        return [
            "limit": .number(state.limit), "used": .number(state.used), "peak": .number(state.peak),
            "refusals": .number(state.refusals),
        ]
    }
}
