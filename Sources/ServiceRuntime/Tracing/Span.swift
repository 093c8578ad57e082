package import NIOCore
package import Observability

/// A finished operation of a trace, as defined by OpenTelemetry.
package struct Span: Sendable {
    /// Role of the process in the operation.
    package enum Kind: Int, Sendable {
        case `internal` = 1
        case server = 2
        case client = 3
    }

    /// The value of an attribute.
    package enum Value: Hashable, Sendable {
        case string(String)
        case int(Int)
        case bool(Bool)
        case double(Double)
    }

    /// An event during the span.
    package struct Event: Sendable {
        /// Name of the operation.
        package var name: String
        /// Time of the event.
        package var time: NIODeadline
        /// Attributes, in their order.
        package var attributes: [(String, Value)]

        /// Describes an event.
        package init(_ name: String, at time: NIODeadline, _ attributes: [(String, Value)] = []) {
            self.name = name
            self.time = time
            self.attributes = attributes
        }
    }

    /// Identifiers of the trace and of this span.
    package var context: TraceContext
    /// Identifier of the parent span; nil: none, or unknown.
    package var parentID: UInt64?
    /// Name of the operation.
    package var name: String
    /// Role of the process in the operation.
    package var kind: Kind
    /// Begin of the operation.
    package var start: NIODeadline
    /// End of the operation.
    package var end: NIODeadline
    /// Attributes, in their order.
    package var attributes: [(String, Value)]
    /// Events during the operation.
    package var events: [Event]
    /// Label of the error, from a bounded set; nil: none.
    package var error: String?

    /// Describes an operation.
    package init(
        _ name: String, _ kind: Kind, context: TraceContext, parentID: UInt64?, start: NIODeadline, end: NIODeadline,
        attributes: [(String, Value)] = [], events: [Event] = [], error: String? = nil
    ) {
        self.name = name
        self.kind = kind
        self.context = context
        self.parentID = parentID
        self.start = start
        self.end = end
        self.attributes = attributes
        self.events = events
        self.error = error
    }
}
