extension Duration {
    /// Duration in whole nanoseconds. One that does not fit becomes the largest value: nearly three centuries.
    package var nanoseconds: Int64 {
        // The attoseconds of up to nine seconds fit into 64 bits and need no 128-bit division.
        if let few = Int64(exactly: attoseconds) { return few / 1_000_000_000 }
        let (seconds, attoseconds) = components
        let (nanoseconds, overflows) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflows ? .max : nanoseconds &+ attoseconds / 1_000_000_000
    }
}
