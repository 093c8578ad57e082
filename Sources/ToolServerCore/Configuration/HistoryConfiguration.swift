import JSONConfiguration

/// The `history` section: how long stored messages are kept.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `retention` | duration | 0 | age after which messages are removed; 0: never |
/// | `sweep` | duration | 10 m | how often that is looked for |
struct HistoryConfiguration: Sendable {
    /// Zero: for ever.
    let retention: Duration
    let sweep: Duration

    init(_ reader: ConfigurationReader) {
        retention = reader.duration(
            "retention", default: .zero, in: .zero ... .seconds(100 * 365 * 86_400),
            "The age after which messages in the server's own table are removed, such as 90d; 0: never.")
        sweep = reader.duration(
            "sweep", default: .seconds(600), in: .seconds(1) ... .seconds(86_400),
            "How often messages past their age are looked for.")
    }
}
