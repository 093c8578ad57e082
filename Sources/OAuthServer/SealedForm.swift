import Crypto
import Foundation
import JSON
import MCP

/// Values that a page's form returns with its POST, sealed for a purpose, a user and a time. Only this server can
/// create them, and only for the user who sees the page, so that they also protect against forged requests.
enum SealedForm {
    private static let lifetime: TimeInterval = 600

    static func seal(
        _ contents: JSONObject, purpose: String, userID: String, now: Date, keys: [SymmetricKey]
    ) throws -> String {
        guard let key = keys.first else { throw CryptoKitError.authenticationFailure }
        var payload = contents
        payload["expires"] = .number(Int(now.timeIntervalSince1970 + lifetime))
        let box = try AES.GCM.seal(
            JSONValue.object(payload).serialized, using: key, authenticating: binding(purpose, userID))
        return Base64URL.encode(box.nonce) + "." + Base64URL.encode(box.ciphertext + box.tag)
    }

    /// Returns the values; nil for anything that was not sealed for this purpose and user, or has expired.
    static func open(
        _ text: String, purpose: String, userID: String, now: Date, keys: [SymmetricKey]
    ) -> JSONObject? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let nonce = Base64URL.decode(String(parts[0])),
            let sealed = Base64URL.decode(String(parts[1])),
            let box = try? AES.GCM.SealedBox(combined: nonce + sealed)
        else { return nil }
        for key in keys {
            guard let plain = try? AES.GCM.open(box, using: key, authenticating: binding(purpose, userID)),
                let payload = (try? JSONValue(parsing: Array(plain)))?.object,
                let expiry = payload["expires"]?.double, now.timeIntervalSince1970 < expiry
            else { continue }
            return payload
        }
        return nil
    }

    private static func binding(_ purpose: String, _ userID: String) -> [UInt8] {
        Array(SHA256.hash(data: JSONValue.array([.string(purpose), .string(userID)]).serialized))
    }
}
