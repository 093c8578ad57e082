import Testing

@testable import Store
@testable import ToolServerCore

@Suite struct DatabaseLocationTests {
    @Test(arguments: [
        ("db.sqlite", DatabaseLocation.file("db.sqlite")), ("sqlite:db.sqlite", .file("db.sqlite")),
        ("sqlite:///var/db.sqlite", .file("/var/db.sqlite")), ("/a b/ü.db", .file("/a b/ü.db")),
        (":memory:", .memory), ("sqlite::memory:", .memory),
    ])
    func locationsAreParsed(text: String, expected: DatabaseLocation) throws {
        #expect(try DatabaseLocation(parsing: text) == expected)
    }

    @Test(arguments: ["", "sqlite:", "mysql://h/db", "postgres://u:%zz@h/db", "postgres://h/db?nope=1", "a\0b"])
    func locationsThatCannotBeUsedAreRefused(text: String) {
        #expect(throws: StoreError.self) { try DatabaseLocation(parsing: text) }
    }
}
