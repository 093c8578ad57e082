import Store

extension PostgreSQLStore {
    package func insertDemoRows() async throws -> [(table: String, rows: Int)] {
        try await write { connection in
            var counts: [(table: String, rows: Int)] = []
            func count(_ table: String, _ insert: () throws -> Int) throws {
                let rows = try insert()
                guard rows > 0 else { return }
                counts.append((table, rows))
                // Ids were given explicitly; the sequence must continue after them.
                try connection.execute(
                    """
                    SELECT setval(pg_get_serial_sequence('\(table)', 'id'), max(id)) FROM \(table) HAVING max(id) > 0
                    """)
            }
            try count("project") {
                try DemoData.projects.reduce(0) { rows, project in
                    rows
                        + (try connection.execute(
                            "INSERT INTO project (id, name, description) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                            [.integer(project.id), .text(project.name), .text(project.description)]))
                }
            }
            try count("task") {
                try DemoData.tasks.reduce(0) { rows, task in
                    rows
                        + (try connection.execute(
                            """
                            INSERT INTO task (id, title, notes, project_id) VALUES ($1, $2, $3, $4)
                            ON CONFLICT DO NOTHING
                            """, [.integer(task.id), .text(task.title), .text(task.notes), .integer(task.project)]))
                }
            }
            try count("customer") {
                try DemoData.customers.reduce(0) { rows, customer in
                    rows
                        + (try connection.execute(
                            "INSERT INTO customer (id, company, contact) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                            [.integer(customer.id), .text(customer.company), .text(customer.contact)]))
                }
            }
            try count("document") {
                try DemoDocuments.all.reduce(0) { rows, document in
                    let known = try connection.first(
                        "SELECT 1 FROM document WHERE title = $1 LIMIT 1", [.text(document.title)]
                    ) { _ in true }
                    guard known == nil else { return rows }
                    _ = try Self.insert(document, connection)
                    return rows + 1
                }
            }
            return counts
        }
    }
}
