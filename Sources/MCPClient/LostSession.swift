/// Phrases by which servers say that they do not know a session, in answers whose status does not say so.
enum LostSession {
    /// Largest length of such a text; longer texts are not about a session alone.
    private static let limit = 512

    private static let states = [
        "not found", "unknown", "invalid", "expired", "no longer", "not exist", "n't exist", "missing", "terminated",
        "closed", "ended", "no valid", "not valid", "no such", "no active", "not active", "inactive", "recogni",
        "required",
        "timed out", "stale", "lost", "gone", "find", "mismatch", "deleted", "removed", "no session", "without session",
        "re-initialize", "reinitialize", "initializ",
    ]
    private static let uninitialized = [
        "not initialized", "not been initialized", "not yet initialized", "uninitialized", "before initializ",
        "initialize first", "initialized first", "must be initialized", "must initialize", "initialization required",
        "not initialised", "call initialize", "send initialize",
    ]

    /// Returns whether a server's error text says that the session, or the handshake before it, is unknown.
    static func isTold(by text: String) -> Bool {
        let text = String(decoding: text.utf8.prefix(limit), as: UTF8.self).lowercased()
        if uninitialized.contains(where: text.contains) { return true }
        return text.contains("session") && states.contains(where: text.contains)
    }
}
