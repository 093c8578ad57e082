import Identity
import OAuthServer

/// Route of a request, by its path.
enum Route: Hashable, Sendable {
    case mcp
    case newSession
    case tool(String)
    case logIn
    case logOut
    case metadata
    case authorization
    case unknown

    init(path: Substring) {
        switch path {
        case "/mcp", "/mcp/": self = .mcp
        case "/mcp/session/new": self = .newSession
        case "/auth/login", "/auth/login/": self = .logIn
        case "/auth/logout", "/auth/logout/": self = .logOut
        case _ where OAuthServer.serves(path): self = .authorization
        case _ where PublicURL.isWellKnown(path): self = .metadata
        default:
            let prefix = "/mcp/"
            var name = path.dropFirst(prefix.count)
            if name.hasSuffix("/") { name = name.dropLast() }
            // Tool names are tokens, so that the path needs no decoding.
            if path.hasPrefix(prefix), !name.isEmpty, !name.contains("/") {
                self = .tool(String(name))
            } else {
                self = .unknown
            }
        }
    }

    /// Name of the route in metrics; a bounded set.
    var label: String {
        switch self {
        case .mcp: "mcp"
        case .newSession: "session"
        case .tool: "tool"
        case .logIn: "login"
        case .logOut: "logout"
        case .metadata: "metadata"
        case .authorization: "oauth"
        case .unknown: "unknown"
        }
    }
}
