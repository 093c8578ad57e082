import ArgumentParser
import Configuration
import ToolServerCore

struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Compare the configuration with the database: tables, columns, and whether they can be read.")

    @OptionGroup var settings: SettingsOptions

    func run() async throws {
        let configuration = try settings.load()
        guard let foreign = try configuration.openForeign() else {
            print("nothing to compare: the configuration uses the server's own tables only")
            return
        }
        // A statement can fail where the names exist, such as on a view over a table that is gone.
        for model in foreign.searchModels {
            do {
                _ = try await foreign.search(model: model, query: "", columns: .all, limit: 1)
            } catch is SearchRefusal {
                // For logged-in callers only.
            } catch {
                try? await foreign.close()
                throw Complaint("toolServer.search.models.\(model): \(error)")
            }
            print("model \(model): ok")
        }
        for line in configuration.foreignTables.summary { print(line) }
        try await foreign.close()
    }
}
