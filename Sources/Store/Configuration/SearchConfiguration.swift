import JSON
package import JSONConfiguration

/// Settings of the `search` section: models over tables of the external database.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `models` | map | the server's own | see below |
/// | `projects` | string | `projects` | key of the model that `search_projects` searches |
/// | `indexRefresh` | duration | 30 s | time between two comparisons of an index with its external table; 0: never |
///
/// | key of `models.KEY` | type | default | meaning |
/// |---|---|---|---|
/// | `table` | string | required | table or view |
/// | `columns` | list | required | columns that `search_any` searches |
/// | `display` | string | first of `columns` | a column, or a template with `{column}` |
/// | `url` | string | required | template with `{column}`; values become one path segment each |
/// | `order` | list | primary key | columns, `-column` for descending |
/// | `key` | list | primary key | columns that identify a row; a view needs them to be paged |
/// | `filter` | object | empty | column → value, list of values or null that rows must have |
/// | `visibility` | `anonymous`, `authenticated`, `owner` | `anonymous` | callers who find rows |
/// | `owner` | string | – | column of the user's id, for visibility `owner` |
package struct SearchConfiguration: Sendable {
    /// Models; empty: the server's own.
    package let models: [ExternalModel]
    /// Model that `search_projects` searches.
    package let projects: String

    /// Time between two comparisons of external indexes with their tables; zero: they are not compared.
    package let indexRefresh: Duration

    /// Reads the section.
    package init(_ reader: ConfigurationReader) {
        indexRefresh = reader.duration(
            "indexRefresh", default: .seconds(30), in: .zero ... .seconds(86_400),
            """
            Interval of comparing an external index with its table. New and removed rows are seen at once, a changed text \
            after at most twice as long. 0: never, and an index is used until the file is written to.
            """)
        models = reader.map(
            "models",
            "Searchable tables of the database, by the name that callers use; empty: the server's own models.",
            of: "model"
        ) { name, model in ExternalModel(key: name, model) }.map(\.value)
        projects = reader.string("projects", default: "projects", "Model that search_projects searches.")
        if reader.isPresent("projects"), !models.isEmpty, !models.contains(where: { $0.key == projects }) {
            reader.fail(
                "projects", expected: "one of " + models.map(\.key).joined(separator: ", "), found: "\"\(projects)\"")
        }
    }
}

extension ExternalModel {
    private enum VisibilityName: String, CaseIterable {
        case anonymous, authenticated, owner
    }

    /// Reads a model of the section `search.models`.
    package init(key: String, _ reader: ConfigurationReader) {
        self.key = key
        table = reader.requiredString("table", "Name of the table or view.", example: "psm_project")
        columns = reader.strings("columns", default: [], "Columns that search_any searches.")
        if columns.isEmpty { reader.fail("columns", expected: "at least one column", found: "none") }
        let display = reader.string(
            "display", default: columns.first ?? "",
            "Name of a row as callers see it: a column, or a template with {column}. Default: the first of columns.")
        self.display = Self.template(display, "display", reader, bareIsColumn: true)
        if !columns.isEmpty, self.display.columns.isEmpty {
            reader.fail("display", expected: "a column or a template with {column}", found: "\"\(display)\"")
        }
        url = Self.template(
            reader.requiredString(
                "url", "URL of a row, with {column} for its values, such as /project/{id}/.",
                example: "/psm/project/{id}/"), "url",
            reader, bareIsColumn: false)
        order = reader.strings(
            "order", default: [], "Columns that rows are ordered by, -column for descending. Default: the primary key."
        ).map { text in
            text.hasPrefix("-")
                ? OrderTerm(column: String(text.dropFirst()), descending: true)
                : OrderTerm(column: text, descending: false)
        }
        identity = reader.strings(
            "key", default: [], "Columns that identify a row, for paging. Default: the primary key.")
        filter = Self.filter(reader)
        let owner = reader.optionalString(
            "owner", "Column of the owner's user id, for visibility owner.", example: "user_id")
        switch reader.choice(
            "visibility", default: VisibilityName.anonymous,
            "Callers that find rows: anonymous (all), authenticated, or the row's owner. Callers without an account on the "
                + "site own no rows."
        )
        {
        case .anonymous: visibility = .anonymous
        case .authenticated: visibility = .authenticated
        case .owner:
            if owner == nil { reader.fail("owner", expected: "the column that holds the user's id", found: "nothing") }
            visibility = .owner(column: owner ?? "")
        }
    }

    private static func template(
        _ text: String, _ key: String, _ reader: ConfigurationReader, bareIsColumn: Bool
    ) -> ColumnTemplate {
        if bareIsColumn, !text.isEmpty, !text.contains("{"), !text.contains("}") { return ColumnTemplate(column: text) }
        if let template = ColumnTemplate(parsing: text) { return template }
        reader.fail(key, expected: "a template with {column}", found: "\"\(text)\"")
        return ColumnTemplate(column: "")
    }

    private static func filter(_ reader: ConfigurationReader) -> [FilterTerm] {
        guard
            let value = reader.json(
                "filter", "Conditions of rows: a column with a value, a list of values, or null.",
                example: ["state": ["open", "active"], "deleted_at": .null])
        else { return [] }
        guard let object = value.object else {
            reader.fail("filter", expected: "an object of column and value", found: String(value.text.prefix(80)))
            return []
        }
        return object.compactMap { column, accepted in
            let elements = accepted.array ?? [accepted]
            let values = elements.compactMap(FilterTerm.Value.init)
            let nulls = elements.count { $0.isNull }
            guard !elements.isEmpty, values.count + nulls == elements.count else {
                reader.fail(
                    "filter", expected: "a string, number, boolean, null or a list of them for \(column)",
                    found: String(accepted.text.prefix(80)))
                return nil
            }
            return FilterTerm(column: column, values: values, acceptsNull: nulls > 0)
        }
    }
}

extension ExternalModel.FilterTerm.Value {
    fileprivate init?(_ json: JSONValue) {
        switch json {
        case .string(let text): self = .text(text)
        case .bool(let flag): self = .integer(flag ? 1 : 0)
        case .number(let number):
            self = number.int.map { .integer(Int64($0)) } ?? .real(number.double)
        default: return nil
        }
    }
}
