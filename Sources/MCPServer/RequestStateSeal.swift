import Crypto
import Foundation
import JSON
import MCP

/// Seal for the state that a multi-round call of 2026-07-28 sends through the client as `requestState`.
///
/// The client can neither read nor change it. Principal, method and parameters are authenticated with it, so that it
/// opens only when the same user repeats the same request, and it contains its expiry.
struct RequestStateSeal: Sendable {
    /// Contents of the state.
    struct Contents: Hashable {
        /// Answers of the earlier rounds.
        var answers: JSONObject
        /// State of the tool.
        var state: JSONValue?
    }

    private let seal: Seal
    private let lifetime: Duration

    init(key: SymmetricKey, lifetime: Duration) {
        seal = Seal(key)
        self.lifetime = lifetime
    }

    func seal(_ contents: Contents, for request: JSONRPCRequest, principal: Principal?, now: Date) throws -> String {
        let expiry = Int(now.timeIntervalSince1970) + Int(lifetime.components.seconds)
        var payload: JSONObject = ["e": .number(expiry)]
        if !contents.answers.isEmpty { payload["a"] = .object(contents.answers) }
        if let state = contents.state { payload["s"] = state }
        return try seal.seal(JSONValue.object(payload).serialized, binding: Self.binding(request, principal))
    }

    /// Opens a state; nil for anything that this server did not issue to this principal for this request, or that has
    /// expired.
    func open(_ text: String, for request: JSONRPCRequest, principal: Principal?, now: Date) -> Contents? {
        guard let plain = seal.open(text, binding: Self.binding(request, principal)),
            let payload = try? JSONValue(parsing: plain), let expiry = payload["e"]?.int,
            Int(now.timeIntervalSince1970) < expiry
        else { return nil }
        return Contents(answers: payload["a"]?.object ?? [:], state: payload["s"])
    }

    /// Returns the digest of the request, without the parts that differ between the rounds: metadata, answers and the
    /// state itself.
    private static func binding(_ request: JSONRPCRequest, _ principal: Principal?) -> [UInt8] {
        var params = request.wholeParams ?? [:]
        for key in ["_meta", "inputResponses", "requestState"] { params.removeValue(forKey: key) }
        // Clients may reorder the members when they repeat a request.
        let facts: JSONValue = .array([
            principal.map { .string($0.id) } ?? .null, .string(request.method), JSONValue.object(params).sorted,
        ])
        return Array(SHA256.hash(data: facts.serialized))
    }
}
