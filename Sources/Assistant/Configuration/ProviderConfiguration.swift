package import JSON
package import JSONConfiguration

/// One AI provider that speaks the OpenAI-compatible chat-completions protocol: the `ai` section itself, and each entry
/// of its `fallbacks`.
///
/// | key | default | meaning |
/// |---|---|---|
/// | `baseURL` | – | such as `http://127.0.0.1:9000/v1`; a query is kept behind the path |
/// | `model` | – | name of the model |
/// | `name` | `primary`, `fallback1` … | provider's name in logs and metrics |
/// | `apiKey`, `apiKeyFile` | – | sent as a bearer token |
/// | `organization`, `project` | – | sent as `OpenAI-Organization`, `OpenAI-Project` |
/// | `headers` | `{}` | further headers |
/// | `parameters` | `{}` | further members of the request, such as `temperature` |
/// | `proxy`, `proxyFile` | – | URL of an HTTP proxy |
/// | `connectTimeout` | 5 s | time for opening a connection |
/// | `firstTokenTimeout` | 20 s | time until a streamed answer begins |
/// | `idleTimeout` | 20 s | longest pause of a streamed answer |
/// | `timeout` | 25 s | time for a whole call with its retries; below the 30 s that the gateway's types wait |
/// | `streamTimeout` | 570 s | the same for a streamed answer, which begins within `timeout`; below the types' 10 min |
/// | `retries` | 2 | times that a failed request is sent again, if nothing of its answer arrived |
/// | `maxConcurrent` | 512 | concurrent requests; further ones wait |
/// | `maxAnswer` | 4 MiB | largest response |
/// | `reasoning` | `detect` | form of the reasoning in streams: `detect`, `plain`, `unopened` |
package struct ProviderConfiguration: Sendable {
    /// Form in which streams mark a model's reasoning.
    package enum Reasoning: String, CaseIterable, Sendable {
        case detect, plain, unopened
    }

    /// Name of the provider in logs and metrics.
    package var name: String
    /// URL before `/chat/completions`; a query in it stays after the path.
    package var baseURL: String
    /// Name of the model.
    package var model: String
    /// API key, sent as a bearer token.
    package var apiKey: Secret?
    /// Value of the header `OpenAI-Organization`.
    package var organization: String?
    /// Value of the header `OpenAI-Project`.
    package var project: String?
    /// Further headers; they may contain keys.
    package var headers: [(name: String, value: Secret)]
    /// Further members of each request.
    package var parameters: JSONObject
    /// URL of an HTTP proxy; it may contain a password.
    package var proxy: Secret?
    /// Time limit for connecting.
    package var connectTimeout: Duration
    /// Time limit for the first token of a streamed answer.
    package var firstTokenTimeout: Duration
    /// Longest pause of a streamed answer.
    package var idleTimeout: Duration
    /// Time limit for a whole call with its retries; for a streamed answer, until it begins.
    package var timeout: Duration
    /// Time limit for a whole call whose answer is streamed.
    package var streamTimeout: Duration
    /// Number of retries before anything was answered.
    package var retries: Int
    /// Largest number of requests at a time.
    package var maxConcurrent: Int
    /// Largest response, in bytes.
    package var maxAnswer: Int
    /// Form in which streams mark a model's reasoning.
    package var reasoning: Reasoning

    /// Creates a provider with standard limits.
    package init(name: String = "primary", baseURL: String, model: String, apiKey: Secret? = nil) {
        self.name = name
        self.baseURL = baseURL.hasSuffix("/") ? String(baseURL.dropLast()) : baseURL
        self.model = model
        self.apiKey = apiKey
        headers = []
        parameters = [:]
        connectTimeout = .seconds(5)
        firstTokenTimeout = .seconds(20)
        idleTimeout = .seconds(20)
        // The gateway's shipped types time out after 30 s: before that the caller gets the provider's error.
        timeout = .seconds(25)
        streamTimeout = .seconds(570)
        retries = 2
        maxConcurrent = 512
        maxAnswer = 4 << 20
        reasoning = .detect
    }

    /// URL that requests are posted to: the base, `/chat/completions` unless the base ends with it, the base's query.
    package var endpoint: String {
        let address = baseURL.prefix { $0 != "#" }
        var path = address.prefix { $0 != "?" }
        let query = address.dropFirst(path.count)
        while path.hasSuffix("/") { path.removeLast() }
        return path + (path.hasSuffix("/chat/completions") ? "" : "/chat/completions") + query
    }

    /// Values that must not appear in a log or reach a caller.
    package var secrets: [String] {
        ([apiKey, proxy].compactMap(\.self) + headers.map(\.value)).map(\.value)
    }

    /// Reads a section; nil when it names no provider. `environment` is true if the short `AI_…` variables belong to
    /// it.
    package init?(_ reader: ConfigurationReader, name: String, environment: Bool) {
        let baseURL = reader.string(
            "baseURL", default: "",
            "URL of the provider's API, such as http://127.0.0.1:9000/v1; /chat/completions is added to its path, a query "
                + "stays behind it. Empty: no AI provider.",
            environment: environment ? "AI_BASE_URL" : nil)
        let model = reader.string(
            "model", default: "", "Name of the model, as the provider spells it.",
            environment: environment ? "AI_MODEL" : nil)
        let apiKey = reader.secret(
            "apiKey", "API key of the provider, sent as a bearer token.", environment: environment ? "AI_API_KEY" : nil)
        let name = reader.string("name", default: name, "Name of the provider in logs and metrics.")
        self.init(name: name, baseURL: baseURL, model: model, apiKey: apiKey)
        organization = reader.optionalString(
            "organization", "Value of the header OpenAI-Organization.", example: "org-123")
        project = reader.optionalString("project", "Value of the header OpenAI-Project.", example: "proj_123")
        headers = Self.headers(reader)
        parameters = Self.parameters(reader)
        proxy = reader.secret(
            "proxy", "URL of the HTTP proxy that requests go through, such as http://proxy.example:3128.")
        readLimits(reader)
        guard !baseURL.isEmpty else { return nil }
        check(reader)
        guard Self.isWebAddress(baseURL) else { return nil }
    }

    private mutating func readLimits(_ reader: ConfigurationReader) {
        let range: ClosedRange<Duration> = .milliseconds(10) ... .seconds(3600)
        connectTimeout = reader.duration(
            "connectTimeout", default: connectTimeout, in: range,
            "Time limit for connecting; beyond it the provider counts as unreachable.")
        firstTokenTimeout = reader.duration(
            "firstTokenTimeout", default: firstTokenTimeout, in: range,
            "Time limit for the first token of a streamed answer; beyond it the request fails.")
        idleTimeout = reader.duration(
            "idleTimeout", default: idleTimeout, in: range,
            "Longest pause between two tokens of a streamed answer; beyond it the answer fails.")
        timeout = reader.duration(
            "timeout", default: timeout, in: range,
            "Time limit for a whole call with its retries, and for the beginning of a streamed one; beyond it the call fails."
        )
        streamTimeout = reader.duration(
            "streamTimeout", default: streamTimeout, in: .milliseconds(10) ... .seconds(86_400),
            "Time limit for a whole call whose answer is streamed; beyond it the answer fails.")
        retries = reader.integer(
            "retries", default: retries, in: 0...10,
            "Number of retries after a passing failure, before anything was answered; 0: none.")
        maxConcurrent = reader.integer(
            "maxConcurrent", default: maxConcurrent, in: 1...100_000,
            "Largest number of requests to the provider at a time; later ones wait within their time limits.")
        maxAnswer = reader.bytes(
            "maxAnswer", default: maxAnswer, in: 1024...(256 << 20),
            "Largest response in bytes; a larger one is an error.")
        reasoning = reader.choice(
            "reasoning", default: reasoning,
            "How reasoning is told from the answer in streams. unopened: the server sends the end of the reasoning "
                + "(</think>) without its beginning; streams are held back until that end, up to 256 KiB. plain: streams "
                + "are passed on at once. detect: learned from the model's name and its answers.")
    }

    private func check(_ reader: ConfigurationReader) {
        // Values that may contain credentials are not repeated.
        if !Self.isWebAddress(baseURL) {
            reader.fail("baseURL", expected: "an http:// or https:// URL", found: "something else")
        }
        if let proxy, !Self.isWebAddress(proxy.value) {
            reader.fail("proxy", expected: "an http:// or https:// URL", found: "something else")
        }
        let values = [("apiKey", apiKey?.value), ("organization", organization), ("project", project)]
        for (key, value) in values where value?.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) == false {
            reader.fail(key, expected: "visible ASCII characters", found: "something else")
        }
        if model.isEmpty { reader.fail("model", expected: "the name of a model", found: "nothing") }
    }

    private static func isWebAddress(_ text: String) -> Bool {
        (text.hasPrefix("http://") || text.hasPrefix("https://"))
            && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    private static func headers(_ reader: ConfigurationReader) -> [(name: String, value: Secret)] {
        guard
            let json = reader.json(
                "headers", "Further headers of each request: an object of strings, which are kept secret.",
                example: ["X-Team": "support"])
        else { return [] }
        let headers = (json.object ?? [:]).compactMap { name, value -> (name: String, value: Secret)? in
            guard let text = value.string, text.utf8.allSatisfy({ (0x20...0x7E).contains($0) }),
                !name.isEmpty, name.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: ":") })
            else { return nil }
            return (name, Secret(text))
        }
        if json.object?.count != headers.count {
            reader.fail("headers", expected: "an object of printable strings", found: "something else")
        }
        return headers
    }

    private static func parameters(_ reader: ConfigurationReader) -> JSONObject {
        let documentation = "Further members of each request's body, such as {\"temperature\": 0.2}."
        guard let json = reader.json("parameters", documentation, example: ["temperature": 0.2]) else { return [:] }
        let ours = ["model", "messages", "stream", "stream_options", "tools", "tool_choice"]
        guard let parameters = json.object, !ours.contains(where: { parameters[$0] != nil }) else {
            reader.fail(
                "parameters", expected: "an object without \(ours.joined(separator: ", "))", found: "something else")
            return [:]
        }
        return parameters
    }
}
