import Foundation
import GRDB
import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// Indexes, statements and one user's data from the command line.
    @Suite struct DataCommands {
        private func toolServer(_ arguments: String...) async throws -> ChildProcess.Finished {
            try await ChildProcess.run(.init(BuiltProduct.toolServer.path, arguments))
        }

        @Test func anIndexIsBuiltBesideAForeignTable() async throws {
            let directory = try TemporaryDirectory("index")
            let path = directory.path("site.sqlite")
            let site = try DatabaseQueue(path: path)
            try await site.write { db in
                try db.execute(
                    sql: """
                        CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT);
                        INSERT INTO note VALUES (1, 'first note'), (2, 'second note');
                        """)
            }
            let section: JSONValue = [
                "database": .string(path), "stateDatabase": .string(directory.path("state.sqlite")),
                "search": [
                    "projects": "notes",
                    "models": ["notes": ["table": "note", "columns": ["title"], "url": "/{id}/"]],
                ],
                "sqlTools": ["count_notes": ["statement": "SELECT count(*) AS n FROM note"]],
            ]
            let configuration = try directory.write(JSONValue.object(["toolServer": section]).text, to: "gateway.json")

            let built = try await toolServer("index", "build", "--config", configuration)
            #expect(built.succeeded, "\(built.error)")
            #expect(built.output.contains("indexed 2 of 2 rows"))
            #expect(built.error.contains("2 of 2"))
            try await site.write { db in try db.execute(sql: "INSERT INTO note VALUES (3, 'third note')") }
            let updated = try await toolServer("index", "update", "--model", "notes", "--config", configuration)
            #expect(updated.output.contains("took up 1 of 3 rows"), "\(updated.error)")
            let status = try await toolServer("index", "status", "--config", configuration)
            #expect(status.output.hasPrefix("notes\tfresh\t3"))
            let check = try await toolServer("check", "--config", configuration)
            #expect(check.output.contains("index of notes: fresh") && check.output.contains("tool count_notes: ok"))
            let count = try await toolServer("call", "count_notes", "{}", "--config", configuration)
            #expect(count.output.contains(#"{"results":[{"n":3}]}"#), "\(count.error)")
            let unknown = try await toolServer("index", "build", "--model", "nope", "--config", configuration)
            #expect(unknown.exit == .status(1))
        }

        @Test func aStatementThatWritesIsRefusedAtTheStart() async throws {
            let directory = try TemporaryDirectory("statement")
            let text = #"{"toolServer":{"sqlTools":{"wipe":{"statement":"DELETE FROM project"}}}}"#
            let configuration = try directory.write(text, to: "gateway.json")
            for command in ["check", "tools", "serve"] {
                let refused = try await toolServer(
                    command, "--config", configuration, "--database", directory.path("store.sqlite"))
                #expect(refused.exit == .status(1))
                #expect(refused.error.contains("toolServer.sqlTools.wipe.statement"), "\(refused.error)")
            }
        }

        @Test func oneUsersDataIsPrintedAndRemoved() async throws {
            let directory = try TemporaryDirectory("person")
            let database = directory.path("store.sqlite")
            #expect(try await toolServer("seed", "--database", database).succeeded)
            #expect(try await toolServer("session", "new", "alice", "--database", database).succeeded)
            let exported = try await toolServer("export", "alice", "--database", database)
            let json = try JSONValue(parsing: exported.output)
            #expect(json["account"]?["username"] == "alice")
            #expect(json["sessions"]?.array?.count == 1)
            #expect(json["messages"] == [])
            let unsure = try await toolServer("delete", "alice", "--database", database)
            #expect(unsure.exit == .status(1))
            #expect(try await toolServer("export", "alice", "--database", database).succeeded)
            let deleted = try await toolServer("delete", "alice", "--yes", "--database", database)
            #expect(deleted.output.contains("1 sessions"), "\(deleted.error)")
            for command in [["export", "alice"], ["delete", "alice", "--yes"]] {
                let gone = try await ChildProcess.run(
                    .init(BuiltProduct.toolServer.path, command + ["--database", database]))
                #expect(gone.exit == .status(1))
                #expect(gone.error.contains("alice"))
            }
        }
    }
}
