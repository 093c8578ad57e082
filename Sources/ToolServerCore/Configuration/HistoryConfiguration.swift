import JSONConfiguration
import Store

/// Settings of the `history` section: how long stored messages are kept, and how much of them one response holds.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `retention` | duration | 0 | age after which messages are removed; 0: never |
/// | `sweep` | duration | 10 m | time between two removals of such messages |
/// | `maxPage` | bytes | 1 MiB | largest size of the messages and responses in one answer of `chat_history` |
struct HistoryConfiguration: Sendable {
    /// Age after which messages are removed; zero: they are kept.
    let retention: Duration
    /// Time between two removals of old messages.
    let sweep: Duration
    /// Largest size of the messages in one response, in bytes.
    let maximumPage: Int

    init(_ reader: ConfigurationReader) {
        retention = reader.duration(
            "retention", default: .zero, in: .zero ... .seconds(100 * 365 * 86_400),
            "Age after which messages in the server's own table are removed, such as 90d; 0: never.")
        sweep = reader.duration(
            "sweep", default: .seconds(600), in: .seconds(1) ... .seconds(86_400),
            "Interval of removing messages past their age.")
        maximumPage = reader.bytes(
            "maxPage", default: MessagePageBounds.standardBytes, in: 1024...(16 << 20),
            "Bytes of messages and responses in one answer of chat_history, before JSON escapes them. Older exchanges "
                + "follow by nextCursor; a single longer exchange is cut to it, with a notice.")
    }
}
