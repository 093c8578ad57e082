#if DEBUG

package import Crypto
package import CryptoExtras
package import Foundation
package import JSON
import JSONConfiguration
import Logging
import NIOConcurrencyHelpers

@testable package import Identity

/// An authorization server's signing keys.
package final class TestIssuer: Sendable {
    /// The issuer's name.
    package static let name = "https://id.example"
    /// The MCP endpoint that its tokens are for.
    package static let audience = "https://chat.example/mcp"
    /// An instant at which tokens made here are valid.
    package static let now = Date(timeIntervalSince1970: 1_790_000_000)

    /// The P-256 key, `kid` `ec`.
    package let elliptic = P256.Signing.PrivateKey()
    /// The Ed25519 key, `kid` `ed`.
    package let edwards = Curve25519.Signing.PrivateKey()
    /// Made once: it takes a while.
    package static let rsa = Result { try _RSA.Signing.PrivateKey(keySize: .bits2048) }

    /// Makes new keys, except the RSA key.
    package init() {}

    /// Encodes bytes as Base64 URL text without padding.
    package static func base64URL(_ bytes: some DataProtocol) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    /// The public P-256 key as JSON.
    package var ellipticKey: JSONObject {
        let raw = elliptic.publicKey.rawRepresentation
        return [
            "kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig", "x": .string(Self.base64URL(raw.prefix(32))),
            "y": .string(Self.base64URL(raw.suffix(32))),
        ]
    }

    /// The public Ed25519 key as JSON.
    package var edwardsKey: JSONObject {
        [
            "kty": "OKP", "crv": "Ed25519", "kid": "ed", "alg": "EdDSA",
            "x": .string(Self.base64URL(edwards.publicKey.rawRepresentation)),
        ]
    }

    /// Returns the public RSA key as JSON.
    package static func rsaKey() throws -> JSONObject {
        let primitives = try rsa.get().publicKey.getKeyPrimitives()
        return [
            "kty": "RSA", "kid": "rsa", "n": .string(base64URL(primitives.modulus)),
            "e": .string(base64URL(primitives.publicExponent)),
        ]
    }

    /// Returns the document of a key set.
    package static func set(_ keys: JSONObject...) -> [UInt8] {
        JSONValue.object(["keys": .array(keys.map { .object($0) })]).serialized
    }

    /// Returns the claims of a good token; `changes` replace or (null) remove.
    package static func claims(_ changes: JSONObject = [:]) -> JSONObject {
        var claims: JSONObject = [
            "iss": .string(name), "aud": .string(audience), "sub": "ada", "scope": "records:read chat",
            "iat": .number(Int(now.timeIntervalSince1970)), "exp": .number(Int(now.timeIntervalSince1970) + 600),
        ]
        for (key, value) in changes { claims[key] = value.isNull ? JSONValue?.none : value }
        return claims
    }

    /// Returns a token with a header and claims as given, signed by `sign`.
    package static func token(
        _ header: JSONObject, _ claims: JSONObject, sign: (Data) throws -> some DataProtocol
    ) rethrows -> String {
        let signed =
            base64URL(JSONValue.object(header).serialized) + "." + base64URL(JSONValue.object(claims).serialized)
        return signed + "." + base64URL(try sign(Data(signed.utf8)))
    }

    /// Returns a token signed with the elliptic key.
    package func token(_ claims: JSONObject = TestIssuer.claims(), header changes: JSONObject = [:]) throws -> String {
        var header: JSONObject = ["alg": "ES256", "kid": "ec", "typ": "at+jwt"]
        for (key, value) in changes { header[key] = value.isNull ? JSONValue?.none : value }
        return try Self.token(header, claims) { try elliptic.signature(for: $0).rawRepresentation }
    }

    /// Returns a token signed with RSASSA-PKCS1-v1_5 or PSS and SHA-256.
    package static func rsaToken(_ algorithm: String, _ claims: JSONObject = claims()) throws -> String {
        let key = try rsa.get()
        return try token(["alg": .string(algorithm), "kid": "rsa"], claims) { data in
            try key.signature(
                for: SHA256.hash(data: data), padding: algorithm == "PS256" ? .PSS : .insecurePKCS1v1_5
            ).rawRepresentation
        }
    }

    /// Returns the `jwt` section.
    package static func settings(_ changes: JSONObject = [:]) -> JSONObject {
        var settings: JSONObject = [
            "issuer": .string(name), "audience": [.string(audience)], "jwksFile": "unused",
            "algorithms": ["ES256", "RS256"],
        ]
        for (key, value) in changes { settings[key] = value.isNull ? JSONValue?.none : value }
        return settings
    }

    /// Reads the `jwt` section with these changes.
    package static func configuration(_ changes: JSONObject = [:]) throws -> JWTConfiguration {
        let reader = ConfigurationReader(
            document: .object(settings(changes)), path: ["toolServer", "jwt"], environment: [:],
            environmentPrefix: "TOOL_SERVER_JWT")
        let configuration = JWTConfiguration(reader, isUsed: true)
        try reader.finish()
        return configuration
    }
}

/// A key set that a test changes, with a clock of its own.
package final class TestKeySet: Sendable {
    private struct State {
        var bytes: [UInt8]?
        var loads = 0
        var clock = ContinuousClock.now
    }

    private let state: NIOLockedValueBox<State>

    /// Starts with a set's document; nil fails when it is read.
    package init(_ bytes: [UInt8]?) { state = NIOLockedValueBox(State(bytes: bytes)) }

    /// The number of times that the set was read.
    package var loads: Int { state.withLockedValue { $0.loads } }

    /// Sets the document that is read from now on; nil fails.
    package func replace(_ bytes: [UInt8]?) { state.withLockedValue { $0.bytes = bytes } }

    /// Moves the set's clock on.
    package func advance(_ duration: Duration) { state.withLockedValue { $0.clock += duration } }

    /// Returns the keys of this set, refreshed by its clock.
    package func keys(_ algorithms: Set<String> = ["ES256", "RS256"]) -> VerificationKeys {
        VerificationKeys(
            algorithms: algorithms, interval: .seconds(30), maximumAge: .seconds(600), logger: Logger(label: "test"),
            now: { self.state.withLockedValue { $0.clock } }
        ) {
            let bytes = self.state.withLockedValue { state in
                state.loads += 1
                return state.bytes
            }
            guard let bytes else { throw KeySetError(description: "unreachable") }
            return bytes
        }
    }
}

#endif
