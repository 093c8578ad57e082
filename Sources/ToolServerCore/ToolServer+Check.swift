import JSONConfiguration
import Store

extension ToolServer {
    /// Checks everything that the configuration says about the database.
    /// - Returns: A line for each part that is correct.
    /// - Throws: `ConfigurationErrors` with everything that is not.
    package func check() async throws -> [String] {
        var lines: [String] = []
        var errors: [ConfigurationError] = []
        // A statement can fail although the names exist, such as on a view over a table that has been dropped.
        for model in search.searchModels {
            do {
                _ = try await search.search(model: model, query: "", columns: .all, limit: 1)
                lines.append("model \(model): ok")
            } catch is SearchError {
                lines.append("model \(model): ok, for logged-in callers")
            } catch {
                errors.append(
                    ConfigurationError(
                        path: "toolServer.search.models.\(model)", expected: "a table that can be read",
                        found: "\(error)"))
            }
        }
        for index in try await search.searchIndexes() {
            let rows = index.rows.map { ", \($0) rows" } ?? ""
            let detail = index.detail.isEmpty ? "" : ", \(index.detail)"
            lines.append("index of \(index.model): \(index.state.rawValue)\(rows)\(detail)")
        }
        // A statement that does not fit has already failed when the server was built.
        for tool in configuration.sqlTools { lines.append("tool \(tool.name): ok") }
        if configuration.sqlTools.contains(where: { !$0.session.isEmpty }) {
            let runner: any StatementRunner = external ?? store
            if try await runner.bypassesRowSecurity() {
                lines.append(
                    "warning: the database's role is a superuser or has BYPASSRLS, so its row-level security does not "
                        + "count for tools with session")
            }
        }
        lines += configuration.externalTables.summary
        guard errors.isEmpty else { throw ConfigurationErrors(errors) }
        return lines
    }
}
