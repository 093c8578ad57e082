import JSON
import JSONConfiguration
import TestSupport
import Testing
import ToolServerTestSupport

@testable import Assistant

/// Texts, numbers and streams of providers that are made to stop the process. Each time limit stands for "ever": the
/// work is linear, so that a few megabytes take no more than moments.
@Suite(.timeLimit(.minutes(2 * Sanitizer.slowness))) struct HostileProviderTests {
    private let configuration = ProviderConfiguration(
        baseURL: "http://ai.internal:9000/v1?key=url-key", model: "m", apiKey: Secret("secret-key"))

    // MARK: Error texts

    @Test(arguments: [
        "a", "a-", "a.b+c-", "sk-", "Bearer ", "bearer\t", "http://", "http://u:p", "x://a@", "://", "secret-ke", "é",
    ])
    func anErrorTextIsReadInOneWalk(piece: String) {
        let text = String(repeating: piece, count: (4 << 20) / piece.utf8.count)
        let shown = ErrorText(configuration).redacted(text)
        #expect(shown.count <= 2001)
        #expect(shown.hasSuffix("…"))
    }

    @Test(arguments: [
        ("bad key secret-key for http://ai.internal:9000/v1?key=url-key", "bad key … for …"),
        ("at ai.internal:9000, ai.internal or ?key=url-key", "at …, … or ?…"),
        ("ftp+x://user:p@ss@host/x", "ftp+x://…@host/x"), ("http://host/a@b", "http://host/a@b"),
        ("key-12345678 sk-1234567 task-123456789", "… sk-1234567 task-123456789"),
        ("Bearer abcdefgh, BEARER  12345678; bearer short", "…, …; bearer short"),
        ("Grüße 🚀 \u{301}", "Grüße 🚀 \u{301}"), ("", ""),
    ])
    func secretsAreTakenOut(message: String, shown: String) {
        #expect(ErrorText(configuration).redacted(message) == shown)
    }

    @Test func aSecretAtTheCutIsTakenOut() {
        // Keys take the place of nearly all that is looked at, so that the divided secret would be shown.
        let keys = String(repeating: "sk-" + String(repeating: "x", count: 8000) + " ", count: 8)
        let filler = String(repeating: ".", count: (64 << 10) - keys.utf8.count - 5)
        let shown = ErrorText(configuration).redacted(keys + filler + "secret-key and more")
        #expect(shown.hasSuffix(".……"))
        #expect(!shown.contains("secre"))
    }

    // MARK: Numbers

    @Test(arguments: ["9223372036854775807", "-9223372036854775808", "1e999", "4611686018427387904"])
    func countsOfTokensDoNotOverflow(count: String) async throws {
        let usage = #""usage":{"prompt_tokens":\#(count),"completion_tokens":\#(count)}"#
        let call = #"{"id":"a","function":{"name":"echo","arguments":"{\"message\":\"x\"}"}}"#
        let fixture = try await AgentFixture([
            .response(.json("{\"choices\":[{\"message\":{\"tool_calls\":[\(call)]}}],\(usage)}")),
            .response(.json("{\"choices\":[{\"message\":{\"content\":\"said\"}}],\(usage)}")),
        ])
        defer { fixture.stop() }
        let answers = fixture.answers { $0.maxTokens = .max }
        for _ in 1...2 {
            let answer = try await answers.answer(Question("q", context: fixture.context()), onDelta: nil)
            #expect(answer.hasPrefix("said"))
        }
    }

    @Test func stateFromElsewhereIsBounded() throws {
        let state: JSONValue = [
            "messages": [], "text": "", "steps": .number(.max), "calls": .number(.min), "tokens": .number(.max),
            "results": [:], "ticket": "t",
        ]
        var progress = try #require(AgentProgress(json: state))
        progress.countTurn(tokens: .max)
        progress.countTurn(tokens: .min)
        #expect(progress.calls == 0)
        #expect(progress.tokens < .max)
    }

    // MARK: Streams

    @Test(arguments: [" ", "<", "</think>", "x", "<think>", "\n</thin"], [0, 1 << 20])
    func whatIsHeldBackIsLookedAtOnce(piece: String, holdLimit: Int) {
        var filter = ReasoningFilter(holdLimit: holdLimit)
        var bytes = 0
        for _ in 0..<200_000 { bytes += filter.feed(piece).utf8.count }
        bytes += filter.finish().utf8.count
        #expect(bytes <= 200_000 * piece.utf8.count)
    }

    // MARK: Documents

    @Test(arguments: [
        ("md", "["), ("md", "[]("), ("md", "![a](b \""), ("md", "]("), ("html", "<svg></svg>"), ("html", "<"),
        ("html", "<script>"), ("html", "&"), ("html", "<!--"), ("html", "<a b='"), ("txt", "x"), ("txt", "x. "),
    ])
    func aDocumentIsReadInOneWalk(ending: String, piece: String) throws {
        let text = "text " + String(repeating: piece, count: (2 << 20) / piece.utf8.count)
        let format = try #require(DocumentFile.Format(fileName: "a." + ending))
        let file = try DocumentFile(name: "a." + ending, format: format, bytes: Array(text.utf8))
        #expect(file.body.hasPrefix("text"))
    }

    @Test(arguments: [
        ("[a](b)", "a"), ("![a](b \"c\") [d]", "a [d]"), ("[a [b](c) d](e)", "a [b d](e)"), ("[a] (b)", "[a] (b)"),
        ("[a](b c)", "[a](b c)"), ("x](y)", "x](y)"), ("[ä](ö)!", "ä!"),
    ])
    func linksInMarkdownBecomeTheirLabels(line: String, text: String) {
        #expect(MarkdownText.plain(line).text == text)
    }
}
