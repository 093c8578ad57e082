package import JSONConfiguration

extension ExternalMessageTable {
    /// Reads the `messages` section; nil when it names no table.
    ///
    /// | key | type | default | meaning |
    /// |---|---|---|---|
    /// | `table` | string | – | table for the messages of the database's own users; absent: the server's own table |
    /// | `id`, `message`, `response` | string | the same | columns of the id, the message and the response |
    /// | `user`, `createdAt` | string | `user_id`, `created_at` | columns of the user's id and the time of creation |
    /// | `allowDelete` | boolean | false | allows `tool-server delete` to remove a user's messages from the table |
    package init?(_ reader: ConfigurationReader) {
        table = reader.string(
            "table", default: "",
            "Name of the table; empty: messages are kept in the server's own table.")
        id = reader.string("id", default: "id", "Column of the primary key.")
        user = reader.string("user", default: "user_id", "Column of the user's id.")
        message = reader.string("message", default: "message", "Column of the user's text.")
        response = reader.string("response", default: "response", "Column of the answer.")
        createdAt = reader.string("createdAt", default: "created_at", "Column of the time, written as Django does.")
        allowsDeleting = reader.bool(
            "allowDelete", default: false, "true: tool-server delete removes one user's messages from the table.")
        if table.isEmpty { return nil }
    }
}
