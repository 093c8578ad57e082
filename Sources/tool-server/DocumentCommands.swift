import ArgumentParser
import Assistant
import Foundation
import Store
import ToolServerCore

struct DocumentsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "documents", abstract: "Manage the documents that answers use.",
        subcommands: [Add.self, List.self, Remove.self])

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "add",
            abstract: "Add text, Markdown and HTML files. A document with the same URL is replaced.")

        @Argument(help: "Files to add.")
        var files: [String]

        @Option(help: "Title, for a single file; by default the heading in the file, or the file's name.")
        var title: String?

        @Option(help: "URL of the document for people, for a single file.")
        var url: String?

        @Option(help: "Format: text, markdown or html; by default the file name's extension decides.")
        var format: String?

        @OptionGroup var settings: SettingsOptions

        func validate() throws {
            guard !files.isEmpty else { throw ValidationError("expected a file") }
            guard files.count == 1 || (title == nil && url == nil) else {
                throw ValidationError("--title and --url are for one file")
            }
            if let format, DocumentFile.Format(rawValue: format) == nil {
                throw ValidationError("--format: expected text, markdown or html, found \(format)")
            }
        }

        func run() async throws {
            // All of them are read before the first is stored.
            let documents = try files.map(read)
            try await settings.withOwnStore(creating: true) { store, _ in
                for document in documents {
                    let (id, replaced) = try await store.putDocument(document)
                    print("\(replaced > 0 ? "replaced" : "added") document \(id): \(document.title)")
                }
            }
        }

        private func read(_ path: String) throws -> Document {
            guard
                let format = format.flatMap({ DocumentFile.Format(rawValue: $0) })
                    ?? DocumentFile.Format(fileName: path)
            else {
                throw CommandLineError("\(path): unknown kind of file; say --format text, markdown or html")
            }
            guard let data = FileManager.default.contents(atPath: path) else {
                throw CommandLineError("\(path): cannot be read")
            }
            do {
                let file = try DocumentFile(name: path, format: format, bytes: Array(data))
                return Document(title: title ?? file.title, url: url ?? "", body: file.body)
            } catch {
                throw CommandLineError("\(path): \(error)")
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "List the documents: id, passages, title, URL.")

        @OptionGroup var settings: SettingsOptions

        func run() async throws {
            for entry in try await settings.withOwnStore({ store, _ in try await store.listDocuments() }) {
                print("\(entry.id)\t\(entry.passages)\t\(entry.title)\t\(entry.url)")
            }
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "remove", abstract: "Remove documents.")

        @Argument(help: "Ids of the documents.")
        var ids: [Int64]

        @OptionGroup var settings: SettingsOptions

        func run() async throws {
            let missing = try await settings.withOwnStore { store, _ in
                var missing: [Int64] = []
                for id in ids {
                    if try await store.removeDocument(id: id) {
                        print("removed document \(id)")
                    } else {
                        missing.append(id)
                    }
                }
                return missing
            }
            guard missing.isEmpty else {
                throw CommandLineError("no document \(missing.map(String.init).joined(separator: ", "))")
            }
        }
    }
}
