/// A searchable table of the store's own schema.
package struct SearchModel: Sendable {
    /// Name under which callers search the model.
    package let key: String
    /// Table of the store.
    package let table: String
    /// Columns searched by `search_any`, all part of the trigram index `TABLE_trigram`.
    package let columns: [String]
    /// Column that holds the row's name; one of `columns`.
    package let display: String
    /// SQL expression of the row's URL.
    package let url: String

    /// Name of the table's trigram index.
    package var index: String { table + "_trigram" }

    /// Returns the columns that a search compares.
    package func columns(_ searched: SearchColumns) -> [String] {
        switch searched {
        case .all: columns
        case .display: [display]
        }
    }

    /// Models of the store's own schema.
    package static let builtIn: [SearchModel] = [
        SearchModel(
            key: "projects", table: "project", columns: ["name", "description"], display: "name",
            url: "'/psm/project/' || row.id || '/'"),
        SearchModel(
            key: "tasks", table: "task", columns: ["title", "notes"], display: "title",
            url: "'/psm/task/' || row.id || '/'"),
        SearchModel(
            key: "customers", table: "customer", columns: ["company", "contact"], display: "company",
            url: "'/psm/customer/' || row.id || '/'"),
        SearchModel(
            key: "documents", table: "document", columns: ["title", "body"], display: "title", url: "row.url"),
    ]
}
