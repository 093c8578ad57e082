import Foundation
import JSON
import JSONConfiguration
import Logging
import MCPServer
import NIOPosix
import TestSupport
import Testing
import ToolServerTestSupport

@testable import Identity
@testable import ToolServerCore

/// A whole tool-server on the database of a recorded site.
@Suite struct ExternalSiteTests {
    @Test(arguments: Engine.allCases)
    func aWholeToolServerWorksOnTheExternalDatabase(engine: Engine) async throws {
        let site = try await engine.site()
        let configuration = try site.configuration([:], models: nil)
        let server = try buildToolServer(
            configuration: configuration, external: await configuration.openExternal(), provider: EchoProvider(),
            hasher: .test(), logger: Logger(label: "test"), now: { LegacyDatabase.now })
        let credentials = PresentedCredentials(cookieHeaders: ["sessionid=" + LegacyDatabase.alice])
        guard case .principal(let alice) = try await server.identity.identify(credentials) else {
            Issue.record("alice is not known")
            return
        }
        let user = try await server.server.call(tool: "get_user_info", arguments: [:], principal: alice)
        #expect(user.structuredContent == ["results": ["username": "alice", "alias": "Ally"]])
        _ = try await server.server.call(tool: "chat", arguments: ["message": "hello"], principal: alice)
        _ = try await server.server.call(tool: "ai_prompt", arguments: ["prompt": "anonymous"], principal: nil)
        let history = try await server.server.call(tool: "chat_history", arguments: [:], principal: alice)
        #expect(
            history.structuredContent == [
                "results": [["message": "hello", "response": "Echo: hello", "at": "2027-01-15T08:00:00.000Z"]]
            ])
        let found = try await server.server.call(
            tool: "search_any", arguments: ["model": "projects", "query": "urgent audit"], principal: nil)
        #expect(found.structuredContent?["results"]?.array?.first?["url"] == "/psm/project/2/")
        let unknown = try await server.server.call(
            tool: "search_any", arguments: ["model": "nope", "query": "x"], principal: nil)
        #expect(unknown.structuredContent?["models"] == ["projects", "tasks"])
        let definition = try #require(server.server.toolDefinitions(for: nil).first { $0.name == "search_any" })
        #expect(definition.inputSchema["properties"]?["model"]?["description"] == "What to search: projects, tasks.")
        await server.shutdown()
    }

    @Test func withoutAModelOfProjectsThereIsNoSearchForThem() async throws {
        let legacy = try LegacyDatabase()
        let configuration = try legacy.configuration(models: [
            "tasks": ["table": "psm_task", "columns": ["title"], "url": "/psm/task/{id}/"]
        ])
        let server = try buildToolServer(
            configuration: configuration, external: await configuration.openExternal(), hasher: .test(),
            logger: Logger(label: "test"))
        let names = server.server.toolDefinitions(for: nil).map(\.name)
        #expect(!names.contains("search_projects"))
        #expect(names.contains("search_any"))
        await server.shutdown()
    }

    @Test func readinessNamesTheDatabaseThatIsMissing() async throws {
        let legacy = try LegacyDatabase()
        let configuration = try legacy.configuration(["admin": "127.0.0.1:0"])
        let opened = try await configuration.openExternal()
        let external = try #require(opened)
        let toolServer = try buildToolServer(
            configuration: configuration, external: external, hasher: .test(), logger: Logger(label: "test"))
        let admin = try toolServer.adminService(state: ProcessState(), group: MultiThreadedEventLoopGroup.singleton)
        let port = try #require(try await admin.http.start().first?.port)
        let client = HTTPTestClient("http://127.0.0.1:\(port)")
        #expect(try await client.get("/readyz").status == 200)
        try FileManager.default.moveItem(atPath: legacy.path, toPath: legacy.path + ".away")
        let missing = try await client.get("/readyz")
        #expect(missing.status == 503)
        #expect(try missing.json["reasons"] == ["database: cannotOpen"])
        let result = try await toolServer.server.call(
            tool: "search_projects", arguments: ["query": "u"], principal: nil)
        #expect(result.isError && result.text == "The database is unavailable" && result.status == 503)
        try FileManager.default.moveItem(atPath: legacy.path + ".away", toPath: legacy.path)
        #expect(try await client.get("/readyz").status == 200)
        let back = try await toolServer.server.call(
            tool: "search_projects", arguments: ["query": "u"], principal: nil)
        #expect(!back.isError)
        await admin.drain()
        await toolServer.shutdown()
    }

    @Test func checkTellsWhatIsThereAndWhatIsNot() async throws {
        let legacy = try LegacyDatabase()
        try legacy.write { db in
            try db.execute(
                sql: "CREATE TABLE base (id INTEGER PRIMARY KEY, t TEXT); CREATE VIEW broken AS SELECT * FROM base")
        }
        let configuration = try legacy.configuration(
            ["sqlTools": ["count": ["statement": "SELECT count(*) AS n FROM psm_project"]]],
            models: [
                "projects": ["table": "psm_project", "columns": ["name"], "url": "/{id}/"],
                "broken": ["table": "broken", "columns": ["t"], "url": "/{id}/", "order": ["id"]],
            ])
        let opened = try await configuration.openExternal()
        let external = try #require(opened)
        let toolServer = try buildToolServer(
            configuration: configuration, external: external, hasher: .test(), logger: Logger(label: "test"))
        let lines = try await toolServer.check()
        for line in [
            "model projects: ok", "model broken: ok", "index of projects: missing", "tool count: ok",
            "messages in ai_chatmessage: ok",
        ] { #expect(lines.contains(line), "\(lines)") }
        #expect(lines.contains { $0.hasPrefix("index of broken: unsupported") })
        try legacy.write { db in try db.execute(sql: "DROP TABLE base") }
        let errors = await #expect(throws: ConfigurationErrors.self) { try await toolServer.check() }
        #expect(errors?.description.contains("toolServer.search.models.broken") == true)
        await toolServer.shutdown()
    }
}
