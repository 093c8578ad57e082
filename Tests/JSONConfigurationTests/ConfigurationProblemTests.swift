import Foundation
import JSON
import Testing

@testable import JSONConfiguration

@Suite struct ConfigurationProblemTests {
    /// A configuration with every kind of key.
    private static func read(_ reader: ConfigurationReader) {
        _ = reader.integer("workers", default: 2, in: 1...64, "Number of workers.")
        _ = reader.secret("key", "Key of the provider.")
        reader.section("limits", "Limits.") {
            _ = $0.bytes("body", default: 1024, in: 1...4096, "Largest body in bytes.")
        }
        _ = reader.map("upstreams", "Upstreams by name.", of: "upstream") { _, upstream in
            _ = upstream.requiredString("url", "URL of the server.", example: "http://127.0.0.1:8001/")
            _ = upstream.strings("urls", default: [], "Further servers.")
        }
        _ = reader.list("hooks", "Hooks.") { _ = $0.optionalString("command", "Command to run.") }
    }

    private func problems(
        _ text: String, environment: [String: String] = [:], overrides: [String: JSONValue] = [:]
    ) throws -> [ConfigurationProblem] {
        let file = FileManager.default.temporaryDirectory.appending(path: "\(UUID()).json")
        try Data(text.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let document = try ConfigurationDocument(reading: file.path)
        let reader = ConfigurationReader(
            document: document.value, environment: environment, environmentPrefix: "GATEWAY", overrides: overrides)
        Self.read(reader)
        let schema = ConfigurationReader.schema(title: "t", environmentPrefix: "GATEWAY") { Self.read($0) }
        do {
            try reader.finish()
            return []
        } catch {
            return error.problems(in: document, schema: schema)
        }
    }

    @Test func aWrongValueHasItsLineAnExampleAndItsMeaning() throws {
        let found = try problems("{\n  \"workers\": 7,\n  \"limits\": {\n    \"body\": \"9MiB\"\n  }\n}")
        #expect(
            found == [
                ConfigurationProblem(
                    text: "limits.body: expected a size from 1 to 4KiB, such as \"64KiB\", found \"9MiB\"",
                    advice: [
                        "Line 4 of the file.", "Example: \"body\": \"64KiB\"",
                        "body: Largest body in bytes. Environment variable: GATEWAY_LIMITS_BODY.",
                    ])
            ])
    }

    @Test func aMistypedKeyIsExplainedAsTheOneThatWasMeant() throws {
        let found = try problems("{\"upstreams\": {\"a.b\": {\"url\": \"x\",\n \"urlz\": []}}}")
        #expect(found.map(\.text) == ["upstreams.a.b.urlz: expected the key \"url\", found an unknown key"])
        #expect(found.first?.advice.first == "Line 2 of the file.")
        #expect(found.first?.advice.contains("Example: \"url\": \"http://127.0.0.1:8001/\"") == true)
    }

    @Test func aKeyThatNothingResemblesIsToldWhatThereIs() throws {
        let found = try problems(#"{"upstreams": {"a": {"url": "x", "somethingElse": 1}}}"#)
        #expect(found.first?.advice.contains("Known keys here: url, urls.") == true)
    }

    @Test func aKeyThatIsMissingIsShownAtItsSection() throws {
        let found = try problems("{\n\"upstreams\": {\n\"tools\": {}}}")
        #expect(
            found.first?.advice.prefix(2) == ["Line 3 of the file.", "Example: \"url\": \"http://127.0.0.1:8001/\""])
    }

    @Test func aSectionIsShownWithAMember() throws {
        #expect(
            try problems(#"{"limits": 5, "upstreams": 6}"#).map { $0.advice[1] } == [
                #"Example: "limits": {"body":"64KiB"}"#,
                #"Example: "upstreams": {"NAME":{"url":"http://127.0.0.1:8001/"}}"#,
            ])
    }

    @Test func aValueOfTheEnvironmentIsShownAsOne() throws {
        let found = try problems("{}", environment: ["GATEWAY_WORKERS": "many"])
        #expect(
            found.first?.advice == [
                "Example: GATEWAY_WORKERS=2", "workers: Number of workers. Environment variable: GATEWAY_WORKERS.",
            ])
    }

    @Test func aValueOfTheCommandLineStandsInNoLine() throws {
        let found = try problems("{}", overrides: ["workers": 0])
        #expect(found.first?.advice.contains { $0.hasPrefix("Line") } == false)
    }

    @Test func aSecretIsNeverShownAndAFileIsSuggested() throws {
        let found = try problems(#"{"key": {"hunter2": "hunter2"}}"#)
        #expect(found.count == 1)
        #expect(!"\(found)".contains("hunter2"))
        #expect(found.first?.advice.contains { $0.hasPrefix("Example: \"keyFile\": ") } == true)
    }

    @Test func anElementOfAListHasItsOwnLine() throws {
        let found = try problems("{\"hooks\": [{},\n{\"command\": 5}]}")
        #expect(found.first?.text.hasPrefix("hooks[1].command: ") == true)
        #expect(found.first?.advice.first == "Line 2 of the file.")
    }

    @Test(arguments: ["[1, 2]", "5", "null"])
    func aDocumentThatIsNoObjectIsToldWhatOneLooksLike(_ text: String) throws {
        let found = try problems(text)
        #expect(found.count == 1)
        #expect(found.first?.advice.isEmpty == false)
    }
}

@Suite struct DocumentPathTests {
    @Test func theLongestNameAndTheLastOfEqualOnesCount() {
        let text = Array("{\"a\": {\"b\": 1},\n\"a.b\": {\n\"c\": 1},\n\"a.b\": {\n\"c\": 2}}".utf8)
        let place = DocumentPath("a.b.c", in: text)
        #expect(place.components == ["a.b", "c"])
        #expect(place.line == 5)
    }

    @Test func whatTheDocumentDoesNotHaveIsDividedAtDots() {
        let place = DocumentPath("x.y.z", in: Array("\n{\"x\": 1}".utf8))
        #expect(place.components == ["x", "y", "z"])
        #expect(place.line == 2)
    }

    @Test(arguments: ["", "a", "a..", "[", "[0", "[0]", "[-1].x", "[99999999999999999999].x", ".", "a[0].b", "é́.x"])
    func noPathIsTooOdd(_ path: String) {
        for text in ["{}", "[]", "[{}]", "{\"\": {\"\": 1}}", "{\"a\": [{\"b\": 1}]}", "not JSON", ""] {
            #expect(DocumentPath(path, in: Array(text.utf8)).line == 1)
        }
    }
}

@Suite struct ConfigurationDocumentTests {
    private let directory = FileManager.default.temporaryDirectory.appending(path: "\(UUID())")

    private func failure(_ path: String) -> ConfigurationDocument.ReadError? {
        do {
            _ = try ConfigurationDocument(reading: path)
            return nil
        } catch {
            return error
        }
    }

    @Test func aFileThatIsMissingIsNamedWithItsWholePath() {
        let failure = failure("nowhere/gateway.json")
        #expect(failure?.description == "cannot be read (No such file or directory)")
        let whole = FileManager.default.currentDirectoryPath + "/nowhere/gateway.json"
        #expect(failure?.advice.first == "It was looked for at \(whole).")
    }

    @Test func aDirectoryIsNoFile() {
        #expect(failure("/")?.description == "cannot be read (Is a directory)")
    }

    @Test func aMistakeOfSyntaxHasItsLineAndColumn() throws {
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let file = directory.appending(path: "broken.json")
        try Data("{\n  \"a\": 1,\n  oops\n}".utf8).write(to: file)
        #expect(failure(file.path)?.description == "not JSON at line 3, column 3 (syntax)")
    }

    @Test func aFileOfAnySizeEndsTheReading() throws {
        #expect(failure("/dev/zero")?.description == "over 4 MiB")
    }
}
