import JSONConfiguration

/// Where a payload goes whose type is not configured: `upstream`, of kind `chat`, and `timeout` (default 30 s).
package struct UnknownTypesConfiguration: Hashable, Sendable {
    package let upstream: String
    /// From the request's first byte to the answer.
    package let timeout: Duration

    init(_ reader: ConfigurationReader) {
        upstream = reader.requiredString("upstream", "The old backend, an upstream of kind chat.")
        timeout = reader.duration(
            "timeout", default: .seconds(30), in: .milliseconds(1)...(.seconds(3600)),
            "From the request's first byte to the answer.")
    }
}

/// A stable share of a type's callers gets the tool, the others the old backend.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `upstream` | string | – | the old backend, of kind `chat` |
/// | `percent` | number | 0 | how many of a hundred callers get the tool |
/// | `seed` | string | empty | types with the same seed choose the same callers |
///
/// A caller is a credential: the forwarded cookies and `Authorization`. Who has neither is told apart by the client's
/// address, as the trusted proxies give it (of IPv6 the first half). The choice is the same in every process and after every restart, and a
/// caller who has the tool keeps it when the percentage grows.
package struct CanaryConfiguration: Hashable, Sendable {
    package let upstream: String
    package let percent: Double
    package let seed: String

    init(_ reader: ConfigurationReader) {
        upstream = reader.requiredString("upstream", "The old backend, an upstream of kind chat.")
        percent = reader.number("percent", default: 0, in: 0...100, "How many of a hundred callers get the tool.")
        seed = reader.string("seed", default: "", "Types with the same seed choose the same callers.")
    }
}

/// The old backend answers a type; afterwards the tool is asked the same, and the two answers are compared.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `upstream` | string | – | the old backend, of kind `chat` |
/// | `percent` | number | 100 | how many of a hundred requests the tool is asked too |
/// | `concurrency` | integer | 16 | such calls in flight in all workers; what is more is not asked |
/// | `maximumBody` | size | 256 KiB | longer answers are not compared |
/// | `force` | boolean | false | also a tool that is not `readOnlyHint`: it runs beside the old backend |
package struct ShadowConfiguration: Hashable, Sendable {
    package let upstream: String
    package let percent: Double
    package let concurrency: Int
    package let maximumBody: Int
    package let force: Bool

    init(_ reader: ConfigurationReader) {
        upstream = reader.requiredString("upstream", "The old backend, an upstream of kind chat.")
        percent = reader.number(
            "percent", default: 100, in: 0...100, "How many of a hundred requests the tool is asked too.")
        concurrency = reader.integer(
            "concurrency", default: 16, in: 1...10_000, "Such calls in flight at most; what is more is not asked.")
        maximumBody = reader.bytes(
            "maximumBody", default: 262_144, in: 1024...(16 * 1_048_576), "Longer answers are not compared.")
        force = reader.bool(
            "force", default: false, "Whether a tool that is not read-only is asked too, and runs a second time.")
    }
}
