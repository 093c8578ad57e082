package import Foundation
import JSON
package import Store

/// Personal data of one user, to be exported or deleted.
package struct PersonalData: Sendable {
    /// A user whose data is stored here.
    package struct Subject: Sendable {
        /// Identifier, as in `Principal.id`.
        package let id: String
        /// Login name.
        package let username: String
        let alias: String
        let isActive: Bool
        /// Identifier in the store's own accounts; nil for a user of an external site.
        let accountID: Int64?
    }

    let store: any Store
    let external: (any ExternalDatabase)?
    /// Store of this user's messages.
    let messages: any MessageStore

    private static let pageSize = 200

    /// Returns the user with that name: an account of the store, else a user of the Django site.
    /// - Throws: ``StoreError``.
    package func subject(named name: String) async throws -> Subject? {
        if let account = try await store.account(named: name) {
            return Subject(
                id: account.principal.id, username: account.username, alias: account.alias,
                isActive: account.isActive, accountID: account.id)
        }
        guard let external, let id = try await external.djangoUserID(named: name),
            let user = try await external.djangoUser(id: id)
        else { return nil }
        return Subject(
            id: DjangoUser.principalPrefix + id, username: user.username, alias: user.alias,
            isActive: user.isActive, accountID: nil)
    }

    /// Writes all data of a user as one JSON object, piece by piece: account, login sessions and API keys without their
    /// secrets, messages newest first.
    /// - Throws: ``StoreError``; errors of `write`.
    package func export(_ subject: Subject, now: Date = Date(), write: (String) throws -> Void) async throws {
        let account: JSONValue = [
            "id": .string(subject.id), "username": .string(subject.username), "alias": .string(subject.alias),
            "active": .bool(subject.isActive),
        ]
        var sessions: [JSONValue] = []
        if let id = subject.accountID {
            // Expired sessions that are still stored are personal data, too.
            sessions = try await store.loginSessions(accountID: id, now: Date(timeIntervalSince1970: 0)).map {
                session in
                [
                    "createdAt": .string(session.createdAt.timestamp),
                    "expiresAt": .string(session.expiresAt.timestamp),
                ]
            }
        }
        let keys = try await store.apiKeys().filter { Self.isKey($0, of: subject) }.map(Self.json)
        let grants = try await store.oauthGrants(userID: subject.id).map(Self.json)
        let tokens = try await store.tokenUsage(userID: subject.id).map { day, tokens -> JSONValue in
            ["day": .string(day.description), "tokens": .number(Int(clamping: tokens))]
        }
        try write(
            """
            {
              "exportedAt": \(JSONValue.string(now.timestamp).text),
              "account": \(account.text),
              "sessions": \(JSONValue.array(sessions).text),
              "keys": \(JSONValue.array(keys).text),
              "grants": \(JSONValue.array(grants).text),
              "tokens": \(JSONValue.array(tokens).text),
              "messages": [
            """)
        var separator = "\n    "
        var position: PagePosition?
        repeat {
            let page = try await messages.messages(
                userID: subject.id, within: MessagePageBounds(rows: Self.pageSize, cutsLongExchanges: false),
                after: position)
            for message in page.messages {
                let json: JSONValue = [
                    "message": .string(message.message), "response": .string(message.response),
                    "at": .string(message.at.timestamp),
                ]
                try write(separator + json.text)
                separator = ",\n    "
            }
            position = page.next
        } while position != nil
        try write("\n  ]\n}\n")
    }

    /// Deletes a user's data: an account of the store with all its data in one transaction; of a user of an external
    /// site the messages and grants, and the user's keys are revoked.
    /// - Throws: ``StoreError`` of kind `unsupported` where the site's messages must not be deleted; then nothing is.
    package func delete(_ subject: Subject, now: Date = Date()) async throws -> DeletedUserData {
        if let id = subject.accountID {
            let grants = try await store.deleteOAuthGrants(userID: subject.id)
            var deleted = try await store.deleteAccount(id: id, userID: subject.id) ?? DeletedUserData()
            deleted.grants = grants
            try await store.deleteTokenUsage(userID: subject.id)
            return deleted
        }
        var deleted = DeletedUserData()
        deleted.messages = try await messages.deleteMessages(userID: subject.id)
        deleted.grants = try await store.deleteOAuthGrants(userID: subject.id)
        try await store.deleteTokenUsage(userID: subject.id)
        for key in try await store.apiKeys() where Self.isKey(key, of: subject) && key.revokedAt == nil {
            if try await store.revokeAPIKey(named: key.name, at: now) { deleted.keys += 1 }
        }
        return deleted
    }

    /// Returns whether a key belongs to a user. Ids are compared as bytes, as the store does.
    private static func isKey(_ key: APIKey, of subject: Subject) -> Bool {
        key.userID.map { $0.utf8.elementsEqual(subject.id.utf8) } ?? false
    }

    private static func json(_ grant: OAuthGrant) -> JSONValue {
        [
            "client": .string(grant.clientID), "name": .string(grant.clientName),
            "scopes": .array(grant.scopes.map { .string($0) }), "createdAt": .string(grant.createdAt.timestamp),
            "usedAt": .string(grant.usedAt.timestamp), "expiresAt": .string(grant.expiresAt.timestamp),
        ]
    }

    private static func json(_ key: APIKey) -> JSONValue {
        var object: JSONObject = [
            "name": .string(key.name), "scopes": .array(key.scopes.map { .string($0) }),
            "createdAt": .string(key.createdAt.timestamp),
        ]
        object["expiresAt"] = key.expiresAt.map { .string($0.timestamp) }
        object["revokedAt"] = key.revokedAt.map { .string($0.timestamp) }
        object["lastUsedAt"] = key.lastUsedAt.map { .string($0.timestamp) }
        return .object(object)
    }
}

/// Removal of old messages, in small transactions, so that other writers do not wait long.
struct HistoryRetention: Sendable {
    let messages: any MessageStore
    let age: Duration

    private static let batch = 500

    /// Removes the messages older than the configured age and returns their number.
    func sweep(now: Date) async throws -> Int {
        let limit = now.addingTimeInterval(-(age / .seconds(1)))
        var removed = 0
        while true {
            try Task.checkCancellation()
            let count = try await messages.deleteMessages(before: limit, limit: Self.batch)
            removed += count
            if count < Self.batch { return removed }
            await Task.yield()
        }
    }
}
