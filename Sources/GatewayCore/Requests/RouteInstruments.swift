import Observability

/// Instruments of routes that were looked up before: comparing a few short texts costs less than hashing all labels.
/// Bounded; confined to its worker.
struct RouteInstruments {
    /// Instruments of one outcome of a route.
    struct Instruments {
        let route: String
        let status: Int
        let outcome: String
        let requests: Counter
        let durations: Histogram
    }

    private var known: [Instruments] = []
    private static let capacity = 32

    /// Returns the instruments of an outcome.
    mutating func instruments(
        _ route: String, _ status: Int, _ outcome: String, _ metrics: GatewayMetrics
    ) -> Instruments {
        let found = known.first { $0.status == status && $0.route == route && $0.outcome == outcome }
        if let found { return found }
        let made = Instruments(
            route: route, status: status, outcome: outcome,
            requests: metrics.requests.with(route, "", "\(status)", outcome),
            durations: metrics.durations.with(route, ""))
        if known.count < Self.capacity { known.append(made) }
        return made
    }
}
