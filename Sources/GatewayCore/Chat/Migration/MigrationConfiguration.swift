import JSONConfiguration

/// Destination of payloads whose type is not configured: `upstream`, of kind `chat`, and `timeout` (default 30 s).
package struct UnknownTypesConfiguration: Hashable, Sendable {
    /// Name of the old backend.
    package let upstream: String
    /// Time limit from the request's first byte to the response.
    package let timeout: Duration

    init(_ reader: ConfigurationReader) {
        upstream = reader.requiredString(
            "upstream", "Name of an upstream of kind chat, which gets the payload unchanged.", example: "old")
        timeout = reader.duration(
            "timeout", default: .seconds(30), in: .milliseconds(1)...(.seconds(3600)),
            "Time limit from the request's first byte to the answer; beyond it the answer is 504.")
    }
}

/// A stable share of a type's callers that is served by the type's own upstream; all others are served by another one,
/// usually the old backend.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `upstream` | string | – | upstream that serves the other callers |
/// | `tool` | string | the type's | tool that is called there; without it an old backend gets the payload |
/// | `percent` | number | 0 | percentage of the callers that get the tool |
/// | `seed` | string | empty | text that selects the callers; types with the same seed select the same ones |
///
/// A caller is a credential: the forwarded cookies and `Authorization`. Callers without either are distinguished by the
/// client's address, as the trusted proxies report it (of IPv6 the first half). The choice is the same in every process
/// and after every restart, and a caller who has the tool keeps it when the percentage grows.
package struct CanaryConfiguration: Hashable, Sendable {
    /// Name of the old backend.
    package let upstream: String
    /// Tool that is called there. Nil: the type's tool, or on an old backend the payload is sent.
    package let tool: String?
    /// Share of the callers, from 0 to 100.
    package let percent: Double
    /// Text that determines which callers belong to the share.
    package let seed: String

    init(_ reader: ConfigurationReader) {
        upstream = reader.requiredString(
            "upstream", "Name of the upstream that serves the callers outside of the share.", example: "old")
        tool = reader.optionalString("tool", migrationToolDocumentation, example: "search_projects")
        percent = reader.number(
            "percent", default: 0, in: 0...100, "Percentage of the callers that get the type's own upstream.")
        seed = reader.string(
            "seed", default: "",
            "Text that decides which callers are chosen: types with the same seed choose the same ones.")
    }
}

/// A comparison of two upstreams: another one, usually the old backend, answers a type; afterwards the type's own
/// upstream is asked the same, and the two responses are compared.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `upstream` | string | – | upstream that answers |
/// | `tool` | string | the type's | tool that is called there; without it an old backend gets the payload |
/// | `percent` | number | 100 | percentage of the requests for which the tool is called too |
/// | `concurrency` | integer | 16 | comparisons at a time in all workers; further requests are not compared |
/// | `maximumBody` | size | 256 KiB | largest answer that is compared |
/// | `force` | boolean | false | calls a tool that is not `readOnlyHint` too, beside the old backend |
package struct ShadowConfiguration: Hashable, Sendable {
    /// Name of the old backend.
    package let upstream: String
    /// Tool that is called there. Nil: the type's tool, or on an old backend the payload is sent.
    package let tool: String?
    /// Share of the requests that are compared, from 0 to 100.
    package let percent: Double
    /// Largest number of comparisons at a time.
    package let concurrency: Int
    /// Largest response that is compared, in bytes.
    package let maximumBody: Int
    /// True if tools are called that are not known to be read-only.
    package let force: Bool

    init(_ reader: ConfigurationReader) {
        upstream = reader.requiredString("upstream", "Name of the upstream that answers the client.", example: "old")
        tool = reader.optionalString("tool", migrationToolDocumentation, example: "search_projects")
        percent = reader.number(
            "percent", default: 100, in: 0...100, "Percentage of the requests that are sent to both and compared.")
        concurrency = reader.integer(
            "concurrency", default: 16, in: 1...10_000,
            "Largest number of comparisons at a time; further requests are not compared.")
        maximumBody = reader.bytes(
            "maximumBody", default: 262_144, in: 1024...(16 * 1_048_576),
            "Largest size of an answer in bytes; larger ones are not compared.")
        force = reader.bool(
            "force", default: false,
            "true: a tool that is not known to be read-only is called too, beside the upstream that answers."
        )
    }
}

private let migrationToolDocumentation =
    "Tool that is called there. Default: the type's tool; an upstream of kind chat gets the payload unchanged."
