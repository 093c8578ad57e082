package import Foundation

/// Tokens of AI providers that each user has used, by the day in UTC.
package protocol TokenUsageStore: Sendable {
    /// Returns the tokens that a user has used on a day.
    func usedTokens(userID: String, day: UsageDay) async throws -> Int64

    /// Adds tokens to those of a user on a day.
    func addTokens(_ count: Int64, userID: String, day: UsageDay) async throws

    /// Returns the use of a user on all days that are stored, newest first.
    func tokenUsage(userID: String) async throws -> [(day: UsageDay, tokens: Int64)]

    /// Removes the use of all users before a day.
    func deleteTokenUsage(before day: UsageDay) async throws

    /// Removes all use of a user.
    func deleteTokenUsage(userID: String) async throws
}

/// A day in UTC, of the years 1 to 9999.
package struct UsageDay: Hashable, Sendable, CustomStringConvertible {
    private static let length: Int64 = 86_400_000
    private static let days: ClosedRange<Int64> = -719_162...2_932_896

    /// Number of the day since 1970-01-01.
    package let number: Int64

    /// Creates the day of an instant.
    package init(_ date: Date) {
        // Rounded down, before 1970 as well.
        let (quotient, rest) = date.milliseconds.quotientAndRemainder(dividingBy: Self.length)
        self.init(number: rest < 0 ? quotient - 1 : quotient)
    }

    init(number: Int64) { self.number = min(max(number, Self.days.lowerBound), Self.days.upperBound) }

    /// Returns the day so many days before this one, at most a century.
    package func before(days: Int) -> UsageDay { UsageDay(number: number - Int64(clamping: min(max(days, 0), 36_525))) }

    package var description: String {
        String(DjangoTimestamp.text(Date(milliseconds: number * Self.length)).prefix(10))
    }
}

/// Statements of the table, the same on every engine.
extension TokenUsageStore where Self: SQLDatabase {
    package func usedTokens(userID: String, day: UsageDay) async throws -> Int64 {
        try await inTransaction { db in
            let rows = try db.select(
                "SELECT tokens FROM token_usage WHERE user_id = $1 AND day = $2",
                [TokenUsageSchema.user(userID), .integer(day.number)])
            return rows.first?[0].number ?? 0
        }
    }

    package func addTokens(_ count: Int64, userID: String, day: UsageDay) async throws {
        try await inTransaction { db in
            try db.change(
                """
                INSERT INTO token_usage (user_id, day, tokens) VALUES ($1, $2, $3)
                ON CONFLICT (user_id, day) DO UPDATE SET tokens = token_usage.tokens + excluded.tokens
                """, [TokenUsageSchema.user(userID), .integer(day.number), .integer(count)])
        }
    }

    package func tokenUsage(userID: String) async throws -> [(day: UsageDay, tokens: Int64)] {
        try await inTransaction { db in
            try db.select(
                "SELECT day, tokens FROM token_usage WHERE user_id = $1 ORDER BY day DESC",
                [TokenUsageSchema.user(userID)]
            ).map { (day: UsageDay(number: $0[0].number), tokens: $0[1].number) }
        }
    }

    package func deleteTokenUsage(before day: UsageDay) async throws {
        try await inTransaction { db in
            try db.change("DELETE FROM token_usage WHERE day < $1", [.integer(day.number)])
        }
    }

    package func deleteTokenUsage(userID: String) async throws {
        try await inTransaction { db in
            try db.change("DELETE FROM token_usage WHERE user_id = $1", [TokenUsageSchema.user(userID)])
        }
    }
}

/// Table in SQL that every engine understands, except for the type of integers.
package enum TokenUsageSchema {
    /// Returns the statements that create it.
    package static func statements(integer: String) -> String {
        """
        CREATE TABLE token_usage (
            user_id TEXT NOT NULL, day \(integer) NOT NULL, tokens \(integer) NOT NULL, PRIMARY KEY (user_id, day));
        CREATE INDEX token_usage_day ON token_usage (day);
        """
    }

    /// PostgreSQL has no text with NUL.
    static func user(_ id: String) -> StoreValue { .text(id.replacing("\0", with: "\u{FFFD}")) }
}
