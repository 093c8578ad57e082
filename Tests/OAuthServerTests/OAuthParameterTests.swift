import JSON
import Testing
import ToolServerTestSupport

@testable import OAuthServer
@testable import Store

/// Requests whose parameters are missing, doubled or in the wrong place.
@Suite struct OAuthParameterTests {
    @Test func aRequestWithoutStateIsAnsweredWithoutOne() async throws {
        let fixture = try await OAuthFixture()
        let answer = try await fixture.consent(["state": nil])
        #expect(Set(answer.keys) == ["code", "iss"])
        // PKCE binds the code to the client that asked; another one with the same id cannot use it.
        let code = try #require(answer["code"])
        let foreign = await fixture.redeem(code, ["code_verifier": String(repeating: "z", count: 43)])
        #expect(foreign.error == "invalid_grant")
    }

    /// Two readers could take different ones of two values.
    @Test(arguments: ["state", "scope", "response_type", "code_challenge", "code_challenge_method", "prompt", "x"])
    func aParameterThatComesTwiceIsRefused(name: String) async throws {
        let fixture = try await OAuthFixture()
        let twice = OAuthFixture.parameters() + [(name, "a"), (name, "b")]
        let reply = await fixture.get("/oauth/authorize", twice, try await fixture.cookie())
        let answer = try #require(reply.redirected)
        #expect(answer["error"] == "invalid_request")
        #expect(answer["code"] == nil)
        #expect(reply.hidden("request") == nil)
    }

    @Test(arguments: ["client_id", "redirect_uri"])
    func whatSaysWhereTheAnswerGoesComesOnce(name: String) async throws {
        let fixture = try await OAuthFixture()
        for value in ["app", OAuthFixture.redirect, "https://evil.example/"] {
            for fields in [
                OAuthFixture.parameters() + [(name, value)], [(name, value)] + OAuthFixture.parameters(),
            ] {
                let reply = await fixture.get("/oauth/authorize", fields, try await fixture.cookie())
                #expect(reply.status == .badRequest)
                #expect(reply.headers.first(name: "Location") == nil)
            }
        }
    }

    @Test(arguments: ["code", "code_verifier", "client_id", "grant_type", "redirect_uri"])
    func aTokenRequestNamesEachParameterOnce(name: String) async throws {
        let fixture = try await OAuthFixture()
        let code = try await fixture.code()
        let fields = [
            ("grant_type", "authorization_code"), ("code", code), ("redirect_uri", OAuthFixture.redirect),
            ("client_id", "app"), ("code_verifier", OAuthFixture.verifier),
        ]
        let twice = await fixture.post("/oauth/token", fields + fields.filter { $0.0 == name })
        #expect(twice.error == "invalid_request")
        // Nothing was used up by that.
        #expect(await fixture.redeem(code).status == .ok)
    }

    /// The parameters of the token endpoint count in its body alone (RFC 6749, section 3.2).
    @Test func aTokenRequestIsAForm() async throws {
        let fixture = try await OAuthFixture()
        let code = try await fixture.code()
        let fields = FormFields.encode([
            ("grant_type", "authorization_code"), ("code", code), ("redirect_uri", OAuthFixture.redirect),
            ("client_id", "app"), ("code_verifier", OAuthFixture.verifier),
        ])
        let inQuery = await fixture.post("/oauth/token?" + fields, [])
        #expect(inQuery.status != .ok)
        let read = await fixture.get("/oauth/token?" + fields)
        #expect(read.status == .methodNotAllowed)
        let json = await fixture.server.respond(
            to: OAuthRequest(
                method: .POST, target: "/oauth/token", headers: ["Content-Type": "application/json"],
                body: Array(fields.utf8)))
        #expect(json.error == "invalid_request")
        #expect(await fixture.redeem(code).status == .ok)
    }

    /// Neither a code nor a form with a password goes on to another site, into a cache or a log of one (RFC 9700,
    /// sections 4.2, 4.3 and 4.12).
    @Test func whatABrowserGetsGoesNoFurther() async throws {
        let fixture = try await OAuthFixture()
        let login = await fixture.get("/oauth/authorize", OAuthFixture.parameters())
        let cookie = try await fixture.cookie()
        let page = await fixture.get("/oauth/authorize", OAuthFixture.parameters(), cookie)
        for reply in [login, page] {
            #expect(reply.headers["Referrer-Policy"] == ["same-origin"])
            #expect(reply.headers["Cache-Control"] == ["no-store"])
        }
        let sealed = try #require(page.hidden("request"))
        let answer = await fixture.post("/oauth/consent", [("request", sealed), ("decision", "allow")], cookie)
        let target = try #require(login.hidden("continue"))
        let signedIn = await fixture.post(
            "/oauth/login", [("continue", target), ("username", "alice"), ("password", "alice's password")])
        for reply in [answer, signedIn] {
            // Unlike 307, it does not send the form on.
            #expect(reply.status == .seeOther)
            #expect(reply.headers["Referrer-Policy"] == ["no-referrer"])
            #expect(reply.headers["Cache-Control"] == ["no-store"])
        }
    }
}
