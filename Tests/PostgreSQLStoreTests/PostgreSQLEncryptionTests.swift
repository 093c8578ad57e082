import Foundation
import TestSupport
import Testing
import ToolServerTestSupport

@testable import PostgreSQLStore
@testable import Store

/// A server that takes connections over TCP only under TLS, and only with a password.
@Suite struct PostgreSQLEncryptionTests {
    private static let password = "p/w @é"

    /// The server, its certificates, and URLs to it.
    private struct Encrypted {
        let server: PostgreSQLServer
        let certificates: Certificates
        let port: Int

        init() async throws {
            certificates = try await Certificates.make()
            server = try await PostgreSQLServer()
            port = try freePort()
            try await server.start(port: port, certificates, password: password)
        }

        func location(_ mode: String, host: String = "localhost", root: String? = nil) throws -> PostgreSQLLocation {
            let secret = password.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
            var url = "postgres://\(PostgreSQLServer.user):\(secret)@\(host):\(port)/postgres?sslmode=\(mode)"
            if let root { url += "&sslrootcert=\(certificates.path(root + ".pem"))" }
            return try PostgreSQLLocation(parsing: url)
        }
    }

    @Test func onlyTheRightServerIsSpokenToAndOnlyEncrypted() async throws {
        let encrypted = try await Encrypted()
        let good: [(mode: String, host: String, root: String?)] = [
            ("verify-full", "localhost", "authority"), ("verify-ca", "127.0.0.1", "authority"),
            ("require", "127.0.0.1", nil),
        ]
        for (mode, host, root) in good {
            let store = try await PostgreSQLStore(
                at: encrypted.location(mode, host: host, root: root), settings: .test)
            let isEncrypted = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            #expect(try await store.column(isEncrypted) == ["true"], "\(mode)")
            _ = try await store.insertAccount(username: mode, alias: "", passwordHash: "x", at: Date())
            #expect(try await store.account(named: mode)?.username == mode)
            try await store.close()
        }
        let bad: [(mode: String, host: String, root: String?, told: String)] = [
            ("verify-full", "localhost", "stranger", "certificate verify failed"),
            ("verify-ca", "localhost", "stranger", "certificate verify failed"),
            ("verify-full", "127.0.0.1", "authority", "does not match host name"),
            ("verify-full", "localhost", "none", "root certificate file"),
            // The server's own rule.
            ("disable", "127.0.0.1", nil, "no encryption"),
        ]
        for (mode, host, root, told) in bad {
            let error = await #expect(throws: StoreError.self, "\(mode) \(host) \(root ?? "")") {
                try await PostgreSQLStore(at: encrypted.location(mode, host: host, root: root), settings: .test)
            }
            let text = error?.description ?? ""
            #expect(text.contains(told), "\(text)")
            #expect(!text.contains(Self.password) && !text.contains("%40"))
        }
        try await encrypted.server.stop()
    }

    @Test func cancellingAndReplacingAConnectionWorkUnderTLS() async throws {
        let encrypted = try await Encrypted()
        let pool = PostgreSQLPool(try encrypted.location("verify-full", root: "authority"), settings: .test)
        func sleeping() async throws -> Bool {
            try await pool.run { connection in
                try connection.first(
                    "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep(64)%'"
                ) { $0.integer(0) } == 1
            }
        }
        let task = Task { try await pool.run { connection in _ = try connection.execute("SELECT pg_sleep(64)") } }
        #expect(try await eventually { try await sleeping() })
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(try await eventually { try await !sleeping() })
        try await encrypted.server.sql(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_ssl WHERE ssl",
            url: encrypted.server.url(["port": "\(encrypted.port)"]))
        #expect(try await pool.run { try $0.first("SELECT 1") { $0.integer(0) } } == 1)
        await pool.close()
        try await encrypted.server.stop()
    }
}
