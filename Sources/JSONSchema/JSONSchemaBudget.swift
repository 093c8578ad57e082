/// Work and memory that a schema and its patterns may cost, counted while they are spent.
///
/// Schemas come from other servers. All the work that a schema causes is taken from one budget: reading it, its
/// patterns, and (from a budget of its own for each value) checking a value. A part is paid for before it is read, so
/// that a small schema cannot cause much work.
package struct JSONSchemaBudget: Sendable {
    /// Number of steps left; one step is about the work of reading one value or keyword.
    package private(set) var steps: Int
    /// Number of bytes of memory left, approximately.
    package private(set) var bytes: Int

    /// - Parameters:
    ///   - steps: Number of steps; one takes 10 to 50 ns.
    ///   - bytes: Estimated size of the memory that may be allocated.
    package init(steps: Int, bytes: Int) {
        self.steps = steps
        self.bytes = bytes
    }

    /// The budget for reading one schema.
    package static let compilation = JSONSchemaBudget(steps: 1_000_000, bytes: 64 << 20)
    /// The budget for reading all schemas of one upstream's tools.
    package static let catalog = JSONSchemaBudget(steps: 5_000_000, bytes: 256 << 20)
    /// The budget for checking one value.
    package static let evaluation = JSONSchemaBudget(steps: 2_000_000, bytes: 64 << 20)

    /// Takes the cost of a part; false, with nothing left, when it exceeds the budget.
    mutating func spend(steps count: Int = 1, bytes size: Int = 0) -> Bool {
        guard count <= steps, size <= bytes else {
            (steps, bytes) = (0, 0)
            return false
        }
        steps -= count
        bytes -= size
        return true
    }

    /// True once a part cost more than was left.
    var isExhausted: Bool { steps <= 0 || bytes <= 0 }

    /// Returns a budget of at most `limit`, to be paid back with `settle`.
    func share(atMost limit: JSONSchemaBudget) -> JSONSchemaBudget {
        JSONSchemaBudget(steps: min(steps, limit.steps), bytes: min(bytes, limit.bytes))
    }

    /// Takes the spent part of a share.
    mutating func settle(_ share: JSONSchemaBudget, of granted: JSONSchemaBudget) {
        steps -= granted.steps - share.steps
        bytes -= granted.bytes - share.bytes
    }
}
