import Observability

/// Instruments that were looked up before: comparing a few short texts costs less than hashing all labels. Bounded.
struct RecentInstruments<Key: Equatable> {
    /// Counter of requests and histogram of their durations.
    struct Instruments {
        let requests: Counter
        let durations: Histogram
    }

    private var known: [(key: Key, instruments: Instruments)] = []
    private static var capacity: Int { 32 }

    /// Returns the instruments of a key, which `make` looks up the first time.
    mutating func instruments(of key: Key, _ make: () -> Instruments) -> Instruments {
        if let found = known.first(where: { $0.key == key }) { return found.instruments }
        let made = make()
        if known.count < Self.capacity { known.append((key, made)) }
        return made
    }
}

/// Outcome of requests of a route without types.
struct RouteOutcome: Equatable {
    let status: Int
    let route: String
    let outcome: String
}
