import Foundation
import JSON
import JSONConfiguration
import Testing

@testable import ToolServerCore

@Suite struct ToolServerConfigurationTests {
    private func read(
        _ text: String = "{}", environment: [String: String] = [:], overrides: [String: JSONValue] = [:]
    ) throws -> ToolServerConfiguration {
        try ToolServerConfiguration(
            document: JSONValue(parsing: text), environment: environment, overrides: overrides)
    }

    @Test func defaultsAreThoseOfTheInterface() throws {
        let configuration = try read()
        #expect(configuration.transport == .stdio)
        #expect(configuration.host == "127.0.0.1")
        #expect(configuration.port == 8001)
        #expect(configuration.database == .file("./tool-server.sqlite"))
        #expect(configuration.admin == nil)
        #expect(configuration.limits.maxBody == 4 << 20)
        #expect(configuration.ai == nil)
    }

    @Test func theCommandLineWinsOverTheEnvironmentAndThatOverTheFile() throws {
        let file =
            #"{"listen":"ignored","toolServer":{"host":"file","port":1,"database":"file.db","admin":"127.0.0.1:9"}}"#
        let configuration = try read(
            file, environment: ["TOOL_SERVER_PORT": "2", "TOOL_SERVER_DATABASE": "env.db"],
            overrides: ["database": "line.db", "admin": "off"])
        #expect(configuration.host == "file")
        #expect(configuration.port == 2)
        #expect(configuration.database == .file("line.db"))
        #expect(configuration.admin == nil)
    }

    @Test func theProviderComesFromTheFileOrTheEnvironment() throws {
        let file = try read(#"{"toolServer":{"ai":{"baseURL":"https://ai.example/v1/","model":"m","timeout":"5s"}}}"#)
        #expect(file.ai?.providers.first?.baseURL == "https://ai.example/v1")
        #expect(file.ai?.providers.first?.timeout == .seconds(5))
        #expect(file.ai?.providers.first?.apiKey == nil)
        let environment = try read(
            environment: ["AI_BASE_URL": "http://127.0.0.1:9000/v1", "AI_MODEL": "tiny", "AI_API_KEY": "k"])
        #expect(environment.ai?.providers.first?.baseURL == "http://127.0.0.1:9000/v1")
        #expect(environment.ai?.providers.first?.model == "tiny")
        #expect(environment.ai?.providers.first?.apiKey?.value == "k")
    }

    @Test(arguments: [
        (#"{"toolServer":{"prot":1}}"#, "toolServer.prot"), (#"{"toolServer":{"port":70000}}"#, "toolServer.port"),
        (#"{"toolServer":{"transport":"tcp"}}"#, "toolServer.transport"), (#"{"toolServer":[]}"#, "toolServer"),
        (#"{"toolServer":{"limits":{"maxBody":"many"}}}"#, "toolServer.limits.maxBody"),
        (#"{"toolServer":{"database":"mysql://x"}}"#, "toolServer.database"),
        (#"{"toolServer":{"ai":{"baseURL":"ftp://x","model":"m"}}}"#, "toolServer.ai.baseURL"),
        (#"{"toolServer":{"ai":{"baseURL":"http://x"}}}"#, "toolServer.ai.model"), ("[]", "the document"),
    ])
    func whatIsWrongIsNamedByItsPath(text: String, path: String) throws {
        let error = #expect(throws: ConfigurationErrors.self) { try read(text) }
        #expect(error?.description.contains(path) == true)
    }

    @Test func secretsAreNotRepeatedInErrors() throws {
        let error = #expect(throws: ConfigurationErrors.self) {
            try read(
                environment: [
                    "AI_BASE_URL": "ftp://user:hunter2@x", "AI_MODEL": "m",
                    "TOOL_SERVER_DATABASE": "postgres://user:hunter2@db/x",
                ])
        }
        #expect(error?.description.contains("hunter2") == false)
        let location = try read(environment: ["TOOL_SERVER_DATABASE": "postgres://user:hunter2@db/x"])
        #expect(location.databaseSecrets == ["hunter2"])
    }
}
