/// A database with all of the server's own tables, as the administrative commands need it.
package protocol InternalStore: Store, DocumentLibrary {
    /// Inserts the missing demo rows; returns their numbers by table, without the tables that had none missing.
    func insertDemoRows() async throws -> [(table: String, rows: Int)]
}
