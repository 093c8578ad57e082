import Foundation
import JSON
import JSONConfiguration
import Logging
import MCP
import TestSupport
import ToolServerTestSupport

@testable import MCPServer
@testable import PostgreSQLStore
@testable import SQLiteStore
@testable import Store
@testable import ToolServerCore

/// Tool-servers on one database with a table of money, and a client of 2026-07-28 that can ask its user.
struct Bank: Sendable {
    let store: any InternalStore
    /// Replicas: processes with the same database and the same `sessionKey`, as far as a test can tell.
    var servers: [ToolServer]
    private let temporary: TemporaryDatabase?

    static let start = 1000

    /// - Parameters:
    ///   - url: A PostgreSQL schema to use instead of a new one.
    ///   - tools: Configuration of the tools, beside those of ``tools``.
    init(
        on engine: Engine, url given: String? = nil, replicas: Int = 1, users: Int = 3, tools: JSONObject = [:],
        settings: JSONObject = [:]
    ) async throws {
        let temporary = engine == .sqlite ? try TemporaryDatabase() : nil
        var url: String?
        if engine == .postgreSQL {
            if let given { url = given } else { url = try await PostgreSQLServer.shared().urlOfNewSchema() }
        }
        func open() async throws -> any InternalStore {
            if let url { return try await PostgreSQLStore(at: PostgreSQLLocation(parsing: url), settings: .test) }
            return try SQLiteStore(at: .file(temporary?.path ?? ""))
        }
        let store = try await open()
        try await store.change(
            "CREATE TABLE wallet (owner TEXT NOT NULL PRIMARY KEY, balance BIGINT NOT NULL CHECK (balance >= 0))")
        for user in 0..<users {
            try await store.change(
                "INSERT INTO wallet (owner, balance) VALUES ($1, $2)", .text(Self.user(user).id),
                .integer(Int64(Self.start)))
        }
        var made: [ToolServer] = []
        for number in 0..<replicas {
            let own = number == 0 ? store : try await open()
            made.append(try Self.server(on: own, tools, settings))
        }
        self.store = store
        servers = made
        self.temporary = temporary
    }

    static func server(
        on store: any InternalStore, _ tools: JSONObject = [:], _ settings: JSONObject = [:]
    ) throws -> ToolServer {
        let base: JSONObject = [
            "sqlTools": .object(Self.tools.merging(tools)), "sessionKey": "a key of many characters, for tests",
        ]
        return try buildToolServer(
            configuration: ToolServerConfiguration(
                document: ["toolServer": .object(base.merging(settings))], environment: [:]), store: store,
            provider: EchoProvider(), hasher: .test(), logger: Logger(label: "test"))
    }

    static let tools: JSONObject = [
        "pay": [
            "title": "Pay", "writes": true, "confirm": "Pay {amount} for {purpose}?",
            "statement": """
            UPDATE wallet SET balance = balance - :amount
            WHERE owner = :me AND (:purpose = :purpose)
            """,
            "arguments": [
                "amount": ["type": "integer", "minimum": 1, "maximum": 1000], "purpose": ["default": "nothing much"],
                "me": ["from": "caller.id"],
            ],
        ],
        "transfer": [
            "writes": true, "maxRows": 2,
            "statement": """
            UPDATE wallet SET balance = balance + CASE WHEN owner = :to THEN :amount ELSE 0 - :amount END
            WHERE owner IN (:me, :to)
            """,
            "arguments": ["amount": ["type": "integer", "minimum": 1], "to": [:], "me": ["from": "caller.id"]],
        ],
        "open": [
            "writes": true, "confirm": false,
            "statement": "INSERT INTO wallet (owner, balance) VALUES (:owner, :balance) RETURNING owner, balance",
            "arguments": ["owner": [:], "balance": ["type": "integer", "default": 0]],
            "columns": ["owner": "string", "balance": "integer"],
        ],
        "empty": ["writes": true, "confirm": false, "statement": "UPDATE wallet SET balance = 0"],
    ]

    static func user(_ number: Int) -> Principal { Principal(id: "jwt:user\(number)", name: "User \(number)") }

    func balance(_ user: Int) async throws -> Int? {
        let owner = Self.user(user).id
        return try await store.column("SELECT CAST(balance AS TEXT) FROM wallet WHERE owner = '\(owner)'").first?
            .flatMap { Int($0) }
    }

    func balances() async throws -> [String: Int] {
        let rows = try await store.column("SELECT owner || '=' || CAST(balance AS TEXT) FROM wallet")
        return rows.compactMap { $0 }.reduce(into: [:]) { all, row in
            let parts = row.split(separator: "=")
            all[String(parts[0])] = Int(parts[1])
        }
    }

    func shutdown() async { for server in servers { await server.shutdown() } }

    // MARK: The client

    struct Question: Sendable {
        let tool: String
        let arguments: JSONObject
        let name: String
        let message: String
        let state: String
    }

    enum Reply: Sendable {
        case asked(Question)
        case result(CallToolResult)
        case failed(JSONRPCError)

        var question: Question? { if case .asked(let question) = self { question } else { nil } }
        /// Text of the result or error.
        var text: String {
            switch self {
            case .asked(let question): "asked: \(question.message)"
            case .result(let result): result.text
            case .failed(let error): "\(error)"
            }
        }
        /// True if the call has done what it was to do.
        var isDone: Bool { if case .result(let result) = self { !result.isError } else { false } }
        var content: JSONValue? { if case .result(let result) = self { result.structuredContent } else { nil } }
    }

    func call(
        _ tool: String, _ arguments: JSONObject, as principal: Principal?, key: JSONValue? = nil,
        further: JSONObject = [:], capabilities: JSONObject = ["elicitation": [:]], on replica: Int = 0
    ) async throws -> Reply {
        var meta: JSONObject = [
            MCPMeta.protocolVersion: "2026-07-28", MCPMeta.clientCapabilities: .object(capabilities),
        ]
        meta[MCPMeta.idempotencyKey] = key
        let params: JSONObject = ["name": .string(tool), "arguments": .object(arguments), "_meta": .object(meta)]
        let call = JSONRPCRequest(
            id: .string(UUID().uuidString), method: MCPMethod.toolsCall, params: params.merging(further))
        let server = servers[replica].server
        let context: ToolContext
        do {
            context = try server.context(
                of: call, metadata: server.metadata(of: call), principal: principal, traceparent: nil,
                channel: SilentChannel())
        } catch {
            return .failed(error)
        }
        switch await server.answer(call, context) {
        case .cancelled: throw CancellationError()
        case .error(let error): return .failed(error)
        case .result(let response):
            let result = try JSONValue(parsing: response)["result"]?.object ?? [:]
            guard result["resultType"] == "input_required" else {
                return .result(try CallToolResult(json: .object(result)))
            }
            guard let (name, request) = result["inputRequests"]?.object?.first,
                let message = request["params"]?["message"]?.string, let state = result["requestState"]?.string
            else { throw MCPDecodingError("no question: \(JSONValue.object(result).text)") }
            return .asked(Question(tool: tool, arguments: arguments, name: name, message: message, state: state))
        }
    }

    func answer(
        _ question: Question, _ action: String = "accept", as principal: Principal?, key: JSONValue? = nil,
        arguments: JSONObject? = nil, on replica: Int = 0
    ) async throws -> Reply {
        try await call(
            question.tool, arguments ?? question.arguments, as: principal, key: key,
            further: [
                "inputResponses": [question.name: ["action": .string(action)]], "requestState": .string(question.state),
            ], on: replica)
    }
}
