import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// `tool-server documents`, and what the answers make of them.
    @Suite struct Documents {
        let directory: TemporaryDirectory
        let database: String

        init() throws {
            directory = try TemporaryDirectory("documents")
            database = directory.path("own.sqlite")
        }

        private func documents(_ arguments: String...) async throws -> ChildProcess.Finished {
            try await ChildProcess.run(
                .init(BuiltProduct.toolServer.path, ["documents"] + arguments + ["--database", database]))
        }

        private func answer(_ question: String) async throws -> String {
            let arguments = JSONValue.object(["message": .string(question)]).text
            let finished = try await ChildProcess.run(
                .init(BuiltProduct.toolServer.path, ["call", "chat", arguments, "--database", database]))
            #expect(finished.succeeded, "\(finished.error)")
            return try JSONValue(parsing: Array(finished.output.utf8))["results"]?.string ?? ""
        }

        /// Rows of `documents list`, each as its columns.
        private func listed() async throws -> [[String]] {
            let list = try await documents("list")
            #expect(list.succeeded, "\(list.error)")
            return list.output.split(separator: "\n").map { line in
                line.split(separator: "\t", omittingEmptySubsequences: false).map { String($0) }
            }
        }

        @Test func textMarkdownAndHTMLAreAddedListedUsedAndRemoved() async throws {
            let text = try directory.write("The forklift is serviced every March.\n", to: "forklift.txt")
            let markdown = try directory.write(
                "# Zażółć handbook\n\nVisitors get a **blue** badge at the gatehouse.\n", to: "visitors.md")
            let html = try directory.write(
                "<!doctype html><title>Canteen</title><script>let x = 'hidden'</script>"
                    + "<p>The canteen closes at <b>two</b>&nbsp;o'clock.</p>", to: "canteen.html")
            let added = try await documents("add", text, markdown, html)
            #expect(added.succeeded, "\(added.error)")
            let rows = try await listed()
            #expect(rows.count == 3)
            #expect(rows.allSatisfy { $0.count == 4 && Int64($0[0]) != nil && (Int($0[1]) ?? 0) >= 1 }, "\(rows)")
            let titles = Set(rows.map { $0[2] })
            #expect(titles.isSuperset(of: ["Zażółć handbook", "Canteen"]))

            #expect(try await answer("When is the forklift serviced?").contains("every March"))
            #expect(try await answer("Which badge do visitors get?").contains("blue badge at the gatehouse"))
            let canteen = try await answer("When does the canteen close?")
            #expect(canteen.contains("closes at two"))
            #expect(canteen.contains("Canteen"))
            #expect(try await !answer("hidden").contains("let x"))

            let id = try #require(rows.first { $0[2] == "Canteen" }?[0])
            let removed = try await documents("remove", id)
            #expect(removed.succeeded, "\(removed.error)")
            #expect(try await listed().count == 2)
            #expect(try await !answer("When does the canteen close?").contains("closes at two"))
            let again = try await documents("remove", id)
            #expect(again.exit == .status(1))
            #expect(again.error.contains(id))
        }

        @Test func aDocumentWithTheSameURLIsReplaced() async throws {
            let old = try directory.write("The password has eight characters.", to: "old.txt")
            let new = try directory.write("The password has twelve characters.", to: "new.txt")
            #expect(try await documents("add", old, "--title", "Passwords", "--url", "/passwords/").succeeded)
            let replaced = try await documents("add", new, "--title", "Passwords", "--url", "/passwords/")
            #expect(replaced.output.contains("replaced"))
            let rows = try await listed()
            #expect(rows.map { $0[2...].joined(separator: " ") } == ["Passwords /passwords/"])
            let found = try await answer("How many characters has the password?")
            #expect(found.contains("twelve") && !found.contains("eight"))
            #expect(found.contains("/passwords/"))
        }

        @Test func whatCannotBeReadIsNamedAndNothingIsStored() async throws {
            let good = try directory.write("A good one.", to: "good.txt")
            let strange = try directory.write("x", to: "strange.docx")
            #expect(try await documents("add", good).succeeded)
            let before = try await listed()
            for (arguments, word) in [
                ([good, directory.path("missing.txt")], "missing.txt"), ([good, strange], "strange.docx"),
                ([good, strange, "--title", "Both"], "one file"), ([good, "--format", "pdf"], "pdf"), ([], "file"),
            ] {
                let finished = try await ChildProcess.run(
                    .init(
                        BuiltProduct.toolServer.path,
                        ["documents", "add"] + arguments + ["--database", database]))
                #expect(!finished.succeeded)
                #expect(finished.error.contains(word), "\(finished.error)")
            }
            #expect(try await listed() == before)
        }
    }
}
