import Foundation
import JSON
import JSONConfiguration
import Testing
import ToolServerTestSupport

@testable import Store
@testable import ToolServerCore

@Suite struct ExternalConfigurationTests {
    private func read(
        _ section: String, environment: [String: String] = ["DJANGO_SECRET_KEY": "key"]
    ) throws -> ToolServerConfiguration {
        try ToolServerConfiguration(
            document: JSONValue(parsing: #"{"toolServer":\#(section)}"#), environment: environment)
    }

    @Test func byDefaultOnlyOurOwnTablesAreUsed() async throws {
        let configuration = try read("{}", environment: [:])
        #expect(configuration.identity == [.builtin])
        #expect(configuration.externalTables.isEmpty)
        #expect(configuration.stateDatabase == nil)
        #expect(configuration.internalDatabase == configuration.database)
        #expect(try await configuration.openExternal().map { _ in true } == nil)
    }

    @Test func aDjangoSiteIsConfiguredWithItsTables() throws {
        let configuration = try read(
            """
            {"database":"site.db","stateDatabase":"state.db","identity":["django","builtin"],"django":{"cookie":"sid",
             "sessions":{"table":"s"},"users":{"table":"u","id":"pk","username":"login","alias":"nick","active":"ok"}}}
            """,
            environment: ["DJANGO_SECRET_KEY": "key", "DJANGO_SECRET_KEY_FALLBACKS": "old\n\nolder\n"])
        #expect(configuration.identity == [.django, .builtin])
        #expect(configuration.internalDatabase == .file("state.db"))
        #expect(configuration.django.cookie == "sid")
        #expect(
            configuration.externalTables.django
                == DjangoTables(
                    sessions: "s", users: "u", id: "pk", username: "login", alias: "nick", active: "ok",
                    password: "password"))
        #expect(configuration.django.secrets == ["key", "old", "older"])
        #expect(!"\(configuration.django)".contains("older"))
    }

    @Test(arguments: [
        (#"{"identity":["django"]}"#, "toolServer.stateDatabase"),
        (#"{"messages":{"table":"m"}}"#, "toolServer.stateDatabase"),
        (
            #"{"search":{"models":{"a":{"table":"t","columns":["c"],"url":"/"}}}}"#, "toolServer.stateDatabase"
        ),
        (#"{"identity":["django"],"database":"x","stateDatabase":"sqlite:x"}"#, "toolServer.stateDatabase"),
        (#"{"identity":["django"],"database":":memory:","stateDatabase":"x"}"#, "toolServer.database"),
        (#"{"identity":["ldap"]}"#, "builtin, django"),
        (#"{"identity":["builtin","builtin"]}"#, "toolServer.identity"),
        (#"{"django":{"user":{}}}"#, "users"),
        (#"{"stateDatabase":"mysql://x"}"#, "toolServer.stateDatabase"),
        (
            #"{"stateDatabase":"s","search":{"projects":"b","models":{"a":{"table":"t","columns":["c"],"url":"/"}}}}"#,
            "toolServer.search.projects"
        ),
    ])
    func whatMakesNoSenseIsNamed(section: String, told: String) throws {
        let errors = #expect(throws: ConfigurationErrors.self) { try read(section) }
        #expect(errors?.description.contains(told) == true, "\(errors?.description ?? "")")
    }

    @Test func aDjangoIdentityNeedsTheSitesKey() throws {
        let section = #"{"identity":["django"],"stateDatabase":"s"}"#
        let errors = #expect(throws: ConfigurationErrors.self) { try read(section, environment: [:]) }
        #expect(errors?.description.contains("DJANGO_SECRET_KEY") == true)
        let directory = try TemporaryDatabase()
        try Data("from a file\n".utf8).write(to: URL(filePath: directory.path))
        let file = try read(section, environment: ["DJANGO_SECRET_KEY_FILE": directory.path])
        #expect(file.django.secretKey?.value == "from a file")
    }
}
