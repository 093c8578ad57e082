import Foundation
import GRDB
import JSON
import TestSupport
import Testing

extension HostilePeers {
    /// Rows of the store with values that no version of the server has written.
    @Suite struct HostileRows {
        private static let instants: [Int64] = [
            .min, .min + 1, -62_135_596_800_001, -1, 0, 1, 253_402_300_800_000, 1 << 53, .max - 1, .max,
        ]

        private static let texts = [
            "", " ", "\0", "\u{FEFF}", "\u{202E}abc", "</script>", "\\ud800", String(repeating: "é\n", count: 2000),
            String(repeating: "x", count: 700_000), "{\"a\":[", "\u{1F468}\u{200D}\u{1F469}",
        ]

        @Test func rowsOfEveryKindAreServedOrAnError() async throws {
            var mutator = Mutator(seed: HostilePeers.seed)
            try await HostileStack.with(
                upstreamResponse: "16MiB",
                prepare: { database in
                    let queue = try DatabaseQueue(path: database)
                    try queue.write { db in
                        let users = try String.fetchAll(
                            db, sql: "SELECT 'local:' || id FROM account WHERE username = 'alice'")
                        let user = try #require(users.first)
                        for _ in 0..<HostilePeers.runs {
                            let text = mutator.mutate(Array(mutator.pick(Self.texts).utf8))
                            // A text may hold bytes that are none.
                            try db.execute(
                                sql:
                                    "INSERT INTO message (user_id, message, response, at) VALUES (?, CAST(? AS TEXT), ?, ?)",
                                arguments: [user, Data(text), mutator.pick(Self.texts), mutator.pick(Self.instants)])
                            try db.execute(
                                sql: "INSERT INTO project (name, description) VALUES (CAST(? AS TEXT), ?)",
                                arguments: [Data(Array("urgent ".utf8) + text.prefix(5000)), mutator.pick(Self.texts)])
                        }
                    }
                    try queue.close()
                }
            ) { stack in
                let cookie = try await DemoDatabase.session(of: "alice", in: stack.database)
                for _ in 0..<4 {
                    let history = try await stack.gateway.client.chat(["type": "history"], cookie: cookie)
                    #expect(history.status == 200, "\(history.status) \(history.text.prefix(300))")
                }
                var cursor: String?
                var pages = 0
                repeat {
                    var arguments: JSONObject = ["limit": 100]
                    if let cursor { arguments["cursor"] = .string(cursor) }
                    let page = try await stack.toolServer.client.post(
                        "/mcp/chat_history", json: .object(arguments), headers: [("Cookie", "sessionid=\(cookie)")])
                    #expect(page.status == 200, "\(page.status) \(page.text.prefix(300))")
                    cursor = try page.json["nextCursor"]?.string
                    pages += 1
                } while cursor != nil && pages < 1000
                #expect(pages > 1 && cursor == nil)
                for query in ["urgent", "é", "\0", "%", "_", "'"] {
                    let found = try await stack.toolServer.client.post(
                        "/mcp/search_projects", json: ["query": .string(query), "limit": 100])
                    #expect(found.status == 200, "\(query): \(found.status) \(found.text.prefix(300))")
                }
            }
        }
    }
}
