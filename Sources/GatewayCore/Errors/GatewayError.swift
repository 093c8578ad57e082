/// An error of a request, as the client, the metrics and the access log see it.
///
/// One type for all routes; ``GatewayErrorResponse`` is the only place that turns it into a response.
package struct GatewayError: Error, Hashable, Sendable {
    /// Party that caused the error: a bounded set, for metrics.
    package enum Source: String, Sendable {
        case downstream, gateway, upstream, tool
    }

    /// Answer to whether the tool was executed; `no` only where that is certain.
    package enum Executed: String, Sendable {
        case no, yes, unknown
    }

    /// Kind of failure.
    package let label: GatewayErrorLabel
    /// Text for people; nil: the label's own text.
    package var text: String?
    /// Status that replaces the label's: tools may declare a 4xx or 503 for their errors.
    package var declaredStatus: Int?
    /// Answer to whether the tool was executed.
    package var executed: Executed
    /// The upstream's challenges, each the value of one `WWW-Authenticate` header.
    package var challenges: [String] = []
    /// The value of `Retry-After`: seconds or a date.
    package var retryAfter: String?
    /// The upstream's cookies, each the value of one `Set-Cookie` header.
    package var setCookies: [String] = []
    /// Details for the log only: addresses, transport errors.
    package var detail: String?

    /// Creates the error of a request.
    package init(
        _ label: GatewayErrorLabel, text: String? = nil, executed: Executed = .no, retryAfter: String? = nil,
        detail: String? = nil
    ) {
        self.label = label
        self.text = text
        self.executed = executed
        self.retryAfter = retryAfter ?? label.facts.retryAfter
        self.detail = detail
    }

    /// Text for people.
    package var message: String { text ?? label.facts.text }

    /// Returns the response's status.
    package func status(_ style: GatewayErrorStyle) -> Int {
        let status = declaredStatus ?? label.facts.status
        return style == .legacy && (status == 502 || status == 504) ? 500 : status
    }
}

/// Statuses of the responses to upstream failures.
package enum GatewayErrorStyle: String, CaseIterable, Sendable {
    /// 502 and 504, as RFC 9110 defines them.
    case standard
    /// 500 instead of both, as the old API did.
    case legacy
}
