extension Duration {
    /// Whole nanoseconds. What does not fit becomes the largest value: nearly three centuries.
    package var nanoseconds: Int64 {
        // Nine seconds of attoseconds fit into 64 bits, which need no division of 128.
        if let few = Int64(exactly: attoseconds) { return few / 1_000_000_000 }
        let (seconds, attoseconds) = components
        let (nanoseconds, overflows) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflows ? .max : nanoseconds &+ attoseconds / 1_000_000_000
    }
}
