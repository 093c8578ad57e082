import Foundation
import HTTPSyntax
import JSON
import NIOHTTP1
import Testing
import ToolServerTestSupport

@testable import Identity
@testable import OAuthServer
@testable import Store

@Suite struct OAuthServerTests {
    @Test(arguments: Engine.allCases)
    func aUserSignsInAllowsAndTheClientActsForIt(engine: Engine) async throws {
        let fixture = try await OAuthFixture(engine)
        let metadata = await fixture.get("/.well-known/oauth-authorization-server").json
        #expect(metadata["issuer"] == "https://chat.example")
        #expect(metadata["code_challenge_methods_supported"] == ["S256"])
        #expect(await fixture.get("/.well-known/openid-configuration/mcp").json == metadata)

        let asked = await fixture.get("/oauth/authorize", OAuthFixture.parameters(["login_hint": "alice"]))
        #expect(asked.status == .ok)
        #expect(asked.text.contains("value=\"alice\""))
        let target = try #require(asked.hidden("continue"))
        func logIn(_ password: String) async -> OAuthReply {
            await fixture.post(
                "/oauth/login", [("continue", target), ("username", "alice"), ("password", password)])
        }
        #expect(await logIn("wrong").status == .unauthorized)
        let signedIn = await logIn("alice's password")
        #expect(signedIn.headers.first(name: "Location") == target)
        let cookie = try #require(signedIn.headers.first(name: "Set-Cookie")?.prefix { $0 != ";" })
        let headers: HTTPHeaders = ["Cookie": String(cookie)]
        let query = target.split(separator: "?", maxSplits: 1)[1]
        let page = await fixture.server.respond(
            to: OAuthRequest(method: .GET, target: "/oauth/authorize?\(query)", headers: headers))
        for words in ["The App", "alice", "read your records", "app.example"] { #expect(page.text.contains(words)) }
        let policy = try #require(page.headers.first(name: "Content-Security-Policy"))
        #expect(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self' https://app.example;"))
        let sealed = try #require(page.hidden("request"))
        let allowed = await fixture.post("/oauth/consent", [("request", sealed), ("decision", "allow")], headers)
        let answer = try #require(allowed.redirected)
        #expect(answer["state"] == "x/y&z")
        #expect(answer["iss"] == "https://chat.example")

        let tokens = await fixture.redeem(try #require(answer["code"]))
        #expect(tokens.status == .ok, "\(tokens.text)")
        #expect(tokens.headers.first(name: "Cache-Control") == "no-store")
        #expect(tokens.json["expires_in"] == 600)
        #expect(tokens.json["scope"] == "records:read")
        let access = try #require(tokens.json["access_token"]?.string)
        let principal = try #require(try await fixture.principal(access))
        #expect(principal.name == "alice")
        #expect(principal.scopes == ["records:read"])
        #expect(!principal.hasAllScopes)
        // Another replica verifies it, and renews.
        let replica = try await OAuthFixture(engine, sharing: fixture)
        #expect(try await replica.principal(access)?.id == principal.id)
        let renewed = await replica.refresh(try #require(tokens.json["refresh_token"]?.string))
        #expect(renewed.status == .ok)
        fixture.advance(650)
        #expect(try await fixture.principal(access) == nil)
    }

    @Test(arguments: [
        (["response_type": "token"], "unsupported_response_type"),
        (["response_type": nil], "unsupported_response_type"),
        (["code_challenge": nil], "invalid_request"), (["code_challenge": "short"], "invalid_request"),
        (["code_challenge_method": "plain"], "invalid_request"), (["code_challenge_method": nil], "invalid_request"),
        (["resource": nil], "invalid_target"), (["resource": "https://other.example/mcp"], "invalid_target"),
        (["resource": "https://chat.example/mcp2"], "invalid_target"), (["scope": "admin"], "invalid_scope"),
        (["scope": "Records:read"], "invalid_scope"), (["prompt": "none login"], "invalid_request"),
        (["prompt": "surprise"], "invalid_request"), (["prompt": "none"], "consent_required"),
        (["state": String(repeating: "s", count: 2001)], "invalid_request"),
    ])
    func aWrongRequestIsToldTheClient(changes: [String: String?], error: String) async throws {
        let fixture = try await OAuthFixture()
        let reply = await fixture.get("/oauth/authorize", OAuthFixture.parameters(changes), try await fixture.cookie())
        let answer = try #require(reply.redirected, "\(reply.text)")
        #expect(answer["error"] == error)
        #expect(answer["iss"] == "https://chat.example")
        #expect(answer["state"] == (changes["state"] ?? "x/y&z"))
    }

    @Test func aSilentRequestOfNobodyNeedsALogin() async throws {
        let fixture = try await OAuthFixture()
        let reply = await fixture.get("/oauth/authorize", OAuthFixture.parameters(["prompt": "none"]))
        #expect(reply.redirected?["error"] == "login_required")
    }

    @Test(arguments: ["login", "select_account", "consent login"])
    func promptLoginAsksForThePasswordOnce(prompt: String) async throws {
        let fixture = try await OAuthFixture()
        let reply = await fixture.get(
            "/oauth/authorize", OAuthFixture.parameters(["prompt": prompt, "login_hint": "bob"]),
            try await fixture.cookie())
        #expect(reply.text.contains("value=\"bob\""))
        let target = try #require(reply.hidden("continue"))
        #expect(!target.contains("prompt="))
        #expect(reply.hidden("request") == nil)
        let back = await fixture.server.respond(
            to: OAuthRequest(method: .GET, target: target, headers: try await fixture.cookie("bob")))
        #expect(back.hidden("request") != nil && back.text.contains("bob"))
    }

    @Test func promptConsentAsksASignedInUserForConsentAlone() async throws {
        let fixture = try await OAuthFixture()
        let page = await fixture.get(
            "/oauth/authorize", OAuthFixture.parameters(["prompt": "consent"]), try await fixture.cookie())
        #expect(page.hidden("request") != nil)
        // Consent is given each time, also to a client that has it.
        _ = try await fixture.consent()
        let again = await fixture.get("/oauth/authorize", OAuthFixture.parameters(), try await fixture.cookie())
        #expect(again.hidden("request") != nil)
    }

    /// Nothing is ever sent to a place that the client did not register.
    @Test(arguments: [
        "https://app.example/callback/", "https://app.example/callback?x=1", "https://APP.example/callback",
        "https://app.example/callback#fragment", "https://app.example./callback", "https://app.example:443/callback",
        "https://user@app.example/callback", "https://app.example@evil.example/callback",
        "https://app.example.evil.example/callback", "http://app.example/callback", "https://evil.example/",
        "https://app.example/callback/../evil", "https://app.example/%63allback", "javascript:alert(1)",
        "//app.example/callback", "https:app.example/callback", "https://app.example\\@evil.example/callback",
        "https://app.example/callback\r\nSet-Cookie: a=b", "data:text/html,x", "https://app.example/Callback", "",
    ])
    func redirectTricksEndOnOurOwnPage(uri: String) async throws {
        let fixture = try await OAuthFixture(settings: [
            "clients": ["app": ["redirectURIs": [.string(OAuthFixture.redirect), "https://app.example/second"]]]
        ])
        let reply = await fixture.get(
            "/oauth/authorize", OAuthFixture.parameters(["redirect_uri": uri]), try await fixture.cookie())
        #expect(reply.status == .badRequest)
        #expect(reply.headers.first(name: "Location") == nil)
        #expect(reply.headers.first(name: "Content-Type")?.hasPrefix("text/html") == true)
    }

    @Test func aDesktopClientChoosesItsPort() async throws {
        let fixture = try await OAuthFixture()
        for uri in ["http://127.0.0.1:49152/callback", "http://127.0.0.1/callback", "com.example.app:/done"] {
            let changes = ["client_id": "desktop", "redirect_uri": uri]
            let code = try await fixture.code(changes)
            #expect(await fixture.redeem(code, ["client_id": "desktop", "redirect_uri": uri]).status == .ok, "\(uri)")
        }
        for uri in [
            "http://127.0.0.1:49152/other", "http://localhost:49152/callback", "http://127.0.0.2/callback",
            "http://127.0.0.1:99999/callback", "https://127.0.0.1/callback", "com.example.app:/done2",
            "http://127.0.0.1.evil.example/callback", "http://127.0.0.1:80@evil.example/callback",
        ] {
            let changes = ["client_id": "desktop", "redirect_uri": uri]
            let reply = await fixture.get(
                "/oauth/authorize", OAuthFixture.parameters(changes), try await fixture.cookie())
            #expect(reply.status == .badRequest, "\(uri)")
        }
    }

    @Test func markupInNamesAndStateStaysText() async throws {
        let fixture = try await OAuthFixture(settings: [
            "clients": ["app": ["name": "<script>alert(1)</script>", "redirectURIs": [.string(OAuthFixture.redirect)]]]
        ])
        let page = await fixture.get(
            "/oauth/authorize", OAuthFixture.parameters(["state": "\"><script>"]), try await fixture.cookie())
        #expect(page.status == .ok)
        #expect(!page.text.contains("<script"))
        let login = await fixture.get(
            "/oauth/authorize", OAuthFixture.parameters(["login_hint": "\"><script>"]))
        #expect(!login.text.contains("<script"))
    }

    @Test(arguments: Engine.allCases)
    func aCodeIsGoodOnceForItsClientAndVerifier(engine: Engine) async throws {
        let fixture = try await OAuthFixture(engine)
        let code = try await fixture.code()
        let first = await fixture.redeem(code)
        #expect(first.status == .ok)
        #expect(await fixture.redeem(code).error == "invalid_grant")
        // The grant has ended with the second use.
        let refresh = try #require(first.json["refresh_token"]?.string)
        #expect(await fixture.refresh(refresh).error == "invalid_grant")

        for (changes, error) in [
            (["code_verifier": String(repeating: "a", count: 43)], "invalid_grant"),
            (["code_verifier": nil], "invalid_request"), (["code_verifier": "short"], "invalid_request"),
            (["client_id": "desktop"], "invalid_grant"),
            (["redirect_uri": "https://app.example/other"], "invalid_grant"),
            (["resource": "https://other.example/"], "invalid_target"),
            (["grant_type": "password"], "unsupported_grant_type"),
            (["client_id": "unknown"], "invalid_client"), (["client_id": nil], "invalid_client"),
            (["code": String(repeating: "A", count: 43)], "invalid_grant"), (["code": "x"], "invalid_grant"),
        ] as [([String: String?], String)] {
            let code = try await fixture.code()
            #expect(await fixture.redeem(code, changes).error == error, "\(changes)")
        }
        // What was tried with the wrong verifier is over.
        let tried = try await fixture.code()
        _ = await fixture.redeem(tried, ["code_verifier": String(repeating: "b", count: 43)])
        #expect(await fixture.redeem(tried).error == "invalid_grant")
        let late = try await fixture.code()
        fixture.advance(61)
        #expect(await fixture.redeem(late).error == "invalid_grant")
    }

    @Test(arguments: Engine.allCases)
    func aRefreshTokenUsedTwiceEndsItsFamily(engine: Engine) async throws {
        let fixture = try await OAuthFixture(engine)
        let tokens = await fixture.redeem(try await fixture.code())
        let first = try #require(tokens.json["refresh_token"]?.string)
        let second = try #require(await fixture.refresh(first).json["refresh_token"]?.string)
        #expect(await fixture.refresh(second, ["client_id": "desktop"]).error == "invalid_grant")
        #expect(await fixture.refresh(second, ["scope": "chat"]).error == "invalid_scope")
        let third = try #require(await fixture.refresh(second).json["refresh_token"]?.string)
        #expect(await fixture.refresh(first).error == "invalid_grant")
        #expect(await fixture.refresh(third).error == "invalid_grant")
        #expect(try await fixture.store.oauthGrants(userID: nil).isEmpty)
    }

    @Test(arguments: Engine.allCases)
    func ofTwoThatRefreshAtOnceOneWinsAtMost(engine: Engine) async throws {
        let fixture = try await OAuthFixture(engine)
        let token = try #require(
            await fixture.redeem(try await fixture.code()).json["refresh_token"]?.string)
        let replica = try await OAuthFixture(engine, sharing: fixture)
        let won = await withTaskGroup(of: Bool.self) { group in
            for number in 0..<8 {
                group.addTask { await (number % 2 == 0 ? fixture : replica).refresh(token).status == .ok }
            }
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(won == 1)
        #expect(try await fixture.store.oauthGrants(userID: nil).isEmpty)
    }

    @Test func aRefreshTokenEndsUnusedAndWithItsUser() async throws {
        let fixture = try await OAuthFixture()
        let unused = try #require(await fixture.redeem(try await fixture.code()).json["refresh_token"]?.string)
        fixture.advance(30 * 86_400 + 1)
        #expect(await fixture.refresh(unused).error == "invalid_grant")
        try await fixture.server.sweep()
        #expect(try await fixture.store.oauthGrants(userID: nil).isEmpty)
        let tokens = await fixture.redeem(try await fixture.code()).json
        let access = try #require(tokens["access_token"]?.string)
        let alice = try #require(try await fixture.store.account(named: "alice"))
        try await fixture.store.setActive(false, accountID: alice.id)
        #expect(try await fixture.principal(access) == nil)
        #expect(await fixture.refresh(try #require(tokens["refresh_token"]?.string)).error == "invalid_grant")
    }

    @Test func theUsersDecisionIsTheUsersAlone() async throws {
        let fixture = try await OAuthFixture()
        let (alice, bob) = (try await fixture.cookie(), try await fixture.cookie("bob"))
        let page = await fixture.get("/oauth/authorize", OAuthFixture.parameters(), alice)
        let sealed = try #require(page.hidden("request"))
        for (request, cookie) in [
            (sealed, bob), (sealed, HTTPHeaders()), (sealed + "A", alice), ("", alice), ("a.b", alice),
        ] {
            let reply = await fixture.post("/oauth/consent", [("request", request), ("decision", "allow")], cookie)
            #expect(reply.status == .badRequest)
        }
        // A withdrawal's seal is no consent.
        let denied = await fixture.post("/oauth/consent", [("request", sealed), ("decision", "deny")], alice)
        #expect(denied.redirected?["error"] == "access_denied")
        fixture.advance(601)
        let late = await fixture.post("/oauth/consent", [("request", sealed), ("decision", "allow")], alice)
        #expect(late.status == .badRequest)
        #expect(try await fixture.store.oauthGrants(userID: nil).isEmpty)
    }

    @Test func aUserSeesAndWithdrawsWhatItAllowed() async throws {
        let fixture = try await OAuthFixture()
        let refresh = try #require(await fixture.redeem(try await fixture.code()).json["refresh_token"]?.string)
        _ = try await fixture.consent(["client_id": "desktop", "redirect_uri": "com.example.app:/done"], as: "bob")
        #expect(await fixture.get("/oauth/grants").hidden("continue") == "/oauth/grants")
        let page = await fixture.get("/oauth/grants", [], try await fixture.cookie())
        #expect(page.text.contains("The App") && !page.text.contains("desktop"))
        let request = try #require(page.hidden("request"))
        let stolen = await fixture.post("/oauth/grants", [("request", request)], try await fixture.cookie("bob"))
        #expect(stolen.status == .badRequest)
        #expect(
            await fixture.post("/oauth/grants", [("request", request)], try await fixture.cookie()).status == .seeOther)
        #expect(await fixture.refresh(refresh).error == "invalid_grant")
        #expect(try await fixture.store.oauthGrants(userID: nil).count == 1)
    }

    /// Users of a Django site sign in there and come back; who comes back unknown is told so, and not sent in circles.
    @Test func usersOfASiteSignInThere() async throws {
        let fixture = try await OAuthFixture(settings: ["loginURL": "/accounts/login/?theme=a"], usesSite: true)
        let away = await fixture.get("/oauth/authorize", OAuthFixture.parameters())
        let location = try #require(away.headers.first(name: "Location"))
        #expect(location.hasPrefix("/accounts/login/?theme=a&next=%2Foauth%2Fauthorize%3F"))
        let next = try #require(away.redirected?["next"])
        func back(_ headers: HTTPHeaders) async -> OAuthReply {
            await fixture.server.respond(to: OAuthRequest(method: .GET, target: next, headers: headers))
        }
        #expect(await back(try await fixture.cookie()).hidden("request") != nil)
        let unknown = await back(["Cookie": "sessionid=unknown"])
        #expect(unknown.status == .badRequest)
        #expect(unknown.headers.first(name: "Location") == nil)
        let again = await fixture.get(
            "/oauth/authorize", OAuthFixture.parameters(["prompt": "login"]), try await fixture.cookie())
        #expect(again.redirected?["next"]?.contains("prompt") == false)
        #expect(await fixture.get("/oauth/grants").redirected?["next"] == "/oauth/grants?signed_in=1")
        #expect(await fixture.get("/oauth/grants", [("signed_in", "1")]).status == .badRequest)
        #expect(await fixture.post("/oauth/login", [("continue", "/oauth/grants")]).status == .badRequest)
    }

    @Test func aLoginLeadsNowhereElse() async throws {
        let fixture = try await OAuthFixture()
        for target in [
            "https://evil.example/", "//evil.example", "/mcp", "/oauth/authorize\r\nX: y", "/oauth/grants/..",
        ] {
            let reply = await fixture.post(
                "/oauth/login",
                [("continue", target), ("username", "alice"), ("password", "alice's password")])
            #expect(reply.status == .badRequest, "\(target)")
            #expect(reply.headers.first(name: "Set-Cookie") == nil)
        }
    }

    @Test func guessesAtPasswordsAndSecretsAreBounded() async throws {
        let fixture = try await OAuthFixture()
        func logIn() async -> HTTPResponseStatus {
            await fixture.post(
                "/oauth/login", [("continue", "/oauth/grants"), ("username", "alice"), ("password", "guess")]
            ).status
        }
        var last = HTTPResponseStatus.ok
        for _ in 0..<30 { last = await logIn() }
        #expect(last == .tooManyRequests)
        var reply = await fixture.redeem("x", ["client_id": "server", "client_secret": "guess"])
        #expect(reply.status == .unauthorized)
        for _ in 0..<60 { reply = await fixture.redeem("x", ["client_id": "server", "client_secret": "guess"]) }
        #expect(reply.status == .tooManyRequests)
        #expect(reply.headers.contains(name: "Retry-After"))
    }

    @Test func aConfidentialClientProvesItself() async throws {
        let fixture = try await OAuthFixture()
        let changes = ["client_id": "server"]
        #expect(await fixture.redeem(try await fixture.code(changes), changes).error == "invalid_client")
        let posted: [String: String?] = ["client_id": "server", "client_secret": "a secret & more"]
        #expect(await fixture.redeem(try await fixture.code(changes), posted).status == .ok)
        let pair = Data("server:\(FormFields.escape("a secret & more"))".utf8).base64EncodedString()
        let basic: HTTPHeaders = ["Authorization": "Basic \(pair)"]
        #expect(await fixture.redeem(try await fixture.code(changes), ["client_id": nil], basic).status == .ok)
        let wrong: HTTPHeaders = ["Authorization": "Basic \(Data("server:x".utf8).base64EncodedString())"]
        let refused = await fixture.redeem(try await fixture.code(changes), ["client_id": nil], wrong)
        #expect(refused.error == "invalid_client")
        #expect(refused.headers.first(name: "WWW-Authenticate") == "Basic")
        #expect(await fixture.redeem("x", posted, basic).error == "invalid_request")
    }

    @Test func aClientRevokesItsGrant() async throws {
        let fixture = try await OAuthFixture()
        let refresh = try #require(await fixture.redeem(try await fixture.code()).json["refresh_token"]?.string)
        for (token, client) in [(refresh, "desktop"), ("unknown", "app")] {
            #expect(await fixture.post("/oauth/revoke", [("token", token), ("client_id", client)]).status == .ok)
        }
        let renewed = try #require(await fixture.refresh(refresh).json["refresh_token"]?.string)
        #expect(await fixture.post("/oauth/revoke", [("token", renewed), ("client_id", "app")]).status == .ok)
        #expect(await fixture.refresh(renewed).error == "invalid_grant")
    }

    @Test func clientsRegisterThemselvesWhereTheyMay() async throws {
        let off = try await OAuthFixture(settings: ["registration": false])
        #expect(await off.get("/.well-known/oauth-authorization-server").json["registration_endpoint"] == nil)
        #expect(await off.post("/oauth/register", []).status == .notFound)

        let fixture = try await OAuthFixture(settings: ["maxRegistrations": 2])
        func register(_ metadata: JSONValue) async -> OAuthReply {
            await fixture.server.respond(
                to: OAuthRequest(method: .POST, target: "/oauth/register", headers: [:], body: metadata.serialized))
        }
        let registered = await register([
            "client_name": "Tool <b>", "redirect_uris": [.string(OAuthFixture.redirect)],
            "token_endpoint_auth_method": "client_secret_post",
        ])
        #expect(registered.status == .created)
        #expect(registered.json["token_endpoint_auth_method"] == "none")
        #expect(registered.json["client_secret"] == nil)
        let id = try #require(registered.json["client_id"]?.string)
        let page = await fixture.get(
            "/oauth/authorize", OAuthFixture.parameters(["client_id": id]), try await fixture.cookie())
        #expect(page.text.contains("Tool &lt;b&gt;") && page.text.contains("not verified"))
        #expect(await fixture.redeem(try await fixture.code(["client_id": id]), ["client_id": id]).status == .ok)
        for metadata in [
            ["redirect_uris": []], ["redirect_uris": ["http://evil.example/"]], ["redirect_uris": ["javascript:x"]],
            ["redirect_uris": [1]], [:], [],
        ] as [JSONValue] {
            #expect(await register(metadata).status == .badRequest, "\(metadata.text)")
        }
        let good: JSONValue = ["redirect_uris": [.string(OAuthFixture.redirect)]]
        #expect(await register(good).status == .created)
        #expect(await register(good).status == .serviceUnavailable)
        var last = HTTPResponseStatus.ok
        for _ in 0..<60 { last = await register(good).status }
        #expect(last == .tooManyRequests)
    }

    private func register(from address: String, _ fixture: OAuthFixture) async -> HTTPResponseStatus {
        let metadata: JSONValue = ["redirect_uris": [.string(OAuthFixture.redirect)]]
        return await fixture.server.respond(
            to: OAuthRequest(
                method: .POST, target: "/oauth/register", headers: [:], body: metadata.serialized,
                peer: IPAddress(address).map { .address($0) })
        ).status
    }

    @Test func registrationsFromOneAddressDelayNoOther() async throws {
        let fixture = try await OAuthFixture()
        var last = HTTPResponseStatus.ok
        for _ in 0..<60 { last = await register(from: "192.0.2.1", fixture) }
        #expect(last == .tooManyRequests)
        for number in 2..<100 { #expect(await register(from: "192.0.2.\(number)", fixture) == .created, "\(number)") }
    }

    @Test(arguments: Engine.allCases) func registrationsThatCameToNothingMakeRoom(_ engine: Engine) async throws {
        let fixture = try await OAuthFixture(engine, settings: ["maxRegistrations": 2])
        for number in 1...2 { #expect(await register(from: "192.0.2.\(number)", fixture) == .created) }
        #expect(await register(from: "192.0.2.3", fixture) == .serviceUnavailable)
        fixture.clock.withLockedValue { $0 += 3601 }
        for number in 4...5 { #expect(await register(from: "192.0.2.\(number)", fixture) == .created) }
        #expect(await register(from: "192.0.2.6", fixture) == .serviceUnavailable)
    }
}
