package import Observability

/// The span that the running task is part of, for what is done on its behalf further down.
package enum CurrentSpan {
    /// Nil: nothing is traced here, or the work belongs to no span.
    @TaskLocal package static var context: TraceContext?
}
