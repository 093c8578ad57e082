import JSON
import TestSupport
import Testing

/// Both built executables, spoken to from outside. One stack serves all suites that do not stop anything; they run one
/// after another so that a machine with two cores measures the products and not the tests.
@Suite(.serialized, .stack, .timeLimit(.minutes(4)))
enum EndToEnd {}

extension HTTPTestResponse {
    /// `{"error": TEXT}`, nil for anything else.
    var errorText: String? {
        guard let object = try? json.object, object.count == 1 else { return nil }
        return object["error"]?.string
    }

    /// The `replies` of a chat answer.
    var replies: [JSONValue]? { try? json["replies"]?.array }
}
