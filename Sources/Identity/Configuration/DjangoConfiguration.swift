package import JSONConfiguration
package import Store

/// Settings of the `django` section: the site whose sessions and users the identity `django` reads.
///
/// | key | environment | default | meaning |
/// |---|---|---|---|
/// | `secretKey`, `secretKeyFile` | `DJANGO_SECRET_KEY`, `DJANGO_SECRET_KEY_FILE` | required | `SECRET_KEY` |
/// | `secretKeyFallbacks`, `…File` | `DJANGO_SECRET_KEY_FALLBACKS`, `…_FILE` | – | `SECRET_KEY_FALLBACKS`, one a line |
/// | `cookie` | | `sessionid` | `SESSION_COOKIE_NAME` |
/// | `backends` | | Django's own | entries of `AUTHENTICATION_BACKENDS` |
/// | `sessions.table` | | `django_session` | table of Django's sessions |
/// | `users.table`, `.id`, `.username`, `.active`, `.password` | | those of `auth_user` | the table of users |
/// | `users.alias` | | – | column of the name shown to others |
package struct DjangoConfiguration: Sendable {
    /// The site's `SECRET_KEY`.
    package let secretKey: Secret?
    /// The site's `SECRET_KEY_FALLBACKS`, one a line.
    package let fallbacks: Secret?
    /// Name of the session cookie.
    package let cookie: String
    /// Authentication backends of the site; a session of any other one is anonymous.
    package let backends: Set<String>
    /// Tables of sessions and users.
    package let tables: DjangoTables

    /// Reads the section.
    package init(_ reader: ConfigurationReader) {
        secretKey = reader.secret("secretKey", "SECRET_KEY of the site.", environment: "DJANGO_SECRET_KEY")
        fallbacks = reader.secret(
            "secretKeyFallbacks", "SECRET_KEY_FALLBACKS of the site, one per line.",
            environment: "DJANGO_SECRET_KEY_FALLBACKS")
        cookie = reader.string("cookie", default: "sessionid", "Name of the session cookie.")
        backends = Set(
            reader.strings(
                "backends", default: DjangoIdentity.standardBackends,
                "The site's AUTHENTICATION_BACKENDS. A session that another backend opened is anonymous, as it is for "
                    + "Django; default: the backends that come with Django."))
        let sessions = reader.section("sessions", "Table of database sessions.") {
            $0.string("table", default: "django_session", "Name of the table.")
        }
        tables = reader.section("users", "Table of users.") { users in
            DjangoTables(
                sessions: sessions, users: users.string("table", default: "auth_user", "Name of the table."),
                id: users.string("id", default: "id", "Column of the primary key."),
                username: users.string("username", default: "username", "Column of the user name."),
                alias: users.optionalString(
                    "alias", "Column of the name shown to others; absent: no such name.", example: "alias"),
                active: users.string("active", default: "is_active", "Boolean column: true for users that may log in."),
                password: users.string("password", default: "password", "Column of the encoded password."))
        }
    }

    /// All secrets, for redaction.
    package var secrets: [String] { [secretKey?.value].compactMap(\.self) + fallbackKeys }

    var fallbackKeys: [String] { fallbacks?.value.split(whereSeparator: \.isNewline).map(String.init) ?? [] }

    /// Verifier of the site's signatures; nil without a key.
    package var signing: DjangoSigning? {
        secretKey.map { DjangoSigning(secretKey: $0.value, fallbacks: fallbackKeys) }
    }
}
