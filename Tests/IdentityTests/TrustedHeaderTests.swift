import Foundation
import HTTPSyntax
import JSON
import JSONConfiguration
import Logging
import MCPServer
import Testing

@testable import Identity
@testable import SQLiteStore

@Suite struct TrustedHeaderTests {
    private static let secret = "a secret of the proxy's"

    private func identify(
        _ headers: [(String, String)], from peer: String? = "10.1.2.3", _ changes: JSONObject = [:],
        directory: UserDirectory = .init([])
    ) async throws -> IdentityOutcome {
        var section: JSONObject = ["peers": ["10.0.0.0/8", "::1"], "secret": .string(Self.secret)]
        for (key, value) in changes { section[key] = value }
        let reader = ConfigurationReader(
            document: .object(section), environment: [:], environmentPrefix: "TOOL_SERVER_TRUSTED_HEADER")
        let configuration = TrustedHeaderConfiguration(reader, isUsed: true)
        try reader.finish()
        let identity = TrustedHeaderIdentity(
            configuration: configuration, directory: directory, logger: Logger(label: "test"))
        let address = try peer.map { Peer.address(try #require(IPAddress($0))) }
        return try await identity.identify(PresentedCredentials(headers: .init(headers), peer: address))
    }

    private func principal(_ outcome: IdentityOutcome) -> Principal? {
        guard case .principal(let principal) = outcome else { return nil }
        return principal
    }

    private func isRejected(_ outcome: IdentityOutcome) -> Bool {
        if case .rejected = outcome { return true }
        return false
    }

    private let good = [("X-Auth-User", "ada"), ("X-Auth-Secret", secret)]

    @Test func theProxysWordIsBelieved() async throws {
        let known = try #require(principal(await identify(good)))
        #expect(known.id == "header:ada")
        #expect(known.hasAllScopes && !known.isCookie)
        for peer in ["::1", "::ffff:10.9.9.9"] { #expect(principal(try await identify(good, from: peer)) != nil) }
        guard case .none = try await identify([("X-Auth-Secret", Self.secret)]) else {
            Issue.record("no header is nobody")
            return
        }
        guard case .none = try await identify([("X-Auth-User", ""), ("X-Auth-Secret", Self.secret)]) else {
            Issue.record("an empty header is nobody")
            return
        }
    }

    @Test(arguments: ["11.1.2.3", "9.255.255.255", "::2", "127.0.0.1", nil] as [String?])
    func nobodyElsesIs(peer: String?) async throws {
        #expect(isRejected(try await identify(good, from: peer)))
    }

    @Test(arguments: [
        [], ["wrong"], [secret + "x"], [String(secret.dropLast())], [""], [secret, secret],
    ])
    func norIsAWordWithoutTheSecret(secrets: [String]) async throws {
        let headers = [("X-Auth-User", "ada")] + secrets.map { ("X-Auth-Secret", $0) }
        #expect(isRejected(try await identify(headers)))
    }

    @Test(arguments: [["ada", "eve"], ["a\u{1}b"], [String(repeating: "x", count: 151)]])
    func unfitNamesAreRefused(names: [String]) async throws {
        let headers = names.map { ("X-Auth-User", $0) } + [("X-Auth-Secret", Self.secret)]
        #expect(isRejected(try await identify(headers)))
    }

    @Test func namesAliasesAndScopesComeFromTheConfiguredHeaders() async throws {
        let headers = good + [("X-Alias", "Al"), ("X-Scopes", "a b"), ("X-Scopes", "c\"")]
        let changes: JSONObject = ["aliasHeader": "X-Alias", "scopesHeader": "x-scopes"]
        let known = try #require(principal(await identify(headers, changes)))
        #expect(known.attributes == ["alias": "Al"])
        #expect(known.scopes == ["a", "b"] && !known.hasAllScopes)
        let without = try #require(principal(await identify(good, changes)))
        #expect(without.scopes.isEmpty && !without.hasAllScopes)
    }

    @Test func theHeaderMayNameOurOwnUsers() async throws {
        let store = try SQLiteStore(at: .memory)
        let ada = try await store.insertAccount(username: "ada", alias: "A", passwordHash: "x", at: Date())
        let directory = UserDirectory([.accounts(store)])
        let known = try #require(principal(await identify(good, ["users": "directory"], directory: directory)))
        #expect(known.id == "local:\(ada.id)")
        #expect(known.attributes == ["alias": "A"])
        try await store.setActive(false, accountID: ada.id)
        #expect(isRejected(try await identify(good, ["users": "directory"], directory: directory)))
    }
}

@Suite struct PublicURLTests {
    @Test(arguments: [
        ("https://chat.example/mcp", "https://chat.example/.well-known/oauth-protected-resource/mcp"),
        ("https://chat.example:8443/", "https://chat.example:8443/.well-known/oauth-protected-resource"),
        ("https://chat.example", "https://chat.example/.well-known/oauth-protected-resource"),
        ("http://127.0.0.1:1/a/mcp/", "http://127.0.0.1:1/.well-known/oauth-protected-resource/a/mcp/"),
    ])
    func theMetadataIsBetweenHostAndPath(text: String, metadata: String) throws {
        let url = try #require(PublicURL(text))
        #expect(url.metadataURL == metadata)
        #expect(url.text == text)
    }

    @Test(arguments: [
        "", "chat.example/mcp", "ftp://x/", "https://", "https:///mcp", "https://u@x/", "https://x/?q", "https://x/#f",
        "https://x/a b", "https://ä.example/", "https://x/\"",
    ])
    func whatIsNoSuchURLIsNone(text: String) {
        #expect(PublicURL(text) == nil)
    }
}
