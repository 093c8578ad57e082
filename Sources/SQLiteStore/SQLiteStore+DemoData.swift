import GRDB
import Store

extension SQLiteStore: InternalStore {
    package func insertDemoRows() async throws -> [(table: String, rows: Int)] {
        try await write { db in
            var counts: [(table: String, rows: Int)] = []
            func count(_ table: String, _ insert: () throws -> Void) throws {
                let before = db.totalChangesCount
                let rowsBefore = try Int.fetchOne(db, sql: "SELECT count(*) FROM \(table)") ?? 0
                try insert()
                if db.totalChangesCount != before {
                    let rowsAfter = try Int.fetchOne(db, sql: "SELECT count(*) FROM \(table)") ?? 0
                    if rowsAfter > rowsBefore { counts.append((table, rowsAfter - rowsBefore)) }
                }
            }
            try count("project") {
                for project in DemoData.projects {
                    try db.execute(
                        sql: "INSERT OR IGNORE INTO project (id, name, description) VALUES (?, ?, ?)",
                        arguments: [project.id, project.name, project.description])
                }
            }
            try count("task") {
                for task in DemoData.tasks {
                    try db.execute(
                        sql: "INSERT OR IGNORE INTO task (id, title, notes, project_id) VALUES (?, ?, ?, ?)",
                        arguments: [task.id, task.title, task.notes, task.project])
                }
            }
            try count("customer") {
                for customer in DemoData.customers {
                    try db.execute(
                        sql: "INSERT OR IGNORE INTO customer (id, company, contact) VALUES (?, ?, ?)",
                        arguments: [customer.id, customer.company, customer.contact])
                }
            }
            try count("document") {
                for document in DemoDocuments.all
                where try Int.fetchOne(db, sql: "SELECT 1 FROM document WHERE title = ?", arguments: [document.title])
                    == nil
                {
                    _ = try Self.insert(document, in: db)
                }
            }
            return counts
        }
    }
}
