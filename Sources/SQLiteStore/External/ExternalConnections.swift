import Foundation
import GRDB
import NIOConcurrencyHelpers
import Store

/// Connections to an external file, which its owner may move away or replace.
///
/// An open connection keeps using its file, whatever the path names by then. So the path is checked before each use,
/// and another file is opened anew.
final class ExternalConnections: Sendable {
    private struct Open {
        var file: FileIdentity
        var reader: DatabasePool
        var writer: DatabaseQueue?
        /// True once the connections are closed; no call may follow.
        var isClosed = false
    }

    private let path: String
    private let busyTimeout: TimeInterval
    private let isWriting: Bool
    private let state: NIOLockedValueBox<Open>

    /// - Parameter isWriting: True if a connection for writing is opened too.
    /// - Throws: `DatabaseError`, ``StoreError``.
    init(path: String, isWriting: Bool, busyTimeout: TimeInterval) throws {
        self.path = path
        self.isWriting = isWriting
        self.busyTimeout = busyTimeout
        state = NIOLockedValueBox(try Self.open(path, isWriting, busyTimeout))
    }

    /// Returns read-only connections to the file that is at the path now.
    func reader() throws -> DatabasePool { try current().reader }

    /// Returns the connection for writing; nil where there is none.
    func writer() throws -> DatabaseQueue? { try current().writer }

    func close() throws {
        let open = state.withLockedValue { open in
            open.isClosed = true
            return open
        }
        try open.reader.close()
        try open.writer?.close()
    }

    private func current() throws -> Open {
        guard let file = FileIdentity(path) else {
            throw StoreError(.cannotOpen, "database \(path): the file is not there")
        }
        return try state.withLockedValue { open in
            // The old connections close when the last query on them is done.
            if open.file != file, !open.isClosed { open = try Self.open(path, isWriting, busyTimeout) }
            return open
        }
    }

    private static func open(_ path: String, _ isWriting: Bool, _ busyTimeout: TimeInterval) throws -> Open {
        var configuration = GRDB.Configuration()
        configuration.label = "foreign"
        configuration.readonly = true
        configuration.busyMode = .timeout(busyTimeout)
        configuration.prepareDatabase { db in try FoldedNeedle.register(in: db) }
        // A read-only pool leaves the journal mode unchanged.
        let reader = try DatabasePool(path: path, configuration: configuration)
        guard let file = FileIdentity(path) else {
            throw StoreError(.cannotOpen, "database \(path): the file is not there")
        }
        var writer: DatabaseQueue?
        if isWriting {
            guard FileManager.default.isWritableFile(atPath: path) else {
                throw StoreError(.readOnly, "cannot write to \(path): the file is not writable")
            }
            var writing = GRDB.Configuration()
            writing.label = "external writes"
            writing.busyMode = .timeout(busyTimeout)
            writer = try DatabaseQueue(path: path, configuration: writing)
        }
        return Open(file: file, reader: reader, writer: writer)
    }
}

/// Identity of the file that a path names.
struct FileIdentity: Hashable, Sendable {
    private let device: UInt64
    private let number: UInt64

    /// Reads the identity; nil when there is no file at the path.
    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        device = UInt64(status.st_dev)
        number = UInt64(status.st_ino)
    }
}
