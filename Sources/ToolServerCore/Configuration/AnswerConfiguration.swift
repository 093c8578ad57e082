package import Configuration

/// The `ai` section: an AI provider that speaks the OpenAI-compatible chat-completions protocol.
///
/// | key | environment | default | meaning |
/// |---|---|---|---|
/// | `baseURL` | `AI_BASE_URL` | – | such as `http://127.0.0.1:9000/v1`; absent: no provider |
/// | `model` | `AI_MODEL` | – | the model asked for; required with `baseURL` |
/// | `apiKey`, `apiKeyFile` | `AI_API_KEY`, `AI_API_KEY_FILE` | – | sent as a bearer token |
/// | `connectTimeout` | | 5 s | |
/// | `timeout` | | 60 s | whole call |
/// | `idleTimeout` | | 30 s | longest silence |
/// | `maxAnswer` | | 4 MiB | largest response |
package struct AnswerConfiguration: Sendable {
    /// URL before `/chat/completions`, without a slash at its end.
    package var baseURL: String
    /// The model asked for.
    package var model: String
    /// Sent as a bearer token.
    package var apiKey: Secret?
    /// Until the connection stands.
    package var connectTimeout: Duration
    /// For the whole call.
    package var timeout: Duration
    /// Longest silence of the provider.
    package var idleTimeout: Duration
    /// Largest response in bytes.
    package var maxAnswer: Int

    /// A provider with standard limits.
    package init(baseURL: String, model: String, apiKey: Secret? = nil) {
        self.baseURL = baseURL.hasSuffix("/") ? String(baseURL.dropLast()) : baseURL
        self.model = model
        self.apiKey = apiKey
        connectTimeout = .seconds(5)
        timeout = .seconds(60)
        idleTimeout = .seconds(30)
        maxAnswer = 4 << 20
    }

    /// Reads the section; nil when it names no provider.
    init?(_ reader: ConfigurationReader) {
        let baseURL = reader.string(
            "baseURL", default: "", "Where the provider is, such as http://127.0.0.1:9000/v1; empty: no provider.",
            environment: "AI_BASE_URL")
        let model = reader.string("model", default: "", "The model to ask for.", environment: "AI_MODEL")
        let apiKey = reader.secret("apiKey", "Sent as a bearer token.", environment: "AI_API_KEY")
        self.init(baseURL: baseURL, model: model, apiKey: apiKey)
        let range: ClosedRange<Duration> = .milliseconds(10) ... .seconds(3600)
        connectTimeout = reader.duration(
            "connectTimeout", default: connectTimeout, in: range, "How long connecting may take.")
        timeout = reader.duration("timeout", default: timeout, in: range, "How long the whole call may take.")
        idleTimeout = reader.duration(
            "idleTimeout", default: idleTimeout, in: range, "Longest silence of the provider.")
        maxAnswer = reader.bytes("maxAnswer", default: maxAnswer, in: 1024...(256 << 20), "Largest response.")
        guard !baseURL.isEmpty else { return nil }
        guard baseURL.hasPrefix("http://") || baseURL.hasPrefix("https://"),
            baseURL.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else {
            // The value may hold credentials, so it is not repeated.
            reader.fail("baseURL", expected: "an http:// or https:// URL", found: "something else")
            return nil
        }
        if let apiKey, !apiKey.value.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) {
            reader.fail("apiKey", expected: "visible ASCII characters", found: "something else")
        }
        if model.isEmpty { reader.fail("model", expected: "the name of a model", found: "nothing") }
    }
}
