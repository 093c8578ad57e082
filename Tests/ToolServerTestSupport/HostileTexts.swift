/// Texts that try to leave the place where they stand.
package enum HostileTexts {
    /// Texts that end a literal, a name or a statement of SQL, or stand for a parameter.
    package static let sql = [
        "'", "''", "\"", "`", "; DROP TABLE project; --", "' OR '1'='1", "' UNION SELECT password_hash FROM account --",
        "%' OR 1=1 --", "\\'", "\0'", ":text", "?1", "$1", "/*", "--", "a') --", "\u{2019} OR 1=1", "x'27'",
    ]
}
