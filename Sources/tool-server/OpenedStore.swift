import Foundation
import Store
import ToolServerCore

extension SettingsOptions {
    /// Runs a command with a tool-server on the configured store, and releases it however the command ends.
    func withToolServer<Value>(
        _ configuration: ToolServerConfiguration, _ body: (ToolServer) async throws -> Value
    ) async throws -> Value {
        try await closing(
            build(configuration, logger: ProcessLog.start(configuration).logger), { await $0.shutdown() }, body)
    }

    /// Runs a command likewise, with the configuration as it is loaded.
    func withToolServer<Value>(_ body: (ToolServer) async throws -> Value) async throws -> Value {
        try await withToolServer(load(), body)
    }

    /// Runs a command with the database of the server's own tables.
    /// - Parameter creating: True if a missing database file is created; otherwise its absence means that the path is
    ///   wrong.
    func withOwnStore<Value>(
        creating: Bool = false, _ body: (any InternalStore, ToolServerConfiguration) async throws -> Value
    ) async throws -> Value {
        let configuration = try load()
        if configuration.stateDatabase == .memory {
            throw CommandLineError("toolServer.stateDatabase: expected a path for data to be kept, found :memory:")
        }
        if !creating { try configuration.requireOwnDatabase() }
        return try await closing(configuration.openStore(), { try await $0.close() }) {
            try await body($0, configuration)
        }
    }
}

/// Runs a closure with a resource, and closes the resource however it ends.
func closing<Opened, Value>(
    _ opened: Opened, _ close: (Opened) async throws -> Void, _ body: (Opened) async throws -> Value
) async throws -> Value {
    let value: Value
    do {
        value = try await body(opened)
    } catch {
        // The error of the command is more important than that of closing.
        try? await close(opened)
        throw error
    }
    try await close(opened)
    return value
}

extension ToolServerConfiguration {
    /// Throws when the database of the server's own tables is a file that does not exist.
    func requireOwnDatabase() throws {
        guard case .file(let path) = internalDatabase, !FileManager.default.fileExists(atPath: path) else { return }
        throw CommandLineError("database \(path): no such file")
    }

    func account(named name: String, in store: any AccountStore) async throws -> Account {
        guard let account = try await store.account(named: name) else {
            throw CommandLineError("no user named \"\(name)\" in \(internalDatabase)")
        }
        return account
    }
}
