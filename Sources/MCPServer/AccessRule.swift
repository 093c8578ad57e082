import JSON
import MCP

/// Rule of access to a tool, a prompt or a resource.
package struct AccessRule: Hashable, Sendable {
    /// Refusal of anonymous callers.
    package let needsUser: Bool
    /// All of these must be held; in the order in which they are told to callers.
    package let scopes: [String]

    /// Everybody.
    package static let anyone = AccessRule()

    /// Scopes are given to users only, so a rule with scopes refuses anonymous callers too.
    package init(needsUser: Bool = false, scopes: [String] = []) {
        self.needsUser = needsUser || !scopes.isEmpty
        self.scopes = scopes
    }

    /// Why a caller may not; nil: it may.
    package func refusal(of principal: Principal?) -> AccessRefusal? {
        guard let principal else { return needsUser ? .notAuthenticated(scopes: scopes) : nil }
        guard !principal.hasAllScopes, !scopes.allSatisfy(principal.scopes.contains) else { return nil }
        return .insufficientScope(needed: scopes)
    }
}

/// Why a caller may not use something; the text says what would help.
package enum AccessRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// The caller is anonymous; with what it would need besides a name.
    case notAuthenticated(scopes: [String])
    /// The caller's credential does not have all scopes that are needed.
    case insufficientScope(needed: [String])

    /// The HTTP status for it (RFC 6750, section 3.1).
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
    /// Why the caller may not make this request. What it may not even see is not refused here but unknown.
    func refusal(of call: JSONRPCRequest, for principal: Principal?) -> AccessRefusal? {
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
            // Suggestions are made of the same data.
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

    /// The rules of all providers that know the URI count: which one will read it is not known yet.
    private func access(toResource uri: String) -> AccessRule? {
        let rules = registry.withLock { $0.resources }.compactMap { $0.access(to: uri) }
        guard !rules.isEmpty else { return nil }
        var scopes: [String] = []
        for scope in rules.flatMap(\.scopes) where !scopes.contains(scope) { scopes.append(scope) }
        return AccessRule(needsUser: rules.contains { $0.needsUser }, scopes: scopes)
    }
}
