/// Indexes that speed up the search of models and are made on request.
///
/// A search finds the same rows with an index and without.
package protocol SearchIndexing: Sendable {
    /// What is there, a line of `index status` for each model in the registry's order.
    func searchIndexes() async throws -> [SearchIndexStatus]

    /// Makes the index of a model anew.
    /// - Parameter progress: told now and then, on any thread.
    /// - Throws: ``StoreError``, of kind `unsupported` for a model that can have none; `CancellationError`.
    func buildSearchIndex(
        model: String, progress: @escaping @Sendable (IndexProgress) -> Void
    ) async throws -> IndexReport

    /// Takes up what changed since the index was built or updated; builds it where there is none.
    /// - Throws: as ``buildSearchIndex(model:progress:)``.
    func updateSearchIndex(
        model: String, progress: @escaping @Sendable (IndexProgress) -> Void
    ) async throws -> IndexReport
}

/// The index of a model.
package struct SearchIndexStatus: Hashable, Sendable {
    /// State of an index.
    package enum State: String, Sendable {
        /// By the database, with every change.
        case maintained
        /// Made earlier, and the table is as it was then.
        case fresh
        /// Made earlier; rows were changed since and searches read the table instead.
        case stale
        /// None: searches read the table.
        case missing
        /// The table cannot have one.
        case unsupported
    }

    /// Key of the model.
    package let model: String
    /// True if searches use the index.
    package let state: State
    /// Rows in it; nil where that is not counted.
    package let rows: Int?
    /// For people: why it is in that state; may be empty.
    package let detail: String

    /// A status; see the properties.
    package init(model: String, state: State, rows: Int? = nil, detail: String = "") {
        self.model = model
        self.state = state
        self.rows = rows
        self.detail = detail
    }
}

/// Progress of building an index.
package struct IndexProgress: Hashable, Sendable {
    /// Rows done.
    package let rows: Int
    /// Rows in all; nil where that is not known.
    package let total: Int?
    /// Description of the present step, for people.
    package let step: String

    /// A step; see the properties.
    package init(rows: Int, total: Int?, step: String) {
        self.rows = rows
        self.total = total
        self.step = step
    }
}

/// Result of building or updating an index.
package struct IndexReport: Hashable, Sendable {
    /// Rows in the index now; nil where that is not counted.
    package let rows: Int?
    /// Rows taken up, changed or removed by this run.
    package let changed: Int
    /// For people: what the run could not see; may be empty.
    package let note: String

    /// A report; see the properties.
    package init(rows: Int?, changed: Int, note: String = "") {
        self.rows = rows
        self.changed = changed
        self.note = note
    }
}
