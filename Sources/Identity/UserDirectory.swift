package import MCPServer
package import Store

/// Scopes that a credential grants.
package enum GrantedScopes: Hashable, Sendable {
    /// All scopes.
    case all
    /// Only these scopes.
    case only(Set<String>)

    var scopes: Set<String> {
        switch self {
        case .all: []
        case .only(let scopes): scopes
        }
    }
}

/// A user, in whichever place its record is kept.
package struct UserRecord: Hashable, Sendable {
    /// Identifier, as in `Principal.id`; the prefix distinguishes the users of different places.
    let id: String
    let name: String
    let alias: String
    let isActive: Bool

    static let accountPrefix = "local:"

    init(_ account: Account) {
        id = Self.accountPrefix + String(account.id)
        name = account.username
        alias = account.alias
        isActive = account.isActive
    }

    init(_ user: DjangoUser, id: String) {
        self.id = DjangoUser.principalPrefix + id
        name = user.username
        alias = user.alias
        isActive = user.isActive
    }

    func principal(_ scopes: GrantedScopes, isCookie: Bool) -> Principal {
        Principal(
            id: id, name: name, scopes: scopes.scopes, hasAllScopes: scopes == .all, attributes: ["alias": alias],
            isCookie: isCookie)
    }
}

/// Directory of the users that keys, tokens and headers may name: those of the configured providers, in their order.
package struct UserDirectory: Sendable {
    /// A place that stores users.
    package enum Place: Sendable {
        /// The store's own accounts.
        case accounts(any AccountStore)
        /// An existing Django site.
        case django(any DjangoRecords)
    }

    let places: [Place]

    /// Creates a directory over places that are searched in order.
    package init(_ places: [Place]) {
        self.places = places
    }

    /// Returns the user with that `Principal.id`, active or not.
    /// - Throws: ``StoreError``.
    package func user(id: String) async throws -> UserRecord? {
        for place in places {
            switch place {
            case .accounts(let accounts):
                guard id.hasPrefix(UserRecord.accountPrefix),
                    let number = Int64(id.dropFirst(UserRecord.accountPrefix.count)),
                    let account = try await accounts.account(id: number)
                else { continue }
                return UserRecord(account)
            case .django(let records):
                guard let key = DjangoUser.userID(ofPrincipal: id), let user = try await records.djangoUser(id: key)
                else { continue }
                return UserRecord(user, id: key)
            }
        }
        return nil
    }

    /// Returns whether there is an active user with that `Principal.id`.
    /// - Throws: ``StoreError``.
    package func isActive(user id: String) async throws -> Bool { try await user(id: id)?.isActive ?? false }

    /// Returns the name of the user with that `Principal.id`.
    /// - Throws: ``StoreError``.
    package func name(ofUser id: String) async throws -> String? { try await user(id: id)?.name }

    /// Returns the first user with exactly that name, active or not.
    /// - Throws: ``StoreError``.
    package func user(named name: String) async throws -> UserRecord? {
        for place in places {
            switch place {
            case .accounts(let accounts):
                if let account = try await accounts.account(named: name) { return UserRecord(account) }
            case .django(let records):
                if let id = try await records.djangoUserID(named: name), let user = try await records.djangoUser(id: id)
                {
                    return UserRecord(user, id: id)
                }
            }
        }
        return nil
    }
}

extension Principal {
    /// Principal of an operator at the command line, whom no access rule refuses.
    package static let allowedEverything = Principal(id: "operator", name: "operator", hasAllScopes: true)
}

extension Account {
    /// Principal of a login session of this account, where cookies grant all scopes.
    package var principal: Principal { UserRecord(self).principal(.all, isCookie: true) }
}
