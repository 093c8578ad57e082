import Crypto
import Foundation
import JSON
import JSONConfiguration
import MCPServer
import Testing
import ToolServerTestSupport

@testable import Identity
@testable import SQLiteStore

@Suite struct JWTIdentityTests {
    private let issuer = TestIssuer()

    private func outcome(
        _ token: String, _ settings: JSONObject = [:], keys: [UInt8]? = nil, directory: UserDirectory = .init([]),
        now: Date = TestIssuer.now
    ) async throws -> IdentityOutcome {
        let configuration = try TestIssuer.configuration(settings)
        let set = TestKeySet(try keys ?? TestIssuer.set(issuer.ellipticKey, TestIssuer.rsaKey(), issuer.edwardsKey))
        let identity = JWTIdentity(
            configuration: configuration, keys: set.keys(configuration.algorithms), directory: directory, now: { now })
        let chain = IdentityChain([], tokens: [identity])
        return try await chain.identify(.init(cookieHeaders: [], authorization: "Bearer \(token)"))
    }

    private func principal(_ outcome: IdentityOutcome) -> Principal? {
        guard case .principal(let principal) = outcome else { return nil }
        return principal
    }

    private func reason(_ outcome: IdentityOutcome) -> String? {
        guard case .rejected(_, let reason) = outcome else { return nil }
        return reason
    }

    @Test func aGoodTokenTellsTheUserAndItsScopes() async throws {
        let known = try #require(principal(await outcome(try issuer.token())))
        #expect(known.id == "jwt:ada")
        #expect(known.name == "ada")
        #expect(known.scopes == ["records:read", "chat"])
        #expect(!known.hasAllScopes && !known.isCookie)
    }

    @Test(arguments: ["RS256", "PS256"])
    func signaturesOfRSAAreVerified(algorithm: String) async throws {
        let token = try TestIssuer.rsaToken(algorithm)
        #expect(principal(try await outcome(token, ["algorithms": [.string(algorithm)]])) != nil)
        // The same key with the other padding is another algorithm.
        let other = algorithm == "RS256" ? "PS256" : "RS256"
        #expect(
            reason(try await outcome(token, ["algorithms": [.string(other)]]))
                == "The token's algorithm is not accepted")
        let swapped = try TestIssuer.token(["alg": .string(other), "kid": "rsa"], TestIssuer.claims()) { data in
            try TestIssuer.rsa.get().signature(
                for: SHA256.hash(data: data), padding: algorithm == "RS256" ? .insecurePKCS1v1_5 : .PSS
            ).rawRepresentation
        }
        #expect(
            reason(try await outcome(swapped, ["algorithms": ["RS256", "PS256"]])) == "The token's signature is wrong")
    }

    @Test func signaturesOfEdwardsCurvesAreVerified() async throws {
        let token = try TestIssuer.token(["alg": "EdDSA", "kid": "ed"], TestIssuer.claims()) {
            try issuer.edwards.signature(for: $0)
        }
        #expect(principal(try await outcome(token, ["algorithms": ["EdDSA"]])) != nil)
        #expect(reason(try await outcome(token)) == "The token's algorithm is not accepted")
    }

    private static let soon = Int(TestIssuer.now.timeIntervalSince1970)

    @Test(
        arguments: [
            (["iss": "https://other.example"], "issuer"), (["iss": "https://id.example/"], "issuer"),
            (["iss": .null], "issuer"),
            (["iss": ["https://id.example"]], "issuer"), (["aud": "https://other.example"], "audience"),
            (["aud": .null], "audience"), (["aud": []], "audience"),
            (["aud": ["https://chat.example/mcp/"]], "audience"),
            (["exp": .null], "no expiry"), (["exp": "1790000600"], "no expiry"),
            (["exp": .number(soon - 30)], "expired"),
            (["exp": 0], "expired"), (["nbf": .number(soon + 31)], "not valid yet"), (["nbf": "x"], "not valid yet"),
            (["iat": .number(soon + 31)], "future"), (["sub": .null], "no user"), (["sub": ""], "no user"),
            (["sub": 5], "no user"), (["sub": "a\u{0}b"], "no user"), (["cnf": ["jkt": "x"]], "bound"),
            (["tenant": .null], "lacks the claim tenant"),
        ] as [(JSONObject, String)])
    func claimsThatDoNotFitAreRefused(changes: JSONObject, part: String) async throws {
        var claims = TestIssuer.claims(["tenant": "t"])
        for (key, value) in changes { claims[key] = value.isNull ? JSONValue?.none : value }
        let reason = reason(try await outcome(try issuer.token(claims), ["requiredClaims": ["tenant"]]))
        #expect(reason?.contains(part) == true, "\(reason ?? "accepted")")
    }

    @Test(
        arguments: [
            ["aud": ["https://other.example", "https://chat.example/mcp"]], ["exp": .number(soon - 29)],
            ["nbf": .number(soon + 30)], ["iat": .null], ["exp": .number(JSONNumber(Double(soon) + 0.5))],
        ] as [JSONObject])
    func claimsWithinTheLeewayAndListsOfAudiencesFit(changes: JSONObject) async throws {
        #expect(principal(try await outcome(try issuer.token(TestIssuer.claims(changes)))) != nil)
    }

    @Test func theAlgorithmIsTheServersChoice() async throws {
        let claims = TestIssuer.claims()
        for name in ["none", "None", "NONE", "nOnE", "HS256", "", "ES384"] {
            let unsigned = TestIssuer.token(["alg": .string(name), "kid": "ec"], claims) { _ in Data() }
            #expect(reason(try await outcome(unsigned)) == "The token's algorithm is not accepted", "\(name)")
        }
        // The public key as the secret of an HMAC: the classical confusion.
        let secrets = [
            Data(try TestIssuer.rsa.get().publicKey.pemRepresentation.utf8),
            Data(JSONValue.object(try TestIssuer.rsaKey()).serialized),
        ]
        for secret in secrets {
            for name in ["HS256", "RS256"] {
                let forged = TestIssuer.token(["alg": .string(name), "kid": "rsa"], claims) { data in
                    Data(HMAC<SHA256>.authenticationCode(for: data, using: SymmetricKey(data: secret)))
                }
                #expect(reason(try await outcome(forged)) != nil)
            }
        }
        // A key for one algorithm is none for another, whatever the header says.
        let confused = try issuer.token(header: ["kid": "rsa"])
        #expect(reason(try await outcome(confused)) == "The token's key is unknown")
        #expect(reason(try await outcome(try issuer.token(header: ["alg": .null]))) == "The token names no algorithm")
    }

    @Test func aKeyInTheTokenIsNotLookedAt() async throws {
        let stranger = TestIssuer()
        let token = try stranger.token(
            header: ["jwk": .object(stranger.ellipticKey), "jku": "https://evil.example/keys", "x5u": "x"])
        #expect(reason(try await outcome(token)) == "The token's signature is wrong")
    }

    @Test(
        arguments: [
            (["typ": "logout+jwt"], "type"), (["typ": 5], "type"), (["typ": "dpop+jwt"], "type"),
            (["crit": ["exp"], "exp": 1], "critical"), (["kid": 5], "not a signed JWT"),
            (["kid": "other"], "key is unknown"),
        ] as [(JSONObject, String)])
    func headersThatAreNotUnderstoodAreRefused(header: JSONObject, part: String) async throws {
        let reason = reason(try await outcome(try issuer.token(header: header)))
        #expect(reason?.contains(part) == true, "\(reason ?? "accepted")")
    }

    @Test(arguments: [["typ": .null], ["typ": "JWT"], ["typ": "application/at+jwt"], ["kid": .null]] as [JSONObject])
    func usualHeadersAreAccepted(header: JSONObject) async throws {
        #expect(principal(try await outcome(try issuer.token(header: header))) != nil)
    }

    @Test func noChangedByteGoesUnnoticed() async throws {
        let token = try issuer.token()
        for (index, character) in token.enumerated() where index % 5 == 0 {
            var forged = Array(token)
            forged[index] = character == "A" ? "B" : "A"
            #expect(reason(try await outcome(String(forged))) != nil, "\(index)")
        }
    }

    @Test func truncatedOversizedAndMalformedTokensAreRefused() async throws {
        let token = try issuer.token()
        for length in [1, 10, token.count / 2, token.count - 43, token.count - 1] {
            #expect(reason(try await outcome(String(token.prefix(length)))) != nil, "\(length)")
        }
        let parts = token.split(separator: ".").map(String.init)
        for malformed in [
            "..", "a.b", "a.b.c", parts[0] + ".." + parts[2], parts[0] + "." + parts[1] + ".", token + ".",
            token + ".x", "." + token, parts[0] + "." + parts[1] + "." + parts[2] + "=",
            parts[0] + "=." + parts[1] + "." + parts[2], TestIssuer.base64URL(Data("[]".utf8)) + ".e30.x",
        ] {
            #expect(reason(try await outcome(malformed)) != nil, "\(malformed)")
        }
        let large = try issuer.token(TestIssuer.claims(["pad": .string(String(repeating: "x", count: 9000))]))
        #expect(reason(try await outcome(large)) == "The token is too long")
        let deep = String(repeating: "[", count: 2000) + String(repeating: "]", count: 2000)
        #expect(reason(try await outcome(TestIssuer.base64URL(Data(deep.utf8)) + ".e30.x")) != nil)
    }

    @Test(
        arguments: [
            (["scope": .null, "scp": ["a", "b"]], [:], ["a", "b"]), (["scope": "a b", "scp": "c"], [:], ["a", "b"]),
            (["scope": .null], [:], []), (["scope": .null, "scp": "c"], [:], ["c"]), (["scope": 5], [:], []),
            (["roles": ["x"]], ["scope": "roles"], ["x"]), ([:], ["scope": "roles"], []),
        ] as [(JSONObject, JSONObject, Set<String>)])
    func scopesComeFromTheirClaim(claims: JSONObject, settings: JSONObject, scopes: Set<String>) async throws {
        let token = try issuer.token(TestIssuer.claims(claims))
        #expect(principal(try await outcome(token, settings))?.scopes == scopes)
    }

    @Test func tokensMayNameOurOwnUsers() async throws {
        let store = try SQLiteStore(at: .memory)
        let ada = try await store.insertAccount(username: "ada", alias: "A", passwordHash: "x", at: TestIssuer.now)
        let directory = UserDirectory([.accounts(store)])
        let token = try issuer.token(TestIssuer.claims(["sub": "0f3a", "preferred_username": "ada"]))
        let settings: JSONObject = ["users": "directory", "user": "preferred_username"]
        let known = try #require(principal(await outcome(token, settings, directory: directory)))
        #expect(known.id == "local:\(ada.id)")
        #expect(known.attributes == ["alias": "A"])
        #expect(known.scopes == ["records:read", "chat"] && !known.hasAllScopes)
        try await store.setActive(false, accountID: ada.id)
        #expect(
            reason(try await outcome(token, settings, directory: directory))
                == "The token's user is unknown or disabled")
        let stranger = try issuer.token(TestIssuer.claims(["preferred_username": "eve"]))
        #expect(reason(try await outcome(stranger, settings, directory: directory)) != nil)
    }

    @Test func namesToShowComeFromTheirClaims() async throws {
        let token = try issuer.token(TestIssuer.claims(["name": "Ada L.", "nick": "Al\u{7}"]))
        let known = try #require(principal(await outcome(token, ["name": "name", "alias": "nick"])))
        #expect(known.id == "jwt:ada")
        #expect(known.name == "Ada L.")
        #expect(known.attributes == ["alias": "Al\u{FFFD}"])
    }

    @Test func reasonsRepeatNothingOfTheToken() async throws {
        let token = try issuer.token(TestIssuer.claims(["aud": "marker-1", "sub": "marker-2"]))
        let reason = try #require(reason(await outcome(token)))
        #expect(!reason.contains("marker"))
    }
}

@Suite struct VerificationKeysTests {
    private let issuer = TestIssuer()

    @Test func keysAreReadOnceAndKept() async throws {
        let set = TestKeySet(TestIssuer.set(issuer.ellipticKey))
        let keys = set.keys()
        for _ in 0..<5 { #expect(try await keys.candidates(algorithm: "ES256", id: "ec").count == 1) }
        #expect(set.loads == 1)
    }

    @Test func aNewKeyIsFoundWithoutARestartButNotMoreOftenThanTheInterval() async throws {
        let set = TestKeySet(TestIssuer.set(issuer.ellipticKey))
        let keys = set.keys()
        #expect(try await keys.candidates(algorithm: "ES256", id: "ec").count == 1)
        var second = TestIssuer().ellipticKey
        second["kid"] = "next"
        set.replace(TestIssuer.set(issuer.ellipticKey, second))
        // Anybody can send unknown key ids: they must not make us ask the issuer all the time.
        for _ in 0..<20 { #expect(try await keys.candidates(algorithm: "ES256", id: "next").isEmpty) }
        #expect(set.loads == 1)
        set.advance(.seconds(30))
        #expect(try await keys.candidates(algorithm: "ES256", id: "next").count == 1)
        #expect(set.loads == 2)
    }

    @Test func aWithdrawnKeyEndsWhenTheKeysAreReadAgain() async throws {
        let set = TestKeySet(TestIssuer.set(issuer.ellipticKey))
        let keys = set.keys()
        _ = try await keys.candidates(algorithm: "ES256", id: "ec")
        var second = TestIssuer().ellipticKey
        second["kid"] = "next"
        set.replace(TestIssuer.set(second))
        set.advance(.seconds(600))
        // Whoever notices that the keys are old does not wait for new ones.
        #expect(try await keys.candidates(algorithm: "ES256", id: "ec").count == 1)
        await keys.settled()
        #expect(try await keys.candidates(algorithm: "ES256", id: "ec").isEmpty)
        #expect(try await keys.candidates(algorithm: "ES256", id: "next").count == 1)
    }

    @Test func aReadingThatFailsKeepsTheKeys() async throws {
        let set = TestKeySet(TestIssuer.set(issuer.ellipticKey))
        let keys = set.keys()
        _ = try await keys.candidates(algorithm: "ES256", id: "ec")
        for broken in [nil, Array("{".utf8), Array(#"{"keys":[]}"#.utf8), Array(#"{"keys":5}"#.utf8)] as [[UInt8]?] {
            set.replace(broken)
            set.advance(.seconds(600))
            #expect(try await keys.candidates(algorithm: "ES256", id: "ec").count == 1)
            await keys.settled()
            #expect(try await keys.candidates(algorithm: "ES256", id: "ec").count == 1)
        }
        #expect(set.loads == 5)
    }

    @Test func withoutAnyKeyNothingCanBeTold() async throws {
        let set = TestKeySet(nil)
        let keys = set.keys()
        await #expect(throws: VerificationKeysUnavailable.self) {
            try await keys.candidates(algorithm: "ES256", id: "ec")
        }
        set.replace(TestIssuer.set(issuer.ellipticKey))
        await #expect(throws: VerificationKeysUnavailable.self) {
            try await keys.candidates(algorithm: "ES256", id: "ec")
        }
        set.advance(.seconds(30))
        #expect(try await keys.candidates(algorithm: "ES256", id: "ec").count == 1)
    }

    @Test func manyCallersCauseOneReading() async throws {
        let set = TestKeySet(TestIssuer.set(issuer.ellipticKey))
        let keys = set.keys()
        let found = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<50 { group.addTask { try await keys.candidates(algorithm: "ES256", id: "ec").count } }
            return try await group.reduce(0, +)
        }
        #expect(found == 50)
        #expect(set.loads == 1)
    }

    @Test func keysThatCannotVerifyAreLeftOut() async throws {
        var encryption = issuer.ellipticKey
        encryption["use"] = "enc"
        var signing = issuer.ellipticKey
        signing["key_ops"] = ["sign"]
        var other = issuer.ellipticKey
        other["alg"] = "ES384"
        var short = try TestIssuer.rsaKey()
        short["n"] = .string(TestIssuer.base64URL(Data(repeating: 0xAB, count: 128)))
        var broken = issuer.ellipticKey
        broken["x"] = "AAAA"
        let symmetric: JSONObject = ["kty": "oct", "k": "c2VjcmV0", "kid": "oct"]
        for unfit in [encryption, signing, other, short, broken, symmetric, [:]] {
            await #expect(throws: KeySetError.self) {
                try await VerificationKey.keys(
                    inSet: TestIssuer.set(unfit),
                    algorithms: Set(JWTConfiguration.knownAlgorithms).subtracting(["ES384"]))
            }
            let kept = try await VerificationKey.keys(
                inSet: TestIssuer.set(unfit, issuer.ellipticKey), algorithms: ["ES256"])
            #expect(kept.map(\.id) == ["ec"])
        }
    }

    @Test(
        arguments: [
            (["jwksURL": "http://id.example/keys", "jwksFile": .null], "jwksURL"),
            (["jwksURL": "ftp://id.example/keys", "jwksFile": .null], "jwksURL"),
            (["jwksURL": "http://127.0.0.1.evil.example/", "jwksFile": .null], "jwksURL"),
            (["jwksURL": "https://u:p@id.example/", "jwksFile": .null], "jwksURL"), (["jwksFile": .null], "jwksURL"),
            (["jwksURL": "https://id.example/keys"], "jwksURL"), (["audience": []], "audience"),
            (["issuer": .null], "issuer"),
            (["algorithms": ["none"]], "algorithms"), (["algorithms": ["HS256"]], "algorithms"),
            (["algorithms": []], "algorithms"), (["leeway": "1h"], "leeway"), (["users": "x"], "users"),
        ] as [(JSONObject, String)])
    func mistakesInTheConfigurationAreNamed(changes: JSONObject, key: String) throws {
        let error = #expect(throws: ConfigurationErrors.self) { try TestIssuer.configuration(changes) }
        #expect(error?.description.contains("toolServer.jwt.\(key): expected") == true, "\(String(describing: error))")
    }

    @Test(arguments: ["https://id.example/keys", "http://127.0.0.1:9/k", "http://[::1]:9/k", "http://localhost/k"])
    func keysMayComeOverTLSOrFromThisMachine(url: String) throws {
        #expect(try TestIssuer.configuration(["jwksURL": .string(url), "jwksFile": .null]).keys == .url(url))
    }
}
