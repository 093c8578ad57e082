import Synchronization

/// A number that only increases, such as a count of requests.
package final class Counter: Sendable {
    private let storage = Atomic<UInt64>(0)

    /// Adds to the value with one atomic addition, on any thread.
    package func increment(by amount: UInt64 = 1) {
        storage.wrappingAdd(amount, ordering: .relaxed)
    }

    /// Current value.
    package var value: UInt64 { storage.load(ordering: .relaxed) }
}

/// A number that increases and decreases, such as open connections.
package final class Gauge: Sendable {
    private let bits = Atomic<UInt64>(0)

    /// Sets the value.
    package func set(_ value: Double) {
        bits.store(value.bitPattern, ordering: .relaxed)
    }

    /// Adds to the value.
    package func add(_ amount: Double) {
        var old = bits.load(ordering: .relaxed)
        while true {
            let new = (Double(bitPattern: old) + amount).bitPattern
            let (exchanged, original) = bits.weakCompareExchange(expected: old, desired: new, ordering: .relaxed)
            if exchanged { return }
            old = original
        }
    }

    /// Current value.
    package var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }
}

/// Observations counted in fixed buckets, such as durations in seconds.
package final class Histogram: Sendable {
    /// Buckets for the durations of requests, from half a millisecond to half a minute.
    package static let requestBuckets: [Double] = [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
    ]

    /// Upper bounds of the buckets, ascending; one more bucket without a bound follows.
    let bounds: [Double]
    private let buckets: [Counter]
    private let sumOfNanos = Atomic<UInt64>(0)

    init(bounds: [Double]) {
        self.bounds = bounds
        buckets = (0...bounds.count).map { _ in Counter() }
    }

    /// Counts one duration; a negative one counts as zero.
    package func observe(nanoseconds: Int64) {
        let nanoseconds = max(0, nanoseconds)
        let seconds = Double(nanoseconds) / 1e9
        let index = bounds.firstIndex { seconds <= $0 } ?? bounds.count
        buckets[index].increment()
        sumOfNanos.wrappingAdd(UInt64(nanoseconds), ordering: .relaxed)
    }

    /// Counts one duration.
    package func observe(_ duration: Duration) {
        observe(nanoseconds: duration.nanoseconds)
    }

    /// Cumulative counts by bound, the total last, and the sum in seconds.
    var snapshot: (cumulative: [UInt64], sum: Double) {
        var total: UInt64 = 0
        let cumulative = buckets.map { bucket in
            total += bucket.value
            return total
        }
        return (cumulative, Double(sumOfNanos.load(ordering: .relaxed)) / 1e9)
    }
}

/// One metric name with its label names; each combination of label values is an instrument of its own.
///
/// Callers should look up an instrument once and keep it: ``with(_:)`` takes a lock, the instrument does not. The
/// number of combinations is limited: further ones are counted under `other`, whatever clients send.
package final class MetricFamily<Instrument: AnyObject & Sendable>: Sendable {
    /// Name of the metric.
    package let name: String
    /// One sentence about the metric.
    package let help: String
    /// Names of the labels.
    package let labels: [String]
    private let limit: Int
    private let make: @Sendable () -> Instrument
    private let instruments = Mutex<[[String]: Instrument]>([:])

    init(name: String, help: String, labels: [String], limit: Int, make: @escaping @Sendable () -> Instrument) {
        self.name = name
        self.help = help
        self.labels = labels
        self.limit = limit
        self.make = make
    }

    /// Returns the instrument for these label values, in the order of the label names.
    package func with(_ values: String...) -> Instrument { with(values) }

    /// Returns the instrument for values of the labels, in the order of their names.
    package func with(_ values: [String]) -> Instrument {
        precondition(values.count == labels.count, "\(name) has \(labels.count) labels")
        return instruments.withLock { instruments in
            if let known = instruments[values] { return known }
            let key = instruments.count < limit ? values : values.map { _ in "other" }
            if let known = instruments[key] { return known }
            let instrument = make()
            instruments[key] = instrument
            return instrument
        }
    }

    /// Instruments of all combinations in a stable order.
    var all: [(values: [String], instrument: Instrument)] {
        instruments.withLock { $0.map { ($0.key, $0.value) } }.sorted { $0.values.lexicographicallyPrecedes($1.values) }
    }
}
