import Crypto
import CryptoExtras
import Foundation
import JSON
import JSONConfiguration
import Logging
import MCPServer
import NIOConcurrencyHelpers
import TestSupport

@testable import Identity
@testable import ToolServerCore

/// An authorization server's signing keys.
final class TestIssuer: Sendable {
    static let name = "https://id.example"
    static let audience = "https://chat.example/mcp"
    static let now = Date(timeIntervalSince1970: 1_790_000_000)

    let elliptic = P256.Signing.PrivateKey()
    let edwards = Curve25519.Signing.PrivateKey()
    /// Made once: it takes a while.
    static let rsa = Result { try _RSA.Signing.PrivateKey(keySize: .bits2048) }

    static func base64URL(_ bytes: some DataProtocol) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    var ellipticKey: JSONObject {
        let raw = elliptic.publicKey.rawRepresentation
        return [
            "kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig", "x": .string(Self.base64URL(raw.prefix(32))),
            "y": .string(Self.base64URL(raw.suffix(32))),
        ]
    }

    var edwardsKey: JSONObject {
        [
            "kty": "OKP", "crv": "Ed25519", "kid": "ed", "alg": "EdDSA",
            "x": .string(Self.base64URL(edwards.publicKey.rawRepresentation)),
        ]
    }

    static func rsaKey() throws -> JSONObject {
        let primitives = try rsa.get().publicKey.getKeyPrimitives()
        return [
            "kty": "RSA", "kid": "rsa", "n": .string(base64URL(primitives.modulus)),
            "e": .string(base64URL(primitives.publicExponent)),
        ]
    }

    static func set(_ keys: JSONObject...) -> [UInt8] {
        JSONValue.object(["keys": .array(keys.map { .object($0) })]).serialized
    }

    /// Everything that a good token claims; `changes` replace or (null) remove.
    static func claims(_ changes: JSONObject = [:]) -> JSONObject {
        var claims: JSONObject = [
            "iss": .string(name), "aud": .string(audience), "sub": "ada", "scope": "records:read chat",
            "iat": .number(Int(now.timeIntervalSince1970)), "exp": .number(Int(now.timeIntervalSince1970) + 600),
        ]
        for (key, value) in changes { claims[key] = value.isNull ? JSONValue?.none : value }
        return claims
    }

    /// A token with a header and claims as given, signed by `sign`.
    static func token(
        _ header: JSONObject, _ claims: JSONObject, sign: (Data) throws -> some DataProtocol
    ) rethrows -> String {
        let signed =
            base64URL(JSONValue.object(header).serialized) + "." + base64URL(JSONValue.object(claims).serialized)
        return signed + "." + base64URL(try sign(Data(signed.utf8)))
    }

    /// Signed with the elliptic key.
    func token(_ claims: JSONObject = TestIssuer.claims(), header changes: JSONObject = [:]) throws -> String {
        var header: JSONObject = ["alg": "ES256", "kid": "ec", "typ": "at+jwt"]
        for (key, value) in changes { header[key] = value.isNull ? JSONValue?.none : value }
        return try Self.token(header, claims) { try elliptic.signature(for: $0).rawRepresentation }
    }

    /// Signed with RSASSA-PKCS1-v1_5 or PSS and SHA-256.
    static func rsaToken(_ algorithm: String, _ claims: JSONObject = claims()) throws -> String {
        let key = try rsa.get()
        return try token(["alg": .string(algorithm), "kid": "rsa"], claims) { data in
            try key.signature(
                for: SHA256.hash(data: data), padding: algorithm == "PS256" ? .PSS : .insecurePKCS1v1_5
            ).rawRepresentation
        }
    }

    /// The `jwt` section.
    static func settings(_ changes: JSONObject = [:]) -> JSONObject {
        var settings: JSONObject = [
            "issuer": .string(name), "audience": [.string(audience)], "jwksFile": "unused",
            "algorithms": ["ES256", "RS256"],
        ]
        for (key, value) in changes { settings[key] = value.isNull ? JSONValue?.none : value }
        return settings
    }

    static func configuration(_ changes: JSONObject = [:]) throws -> JWTConfiguration {
        try ToolServerConfiguration(
            document: [
                "toolServer": [
                    "identity": ["jwt"], "publicURL": .string(audience), "jwt": .object(settings(changes)),
                ]
            ], environment: [:]
        ).jwt
    }
}

/// A key set that a test changes, with a clock of its own.
final class TestKeySet: Sendable {
    private struct State {
        var bytes: [UInt8]?
        var loads = 0
        var clock = ContinuousClock.now
    }

    private let state: NIOLockedValueBox<State>

    init(_ bytes: [UInt8]?) { state = NIOLockedValueBox(State(bytes: bytes)) }

    /// How often the set was read.
    var loads: Int { state.withLockedValue { $0.loads } }

    /// What is read from now on; nil fails.
    func replace(_ bytes: [UInt8]?) { state.withLockedValue { $0.bytes = bytes } }

    func advance(_ duration: Duration) { state.withLockedValue { $0.clock += duration } }

    func keys(_ algorithms: Set<String> = ["ES256", "RS256"]) -> VerificationKeys {
        VerificationKeys(
            algorithms: algorithms, interval: .seconds(30), maximumAge: .seconds(600), logger: Logger(label: "test"),
            now: { self.state.withLockedValue { $0.clock } }
        ) {
            let bytes = self.state.withLockedValue { state in
                state.loads += 1
                return state.bytes
            }
            guard let bytes else { throw KeySetFault(description: "unreachable") }
            return bytes
        }
    }
}
