import MCP

/// Conclusion about a connection from an answer without a result.
///
/// | era | answer | doubt |
/// |---|---|---|
/// | legacy, with a session id | 404, 410; 400 unless it is about the message itself | `lost` |
/// | legacy, with a session id | any other status with a text about a session or a handshake, not about the message | `told` |
/// | legacy, with a session id | a JSON-RPC error or an unreadable body in a 2xx; 400 about the message; 500 | `suspected` |
/// | legacy, without one | 400, 404, 410 not about the message | `perhaps` |
/// | legacy, without one | any other status with a text about a session or a handshake | `told` |
/// | modern | 400, 404, 405, 406 not about the message and without a modern code; -32022 | `perhaps` |
/// | modern | any other status with a text about a session or a handshake | `told` |
/// | both | anything else: 401, 403, 408, 413, 429, 502, 503, 504, 3xx | `none` |
///
/// -32602, -32601 and -32700 are about the message itself.
enum ConnectionDoubt {
    case none
    /// The session is lost, and the server refused the message as a whole: the call did not run.
    case lost
    /// The server behind the URL may have changed: only a new handshake can tell. The call did not run.
    case perhaps
    /// The server says that it does not know the session. This says nothing about whether the call ran.
    case told
    /// The server may refer to the session: a `ping` decides.
    case suspected

    init(_ answer: MessageResponse, over connection: UpstreamConnection) {
        let code = answer.rpcError?.knownCode
        let isAboutTheMessage = code == .invalidParams || code == .methodNotFound || code == .parseError
        let hasSession = connection.sessionID != nil
        switch (connection.era, answer.status) {
        case (.legacy, 404), (.legacy, 410):
            if hasSession {
                self = .lost
                return
            }
            if !isAboutTheMessage {
                self = .perhaps
                return
            }
        case (.legacy, 400) where !isAboutTheMessage:
            self = hasSession ? .lost : .perhaps
            return
        case (.modern, 400), (.modern, 404), (.modern, 405), (.modern, 406):
            if code == .unsupportedVersion || !(isAboutTheMessage || answer.provesModern) {
                self = .perhaps
                return
            }
        default: break
        }
        self = Self.byWords(answer, hasSession: hasSession, isAboutTheMessage: isAboutTheMessage)
    }

    private static func byWords(
        _ answer: MessageResponse, hasSession: Bool, isAboutTheMessage: Bool
    ) -> ConnectionDoubt {
        guard !answer.isAboutTheCaller, !answer.provesModern else { return .none }
        // "Unknown tool: session_list" is not about the session: where the code says so, a ping decides.
        if !(hasSession && isAboutTheMessage), LostSession.isTold(by: answer.words) { return .told }
        guard hasSession else { return .none }
        switch answer.status {
        case 200..<300, 400, 500: return .suspected
        default: return .none
        }
    }
}
