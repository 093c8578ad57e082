import Foundation
import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// `gateway init`, and what its configurations do.
    @Suite struct InitCommand {
        static let cases = ["demo", "django", "old-api", "servers"]

        private func gateway(_ arguments: String..., directory: String? = nil) async throws -> ChildProcess.Finished {
            try await ChildProcess.run(.init(BuiltProduct.gateway.path, arguments, directory: directory))
        }

        @Test(arguments: cases)
        func whatItWritesIsValidAndExplained(_ name: String) async throws {
            let directory = try TemporaryDirectory("init")
            let made = directory.path("new/\(name)")
            let written = try await gateway("init", "--case", name, made)
            #expect(written.succeeded, "\(written.error)")
            #expect(written.output.contains("wrote \(made)/gateway.json"))
            let check = try await gateway("check", "--config", "\(made)/gateway.json")
            #expect(check.succeeded, "\(check.output)\(check.error)")
            // The README explains what stands at the file's top level.
            let readme = try String(contentsOfFile: "\(made)/README-gateway.md", encoding: .utf8)
            let file = try JSONValue(parsing: Array(Data(contentsOf: URL(filePath: "\(made)/gateway.json"))))
            for (key, _) in try #require(file.object) {
                #expect(readme.contains("`\(key)`") || readme.contains("`\(key)."), "\(key)")
            }
        }

        @Test func demoIsWhatMakeRunUses() async throws {
            let directory = try TemporaryDirectory("init")
            _ = try await gateway("init", directory.url.path)
            let written = try String(contentsOfFile: directory.path("gateway.json"), encoding: .utf8)
            #expect(try written == Checkout.text("gateway.json"))
        }

        @Test func nothingIsReplacedWithoutForce() async throws {
            for present in ["gateway.json", "README-gateway.md"] {
                let directory = try TemporaryDirectory("init")
                try directory.write("mine", to: present)
                let refused = try await gateway("init", directory: directory.url.path)
                #expect(refused.exit == .status(1))
                #expect(refused.error.contains("./\(present): there already; --force"), "\(refused.error)")
                #expect(try FileManager.default.contentsOfDirectory(atPath: directory.url.path) == [present])
                #expect(try String(contentsOfFile: directory.path(present), encoding: .utf8) == "mine")
                let forced = try await gateway("init", "--force", "--case", "servers", directory: directory.url.path)
                #expect(forced.succeeded, "\(forced.error)")
                let check = try await gateway("check", directory: directory.url.path)
                #expect(check.output.contains("upstream crm"), "the working directory's file is found without --config")
            }
        }

        @Test func aDirectoryThatCannotBeMadeIsNamed() async throws {
            let directory = try TemporaryDirectory("init")
            try directory.write("a file", to: "file")
            let refused = try await gateway("init", directory.path("file/below"))
            #expect(refused.exit == .status(1))
            #expect(refused.errorLines.count == 1 && refused.error.contains(directory.path("file/below")))
            let unknown = try await gateway("init", "--case", "everything")
            #expect(unknown.exit == .status(2))
            #expect(Self.cases.allSatisfy(unknown.error.contains), "\(unknown.error)")
        }
    }
}
