package import Observability

/// Span to which the running task belongs, for calls further down.
package enum CurrentSpan {
    /// Context of the span; nil while tracing is off, or the work belongs to no span.
    @TaskLocal package static var context: TraceContext?
}
