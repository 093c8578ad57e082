import CurlTransport
import Foundation
import JSON

/// Failure of one request to a provider, and the possible reactions to it.
struct ProviderError: Error {
    /// Kind of failure; a bounded set for metrics and logs.
    enum Reason: String {
        case unreachable, timeout, status, rateLimited = "rate_limited", unreadable, refused, busy, tooLarge =
            "too_large"
        case broken
    }

    let reason: Reason
    /// Text for the caller; the provider's own words in it may still contain secrets.
    var message: String
    /// True if a retry of the same request may succeed.
    var isRetryable = false
    /// Time after which the provider asks to be contacted again.
    var retryAfter: Duration?
    /// HTTP status of the response, if there was one.
    var status: Int?
    /// True if another provider may succeed.
    var mayFailOver = true

    /// True if the next request is likely to fail too: the provider is unreachable, overloaded, or refuses this client.
    var isProvidersFault: Bool {
        switch reason {
        case .unreachable, .timeout, .rateLimited, .broken: mayFailOver
        case .status: status.map { [401, 402, 403, 404, 408].contains($0) || $0 >= 500 } ?? true
        case .unreadable, .refused, .busy, .tooLarge: false
        }
    }

    /// True if the failure says nothing about the provider: the request was not sent, or could not be answered.
    var saysNothing: Bool { reason == .busy || reason == .broken }

    /// Returns the parts of the protocol that the provider may have refused, by the words of its error.
    /// - Parameter isStreamed: True if a streamed response was requested.
    func suspects(in request: ModelRequest, isStreamed: Bool) -> Set<ChatCompletion.Extra> {
        guard reason == .status || reason == .unreadable else { return [] }
        guard [400, 403, 404, 405, 415, 422, 500, 501].contains(status ?? 400) else { return [] }
        let isServersFault = (status ?? 400) >= 500
        let message = String(decoding: message.utf8.prefix(4096), as: UTF8.self).lowercased()
            .replacing("upstream", with: "")
        var suspects: Set<ChatCompletion.Extra> = []
        // After a tool result the provider has shown that it accepts tools. Failing servers mention functions of their
        // own.
        let isFirst = !request.messages.contains { $0["role"]?.string == "tool" }
        if !request.tools.isEmpty, isFirst,
            message.contains("tool") || message.contains(isServersFault ? "function call" : "function")
        {
            suspects.insert(.tools)
        }
        if message.contains("stream_options") || message.contains("include_usage") {
            if isStreamed { suspects.insert(.streamUsage) }
        } else if message.contains("stream"), !isServersFault || message.contains("support") {
            suspects.insert(isStreamed ? .streams : .wholeAnswers)
        }
        return suspects
    }

    /// Creates a failure.
    init(_ reason: Reason, _ message: String, isRetryable: Bool = false) {
        self.reason = reason
        self.message = message
        self.isRetryable = isRetryable
    }

    /// Creates the failure of a turn that is not an answer. A refusal by the model is not tried elsewhere.
    init(_ error: AssistantError) {
        let isRefusal = ChatCompletion.isRefusal(error)
        self.init(isRefusal ? .refused : .unreadable, error.message)
        mayFailOver = !isRefusal
    }

    /// Creates the failure of a transfer.
    init(_ error: CurlError) {
        switch error.kind {
        case .timedOut:
            self.init(.timeout, "the provider did not answer in time", isRetryable: !error.requestSent)
        case .couldNotResolve, .couldNotConnect:
            self.init(.unreachable, "the provider cannot be reached", isRetryable: true)
        case .tlsFailed: self.init(.unreachable, "the provider cannot be reached")
        case .tooLarge: self.init(.tooLarge, "the provider's answer is too large")
        case .overloaded:
            self.init(.busy, "there is no memory for the provider's answer, try again")
            mayFailOver = false
        case .shutdown:
            self.init(.broken, "the server is shutting down")
            mayFailOver = false
        case .closedEarly, .resendRefused:
            self.init(.broken, "the connection to the provider failed", isRetryable: true)
        default: self.init(.broken, "the connection to the provider failed")
        }
    }

    /// Creates the failure of a response with a status outside 200…299.
    init(status: Int, headers: CurlHeaders, body: [UInt8], now: Date) {
        let message = ProviderErrorBody.message(in: body) ?? "the provider answered with status \(status)"
        self.init(status == 429 ? .rateLimited : .status, message)
        self.status = status
        isRetryable = [408, 425, 429, 500, 502, 503, 504, 529].contains(status)
        retryAfter = RetryAfter.delay(in: headers, now: now)
    }
}

/// Waiting time that a response demands.
enum RetryAfter {
    /// Returns the time in `Retry-After`, in seconds or as a date (RFC 9110 §10.2.3), or in `retry-after-ms`.
    static func delay(in headers: CurlHeaders, now: Date) -> Duration? {
        if let text = headers.first(name: "retry-after-ms"), let milliseconds = Double(text) {
            return duration(milliseconds / 1000)
        }
        guard let text = headers.first(name: "Retry-After") else { return nil }
        if let seconds = Double(text) { return duration(seconds) }
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = TimeZone(identifier: "GMT")
        format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        return format.date(from: text).flatMap { duration($0.timeIntervalSince(now)) }
    }

    private static func duration(_ seconds: Double) -> Duration? {
        guard seconds.isFinite else { return nil }
        return .seconds(min(max(seconds, 0), 86_400))
    }
}
