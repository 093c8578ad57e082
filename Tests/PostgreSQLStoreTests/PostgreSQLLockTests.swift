import Dispatch
import Foundation
import Synchronization
import TestSupport
import Testing
import ToolServerTestSupport

@testable import PostgreSQLStore
@testable import Store

/// Transactions that run into each other.
@Suite struct PostgreSQLLockTests {
    private final class Runs: Sendable {
        private let last = Mutex(0)

        /// The number of this run, from 1 on.
        func next() -> Int {
            last.withLock { last in
                last += 1
                return last
            }
        }
    }

    @Test func aTransactionThatADeadlockEndedIsRepeated() async throws {
        let store = try await PostgreSQLStore.new()
        try await store.insert(projects: [("one", ""), ("two", "")])
        let bothHaveLocked = DispatchSemaphore(value: 0)
        let runs = Runs()
        let change = "UPDATE project SET description = description || 'x' WHERE name = $1"
        let writing = [["one", "two"], ["two", "one"]].map { names in
            Task {
                try await store.write { connection in
                    let run = runs.next()
                    try connection.execute(change, [.text(names[0])])
                    if run == 2 { for _ in 0..<2 { bothHaveLocked.signal() } }
                    if run <= 2 { bothHaveLocked.wait() }
                    try connection.execute(change, [.text(names[1])])
                }
            }
        }
        for task in writing { try await task.value }
        // One was ended for the other and ran again; each change was made once by each.
        #expect(runs.next() == 4)
        #expect(try await store.column("SELECT description FROM project") == ["xx", "xx"])
    }

    /// What waits for a grant holds none of its codes and tokens, so that no two of them wait for each other.
    @Test(arguments: ["redeem", "insert", "rotate", "end", "end all"])
    func aGrantIsLockedBeforeItsCodesAndTokens(_ what: String) async throws {
        let store = try await PostgreSQLStore.new()
        let now = Date(timeIntervalSince1970: 1_000)
        let later = now + 60
        let grant = OAuthGrant(
            id: "grant", userID: "ada", clientID: "app", clientName: "App", scopes: [], createdAt: now, usedAt: now,
            expiresAt: later)
        let code = OAuthCode(digest: [1], grantID: "grant", redirectURI: "r", challenge: "c", expiresAt: later)
        try await store.insertOAuthGrant(grant, code: code)
        #expect(try await store.insertOAuthToken(digest: [2], grantID: "grant", expiresAt: later))

        let holds = Gate()
        let release = DispatchSemaphore(value: 0)
        let holder = Mutex<Int64?>(nil)
        let holding = Task {
            try await store.write { connection in
                try connection.execute("UPDATE oauth_grant SET used_at = used_at")
                let process = try connection.first("SELECT pg_backend_pid()") { $0.integer(0) }
                holder.withLock { $0 = process }
                holds.open()
                release.wait()
            }
        }
        try await holds.wait()
        let waiting = Task {
            switch what {
            case "redeem": _ = try await store.redeemOAuthCode(digest: [1], now: now)
            case "insert": _ = try await store.insertOAuthToken(digest: [3], grantID: "grant", expiresAt: later)
            case "rotate":
                _ = try await store.rotateOAuthToken(digest: [2], to: [3], now: now, expiresAt: later) { _ in true }
            case "end": _ = try await store.deleteOAuthGrant(id: "grant", userID: nil)
            default: try await store.deleteOAuthGrants(userID: "ada")
            }
        }
        let process = try #require(holder.withLock { $0 })
        let blocked = "SELECT count(*)::text FROM pg_stat_activity WHERE \(process) = ANY(pg_blocking_pids(pid))"
        #expect(await eventually { (try? await store.column(blocked)) == ["1"] })
        for table in ["oauth_code", "oauth_token"] {
            #expect(try await store.column("SELECT 'free' FROM \(table) FOR UPDATE NOWAIT") == ["free"])
        }
        release.signal()
        try await holding.value
        try await waiting.value
    }
}
