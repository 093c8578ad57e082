/// Everything that can go wrong with a request, as the client, the metrics and the access log see it.
///
/// One type for all routes; ``GatewayErrorResponse`` is the only place that turns it into a response.
package struct GatewayError: Error, Hashable, Sendable {
    /// Party that caused the error: a bounded set, for metrics.
    package enum Source: String, Sendable {
        case downstream, gateway, upstream, tool
    }

    /// Knowledge of the tool's execution: `no` only where that is certain.
    package enum Executed: String, Sendable {
        case no, yes, unknown
    }

    /// Kind of failure.
    package let label: GatewayErrorLabel
    /// The text for people; the label's own text when nil.
    package var text: String?
    /// A status that replaces the label's: tools may declare a 4xx or 503 for their errors.
    package var declaredStatus: Int?
    /// Knowledge of the tool's execution.
    package var executed: Executed
    /// The upstream's challenges, each the value of one `WWW-Authenticate` header.
    package var challenges: [String] = []
    /// The value of `Retry-After`: seconds or a date.
    package var retryAfter: String?
    /// The upstream's cookies, each the value of one `Set-Cookie` header.
    package var setCookies: [String] = []
    /// Details for the log alone: addresses, transport errors.
    package var detail: String?

    /// Describes a failure of a request.
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

    /// The text for people.
    package var message: String { text ?? label.facts.text }

    /// The response's status.
    package func status(_ style: GatewayErrorStyle) -> Int {
        let status = declaredStatus ?? label.facts.status
        return style == .legacy && (status == 502 || status == 504) ? 500 : status
    }
}

/// Form of the reply for failures of the upstream.
package enum GatewayErrorStyle: String, CaseIterable, Sendable {
    /// 502 and 504.
    case standard
    /// 500 for both, as the old API did.
    case legacy
}
