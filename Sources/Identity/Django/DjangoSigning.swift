import Crypto
import Foundation
package import JSON

/// Verifier of texts that a Django site signed with its `SECRET_KEY`; it does not sign.
///
/// The formats are those of `django.core.signing` and `django.contrib.auth` since Django 3.1, which made SHA-256 the
/// algorithm of both.
package struct DjangoSigning: Sendable {
    /// Largest session that is read, in bytes: of the signed text, and of its decompressed form.
    static let maximumSessionBytes = 256 * 1024

    private static let sessionSalt = "django.contrib.sessions.SessionStore"
    private static let authenticationHashSalt =
        "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"

    private let sessionKeys: [SymmetricKey]
    private let authenticationHashKeys: [SymmetricKey]

    /// - Parameters:
    ///   - secretKey: The site's `SECRET_KEY`.
    ///   - fallbacks: The site's `SECRET_KEY_FALLBACKS`, still accepted while keys are rotated.
    package init(secretKey: String, fallbacks: [String] = []) {
        let secrets = [secretKey] + fallbacks
        sessionKeys = secrets.map { Self.key(salt: Self.sessionSalt + "signer", secret: $0) }
        authenticationHashKeys = secrets.map { Self.key(salt: Self.authenticationHashSalt, secret: $0) }
    }

    /// Returns the session in a `django_session.session_data`; nil when the signature is invalid or the content is not
    /// a JSON object.
    ///
    /// The text is `[.]payload:timestamp:signature`, all URL-safe Base64 without padding; a leading dot marks a
    /// compressed payload. The timestamp is ignored, as by Django: `expire_date` decides.
    package func session(_ signed: String) -> JSONObject? {
        guard signed.utf8.count <= Self.maximumSessionBytes, let colon = signed.lastIndex(of: ":") else { return nil }
        let value = signed[..<colon]
        guard let signature = Self.base64(signed[signed.index(after: colon)...]) else { return nil }
        let isGenuine = sessionKeys.contains { key in
            HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: Array(value.utf8), using: key)
        }
        guard isGenuine, let stamp = value.lastIndex(of: ":") else { return nil }
        var payload = value[..<stamp]
        let isCompressed = payload.first == "."
        if isCompressed { payload.removeFirst() }
        guard var bytes = Self.base64(payload) else { return nil }
        if isCompressed {
            guard let inflated = Inflation.inflate(bytes, limit: Self.maximumSessionBytes) else { return nil }
            bytes = inflated
        }
        return (try? JSONValue(parsing: bytes))?.object
    }

    /// Returns whether a session was opened with the user's current password (`_auth_user_hash`); changing the password
    /// ends the user's sessions.
    package func isCurrent(authenticationHash: String, password: String) -> Bool {
        guard let code = Self.hexadecimal(authenticationHash) else { return false }
        return authenticationHashKeys.contains { key in
            HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: Array(password.utf8), using: key)
        }
    }

    /// Returns the key as `salted_hmac` derives it.
    private static func key(salt: String, secret: String) -> SymmetricKey {
        SymmetricKey(data: SHA256.hash(data: Array((salt + secret).utf8)))
    }

    private static func base64(_ text: Substring) -> [UInt8]? {
        let padding = String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
        let standard = text.replacing("-", with: "+").replacing("_", with: "/")
        return Data(base64Encoded: standard + padding).map { Array($0) }
    }

    private static func hexadecimal(_ text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count == 64 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: 64, by: 2) {
            guard let byte = UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(byte)
        }
        return bytes
    }
}
