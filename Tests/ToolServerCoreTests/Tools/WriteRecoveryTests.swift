import Foundation
import JSON
import MCP
import MCPServer
import NIOConcurrencyHelpers
import TestSupport
import Testing

@testable import PostgreSQLStore
@testable import Store
@testable import ToolServerCore

/// Writes of SQL tools while their PostgreSQL server fails.
@Suite(.serialized, .timeLimit(.minutes(5 * Sanitizer.slowness))) struct WriteRecoveryTests {
    private static func isTemporary(_ reply: Bank.Reply) -> Bool {
        ["The database is unavailable", "The database is busy, try again", "The database took too long"]
            .contains(reply.text) || reply.text.hasPrefix("The database was lost")
    }

    /// What is committed outlives the server, unlike in the tests that share one.
    private static let durable = ["fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"]

    @Test func answersWaitForTheDatabaseAndAreMadeOnce() async throws {
        let server = try await PostgreSQLServer()
        try await server.start(Self.durable)
        let users = 20
        let url = try await server.urlOfNewSchema()
        let bank = try await Bank(on: .postgreSQL, url: url, replicas: 2, users: users)
        var questions: [Bank.Question] = []
        for user in 0..<users {
            let reply = try await bank.call("pay", ["amount": 7], as: Bank.user(user))
            questions.append(try #require(reply.question))
        }
        try await server.kill()
        for user in 0..<users {
            let reply = try await bank.answer(questions[user], as: Bank.user(user), on: user % 2)
            #expect(reply.text == "The database is unavailable", "\(reply.text)")
            // Nobody is asked in vain.
            let other = try await bank.call("pay", ["amount": 7], as: Bank.user(user), key: "other")
            #expect(other.text == "The database is unavailable", "\(other.text)")
        }
        try await server.start(Self.durable)
        for user in 0..<users {
            let principal = Bank.user(user)
            var reply = try await bank.answer(questions[user], as: principal, on: user % 2)
            while Self.isTemporary(reply) { reply = try await bank.answer(questions[user], as: principal) }
            #expect(reply.content == ["results": [["changed": 1]]], "\(reply.text)")
            #expect(try await bank.answer(questions[user], as: principal, on: (user + 1) % 2).isDone)
        }
        let balances = try await bank.balances()
        #expect(balances.values.allSatisfy { $0 == Bank.start - 7 }, "\(balances)")
        await bank.shutdown()
        try await server.stop()
    }

    @Test func connectionsThatAreLostAtAnyMomentMakeNoWriteTwice() async throws {
        let server = try await PostgreSQLServer()
        try await server.start(Self.durable)
        let users = 6
        let url = try await server.urlOfNewSchema()
        let bank = try await Bank(on: .postgreSQL, url: url, replicas: 2, users: users)
        let isOver = NIOLockedValueBox(false)
        // Ends all other sessions over and over, whatever they are doing.
        let killer = Task {
            var count = 0
            while !isOver.withLockedValue({ $0 }) {
                _ = try? await server.sql(
                    """
                    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'
                    """)
                count += 1
            }
            return count
        }
        let paid = try await withThrowingTaskGroup(of: (Int, Int).self) { group in
            for user in 0..<users {
                group.addTask {
                    let principal = Bank.user(user)
                    var paid = 0
                    for amount in 1...6 {
                        var reply = try await bank.call("pay", ["amount": .number(amount)], as: principal)
                        while Self.isTemporary(reply) {
                            reply = try await bank.call("pay", ["amount": .number(amount)], as: principal)
                        }
                        let question = try #require(reply.question, "\(reply.text)")
                        repeat {
                            reply = try await bank.answer(question, as: principal, on: amount % 2)
                        } while Self.isTemporary(reply)
                        #expect(reply.content == ["results": [["changed": 1]]], "\(reply.text)")
                        paid += amount
                    }
                    return (user, paid)
                }
            }
            return try await group.reduce(into: [Int: Int]()) { $0[$1.0] = $1.1 }
        }
        isOver.withLockedValue { $0 = true }
        #expect(await killer.value > 0)
        await eventually { (try? await bank.store.checkHealth()) != nil }
        let balances = try await bank.balances()
        for user in 0..<users {
            #expect(paid[user] == 21)
            #expect(balances[Bank.user(user).id] == Bank.start - 21, "\(balances)")
        }
        await bank.shutdown()
        try await server.stop()
    }
}
