import ArgumentParser
import Foundation
import Store
import ToolServerCore

struct IndexCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "index", abstract: "Build, update and list the indexes of searched tables.",
        subcommands: [Build.self, Update.self, Status.self])

    struct Build: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "build", abstract: "Build the indexes again. Searches use the old ones until then.")

        @Option(help: "Model whose index is meant; by default every model that can have one.")
        var model: String?

        @OptionGroup var settings: SettingsOptions

        func run() async throws {
            try await IndexCommand.work(settings, model, done: "indexed") { search, model, progress in
                try await search.buildSearchIndex(model: model, progress: progress)
            }
        }
    }

    struct Update: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "update", abstract: "Compare the indexes with their tables and update them.",
            discussion: """
                Every row is read, so nothing that was committed before is missed. What is written while it runs is \
                left for the next time.
                """)

        @Option(help: "Model whose index is meant; by default every model that can have one.")
        var model: String?

        @OptionGroup var settings: SettingsOptions

        func run() async throws {
            try await IndexCommand.work(settings, model, done: "took up") { search, model, progress in
                try await search.updateSearchIndex(model: model, progress: progress)
            }
        }
    }

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "status", abstract: "List the indexes: model, state, rows, reason.")

        @OptionGroup var settings: SettingsOptions

        func run() async throws {
            for index in try await settings.withToolServer({ try await $0.search.searchIndexes() }) {
                print("\(index.model)\t\(index.state.rawValue)\t\(index.rows ?? 0)\t\(index.detail)")
            }
        }
    }

    private typealias Work = (
        any SearchIndexing, String, @escaping @Sendable (IndexProgress) -> Void
    ) async throws -> IndexReport

    private static func work(
        _ settings: SettingsOptions, _ model: String?, done: String, _ work: Work
    ) async throws {
        let configuration = try settings.load()
        guard configuration.internalDatabase != .memory else {
            throw CommandLineError("toolServer.stateDatabase: expected a path for an index to be kept, found :memory:")
        }
        try await settings.withToolServer(configuration) { toolServer in
            for index in try await toolServer.search.searchIndexes().filter({ model == nil || $0.model == model }) {
                guard index.state != .unsupported || model != nil else {
                    print("model \(index.model): none, \(index.detail)")
                    continue
                }
                let start = ContinuousClock.now
                let report = try await work(toolServer.search, index.model, IndexProgressLine(index.model).show)
                let seconds = (ContinuousClock.now - start) / .seconds(1)
                let rows = report.rows.map { " of \($0)" } ?? ""
                let note = report.note.isEmpty ? "" : " (\(report.note))"
                print(
                    "model \(index.model): \(done) \(report.changed)\(rows) rows in "
                        + "\(String(format: "%.1f", seconds)) s\(note)")
            }
            if let model, !toolServer.search.searchModels.contains(model) {
                throw CommandLineError("no model \"\(model)\"")
            }
        }
    }
}

/// Progress on standard error: one line that is overwritten on a terminal, a line for each report elsewhere.
struct IndexProgressLine: Sendable {
    private let model: String
    private let isTerminal = isatty(FileHandle.standardError.fileDescriptor) == 1

    init(_ model: String) {
        self.model = model
    }

    func show(_ progress: IndexProgress) {
        var text = "model \(model): \(progress.rows)"
        if let total = progress.total {
            text += " of \(total)"
            if total > 0 { text += " (\(min(100, progress.rows * 100 / total)) %)" }
        }
        text += " \(progress.step)"
        let isLast = progress.total.map { progress.rows >= $0 } ?? false
        text = isTerminal ? "\r\(text)\u{1B}[K" + (isLast ? "\n" : "") : text + "\n"
        FileHandle.standardError.write(Data(text.utf8))
    }
}
