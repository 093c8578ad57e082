/// Address of a Redis or Valkey server: `redis://HOST[:PORT][/DATABASE]`.
package struct RedisAddress: Hashable, Sendable, CustomStringConvertible {
    /// Host name or address, without brackets.
    package let host: String
    /// Port; 6379 where the URL names none.
    package let port: Int
    /// Number of the database, from 0.
    package let database: Int

    /// Reads a URL; nil for another scheme, a user or password, a query, or a number out of range.
    package init?(_ text: String) {
        guard text.hasPrefix("redis://") else { return nil }
        var rest = text.dropFirst(8)
        var database = 0
        if let slash = rest.firstIndex(of: "/") {
            let path = rest[rest.index(after: slash)...]
            if !path.isEmpty {
                guard let number = Self.number(path), number <= 16_383 else { return nil }
                database = number
            }
            rest = rest[..<slash]
        }
        var port = 6379
        if let colon = rest.lastIndex(of: ":"), !rest[colon...].contains("]") {
            guard let number = Self.number(rest[rest.index(after: colon)...]), (1...65_535).contains(number) else {
                return nil
            }
            port = number
            rest = rest[..<colon]
        }
        var host = rest
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard host.contains(":") else { return nil }
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty, host.utf8.count <= 255,
            host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !"/@?#[]%".utf8.contains($0) })
        else { return nil }
        self.host = String(host)
        self.port = port
        self.database = database
    }

    package var description: String {
        "redis://\(host.contains(":") ? "[\(host)]" : host):\(port)/\(database)"
    }

    private static func number(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int(text, radix: 10)
    }
}
