import CurlTransport
import Foundation
import JSON
import Synchronization
import TestSupport

@testable import GatewayCore

/// An upstream that wants tokens, and its authorization server, as a test scripts them.
final class ProtectedWeb: Sendable {
    struct Script: Sendable {
        /// Path of the protected resource's metadata.
        var metadataPath = "/.well-known/oauth-protected-resource/mcp"
        /// True if the challenge has the metadata's URL.
        var isNamed = true
        /// Scope of the challenge.
        var scope: String?
        /// Members of the protected resource's metadata beside `resource` and `authorization_servers`, or instead of them.
        var resource: JSONObject = [:]
        /// Path of the issuer.
        var issuerPath = ""
        /// Path of the authorization server's metadata.
        var serverPath = "/.well-known/oauth-authorization-server"
        /// Members of the authorization server's metadata beside `issuer` and `token_endpoint`, or instead of them.
        var server: JSONObject = [:]
        /// Scopes that the server does not grant: an `invalid_scope`.
        var refused: Set<String> = []
        /// Scopes that a token must have for `tools/call`; a token without them is a 403.
        var needed: Set<String> = []
        /// True if the server grants what it is asked for, and the upstream refuses it all the same.
        var refusesAlways = false
    }

    private struct State {
        var script: Script
        var upstream = ""
        var server = ""
        /// Scopes of the tokens that are valid.
        var tokens: [String: Set<String>] = [:]
        var issued = 0
        var forms: [[String: String]] = []
    }

    private final class Shared: Sendable {
        let state: Mutex<State>
        init(_ script: Script) { state = Mutex(State(script: script)) }
    }

    private let shared: Shared
    let upstream: FakeToolServer
    let server: ScriptedHTTPServer

    init(_ script: Script = Script()) async throws {
        let shared = Shared(script)
        self.shared = shared
        upstream = try await FakeToolServer(other: { request in
            shared.state.withLock { Self.resource(request, &$0) }
        }) { _ in .results("x") }
        server = try await ScriptedHTTPServer { request in
            shared.state.withLock { Self.authorization(request, &$0) }
        }
        shared.state.withLock { [url = upstream.url, other = server.url] in ($0.upstream, $0.server) = (url, other) }
    }

    func stop() {
        upstream.stop()
        server.stop()
    }

    func change(_ change: (inout Script) -> Void) { shared.state.withLock { change(&$0.script) } }

    /// Forms of the token requests, with the field `Authorization` as `basic`.
    var forms: [[String: String]] { shared.state.withLock { $0.forms } }
    /// Paths that the authorization server was asked for.
    var asked: [String] { server.requests.map { "\($0.method) \($0.path)" } }

    /// A gateway's upstream with a token of this server.
    func settings(_ token: JSONObject = [:]) -> JSONObject {
        var section: JSONObject = ["clientID": "g", "secret": "s"]
        for (key, value) in token { section[key] = value }
        return [
            "url": .string(upstream.url + "/mcp/"), "era": "legacy", "retryWindow": "0s", "probeInterval": "60s",
            "token": ["clientCredentials": .object(section)],
        ]
    }

    // MARK: The servers

    /// Answers what is no MCP message, and refuses requests without a token or with one that is not enough.
    private static func resource(_ request: ScriptedRequest, _ state: inout State) -> ScriptedResponse? {
        let script = state.script
        if request.path == script.metadataPath {
            var metadata: JSONObject = [
                "resource": .string(state.upstream + (script.metadataPath.hasSuffix("resource") ? "" : "/mcp")),
                "authorization_servers": [.string(state.server + script.issuerPath)],
            ]
            for (key, value) in script.resource { metadata[key] = value }
            return .json(JSONValue.object(metadata).text)
        }
        let isCall = request.text.contains("tools/call") || request.path == "/api/orders"
        guard request.path.hasPrefix("/mcp") || request.path.hasPrefix("/api/") else { return .empty(404) }
        let token = request.header("Authorization").map { String($0.dropFirst("Bearer ".count)) } ?? ""
        var parameters = script.isNamed ? ["resource_metadata=\"\(state.upstream)\(script.metadataPath)\""] : []
        guard let scopes = state.tokens[token] else {
            if let scope = script.scope { parameters.append("scope=\"\(scope)\"") }
            return refuse(401, parameters)
        }
        let answer = request.path == "/api/orders" ? ScriptedResponse.json(#"{"order":1}"#) : nil
        if !isCall || script.needed.isSubset(of: scopes) && !script.refusesAlways { return answer }
        let missing = script.needed.sorted().joined(separator: " ")
        return refuse(403, ["error=\"insufficient_scope\"", "scope=\"\(missing)\""] + parameters)
    }

    private static func refuse(_ status: Int, _ parameters: [String]) -> ScriptedResponse {
        .empty(status, headers: [("WWW-Authenticate", "Bearer " + parameters.joined(separator: ", "))])
    }

    private static func authorization(_ request: ScriptedRequest, _ state: inout State) -> ScriptedResponse {
        let script = state.script
        if request.path == script.serverPath {
            var metadata: JSONObject = [
                "issuer": .string(state.server + script.issuerPath), "token_endpoint": .string(state.server + "/token"),
            ]
            for (key, value) in script.server { metadata[key] = value }
            return .json(JSONValue.object(metadata).text)
        }
        guard request.path == "/token" else { return .empty(404) }
        let pairs = request.text.split(separator: "&").map { $0.split(separator: "=", maxSplits: 1).map(String.init) }
        var form = Dictionary(pairs.map { ($0[0], $0.count > 1 ? $0[1].removingPercentEncoding ?? "" : "") }) { $1 }
        form["basic"] = request.header("Authorization")
        state.forms.append(form)
        let scopes = Set((form["scope"] ?? "").split(separator: " ").map(String.init))
        guard scopes.isDisjoint(with: script.refused) else { return .json(#"{"error":"invalid_scope"}"#, status: 400) }
        state.issued += 1
        let token = "token-\(state.issued)"
        state.tokens[token] = scopes
        return .json(#"{"access_token":"\#(token)","token_type":"Bearer","expires_in":3600}"#)
    }

    /// Makes the upstream refuse the tokens so far.
    func revokeTokens() { shared.state.withLock { $0.tokens = [:] } }
}
