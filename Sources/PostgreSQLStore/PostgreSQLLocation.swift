import CPostgres
import Foundation
package import JSONConfiguration
package import Store

/// Location of a PostgreSQL database: a URL as libpq reads it (`postgresql://user@host:port/name?sslmode=verify-full`),
/// with its password kept separately.
///
/// Without a password in the URL or in ``password``, libpq reads `PGPASSWORD`, `PGPASSFILE` and `~/.pgpass` itself;
/// parts that the URL omits come from the other `PG…` variables, such as `PGSSLMODE`.
package struct PostgreSQLLocation: Hashable, Sendable, CustomStringConvertible {
    /// libpq's parameters in the URL, without the password.
    let parameters: [String: String]
    /// Password; nil: libpq reads its environment and password file.
    package let password: Secret?
    /// The URL for people: without the password and without parameters after `?`.
    package let description: String

    /// Parses a URL of the scheme `postgres` or `postgresql`.
    /// - Throws: ``StoreError`` of kind `cannotOpen`; its text contains no part of the URL, which may contain a
    ///   password.
    package init(parsing url: String) throws(StoreError) {
        guard !url.utf8.contains(0) else { throw StoreError(.cannotOpen, "database: the URL contains NUL") }
        guard let options = PQconninfoParse(url, nil) else {
            throw StoreError(
                .cannotOpen,
                "database: not a PostgreSQL URL; expected postgres://USER@HOST:PORT/NAME?sslmode=… with special "
                    + "characters percent-encoded and parameters that libpq knows")
        }
        defer { PQconninfoFree(options) }
        var parameters: [String: String] = [:]
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { parameters[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        password = parameters.removeValue(forKey: "password").map(Secret.init)
        self.parameters = parameters
        description = Self.describe(parameters)
    }

    private init(parameters: [String: String], password: Secret?, description: String) {
        self.parameters = parameters
        self.password = password
        self.description = description
    }

    /// Returns the same database with a given password, unless the URL has one.
    package func with(password: Secret?) -> PostgreSQLLocation {
        PostgreSQLLocation(
            parameters: parameters, password: self.password ?? password, description: description)
    }

    private static func describe(_ parameters: [String: String]) -> String {
        var text = "postgres://"
        if let user = parameters["user"] { text += user + "@" }
        text += parameters["host"] ?? parameters["hostaddr"] ?? ""
        if let port = parameters["port"] { text += ":" + port }
        return text + "/" + (parameters["dbname"] ?? "")
    }
}
