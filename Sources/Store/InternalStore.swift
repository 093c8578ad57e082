/// A database with all of our own tables, as the commands that look after it need it.
package protocol InternalStore: Store, DocumentLibrary {
    /// Inserts the demo rows that are not there; returns how many, by table, without the tables that got none.
    func insertDemoRows() async throws -> [(table: String, rows: Int)]
}
