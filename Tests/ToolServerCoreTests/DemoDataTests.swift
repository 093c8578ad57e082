import Testing
import ToolServerTestSupport

@testable import Identity
@testable import Store
@testable import ToolServerCore

@Suite struct DemoDataTests {
    @Test(arguments: Engine.allCases)
    func seedingTwiceChangesNothing(engine: Engine) async throws {
        let store = try await engine.store()
        let hasher = try PasswordHasher.test()
        let first = try await store.seed(hasher: hasher)
        #expect(first.inserted.map(\.table) == ["project", "task", "customer", "document"])
        #expect(first.created.map(\.username) == ["alice", "bob"])
        let second = try await store.seed(hasher: hasher)
        #expect(second.inserted.isEmpty)
        #expect(second.created.isEmpty)
        await hasher.shutdown()
    }

    @Test(arguments: Engine.allCases)
    func seedingAtTheSameTimeCreatesEachUserOnce(engine: Engine) async throws {
        let store = try await engine.store()
        let hasher = try PasswordHasher.test()
        let created = try await withThrowingTaskGroup(of: [String].self) { group in
            for _ in 0..<4 { group.addTask { try await store.seed(hasher: hasher).created.map(\.username) } }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(created.sorted() == ["alice", "bob"])
        await hasher.shutdown()
    }

    @Test(arguments: Engine.allCases)
    func theUrgentProjectIsAmongTheFirstFive(engine: Engine) async throws {
        let store = try await engine.store()
        let hasher = try PasswordHasher.test()
        _ = try await store.seed(hasher: hasher)
        let hits = try #require(
            try await store.search(model: "projects", query: "urgent", columns: .all, limit: 5))
        #expect(hits.count == 5)
        #expect(hits.contains(SearchHit(name: "Urgent Q2", url: "/psm/project/123/")))
        let names = try await store.search(model: "projects", query: "urgent", columns: .display, limit: 5)
        #expect(names?.contains { $0.name == "Urgent Q2" } == true)
        #expect(DemoData.projects.count >= 200)
        #expect(Set(DemoData.projects.map(\.name)).count == DemoData.projects.count)
        #expect(DemoDocuments.all.count >= 12)
        await hasher.shutdown()
    }

    @Test(arguments: Engine.allCases)
    func theSeededPasswordsLogIn(engine: Engine) async throws {
        let store = try await engine.store()
        let hasher = try PasswordHasher.test()
        let report = try await store.seed(hasher: hasher)
        let login = LoginService(accounts: store, sessions: store, hasher: hasher)
        let alice = try #require(report.created.first)
        let (account, _) = try await login.login(username: "alice", password: alice.password, replacing: nil)
        #expect(account.alias == "Al")
        await hasher.shutdown()
    }
}
