import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// Every example of README.md, run as it stands there.
    ///
    /// A fenced block that opens with `sh runnable` is run by sh in the package's directory; the block opened by
    /// `json output` or `text output` after it is what must come out, line by line, with `…` for what varies. Only ports,
    /// the directory of the executables and the database differ from the text.
    @Suite struct Readme {
        struct Example: Sendable, CustomTestStringConvertible {
            let line: Int
            let script: String
            let output: [String]
            var testDescription: String { "README.md:\(line)" }
        }

        static let examples: [Example] = (try? Checkout.text("README.md")).map(parse) ?? []

        @Test func thereAreExamples() {
            #expect(Self.examples.count >= 6)
            #expect(Self.examples.allSatisfy { !$0.output.isEmpty })
        }

        @Test(arguments: examples)
        func theExampleDoesWhatItShows(_ example: Example) async throws {
            let stack = try RunningStack.current
            var script = example.script
            for (shipped, here) in [
                ("127.0.0.1:8080", stack.gateway.address), ("127.0.0.1:9090", stack.gateway.adminAddress),
                ("127.0.0.1:8001", stack.toolServer.address),
                (".build/release/", BuiltProduct.directory.path + "/"), (".build/demo/chat.sqlite", stack.database),
            ] {
                script = script.replacing(shipped, with: here)
            }
            let finished = try await ChildProcess.run(
                .init("sh", ["-euc", script], directory: Checkout.root.path))
            #expect(finished.succeeded, "\(script)\n\(finished.output)\(finished.error)")
            let actual = finished.output.replacing("\r", with: "")
            for line in example.output {
                #expect(Self.contains(actual, line), "missing: \(line)\nin: \(actual)")
            }
        }

        /// Whether the pieces between the ellipses of `line` follow one another in `text`.
        private static func contains(_ text: String, _ line: String) -> Bool {
            var rest = text[...]
            for piece in line.split(separator: "…") {
                guard let range = rest.firstRange(of: piece) else { return false }
                rest = rest[range.upperBound...]
            }
            return true
        }

        static func parse(_ text: String) -> [Example] {
            var examples: [Example] = []
            var (fence, start, block): (String?, Int, [String]) = (nil, 0, [])
            for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
                guard line.hasPrefix("```") else {
                    if fence != nil { block.append(String(line)) }
                    continue
                }
                guard let open = fence else {
                    (fence, start, block) = (String(line.dropFirst(3)), number + 1, [])
                    continue
                }
                if open == "sh runnable" {
                    examples.append(Example(line: start, script: block.joined(separator: "\n"), output: []))
                } else if open.hasSuffix(" output"), let last = examples.popLast() {
                    let lines = block.map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
                    examples.append(Example(line: last.line, script: last.script, output: lines))
                }
                fence = nil
            }
            return examples
        }
    }
}
