import HTTPSyntax
package import JSONConfiguration
package import MCPServer

/// Access rules: keys of the `toolServer` section.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `requireAuthentication` | boolean | false | refuses anonymous callers with 401 |
/// | `publicURL` | URL | – | the MCP endpoint as clients reach it: the OAuth resource; required with `jwt` |
/// | `cookieScopes` | list | – | scopes of users who come with a cookie; absent: all |
/// | `tools.NAME.access` | `anonymous`, `authenticated` | `anonymous` | callers who may call the tool |
/// | `tools.NAME.scopes` | list | empty | scopes that the credential must hold; implies `authenticated` |
/// | `apiKeys.header` | string | `X-API-Key` | header that may hold an API key besides `Authorization`; empty: none |
/// | `stdioKey`, `stdioKeyFile` | secret | – | API key whose rights a stdio client has |
package struct AccessConfiguration: Sendable {
    /// Rules by the tool's name.
    package let tools: [String: AccessRule]
    /// True if anonymous callers are refused.
    package let requiresAuthentication: Bool
    /// URL of the MCP endpoint as clients reach it.
    package let publicURL: PublicURL?
    /// Scopes that a cookie grants.
    package let cookieScopes: GrantedScopes
    /// Name of a header besides `Authorization` that may carry an API key.
    package let keyHeader: String?
    /// API key of the single client of the stdio transport.
    package let stdioKey: Secret?

    private enum Access: String, CaseIterable {
        case anonymous, authenticated
    }

    /// Reads the section.
    package init(_ reader: ConfigurationReader) {
        requiresAuthentication = reader.bool(
            "requireAuthentication", default: false, "true: anonymous callers are refused with 401.")
        let url = reader.optionalString(
            "publicURL", "URL of the MCP endpoint as clients reach it, such as https://chat.example/mcp.",
            example: "https://chat.example/mcp")
        publicURL = url.flatMap(PublicURL.init)
        if let url, publicURL == nil {
            reader.fail("publicURL", expected: "an http or https URL without query and fragment", found: "\"\(url)\"")
        }
        let granted = Self.scopes(
            "cookieScopes", reader, "Scopes of callers identified by a cookie; absent: all scopes.")
        cookieScopes = reader.isPresent("cookieScopes") ? .only(Set(granted)) : .all
        let rules = reader.map("tools", "Access rules by the tool's name.", of: "tool") { _, tool in
            let access = tool.choice(
                "access", default: Access.anonymous, "Callers that may use the tool; with scopes, always authenticated."
            )
            let scopes = Self.scopes("scopes", tool, "Scopes that the caller's credential must have, all of them.")
            if tool.isPresent("access"), access == .anonymous, !scopes.isEmpty {
                tool.fail("access", expected: "\"authenticated\", as scopes are required", found: "\"anonymous\"")
            }
            return AccessRule(needsUser: access == .authenticated, scopes: scopes)
        }
        tools = Dictionary(rules.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
        keyHeader = reader.section(
            "apiKeys", "Settings of API keys, which the subcommand key creates (identity apiKey)."
        ) { keys in
            let header = keys.string(
                "header", default: "X-API-Key", "Header, besides Authorization, that may carry a key; empty: none.")
            if !header.isEmpty, !HTTPSyntax.isToken(header) {
                keys.fail("header", expected: "a header's name", found: "\"\(header)\"")
            }
            return header.isEmpty ? nil : header
        }
        stdioKey = reader.secret(
            "stdioKey", "API key whose rights the client of the stdio transport has.",
            environment: "TOOL_SERVER_API_KEY")
    }

    /// Reads a list of scope names.
    package static func scopes(_ key: String, _ reader: ConfigurationReader, _ documentation: String) -> [String] {
        let scopes = reader.strings(key, default: [], documentation)
        for scope in scopes where !ScopeName.isValid(scope) {
            reader.fail(key, expected: "scopes of visible ASCII without \" and \\", found: "\"\(scope.printable)\"")
        }
        return scopes
    }
}
