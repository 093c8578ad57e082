import Foundation
import GRDB
import JSON
import Synchronization
import TestSupport
import Testing

extension EndToEnd {
    /// Many people at once, while the gateway evicts their sessions and the tool-server restarts.
    @Suite struct Isolation {
        private struct User: Sendable {
            let name: String
            /// The value of the cookie `sessionid`.
            let token: String
        }

        /// What became of one user's calls.
        private struct Report: Sendable {
            var wrong: [String] = []
            /// Messages whose answer arrived.
            var answered: [String] = []
        }

        /// Number of calls that have ended.
        private final class CallCount: Sendable {
            private let count = Atomic<Int>(0)
            var value: Int { count.load(ordering: .relaxed) }
            func add() { count.wrappingAdd(1, ordering: .relaxed) }
        }

        @Test func everybodySeesOnlyThemselvesAndNoWriteRunsTwice() async throws {
            try await RunningStack.with(
                gatewayEnvironment: [
                    "GATEWAY_UPSTREAMS_TOOLS_SESSION_LIMIT": "60", "GATEWAY_UPSTREAMS_TOOLS_ERA": "legacy",
                    // A machine that is busy with something else may take longer for a restart than the usual 2 s.
                    "GATEWAY_UPSTREAMS_TOOLS_RETRY_WINDOW": "9s",
                ]
            ) { stack in
                let users = try await Self.makeUsers(200, in: stack)
                let client = stack.gateway.client
                let ended = CallCount()
                let reports = try await withThrowingTaskGroup(of: Report?.self) { group in
                    group.addTask {
                        for restart in 1...2 {
                            // Each user has one call under way. A call that meets both restarts may lose two sessions,
                            // of which it renews one.
                            let before = ended.value
                            while restart > 1, ended.value < min(before + 2 * users.count, 10 * users.count) {
                                try await Task.sleep(for: .milliseconds(20))
                            }
                            try await Task.sleep(for: .milliseconds(700))
                            try await stack.toolServer.stop()
                            try await stack.startToolServer()
                        }
                        return nil
                    }
                    for user in users { group.addTask { try await Self.use(client, as: user, ended) } }
                    return try await group.reduce(into: [Report]()) { if let report = $1 { $0.append(report) } }
                }
                let wrong = reports.flatMap(\.wrong)
                #expect(wrong.count == 0, "\(wrong.prefix(5))")

                let stored = try Self.messages(in: stack)
                let twice = stored.filter { $0.value.count > 1 }
                #expect(twice.count == 0, "\(twice.prefix(3))")
                let lost = reports.flatMap(\.answered).filter { stored[$0]?.count != 1 }
                #expect(lost.count == 0, "\(lost.prefix(5))")
                // Each message belongs to whoever sent it.
                let misplaced = stored.filter { message, owners in
                    owners.contains { !message.hasPrefix("from \($0) ") }
                }
                #expect(misplaced.count == 0, "\(misplaced.prefix(5))")
            }
        }

        /// Reads and writes as one user. A read must succeed and be the user's own; a write may fail, but not silently.
        private static func use(_ client: HTTPTestClient, as user: User, _ ended: CallCount) async throws -> Report {
            var report = Report()
            for call in 1...5 {
                let info = try await client.chat(["type": "get_user_info"], cookie: user.token)
                ended.add()
                if info.status != 200 || info.replies?.first?["username"]?.string != user.name {
                    report.wrong.append("\(user.name): \(info.status) \(info.text)")
                }
                let message = "from \(user.name) number \(call)"
                let said = try await client.chat(["message": .string(message)], cookie: user.token)
                ended.add()
                switch said.status {
                case 200: report.answered.append(message)
                case 502, 504: break
                default: report.wrong.append("\(user.name): write \(said.status) \(said.text)")
                }
            }
            return report
        }

        // MARK: Database

        /// Makes users with a login each. Asking the executable for hundreds of them would take minutes.
        private static func makeUsers(_ count: Int, in stack: RunningStack) async throws -> [User] {
            let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
            let users = (1...count).map { number in
                User(name: "crowd\(number)", token: String((0..<43).map { _ in alphabet[Int.random(in: 0..<64)] }))
            }
            let files = try users.map { try stack.directory.write($0.token, to: "tokens/\($0.name)") }
            let sums = try await ChildProcess.run(.init("sha256sum", files))
            let digests = sums.output.split(separator: "\n").map { $0.prefix(64) }
            try #require(digests.count == count, "\(sums.error)")
            try await queue(stack).write { db in
                for (user, digest) in zip(users, digests) {
                    try db.execute(
                        sql: "INSERT INTO account (username, password_hash, created_at) VALUES (?, 'none', 0)",
                        arguments: [user.name])
                    try db.execute(
                        sql: """
                            INSERT INTO login_session (digest, account_id, created_at, expires_at)
                            VALUES (?, ?, 0, 4000000000000)
                            """, arguments: [bytes(of: digest), db.lastInsertedRowID])
                }
            }
            return users
        }

        private static func bytes(of hex: Substring) -> Data {
            let digits = hex.compactMap(\.hexDigitValue)
            return Data(stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) })
        }

        /// The names of the users that a message is stored for.
        private static func messages(in stack: RunningStack) throws -> [String: [String]] {
            try queue(stack).read { db in
                let rows = try Row.fetchAll(
                    db,
                    sql: """
                        SELECT message.message, account.username FROM message
                        LEFT JOIN account ON 'local:' || account.id = message.user_id WHERE message LIKE 'from crowd%'
                        """)
                return rows.reduce(into: [:]) { $0[$1[0] as String, default: []].append($1[1] ?? "nobody") }
            }
        }

        private static func queue(_ stack: RunningStack) throws -> DatabaseQueue {
            var configuration = GRDB.Configuration()
            configuration.busyMode = .timeout(20)
            return try DatabaseQueue(path: stack.database, configuration: configuration)
        }
    }
}
