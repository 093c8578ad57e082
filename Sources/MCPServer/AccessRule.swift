import JSON
import MCP

/// Access rule of a tool, a prompt or a resource.
package struct AccessRule: Hashable, Sendable {
    /// True if anonymous callers are refused.
    package let needsUser: Bool
    /// Scopes that the caller needs, all of them, in the order in which refusals name them.
    package let scopes: [String]

    /// Rule that allows every caller.
    package static let anyone = AccessRule()

    /// Creates a rule. Only users have scopes, so a rule with scopes refuses anonymous callers too.
    package init(needsUser: Bool = false, scopes: [String] = []) {
        self.needsUser = needsUser || !scopes.isEmpty
        self.scopes = scopes
    }

    /// Returns the refusal of a caller; nil: access is allowed.
    package func refusal(of principal: Principal?) -> AccessError? {
        guard let principal else { return needsUser ? .notAuthenticated(scopes: scopes) : nil }
        guard !principal.hasAllScopes, !scopes.allSatisfy(principal.scopes.contains) else { return nil }
        return .insufficientScope(needed: scopes)
    }
}

/// Refusal of access; its text says what the caller needs.
package enum AccessError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The caller is anonymous; the value lists the scopes that it needs besides.
    case notAuthenticated(scopes: [String])
    /// The caller's credential does not grant all required scopes.
    case insufficientScope(needed: [String])

    /// HTTP status of the refusal (RFC 6750, section 3.1).
    package var status: Int {
        switch self {
        case .notAuthenticated: 401
        case .insufficientScope: 403
        }
    }

    package var description: String {
        switch self {
        case .notAuthenticated: "Not authenticated"
        case .insufficientScope(let needed): "Insufficient scope: \(needed.joined(separator: " ")) needed"
        }
    }

    var error: JSONRPCError { .invalidRequest(description) }
}

extension MCPServer {
    /// Returns the refusal of this request; nil: it is allowed. A tool or resource that the caller cannot see is not
    /// refused here: it is unknown.
    func refusal(of call: JSONRPCRequest, for principal: Principal?) -> AccessError? {
        let params = call.params ?? [:]
        let rule: AccessRule?
        switch call.method {
        case MCPMethod.toolsCall:
            rule = params["name"]?.string.flatMap { name in registry.withLock { $0.tools[name]?.access } }
        case MCPMethod.promptsGet:
            rule = params["name"]?.string.flatMap(access(toPrompt:))
        case MCPMethod.resourcesRead, MCPMethod.resourcesSubscribe:
            rule = params["uri"]?.string.flatMap(access(toResource:))
        case MCPMethod.completionComplete:
            // Completions disclose the same data as the prompt or resource.
            switch (try? CompleteParameters(params: params))?.reference {
            case .prompt(let name)?: rule = access(toPrompt: name)
            case .resource(let uri)?: rule = access(toResource: uri)
            case nil: rule = nil
            }
        default:
            rule = nil
        }
        return rule?.refusal(of: principal)
    }

    private func access(toPrompt name: String) -> AccessRule? {
        registry.withLock { $0.prompts[name]?.access }
    }

    /// Returns the rules of all providers that know the URI, combined: it is not known yet which of them will read it.
    private func access(toResource uri: String) -> AccessRule? {
        let rules = registry.withLock { $0.resources }.compactMap { $0.access(to: uri) }
        guard !rules.isEmpty else { return nil }
        var scopes: [String] = []
        for scope in rules.flatMap(\.scopes) where !scopes.contains(scope) { scopes.append(scope) }
        return AccessRule(needsUser: rules.contains { $0.needsUser }, scopes: scopes)
    }
}
