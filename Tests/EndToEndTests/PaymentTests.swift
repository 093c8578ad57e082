import Foundation
import GRDB
import JSON
import Synchronization
import TestSupport
import Testing

extension EndToEnd {
    /// A tool that moves money, confirmed through the chat API: two gateways with one key, users who click twice, and
    /// restarts of both processes between question and answer.
    @Suite struct Payments {
        /// What became of a payment that its user has decided about.
        private enum Fate: Sendable { case paid, declined, unknown }

        private static let configuration: JSONObject = [
            "listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "sessionKey": "0123456789abcdef0123456789abcdef",
            "accessLog": false, "chat": ["questions": true, "tools": ["allow": ["pay"]]],
            "toolServer": [
                "sqlTools": [
                    "pay": [
                        "description": "Pays.", "writes": true, "confirm": "Pay {amount} for {purpose}?",
                        "statement": "INSERT INTO payment (payer, purpose, amount) VALUES (:me, :purpose, :amount)",
                        "arguments": [
                            "amount": ["type": "integer", "minimum": 1, "maximum": 9], "purpose": [:],
                            "me": ["from": "caller.id"],
                        ],
                    ]
                ]
            ],
        ]

        /// The processes, of which a test replaces some.
        private final class Stack: Sendable {
            let directory: TemporaryDirectory
            let database: String
            private let file: String
            private let port: Int
            /// Number of payments that were decided.
            let decided = Atomic<Int>(0)
            private let running: Mutex<(toolServer: RunningService, gateways: [RunningService])>

            init() async throws {
                directory = try TemporaryDirectory("payments")
                database = directory.path("chat.sqlite")
                try await DemoDatabase.shared.copy(to: database)
                try await DatabaseQueue(path: database).write { db in
                    try db.execute(sql: "CREATE TABLE payment (payer TEXT, purpose TEXT, amount INTEGER)")
                }
                port = try freePort()
                var document = Payments.configuration
                document["upstreams"] = ["tools": ["url": "http://127.0.0.1:\(port)/mcp/", "trusted": true]]
                file = try directory.write(JSONValue.object(document).text, to: "gateway.json")
                let toolServer = try await Self.toolServer(file, database, port)
                running = Mutex((toolServer, [try await Self.gateway(file), try await Self.gateway(file)]))
            }

            var gateways: [RunningService] { running.withLock { $0.gateways } }

            private static func toolServer(_ file: String, _ database: String, _ port: Int) async throws
                -> RunningService
            {
                try await .start(
                    .toolServer,
                    [
                        "--config", file, "--transport", "http", "--port", "\(port)", "--admin", "127.0.0.1:0",
                        "--database", database,
                    ])
            }

            private static func gateway(_ file: String) async throws -> RunningService {
                let gateway = try await RunningService.start(.gateway, ["--config", file])
                try await gateway.ready()
                return gateway
            }

            func restartToolServer() async throws {
                try await running.withLock { $0.toolServer }.stop()
                let started = try await Self.toolServer(file, database, port)
                running.withLock { $0.toolServer = started }
            }

            func restartGateway(_ place: Int) async throws {
                try await gateways[place].stop()
                let started = try await Self.gateway(file)
                running.withLock { $0.gateways[place] = started }
            }

            func stop() async throws {
                for gateway in gateways { try await gateway.stop() }
                try await running.withLock { $0.toolServer }.stop()
            }
        }

        /// Asks for a payment until there is a question; asking has no effect.
        private func question(_ stack: Stack, _ number: Int, _ cookie: String) async throws -> JSONValue {
            let payload: JSONValue = [
                "type": "pay", "amount": .number(JSONNumber(1 + number % 9)), "purpose": "number \(number)",
            ]
            var last = "no response"
            var place = number
            var question: JSONValue?
            _ = try await eventually(within: .seconds(60), every: .milliseconds(100)) {
                let gateway = stack.gateways[place % 2]
                place += 1
                guard let response = try? await gateway.client.chat(payload, cookie: cookie) else { return false }
                last = "\(response.status) \(response.text)"
                question = try response.json["question"]
                return question != nil
            }
            return try #require(question, "payment \(number): \(last)")
        }

        /// Answers a question at both gateways at once.
        private func answer(
            _ stack: Stack, _ question: JSONValue, accepts: Bool, _ cookie: String
        ) async throws -> Fate {
            let payload: JSONValue = [
                "type": "answer", "id": question["id"] ?? "", "action": accepts ? "accept" : "decline", "values": [:],
            ]
            let responses = try await withThrowingTaskGroup(of: HTTPTestResponse?.self) { group in
                for gateway in stack.gateways {
                    group.addTask { try? await gateway.client.chat(payload, cookie: cookie) }
                }
                return try await group.reduce(into: [HTTPTestResponse]()) { if let one = $1 { $0.append(one) } }
            }
            if !accepts { return .declined }
            return responses.contains { $0.status == 200 } ? .paid : .unknown
        }

        @Test(.timeLimit(.minutes(5))) func eachConfirmedPaymentIsMadeOnceAndNoOther() async throws {
            let stack = try await Stack()
            let cookies = [
                try await DemoDatabase.session(of: "alice", in: stack.database),
                try await DemoDatabase.session(of: "bob", in: stack.database),
            ]
            let fates = try await withThrowingTaskGroup(of: [Int: Fate].self) { group in
                group.addTask {
                    // Each process is replaced while questions are open.
                    _ = await eventually(within: .seconds(60)) { stack.decided.load(ordering: .relaxed) >= 10 }
                    try await stack.restartToolServer()
                    try await stack.restartGateway(1)
                    return [:]
                }
                for lane in 0..<8 {
                    group.addTask {
                        var fates: [Int: Fate] = [:]
                        for number in stride(from: lane, to: 80, by: 8) {
                            let cookie = cookies[number % 2]
                            let question = try await question(stack, number, cookie)
                            #expect(question["message"]?.string == "Pay \(1 + number % 9) for number \(number)?")
                            // Somebody else cannot decide.
                            if number % 10 == 0 {
                                let other = try? await answer(stack, question, accepts: true, cookies[1 - number % 2])
                                #expect(other != .paid)
                            }
                            fates[number] = try await answer(stack, question, accepts: number % 3 != 0, cookie)
                            stack.decided.add(1, ordering: .relaxed)
                        }
                        return fates
                    }
                }
                return try await group.reduce(into: [Int: Fate]()) { $0.merge($1) { first, _ in first } }
            }
            try await stack.stop()
            let made = try await DatabaseQueue(path: stack.database).read { db in
                try Row.fetchAll(db, sql: "SELECT payer, purpose, amount FROM payment").map { row in
                    (payer: row["payer"] as String, purpose: row["purpose"] as String, amount: row["amount"] as Int)
                }
            }
            let byPurpose = Dictionary(grouping: made, by: \.purpose)
            #expect(fates.count == 80)
            for (number, fate) in fates {
                let payments = byPurpose["number \(number)"] ?? []
                switch fate {
                case .paid: #expect(payments.count == 1, "\(number)")
                case .declined: #expect(payments.isEmpty, "\(number)")
                case .unknown: #expect(payments.count <= 1, "\(number)")
                }
                #expect(payments.allSatisfy { $0.amount == 1 + number % 9 && $0.payer == "local:\(1 + number % 2)" })
            }
            #expect(fates.values.count { $0 == .paid } > 20)
        }
    }
}
