/// Indexes for the search of models, built on request.
///
/// A search finds the same rows with and without an index.
package protocol SearchIndexing: Sendable {
    /// Returns the status of each model's index, in the registry's order: the lines of `index status`.
    func searchIndexes() async throws -> [SearchIndexStatus]

    /// Rebuilds the index of a model.
    /// - Parameter progress: Called from time to time, on any thread.
    /// - Throws: ``StoreError``, of kind `unsupported` for a model that cannot have one; `CancellationError`.
    func buildSearchIndex(
        model: String, progress: @escaping @Sendable (IndexProgress) -> Void
    ) async throws -> IndexReport

    /// Updates the index with the rows that changed since it was built or updated; builds it if there is none.
    /// - Throws: The errors of ``buildSearchIndex(model:progress:)``.
    func updateSearchIndex(
        model: String, progress: @escaping @Sendable (IndexProgress) -> Void
    ) async throws -> IndexReport
}

/// The index of a model.
package struct SearchIndexStatus: Hashable, Sendable {
    /// State of an index.
    package enum State: String, Sendable {
        /// The database updates the index with every change.
        case maintained
        /// The index was built before, and the table has not changed since.
        case fresh
        /// Rows were changed since the index was built, so that searches read the table instead.
        case stale
        /// There is no index: searches read the table.
        case missing
        /// The table cannot have an index.
        case unsupported
    }

    /// Key of the model.
    package let model: String
    /// State of the index.
    package let state: State
    /// Number of rows in the index; nil where they are not counted.
    package let rows: Int?
    /// Explanation of the state for people; may be empty.
    package let detail: String

    /// Creates a status.
    package init(model: String, state: State, rows: Int? = nil, detail: String = "") {
        self.model = model
        self.state = state
        self.rows = rows
        self.detail = detail
    }
}

/// Progress of building an index.
package struct IndexProgress: Hashable, Sendable {
    /// Number of rows done.
    package let rows: Int
    /// Total number of rows; nil where it is not known.
    package let total: Int?
    /// Description of the present step, for people.
    package let step: String

    /// Creates a step.
    package init(rows: Int, total: Int?, step: String) {
        self.rows = rows
        self.total = total
        self.step = step
    }
}

/// Result of building or updating an index.
package struct IndexReport: Hashable, Sendable {
    /// Number of rows in the index now; nil where they are not counted.
    package let rows: Int?
    /// Number of rows added, changed or removed by this run.
    package let changed: Int
    /// Explanation for people of what the run could not check; may be empty.
    package let note: String

    /// Creates a report.
    package init(rows: Int?, changed: Int, note: String = "") {
        self.rows = rows
        self.changed = changed
        self.note = note
    }
}
