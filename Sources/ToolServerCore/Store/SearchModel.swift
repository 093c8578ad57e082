/// A searchable table of the store's own schema.
struct SearchModel: Sendable {
    /// What callers name it.
    let key: String
    let table: String
    /// Columns searched by `search_any`, all part of the trigram index `TABLE_trigram`.
    let columns: [String]
    /// Shown as the row's name; one of `columns`.
    let display: String
    /// SQL expression of the row's URL.
    let url: String

    var index: String { table + "_trigram" }

    /// The columns that a search looks at.
    func columns(_ searched: SearchColumns) -> [String] {
        switch searched {
        case .all: columns
        case .display: [display]
        }
    }

    static let builtIn: [SearchModel] = [
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
