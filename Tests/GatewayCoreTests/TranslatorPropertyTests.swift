import JSON
import NIOCore
import TestSupport
import Testing

@testable import GatewayCore

/// Any payload in: valid arguments, or an error of the table, out. The payloads are random and the same in every run.
@Suite struct TranslatorPropertyTests {
    private struct Payloads {
        var random: SplitMix

        private static let keys = [
            "type", "type", "type", "message", "query", "model", "__proto__", "constructor", "", "t\\u0079pe",
            "\\u0000",
            "mess\\u0061ge", "prototype", "Type", "\\ud83d\\ude00", "limit",
        ]
        private static let types = [
            "chat", "search_any", "search_projects", "get_user_info", "ai_prompt", "history", "\\u0063hat", "nope",
            "__proto__", "chat\\u0000", "toString",
        ]
        private static let pieces = [
            "a", " ", "\\n", "\\u0000", "\\u001f", "ž", "😀", "\\ud800", "\\udc00", "\\ud83d\\ude00", "\\\"", "\\\\",
            "\u{2028}",
            "\\u00a0", "\u{200B}", "\t", "\u{7F}", "'; DROP TABLE x; --", "<script>", "\\/", "\\x", "%00",
        ]
        private static let numbers = [
            "0", "-0", "1", "1.50", "1e400", "-1E-400", "12345678901234567890123", "01", "+1", "1.", ".5", "NaN", "0x1",
            "0.0",
        ]

        private mutating func string() -> String {
            if Int.random(in: 0..<40, using: &random) == 0 {
                return "\"" + String(repeating: "y", count: Int.random(in: 0..<20_000, using: &random)) + "\""
            }
            let parts = (0..<Int.random(in: 0..<6, using: &random)).map { _ in
                Self.pieces.randomElement(using: &random) ?? ""
            }
            return "\"" + parts.joined() + "\""
        }

        private mutating func value(_ depth: Int) -> String {
            switch Int.random(in: 0..<(depth > 4 ? 5 : 8), using: &random) {
            case 0, 1: return string()
            case 2: return Self.numbers.randomElement(using: &random) ?? "0"
            case 3: return ["true", "false", "null"].randomElement(using: &random) ?? "null"
            case 4:
                let levels = Int.random(in: 0..<80, using: &random)
                return String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
            case 5: return object(depth + 1)
            default:
                let count = Int.random(in: 0..<4, using: &random)
                return "[" + (0..<count).map { _ in value(depth + 1) }.joined(separator: ",") + "]"
            }
        }

        private mutating func object(_ depth: Int) -> String {
            let members = (0..<Int.random(in: 0..<6, using: &random)).map { _ -> String in
                let key = Self.keys.randomElement(using: &random) ?? ""
                let isType = key.hasPrefix("t") && depth == 0 && Int.random(in: 0..<10, using: &random) > 0
                let type = "\"\(Self.types.randomElement(using: &random) ?? "")\""
                return "\"\(key)\":" + (isType ? type : value(depth + 1))
            }
            return "{" + members.joined(separator: [",", " , ", ",\r\n\t"].randomElement(using: &random) ?? ",") + "}"
        }

        /// Mostly an object; sometimes with a byte too many, too few or wrong.
        mutating func next() -> [UInt8] {
            var bytes = Array((Int.random(in: 0..<12, using: &random) == 0 ? value(0) : object(0)).utf8)
            if Int.random(in: 0..<4, using: &random) == 0, !bytes.isEmpty {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: place)
                default: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
                }
            }
            return bytes
        }
    }

    private func payloads(_ seed: UInt64, _ count: Int) -> [[UInt8]] {
        var payloads = Payloads(random: SplitMix(seed: seed))
        return (0..<count).map { _ in payloads.next() }
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func aPayloadBecomesValidArgumentsOrADocumentedError(_ seed: UInt64) throws {
        var translator = ChatTranslator(try TestConfiguration.shippedTypes())
        var successes = 0
        var labels: Set<GatewayErrorLabel> = []
        for payload in payloads(seed, 4000) {
            let shown = String(decoding: payload.prefix(300), as: UTF8.self)
            // A second reader, which decodes everything, says what the payload is.
            let document = (try? JSONValue(parsing: payload))?.object
            switch translator.translate(ByteBuffer(bytes: payload)) {
            case .success(let call):
                successes += 1
                let document = try #require(document, "\(shown)")
                let arguments = try #require(
                    JSONValue(parsing: Array(call.arguments.readableBytesView)).object, "\(shown)")
                #expect(document["type"].map { $0.string == call.type.name } ?? (call.type.name == "chat"), "\(shown)")
                #expect(Set(arguments.keys) == Set(call.type.configuration.arguments.map(\.target)), "\(shown)")
                for argument in call.type.configuration.arguments where !argument.trim {
                    #expect(arguments[argument.target] == document[argument.source], "\(shown)")
                }
                for argument in call.type.configuration.arguments where argument.trim {
                    let text = arguments[argument.target]?.string ?? ""
                    #expect(!text.isEmpty, "\(shown)")
                    #expect(document[argument.source]?.string?.contains(text) == true, "\(shown)")
                }
            case .failure(let error):
                labels.insert(error.label)
                #expect(
                    [.invalidJSON, .unknownType, .missingField, .invalidArgument].contains(error.label), "\(shown)")
                #expect((error.label == .invalidJSON) == (document == nil), "\(shown)")
                if error.label == .unknownType {
                    let type = error.message.unicodeScalars.dropFirst("Unknown type: ".unicodeScalars.count)
                    #expect(type.count <= UnknownTypeText.limit)
                    #expect(type.allSatisfy { $0.properties.generalCategory != .control })
                }
            }
        }
        // Every way out was taken.
        #expect(successes > 100)
        #expect(labels == [.invalidJSON, .unknownType, .missingField, .invalidArgument])
    }

    @Test func whatIsSentIsValidJSONRPC() async throws {
        let upstream = try await FakeToolServer { _ in .results("x") }
        try await TestGateway.with(upstream) { (test) async throws in
            await test.waitUntilReady()
            var answered = 0
            for payload in payloads(99, 400) {
                let response = try await test.engine.execute(
                    .init(
                        method: "POST", url: test.url("/api/chat/"),
                        headers: [("Accept", "application/problem+json")], body: ByteBuffer(bytes: payload)))
                if response.status == 200 {
                    answered += 1
                } else {
                    #expect(response.status == 400)
                    let label = response.json?["label"]?.string.flatMap(GatewayErrorLabel.init)
                    #expect(label.map { $0.facts.status == 400 } == true)
                }
            }
            #expect(answered > 10)
            #expect(upstream.calls.count == answered)
            var ids: Set<JSONValue> = []
            for request in upstream.requests where request.method == "POST" {
                let message = try JSONValue(parsing: Array(request.body.readableBytesView))
                #expect(message["jsonrpc"] == "2.0")
                #expect(message["method"]?.string != nil)
                if let id = message["id"] { #expect(ids.insert(id).inserted) }
                if message["method"] == "tools/call" { #expect(message["params"]?["arguments"]?.object != nil) }
            }
        }
    }
}
