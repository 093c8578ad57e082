package import NIOCore
package import Observability

/// One finished piece of work of a trace, as OpenTelemetry has it.
package struct Span: Sendable {
    /// Whose view of a call it is.
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

    /// Something that happened at one moment of the span.
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

    /// Trace and own id.
    package var context: TraceContext
    /// The span that this one is part of; nil: none, or nobody knows it.
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
