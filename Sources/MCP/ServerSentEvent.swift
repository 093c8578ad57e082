/// One event of an event stream (WHATWG HTML, section 9.2).
package struct ServerSentEvent: Hashable, Sendable {
    /// Value of the event's own `id` field; nil when it had none.
    package var id: String?
    /// Value of the `event` field; `message` when absent or empty.
    package var event: String
    /// Values of the `data` lines, joined by newlines.
    package var data: String
    /// True if the event has a `data` field. Events without one change only `lastEventID` and the retry delay.
    package var hasData: Bool
    /// Value of the `retry` field, in milliseconds.
    package var retry: Int?

    /// Describes an event (HTML standard, "Server-sent events").
    package init(
        id: String? = nil, event: String = "message", data: String = "", hasData: Bool = true, retry: Int? = nil
    ) {
        self.id = id
        self.event = event
        self.data = data
        self.hasData = hasData
        self.retry = retry
    }
}

/// Error that makes an event stream unusable.
package enum SSEError: Error, Hashable, Sendable {
    /// An event, or a line of it, is longer than the limit in bytes.
    case eventTooLarge(limit: Int)
}
