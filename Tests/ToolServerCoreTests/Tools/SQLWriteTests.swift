import Foundation
import GRDB
import JSON
import JSONConfiguration
import Logging
import MCP
import MCPServer
import TestSupport
import Testing
import ToolServerTestSupport

@testable import Assistant
@testable import PostgreSQLStore
@testable import Store
@testable import ToolServerCore

/// SQL tools that write, on a table of money.
@Suite struct SQLWriteTests {
    private let ada = Bank.user(0)
    private let bob = Bank.user(1)

    private func asked(_ reply: Bank.Reply) throws -> Bank.Question {
        try #require(reply.question, "\(reply.text)")
    }

    // MARK: Questions

    @Test(arguments: Engine.allCases)
    func aWriteAsksFirstAndIsMadeOnce(engine: Engine) async throws {
        let bank = try await Bank(on: engine)
        let question = try asked(await bank.call("pay", ["amount": 10, "purpose": "tea"], as: ada))
        #expect(question.message == "Pay 10 for tea?")
        #expect(try await bank.balance(0) == 1000)
        // A double click, and a replay long after it.
        for _ in 0..<3 {
            let reply = try await bank.answer(question, as: ada)
            #expect(reply.content == ["results": [["changed": 1]]], "\(reply.text)")
            #expect(try await bank.balance(0) == 990)
        }
        #expect(try await bank.balance(1) == 1000)
        // The same values once more are another call.
        let second = try asked(await bank.call("pay", ["amount": 10, "purpose": "tea"], as: ada))
        #expect(try await bank.answer(second, as: ada).isDone)
        #expect(try await bank.balance(0) == 980)
        await bank.shutdown()
    }

    @Test(arguments: ["decline", "cancel"])
    func whatTheUserDoesNotConfirmIsNotWritten(action: String) async throws {
        let bank = try await Bank(on: .sqlite)
        let question = try asked(await bank.call("pay", ["amount": 10], as: ada))
        #expect(question.message == "Pay 10 for nothing much?")
        let reply = try await bank.answer(question, action, as: ada)
        #expect(reply.text == "The user did not confirm; nothing was changed")
        #expect(!reply.isDone)
        #expect(try await bank.balance(0) == 1000)
        await bank.shutdown()
    }

    @Test func anAnswerCountsOnlyForItsQuestion() async throws {
        let bank = try await Bank(on: .sqlite)
        let question = try asked(await bank.call("pay", ["amount": 10], as: ada))
        // Another user's, other values, another tool.
        for reply in [
            try await bank.answer(question, as: bob), try await bank.answer(question, as: nil),
            try await bank.answer(question, as: ada, arguments: ["amount": 11]),
            try await bank.call(
                "transfer", ["amount": 10, "to": .string(bob.id)], as: ada,
                further: ["requestState": .string(question.state), "inputResponses": [question.name: Self.yes]]),
        ] {
            guard case .failed(let error) = reply else {
                Issue.record("\(reply.text)")
                continue
            }
            #expect(error.code == -32602)
        }
        // An answer that comes along with the call is nobody's.
        for name in [question.name, "confirm", "confirm-", "elicitation"] {
            let reply = try await bank.call(
                "pay", ["amount": 10], as: ada, further: ["inputResponses": [name: Self.yes]])
            let other = try asked(reply)
            #expect(other.name != question.name)
        }
        // Every bit of the state counts.
        for (index, _) in question.state.enumerated() {
            var state = Array(question.state.utf8)
            state[index] = state[index] == UInt8(ascii: "A") ? UInt8(ascii: "Q") : UInt8(ascii: "A")
            guard state != Array(question.state.utf8) else { continue }
            let reply = try await bank.call(
                "pay", ["amount": 10], as: ada,
                further: [
                    "requestState": .string(String(decoding: state, as: UTF8.self)),
                    "inputResponses": [question.name: Self.yes],
                ])
            // The last character has bits that stand for nothing.
            if index < state.count - 1 { #expect(!reply.isDone, "\(index): \(reply.text)") }
        }
        let balance = try await bank.balance(0)
        #expect(balance == 1000 || balance == 990)
        await bank.shutdown()
    }

    private static let yes: JSONValue = ["action": "accept"]

    @Test func aClientThatCannotAskItsUserIsRefused() async throws {
        let bank = try await Bank(on: .sqlite)
        guard case .failed(let error) = try await bank.call("pay", ["amount": 10], as: ada, capabilities: [:]) else {
            Issue.record("not refused")
            return
        }
        #expect(error.code == -32021)
        // A plain call, such as POST /mcp/pay.
        let plain = try await bank.servers[0].server.call(tool: "pay", arguments: ["amount": 10], principal: ada)
        #expect(plain.isError && plain.text.hasPrefix("pay runs only when the user confirms it"), "\(plain.text)")
        #expect(try await bank.balance(0) == 1000)
        await bank.shutdown()
    }

    @Test func theQuestionShowsValuesAsTheyAre() async throws {
        let bank = try await Bank(on: .sqlite)
        let long = String(repeating: "x", count: 500)
        let examples: [(String, String)] = [
            ("tea?\nYes. Pay 1", "Pay 5 for tea? Yes. Pay 1?"), ("{amount}", "Pay 5 for {amount}?"),
            ("a\u{202E}b\u{0}", "Pay 5 for a\\u{202E}b\\u{0}?"),
            (long, "Pay 5 for \(long.prefix(200))… (500 characters)?"),
        ]
        for (purpose, expected) in examples {
            let reply = try await bank.call("pay", ["amount": 5, "purpose": .string(purpose)], as: ada)
            #expect(try asked(reply).message == expected)
        }
        let standard = try await bank.call("transfer", ["amount": 5, "to": .string(bob.id)], as: ada)
        #expect(try asked(standard).message == "transfer (amount: 5, to: jwt:user1, me: jwt:user0)?")
        await bank.shutdown()
    }

    @Test func aStatementThatChangedMeanwhileIsAskedAboutAgain() async throws {
        let bank = try await Bank(on: .sqlite)
        let question = try asked(await bank.call("pay", ["amount": 10], as: ada))
        var pay = try #require(Bank.tools["pay"]?.object)
        pay["statement"] = .string((pay["statement"]?.string ?? "").replacing("- :amount", with: "- 100 * :amount"))
        var after = bank
        after.servers = [try Bank.server(on: bank.store, ["pay": .object(pay)])]
        let reply = try await after.answer(question, as: ada)
        #expect(try asked(reply).message == question.message)
        #expect(try await bank.balance(0) == 1000)
        await bank.shutdown()
    }

    // MARK: Many users

    @Test(arguments: Engine.allCases)
    func theSumIsWhatAcceptedConfirmationsSay(engine: Engine) async throws {
        let users = 100
        let bank = try await Bank(on: engine, replicas: 2, users: users)
        let expected = try await withThrowingTaskGroup(of: (Int, Int).self) { group in
            for user in 0..<users {
                group.addTask {
                    let principal = Bank.user(user)
                    var paid = 0
                    for amount in 1...3 {
                        let reply = try await bank.call(
                            "pay", ["amount": .number(amount)], as: principal, on: user % 2)
                        let question = try #require(reply.question)
                        if (user + amount) % 4 == 0 {
                            #expect(try await !bank.answer(question, "decline", as: principal).isDone)
                            continue
                        }
                        // Clicked three times at once, answered by both replicas, and tried by somebody else.
                        let done = try await withThrowingTaskGroup(of: Bank.Reply.self) { clicks in
                            for click in 0..<3 {
                                clicks.addTask { try await bank.answer(question, as: principal, on: click % 2) }
                            }
                            return try await clicks.reduce(into: []) { $0.append($1) }
                        }
                        let stolen = try await bank.answer(question, as: Bank.user(user + 1), on: 1)
                        #expect(!stolen.isDone)
                        for reply in done { #expect(reply.content == ["results": [["changed": 1]]], "\(reply.text)") }
                        paid += amount
                    }
                    return (user, paid)
                }
            }
            return try await group.reduce(into: [Int: Int]()) { $0[$1.0] = $1.1 }
        }
        let balances = try await bank.balances()
        for user in 0..<users { #expect(balances[Bank.user(user).id] == Bank.start - (expected[user] ?? -1)) }
        await bank.shutdown()
    }

    @Test func transfersThatMeetKeepTheSum() async throws {
        let bank = try await Bank(on: .postgreSQL, users: 4)
        // Pairs in both directions: their rows are locked in different orders.
        let moved = try await withThrowingTaskGroup(of: [Int].self) { group in
            for number in 0..<40 {
                group.addTask {
                    let (from, to) = (number % 4, (number + 1 + number / 4 % 3) % 4)
                    let principal = Bank.user(from)
                    let asked = try await bank.call(
                        "transfer", ["amount": 5, "to": .string(Bank.user(to).id)], as: principal)
                    let question = try #require(asked.question)
                    var reply = try await bank.answer(question, as: principal)
                    while reply.text == "The database is busy, try again" {
                        reply = try await bank.answer(question, as: principal)
                    }
                    #expect(reply.content == ["results": [["changed": 2]]], "\(reply.text)")
                    var change = [0, 0, 0, 0]
                    change[from] -= 5
                    change[to] += 5
                    return change
                }
            }
            return try await group.reduce(into: [0, 0, 0, 0]) { sum, change in
                for index in sum.indices { sum[index] += change[index] }
            }
        }
        for user in 0..<4 { #expect(try await bank.balance(user) == Bank.start + moved[user]) }
        await bank.shutdown()
    }

    // MARK: Keys

    @Test(arguments: Engine.allCases)
    func aKeyIsGoodForOneCall(engine: Engine) async throws {
        let bank = try await Bank(on: engine, replicas: 2)
        let arguments: JSONObject = ["owner": "carol", "balance": 7]
        let first = try await bank.call("open", arguments, as: ada, key: "k1")
        #expect(first.content == ["results": [["owner": "carol", "balance": 7]]], "\(first.text)")
        // On whichever replica: what the first call got.
        for replica in 0...1 {
            let again = try await bank.call("open", arguments, as: ada, key: "k1", on: replica)
            #expect(again.content == first.content)
        }
        let other = try await bank.call("open", ["owner": "dave"], as: ada, key: "k1")
        #expect(other.text == "The idempotency key was used for a call with other arguments")
        // Another user's key of the same name is another key, and so is none.
        for (principal, key) in [(bob, JSONValue.string("k1")), (ada, .null), (ada, "k2")] {
            let reply = try await bank.call("open", arguments, as: principal, key: key)
            #expect(reply.text == "Nothing was changed: there is such a row already")
        }
        // What failed is not remembered.
        #expect(try await bank.call("open", ["owner": "dave"], as: ada, key: "k2").isDone)
        for key: JSONValue in ["", 1, .string(String(repeating: "k", count: 201)), ["k"]] {
            let reply = try await bank.call("open", ["owner": "eve"], as: ada, key: key)
            #expect(reply.text.contains("1 to 200 bytes"), "\(reply.text)")
        }
        #expect(try await bank.balances().count == 5)
        await bank.shutdown()
    }

    @Test(arguments: Engine.allCases)
    func callsWithOneKeyAtATimeAreOne(engine: Engine) async throws {
        let bank = try await Bank(on: engine, replicas: 2)
        let replies = try await withThrowingTaskGroup(of: Bank.Reply.self) { group in
            for number in 0..<20 {
                group.addTask {
                    try await bank.call("open", ["owner": "carol"], as: Bank.user(0), key: "once", on: number % 2)
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        for reply in replies { #expect(reply.content == ["results": [["owner": "carol", "balance": 0]]]) }
        #expect(try await bank.balances().count == 4)
        await bank.shutdown()
    }

    @Test func aKeyIsAskedAboutOnceAndAnsweredWithoutAQuestionAfterwards() async throws {
        let bank = try await Bank(on: .sqlite)
        // Two windows ask the same thing with the same key, and both are confirmed.
        let one = try asked(await bank.call("pay", ["amount": 10], as: ada, key: "order 5"))
        let two = try asked(await bank.call("pay", ["amount": 10], as: ada, key: "order 5"))
        #expect(try await bank.answer(one, as: ada).isDone)
        #expect(try await bank.answer(two, as: ada).isDone)
        // The key of the question counts, whatever comes with the answer.
        #expect(try await bank.answer(two, as: ada, key: "another").isDone)
        let replay = try await bank.call("pay", ["amount": 10], as: ada, key: "order 5")
        #expect(replay.content == ["results": [["changed": 1]]])
        #expect(try await bank.balance(0) == 990)
        await bank.shutdown()
    }

    @Test(arguments: Engine.allCases)
    func resultsAreKeptForTheConfiguredTime(engine: Engine) async throws {
        let bank = try await Bank(on: engine, settings: ["writeRetention": "2h"])
        let server = bank.servers[0]
        let question = try asked(await bank.call("pay", ["amount": 10], as: ada))
        #expect(try await bank.answer(question, as: ada).isDone)
        try await server.removeRecordedWrites(now: Date().addingTimeInterval(7100))
        #expect(try await bank.answer(question, as: ada).isDone)
        #expect(try await bank.balance(0) == 990)
        #expect(
            try await bank.store.column("SELECT result FROM tool_server_write") == [#"{"results":[{"changed":1}]}"#])
        try await server.removeRecordedWrites(now: Date().addingTimeInterval(7300))
        #expect(try await bank.store.column("SELECT result FROM tool_server_write").isEmpty)
        await bank.shutdown()
    }

    // MARK: Limits and errors

    @Test(arguments: Engine.allCases)
    func moreRowsThanAllowedAreRolledBack(engine: Engine) async throws {
        let bank = try await Bank(
            on: engine,
            tools: [
                "wipe": [
                    "writes": true, "confirm": false, "maxRows": 2, "statement": "DELETE FROM wallet RETURNING owner",
                ],
                "wipeAll": [
                    "writes": true, "confirm": false, "maxRows": 3,
                    "statement": "DELETE FROM wallet WHERE balance >= 0 RETURNING owner",
                ],
            ])
        #expect(
            try await bank.call("empty", [:], as: ada).text == "Nothing was changed: more than 1 row would have been")
        #expect(
            try await bank.call("wipe", [:], as: ada).text == "Nothing was changed: more than 2 rows would have been")
        #expect(try await bank.balances().values.reduce(0, +) == 3000)
        let reply = try await bank.call("wipeAll", [:], as: ada)
        #expect(reply.content?["results"]?.array?.count == 3, "\(reply.text)")
        #expect(try await bank.balances().isEmpty)
        await bank.shutdown()
    }

    @Test(arguments: Engine.allCases)
    func whatTheDatabaseForbidsIsToldWithoutValues(engine: Engine) async throws {
        let bank = try await Bank(on: engine)
        let question = try asked(await bank.call("transfer", ["amount": 2000, "to": .string(bob.id)], as: ada))
        let reply = try await bank.answer(question, as: ada)
        #expect(reply.text == "Nothing was changed: a rule of the database forbids it")
        #expect(try await bank.balances().values.allSatisfy { $0 == 1000 })
        // Not remembered: with more money the same answer goes through.
        try await bank.store.change("UPDATE wallet SET balance = 3000 WHERE owner = '\(ada.id)'")
        #expect(try await bank.answer(question, as: ada).isDone)
        #expect(try await bank.balance(0) == 1000)
        // Nothing to change is no error.
        let nobody = Principal(id: "jwt:nobody", name: "Nobody")
        let none = try asked(await bank.call("pay", ["amount": 1], as: nobody))
        #expect(try await bank.answer(none, as: nobody).content == ["results": [["changed": 0]]])
        await bank.shutdown()
    }

    @Test func aWriteThatTakesTooLongIsRolledBack() async throws {
        var slow = try #require(Bank.tools["open"]?.object)
        slow["timeout"] = "50ms"
        // As many rows as it takes, of which one is too many.
        slow["statement"] = """
            INSERT INTO wallet (owner, balance) SELECT :owner || n, :balance FROM (
                WITH RECURSIVE x (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT n FROM x) AS numbers
            WHERE n < 0 RETURNING owner, balance
            """
        for engine in Engine.allCases {
            let bank = try await Bank(on: engine, tools: ["slow": .object(slow)])
            let reply = try await bank.call("slow", ["owner": "x"], as: ada)
            #expect(reply.text == "The database took too long")
            #expect(try await bank.call("open", ["owner": "carol"], as: ada).isDone)
            #expect(try await bank.balances().count == 4)
            await bank.shutdown()
        }
    }

    @Test(arguments: Engine.allCases)
    func anonymousCallersNeedPermission(engine: Engine) async throws {
        var open = try #require(Bank.tools["open"]?.object)
        open["allowAnonymous"] = true
        let bank = try await Bank(on: engine, tools: ["register": .object(open)])
        let refused = try await bank.call("open", ["owner": "x"], as: nil)
        #expect(refused.text == "Not authenticated" && !refused.isDone)
        for tool in ["pay", "transfer"] {
            let arguments: JSONObject = tool == "pay" ? ["amount": 1] : ["amount": 1, "to": "x"]
            #expect(try await bank.call(tool, arguments, as: nil).text == "Not authenticated")
        }
        #expect(try await bank.call("register", ["owner": "x"], as: nil).isDone)
        #expect(try await bank.balances().count == 4)
        await bank.shutdown()
    }

    @Test func annotationsSayWhatACallMayDo() async throws {
        let bank = try await Bank(
            on: .sqlite,
            tools: [
                "put": [
                    "writes": true, "idempotent": true,
                    "statement": """
                    INSERT INTO wallet (owner, balance) VALUES (:owner, 5)
                    ON CONFLICT (owner) DO UPDATE SET balance = excluded.balance
                    """, "arguments": ["owner": [:]],
                ]
            ])
        let tools = bank.servers[0].server.toolDefinitions(for: ada)
        func annotations(_ name: String) throws -> ToolAnnotations {
            try #require(tools.first { $0.name == name }?.annotations)
        }
        #expect(
            try annotations("pay")
                == ToolAnnotations(
                    readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false))
        #expect(
            try annotations("open")
                == ToolAnnotations(
                    readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false))
        #expect(
            try annotations("put")
                == ToolAnnotations(
                    readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false))
        let open = try #require(tools.first { $0.name == "open" })
        #expect(
            open.outputSchema?["properties"]?["results"]?["items"]?["properties"]?["balance"]?["type"]
                == ["integer", "null"])
        #expect(tools.first { $0.name == "pay" }?.inputSchema["properties"]?["me"] == nil)
        await bank.shutdown()
    }

    // MARK: Configuration

    private static let senseless: [(JSONObject, String)] = [
        (["statement": "SELECT 1 AS x"], "sqlTools.act.statement"),
        (["statement": "WITH x AS (SELECT 1) DELETE FROM wallet"], "sqlTools.act.statement"),
        (["statement": "DELETE FROM wallet; DELETE FROM wallet"], "sqlTools.act.statement"),
        (["statement": "DROP TABLE wallet"], "sqlTools.act.statement"),
        (["statement": "PRAGMA user_version = 1"], "sqlTools.act.statement"),
        (["statement": "REPLACE INTO wallet VALUES ('a', 1)"], "sqlTools.act.statement"),
        (["statement": "INSERT OR REPLACE INTO wallet VALUES ('a', 1)"], "sqlTools.act.statement"),
        (["statement": "UPDATE OR IGNORE wallet SET balance = 1"], "sqlTools.act.statement"),
        (["statement": "EXPLAIN DELETE FROM wallet"], "sqlTools.act.statement"),
        (["statement": "MERGE INTO wallet USING x ON true WHEN MATCHED THEN DELETE"], "sqlTools.act.statement"),
        (["statement": "DELETE FROM sqlite_sequence"], "sqlTools.act.statement"),
        (["statement": "UPDATE pg_catalog.pg_class SET relname = 'x'"], "sqlTools.act.statement"),
        (["statement": "DELETE FROM tool_server_write"], "sqlTools.act.statement"),
        (["statement": "UPDATE U&\"wallet\" SET balance = 1"], "sqlTools.act.statement"),
        (["writes": false], "sqlTools.act.statement"), (["maxRows": 0], "sqlTools.act.maxRows"),
        (["maxRows": 10_001], "sqlTools.act.maxRows"), (["confirm": 1], "sqlTools.act.confirm"),
        (["confirm": "Delete {nope}?"], "sqlTools.act.confirm"), (["confirm": "Delete {"], "sqlTools.act.confirm"),
        (["confirm": ""], "sqlTools.act.confirm"), (["limit": 5], "sqlTools.act.limit"),
        (["arguments": ["x": [:]]], "sqlTools.act.arguments.x"),
    ]

    @Test(arguments: senseless)
    func whatMakesNoSenseIsRefusedWithoutADatabase(changes: JSONObject, path: String) {
        let act: JSONObject = ["writes": true, "statement": "DELETE FROM wallet"]
        let document: JSONValue = ["toolServer": ["sqlTools": ["act": .object(act.merging(changes))]]]
        let errors = #expect(throws: ConfigurationErrors.self) {
            try ToolServerConfiguration(document: document, environment: [:])
        }
        #expect(errors?.description.contains("toolServer.\(path)") == true, "\(errors?.description ?? "")")
    }

    @Test(arguments: ["maxRows", "confirm", "allowAnonymous", "idempotent"])
    func keysOfWritesBelongToWrites(key: String) {
        let value: JSONValue = key == "maxRows" ? 2 : true
        let document: JSONValue = [
            "toolServer": ["sqlTools": ["look": .object(["statement": "SELECT 1 AS x", key: value])]]
        ]
        let errors = #expect(throws: ConfigurationErrors.self) {
            try ToolServerConfiguration(document: document, environment: [:])
        }
        #expect(errors?.description.contains("toolServer.sqlTools.look.\(key)") == true)
    }

    @Test(
        arguments: Engine.allCases,
        [
            "UPDATE nope SET x = 1", "UPDATE wallet SET nope = 1", "INSERT INTO wallet (owner) SELECT",
            "UPDATE account SET password_hash = ''", "DELETE FROM \"message\"", "DELETE FROM main.api_key",
            "INSERT INTO oauth_key (id) VALUES ('x')", "DELETE FROM passage", "DELETE FROM ACCOUNT",
        ])
    func whatTheDatabaseOrTheServerDoesNotTakeIsRefusedAtTheStart(engine: Engine, statement: String) async throws {
        let errors = await #expect(throws: ConfigurationErrors.self) {
            _ = try await Bank(on: engine, tools: ["act": ["writes": true, "statement": .string(statement)]])
        }
        #expect(errors?.description.contains("toolServer.sqlTools.act.statement") == true)
    }

    @Test(arguments: [
        "UPDATE wallet SET balance = lowered(balance)", "UPDATE wallet SET balance = \"lowered\" (balance)",
        "UPDATE wallet SET balance = public_lowered.balance FROM lowered(3) AS public_lowered (balance)",
        "UPDATE wallet SET balance = wallet.hidden", "UPDATE wallet SET balance = balance OPERATOR(<~>) 1",
        "UPDATE wallet SET balance = balance <~> 1", "DELETE FROM wallet WHERE pg_sleep(0) IS NULL",
        "UPDATE wallet SET balance = 1 RETURNING lowered(balance) AS x",
        "DELETE FROM wallet WHERE set_config('a.b', 'c', false) = ''",
        "INSERT INTO wallet WITH gone AS (DELETE FROM audit RETURNING note) SELECT note, 1 FROM gone",
        "UPDATE wallet SET balance = 1 RETURNING owner), gone AS (DELETE FROM audit RETURNING note",
    ])
    func functionsThatMayWriteAreRefusedInPostgreSQL(statement: String) async throws {
        let url = try await PostgreSQLServer.shared().urlOfNewSchema()
        try await PostgreSQLServer.shared().sql(
            """
            CREATE TABLE audit (note text);
            CREATE TABLE wallet (owner text PRIMARY KEY, balance bigint);
            CREATE FUNCTION lowered(x bigint) RETURNS bigint LANGUAGE sql VOLATILE AS
                $$ INSERT INTO audit VALUES ('called'); SELECT x - 1 $$;
            CREATE FUNCTION hidden(x wallet) RETURNS bigint LANGUAGE sql VOLATILE AS
                $$ INSERT INTO audit VALUES ('called'); SELECT 1::bigint $$;
            CREATE FUNCTION less(x bigint, y int) RETURNS bigint LANGUAGE sql VOLATILE AS
                $$ INSERT INTO audit VALUES ('called'); SELECT x - y $$;
            CREATE OPERATOR <~> (FUNCTION = less, LEFTARG = bigint, RIGHTARG = int);
            INSERT INTO wallet VALUES ('a', 5);
            """, url: url)
        let store = try await PostgreSQLStore(at: PostgreSQLLocation(parsing: url), settings: .test)
        #expect(throws: StatementError.self) { try store.describe(WritingStatement(parsing: statement), session: []) }
        #expect(try await store.column("SELECT count(*) FROM audit") == ["0"])
        // What is harmless is taken.
        let fine = try WritingStatement(
            parsing: "INSERT INTO wallet (owner, balance) VALUES (gen_random_uuid()::text, abs(-1)) RETURNING balance")
        #expect(try store.describe(fine, session: []) == [StatementColumn(name: "balance", type: .integer)])
        try await store.close()
    }

    @Test(arguments: Engine.allCases)
    func triggersAreThePartOfTheWriteThatTheSchemaAdds(engine: Engine) async throws {
        let bank = try await Bank(on: engine)
        try await bank.store.change("CREATE TABLE audit (note TEXT)")
        if engine == .sqlite {
            try await bank.store.change(
                "CREATE TRIGGER noted AFTER UPDATE ON wallet BEGIN INSERT INTO audit VALUES (new.owner); END")
        } else {
            try await bank.store.change(
                """
                CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS
                    'BEGIN INSERT INTO audit VALUES (NEW.owner); RETURN NEW; END'
                """)
            try await bank.store.change(
                "CREATE TRIGGER noted AFTER UPDATE ON wallet FOR EACH ROW EXECUTE FUNCTION noted()")
        }
        let question = try asked(await bank.call("pay", ["amount": 10], as: ada))
        for _ in 0..<2 { #expect(try await bank.answer(question, as: ada).content == ["results": [["changed": 1]]]) }
        #expect(try await bank.call("empty", [:], as: ada).text.hasPrefix("Nothing was changed"))
        #expect(try await bank.store.column("SELECT note FROM audit") == [ada.id])
        await bank.shutdown()
    }

    // MARK: External databases

    @Test func anExternalDatabaseIsWrittenOnlyWhereThatIsAllowed() async throws {
        let legacy = try LegacyDatabase()
        let tools: JSONObject = [
            "rename": [
                "writes": true, "confirm": false, "statement": "UPDATE psm_project SET name = :name WHERE id = :id",
                "arguments": ["name": [:], "id": ["type": "integer"]],
            ]
        ]
        let changes: JSONObject = ["messages": [:], "identity": ["builtin"], "sqlTools": .object(tools)]
        let errors = #expect(throws: ConfigurationErrors.self) { try legacy.configuration(changes, models: [:]) }
        #expect(errors?.description.contains("toolServer.allowWrites") == true)
        let configuration = try legacy.configuration(changes.merging(["allowWrites": true]), models: [:])
        let opened = try await configuration.openExternal()
        let external = try #require(opened)
        let toolServer = try buildToolServer(
            configuration: configuration, external: external, hasher: .test(), logger: Logger(label: "test"))
        let result = try await toolServer.server.call(
            tool: "rename", arguments: ["name": "Renamed", "id": 1], principal: ada)
        #expect(result.structuredContent == ["results": [["changed": 1]]], "\(result.text)")
        let names = try legacy.write { db in
            try String.fetchAll(db, sql: "SELECT name FROM psm_project WHERE name = 'Renamed'")
        }
        #expect(names == ["Renamed"])
        await toolServer.shutdown()
    }

    @Test func policiesOfPostgreSQLDecideWhatACallerChanges() async throws {
        let company = try await SecuredCompany()
        let tools: JSONObject = [
            "add": [
                "writes": true, "confirm": false,
                "statement": "INSERT INTO note (owner, words) VALUES (:owner, :words) RETURNING words",
                "arguments": ["owner": [:], "words": [:]], "session": ["app.user_id": "caller.id"],
            ],
            "drop": [
                "writes": true, "confirm": false, "maxRows": 10, "statement": "DELETE FROM note",
                "session": ["app.user_id": "caller.id"],
            ],
        ]
        // The role may not make the table of results; the error tells what to run.
        let errors = await #expect(throws: ConfigurationErrors.self) {
            _ = try await company.toolServer(tools, ["allowWrites": true])
        }
        let told = errors?.description ?? ""
        #expect(told.contains("CREATE TABLE IF NOT EXISTS tool_server_write"), "\(told)")
        _ = try await company.sql(
            PostgreSQLSchema.journal
                + "GRANT SELECT, INSERT, UPDATE, DELETE ON tool_server_write TO \(company.role)")
        let toolServer = try await company.toolServer(tools, ["allowWrites": true])
        func call(_ tool: String, _ arguments: JSONObject, _ principal: Principal?) async throws -> CallToolResult {
            try await toolServer.server.call(tool: tool, arguments: arguments, principal: principal)
        }
        let added = try await call("add", ["owner": "jwt:ada", "words": "four"], SecuredCompany.ada)
        #expect(added.structuredContent == ["results": [["words": "four"]]], "\(added.text)")
        let stolen = try await call("add", ["owner": "jwt:ada", "words": "five"], SecuredCompany.bob)
        #expect(stolen.isError && stolen.text == "Nothing was changed: the caller may not do this", "\(stolen.text)")
        let dropped = try await call("drop", [:], SecuredCompany.bob)
        #expect(dropped.structuredContent == ["results": [["changed": 1]]])
        #expect(try await company.sql("SELECT string_agg(words, ',' ORDER BY id) FROM note") == "one,two,four")
        await toolServer.shutdown()
    }

    // MARK: The assistant

    @Test func theAssistantsConfirmationIsTheTools() async throws {
        let fixture = try await AgentFixture(
            [.calls([("rename", #"{"name":"New"}"#)]), .text("Done."), .text("Done.")], ai: [:],
            sqlTools: [
                "rename": [
                    "writes": true, "statement": "UPDATE project SET name = :name WHERE id = 1",
                    "arguments": ["name": [:]],
                ]
            ])
        defer { fixture.stop() }
        let required = await #expect(throws: InputRequired.self) {
            let context = fixture.context(fixture.tools.alice, features: .elicitation)
            return try await fixture.answers().answer(Question("q", context: context), onDelta: nil)
        }
        let question = try #require(required?.questions.first)
        let again = fixture.context(
            fixture.tools.alice, features: .elicitation,
            answers: [question.key: ["action": "accept", "content": ["confirm": true]]], state: required?.state)
        // On two replicas, which do not know of each other's confirmations.
        for replica in 0..<2 {
            _ = try await fixture.answers().answer(Question("q", context: again), onDelta: nil)
            #expect(fixture.toolResults(1 + replica) == [#"{"data":{"results":[{"changed":1}]}}"#])
        }
        #expect(try await fixture.tools.store.column("SELECT name FROM project WHERE id = 1") == ["New"])
        #expect(try await fixture.tools.store.column("SELECT CAST(count(*) AS TEXT) FROM tool_server_write") == ["1"])
    }
}
