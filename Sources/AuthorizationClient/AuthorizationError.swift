/// Reason why no token was issued.
package enum AuthorizationError: Error, Hashable, Sendable {
    /// The authorization server refuses the client, or its request.
    case refused(String)
    /// The authorization server refuses the caller's token, which was to be exchanged.
    case callerRefused(String)
    /// A server could not be reached, or failed.
    case unreachable(String)
    /// A document or a response that must not be used.
    case invalid(String)

    /// Details for the log, without secrets.
    package var detail: String {
        switch self {
        case .refused(let detail), .callerRefused(let detail), .unreachable(let detail), .invalid(let detail): detail
        }
    }
}
