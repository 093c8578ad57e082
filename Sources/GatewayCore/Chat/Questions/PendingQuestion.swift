import JSON
import MCP

/// A question that waits for its answer, with all that is needed to continue the call: the contents of an identifier.
struct PendingQuestion: Hashable, Sendable {
    /// One of the questions that a tool asks at once.
    struct Part: Hashable, Sendable {
        /// Key under which the tool expects the answer.
        let key: String
        let parameters: ElicitParameters
    }

    /// Text that names the call: unguessable, and the same for all of its questions and attempts.
    var call: String
    /// Number of the question among those of the call, from 1.
    var number = 1
    /// Number of times that the tool has asked.
    var round = 1
    /// Digest of the caller's credentials.
    var caller: String
    /// Name of the chat type.
    var type: String
    /// Name of the upstream.
    var upstream: String
    /// Name of the tool.
    var tool: String
    /// End of the time for an answer, in milliseconds since the epoch.
    var expiry: Int
    /// JSON text of the call's arguments; empty for a held call.
    var arguments = ""
    /// True if the process that asked holds the call of a legacy server.
    var isHeld = false
    /// True if the call is repeated without the answers, once the user has accepted (-32042).
    var repeats = false
    /// The server's `requestState`, JSON text byte for byte.
    var state: String?
    /// Answers so far, by the keys of the questions.
    var responses: JSONObject = [:]
    /// Questions without an answer; the first one is asked now.
    var open: [Part]

    /// Name under which the question is remembered once it has been answered.
    var name: String { "\(call).\(number)" }

    /// True if the user has accepted every question so far.
    var isAccepted: Bool { responses.allSatisfy { $0.value["action"] == "accept" } }

    /// Returns the question with an answer to its first part.
    func answered(_ result: ElicitResult) -> PendingQuestion {
        var next = self
        let part = next.open.removeFirst()
        next.responses[part.key] = result.json
        next.number += 1
        return next
    }
}

// MARK: Contents of an identifier

extension PendingQuestion {
    /// JSON form.
    var json: JSONValue {
        var object: JSONObject = [
            "c": .string(call), "n": .number(number), "r": .number(round), "o": .string(caller), "t": .string(type),
            "u": .string(upstream), "f": .string(tool), "e": .number(expiry),
            "q": .array(
                open.map { [.string($0.key), .object($0.parameters.params(for: .latestModern))] }),
        ]
        if isHeld { object["h"] = true } else { object["a"] = .string(arguments) }
        if repeats { object["x"] = true }
        if let state { object["s"] = .string(state) }
        if !responses.isEmpty { object["i"] = .object(responses) }
        return .object(object)
    }

    /// Reads the JSON form; nil for that of another release.
    init?(_ bytes: [UInt8]) {
        guard let json = try? JSONValue(parsing: bytes), let call = json["c"]?.string, let number = json["n"]?.int,
            let round = json["r"]?.int, let caller = json["o"]?.string, let type = json["t"]?.string,
            let upstream = json["u"]?.string, let tool = json["f"]?.string, let expiry = json["e"]?.int,
            let parts = json["q"]?.array
        else { return nil }
        var open: [Part] = []
        for part in parts {
            guard let key = part[0]?.string, let params = part[1]?.object,
                let parameters = try? ElicitParameters(params: params)
            else { return nil }
            open.append(Part(key: key, parameters: parameters))
        }
        guard !open.isEmpty else { return nil }
        self.init(
            call: call, number: number, round: round, caller: caller, type: type, upstream: upstream, tool: tool,
            expiry: expiry, arguments: json["a"]?.string ?? "", isHeld: json["h"]?.bool ?? false,
            repeats: json["x"]?.bool ?? false, state: json["s"]?.string, responses: json["i"]?.object ?? [:], open: open
        )
    }
}
