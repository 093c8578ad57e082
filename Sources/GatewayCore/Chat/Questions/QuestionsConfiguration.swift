import JSONConfiguration

/// Questions of tools to their users through the chat API: keys of the section `chat`.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `questions` | boolean | false | a tool's question to its user is answered to the front-end |
/// | `questionTimeout` | duration | 2 min | time for which the call of a legacy server is held for an answer |
/// | `questionLifetime` | duration | 10 min | time for which a question may be answered |
/// | `heldQuestions` | integer | 128 | calls of legacy servers that are held at a time, in the whole process |
package struct QuestionsConfiguration: Hashable, Sendable {
    /// Name of the built-in type that answers a question.
    package static let answerType = "answer"

    /// Time for which the call of a legacy server is held for an answer.
    package let timeout: Duration
    /// Time for which a question may be answered.
    package let lifetime: Duration
    /// Largest number of calls that are held at a time.
    package let held: Int

    /// Reads the keys; nil when questions are off.
    init?(_ reader: ConfigurationReader) {
        let isOn = reader.bool(
            "questions", default: false,
            "true: a tool's question to its user (elicitation) becomes a question of the answer, and a payload of the "
                + "built-in type answer continues the call. false: it is declined, and the answer is 400 "
                + "(questions_off).")
        timeout = reader.duration(
            "questionTimeout", default: .seconds(120), in: .milliseconds(10)...(.seconds(3600)),
            "Time for which the call of a legacy server is held for the answer to its question; beyond it the server is "
                + "told that the user gave none, and an answer is 410 (question_expired).")
        lifetime = reader.duration(
            "questionLifetime", default: .seconds(600), in: .seconds(1)...(.seconds(86_400)),
            "Time for which a question may be answered; beyond it the answer is 410 (question_expired).")
        held = reader.integer(
            "heldQuestions", default: 128, in: 1...256,
            "Largest number of legacy servers' calls that are held for an answer at a time; the question of a further "
                + "one is declined, and the answer is 503 (overloaded).")
        if !isOn { return nil }
    }
}
