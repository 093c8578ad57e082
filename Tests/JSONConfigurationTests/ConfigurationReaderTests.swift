import JSON
import JSONSchema
import Testing

@testable import JSONConfiguration

@Suite struct ConfigurationReaderTests {
    private struct Settings: Equatable {
        enum Mode: String, CaseIterable { case fast, careful }
        var listen = ""
        var workers = 0
        var timeout = Duration.zero
        var limit = 0
        var mode = Mode.fast
        var names: [String] = []
        var types: [String: Duration] = [:]

        init(_ reader: ConfigurationReader) {
            listen = reader.string("listen", default: "127.0.0.1:8080", "Where to listen.")
            workers = reader.integer("workers", default: 2, in: 1...64, "How many.")
            timeout = reader.duration("timeout", default: .seconds(10), in: .zero ... .seconds(60), "How long.")
            reader.section("limits", "Limits.") {
                limit = $0.bytes("maxBodyBytes", default: 2_621_440, in: 1...1_073_741_824, "Body.")
            }
            mode = reader.choice("mode", default: .careful, "How.")
            names = reader.strings("names", default: ["a"], "Which.")
            for (name, timeout) in reader.map(
                "types", "Types.", of: "type",
                { _, type in type.duration("timeout", default: .seconds(5), in: .zero ... .seconds(60), "How long.") })
            {
                types[name] = timeout
            }
        }
    }

    private func read(
        _ document: JSONValue, environment: [String: String] = [:], overrides: [String: JSONValue] = [:]
    ) throws -> Settings {
        let reader = ConfigurationReader(
            document: document, environment: environment, environmentPrefix: "GATEWAY", overrides: overrides)
        let settings = Settings(reader)
        try reader.finish()
        return settings
    }

    private func failure(
        _ document: JSONValue, environment: [String: String] = [:]
    ) -> [ConfigurationError] {
        do {
            _ = try read(document, environment: environment)
            return []
        } catch {
            return (error as? ConfigurationErrors)?.errors ?? []
        }
    }

    @Test func anEmptyDocumentGivesTheDefaults() throws {
        let settings = try read([:])
        #expect(settings.listen == "127.0.0.1:8080")
        #expect(settings.workers == 2)
        #expect(settings.timeout == .seconds(10))
        #expect(settings.limit == 2_621_440)
        #expect(settings.mode == .careful)
        #expect(settings.names == ["a"])
        #expect(settings.types.isEmpty)
    }

    @Test func theCommandLineGoesBeforeTheEnvironmentAndThatBeforeTheFile() throws {
        let document: JSONValue = ["listen": "file:1", "workers": 3, "limits": ["maxBodyBytes": "64KiB"]]
        #expect(try read(document).listen == "file:1")
        let environment = ["GATEWAY_LISTEN": "environment:1", "GATEWAY_LIMITS_MAX_BODY_BYTES": "1MiB"]
        let fromEnvironment = try read(document, environment: environment)
        #expect(fromEnvironment.listen == "environment:1")
        #expect(fromEnvironment.limit == 1_048_576)
        #expect(fromEnvironment.workers == 3)
        let fromCommandLine = try read(document, environment: environment, overrides: ["listen": "line:1"])
        #expect(fromCommandLine.listen == "line:1")
    }

    @Test(arguments: [
        ("\"500ms\"", Duration.milliseconds(500)), ("\"10s\"", .seconds(10)), ("\"1m\"", .seconds(60)),
        ("2.5", .milliseconds(2500)), ("7", .seconds(7)), ("\"7\"", .seconds(7)),
    ])
    func durationsAreReadAsPeopleWriteThem(text: String, expected: Duration) throws {
        #expect(try read(["timeout": JSONValue(parsing: text)]).timeout == expected)
    }

    @Test func whatWasRefusedIsNotMissingAsWell() {
        let reader = ConfigurationReader(document: ["tool": 5], environment: [:], environmentPrefix: "GATEWAY")
        for key in ["tool", "model"] where reader.optionalString(key, "A name.") == nil {
            reader.fail(key, expected: "a string", found: "nothing")
        }
        let errors = #expect(throws: ConfigurationErrors.self) { try reader.finish() }
        #expect(
            errors?.errors.map(\.description) == [
                "tool: expected a string, found 5", "model: expected a string, found nothing",
            ])
    }

    @Test func everyErrorNamesItsPathWhatWasExpectedAndWhatWasFound() {
        let errors = failure([
            "workers": 0, "timeout": "soon", "mode": "wild", "names": [1],
            "types": ["search_any": ["timeout": true]], "limits": 5,
        ])
        #expect(errors.map(\.path) == ["workers", "timeout", "limits", "mode", "names", "types.search_any.timeout"])
        #expect(errors.first?.description == "workers: expected a whole number from 1 to 64, found 0")
        #expect(errors.last?.found == "true")
        #expect(errors[3].expected == "one of \"fast\", \"careful\"")
    }

    @Test func anUnknownKeyIsAnErrorWithTheNearestKnownOne() {
        let errors = failure(["lsten": "x", "types": ["a": ["timout": "1s"]], "zzzzzzzz": 1])
        #expect(errors.map(\.path) == ["lsten", "zzzzzzzz", "types.a.timout"])
        #expect(errors[0].expected == "the key \"listen\"")
        #expect(errors[1].expected == "a known key")
        #expect(errors[2].expected == "the key \"timeout\"")
    }

    @Test func anInvalidEnvironmentVariableIsNamed() {
        let errors = failure([:], environment: ["GATEWAY_WORKERS": "many"])
        #expect(errors.map(\.found) == ["\"many\" in GATEWAY_WORKERS"])
    }

    @Test func theSchemaNamesKeysDefaultsAndEnvironmentVariables() throws {
        let schema = ConfigurationReader.schema(title: "gateway.json", environmentPrefix: "GATEWAY") { Settings($0) }
        let workers = try #require(schema["properties"]?["workers"])
        #expect(workers["default"]?.int == 2)
        #expect(workers["x-environment"]?.string == "GATEWAY_WORKERS")
        #expect(schema["additionalProperties"]?.bool == false)
        let type = try #require(schema["properties"]?["types"]?["additionalProperties"]?["properties"]?["timeout"])
        #expect(type["x-environment"]?.string == "GATEWAY_TYPES_<TYPE>_TIMEOUT")
        let checker = try JSONSchema(schema)
        #expect(checker.validate(["workers": 3, "types": ["a": ["timeout": "3s"]]]).isEmpty)
        #expect(!checker.validate(["wrokers": 3]).isEmpty)
    }

    @Test func aSecretComesFromTheEnvironmentThenTheFileThenTheKeyAndNeverPrints() throws {
        struct Missing: Error {}
        func secret(_ document: JSONValue, _ environment: [String: String] = [:]) throws -> Secret? {
            let reader = ConfigurationReader(
                document: document, environment: environment, environmentPrefix: "T",
                readFile: { path in
                    guard path == "/run/key" else { throw Missing() }
                    return "from-file"
                })
            let secret = reader.secret("key", "A key.", environment: "AI_API_KEY")
            try reader.finish()
            return secret
        }
        #expect(try secret(["key": "in-place"])?.value == "in-place")
        #expect(try secret(["key": "in-place", "keyFile": "/run/key"])?.value == "from-file")
        #expect(try secret(["keyFile": "/run/key"], ["AI_API_KEY": "from-environment"])?.value == "from-environment")
        #expect(try secret([:], ["AI_API_KEY_FILE": "/run/key"])?.value == "from-file")
        #expect(try secret([:]) == nil)
        #expect(throws: ConfigurationErrors.self) { try secret(["keyFile": "/nowhere"]) }
        let value = try #require(try secret(["key": "in-place"]))
        #expect(!"\(value) \(String(reflecting: value)) \([value])".contains("in-place"))
    }

    @Test func aDocumentThatIsNoObjectIsOneError() {
        #expect(failure([1, 2]).map(\.description) == ["the document: expected an object, found [1,2]"])
    }

    @Test(arguments: ["1e300d", "1e308h", "9e18", "9999999999999999999999d", "inf", "nan", "-1s"])
    func durationsBeyondAnyClockAreRefused(text: String) {
        #expect(ConfigurationUnits.duration(text) == nil)
    }
}
