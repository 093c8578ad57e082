import Foundation
import Glibc
import Synchronization

/// A PostgreSQL server of its own, on a Unix socket in a temporary directory, that ends with the test process however
/// that ends.
///
/// Stop it at the end of a test that made one of its own: a value that goes away kills it.
///
/// Nothing is skipped where PostgreSQL is missing: starting fails, and so does the test.
package final class PostgreSQLServer: Sendable {
    /// The server that most tests share.
    package static func shared() async throws -> PostgreSQLServer { try await Shared.instance.server() }

    private actor Shared {
        static let instance = Shared()
        private var starting: Task<PostgreSQLServer, any Error>?

        func server() async throws -> PostgreSQLServer {
            if let starting { return try await starting.value }
            let task = Task {
                let server = try await PostgreSQLServer()
                try await server.start()
                // Once for all of them, in a schema that every test has on its path.
                try await server.sql("CREATE EXTENSION pg_trgm SCHEMA public")
                return server
            }
            starting = task
            return try await task.value
        }
    }

    /// The role that the server's cluster was made by.
    package static let user = "tester"

    private let directory: TemporaryDirectory
    private let programs: String
    /// Ends the server and removes the directory when its standard input ends.
    private let undertaker: ChildProcess
    private let process = Mutex<ChildProcess?>(nil)
    private let schemas = Mutex(0)

    /// Makes a cluster; ``start(_:)`` runs it.
    package init() async throws {
        programs = try Self.programs()
        directory = try TemporaryDirectory("pg")
        if let user = Self.unprivileged { chown(directory.url.path, user.id, user.group) }
        undertaker = try await ChildProcess.start(
            .init(
                "sh",
                [
                    "-c",
                    """
                    trap '' TERM INT HUP CONT
                    cat >/dev/null
                    if read -r pid <"$1/data/postmaster.pid"; then
                        kill -INT "$pid"
                        while kill -0 "$pid"; do sleep 0.1; done
                    fi 2>/dev/null
                    rm -rf "$1"
                    """, "sh", directory.url.path,
                ], keepsInput: true, deathSignal: "CONT"))
        let made = try await ChildProcess.run(
            launch(
                "initdb",
                [
                    "-D", directory.path("data"), "-U", Self.user, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
                    "--no-sync", "--no-instructions",
                ]), within: .seconds(120))
        guard made.succeeded else { throw ProcessError("initdb failed\n\(made.output)\(made.error)") }
    }

    /// The directory removes itself; two that remove it at a time would stop each other.
    deinit { undertaker.signalGroup(SIGKILL) }

    /// Starts the server with these settings beside those that make tests fast.
    package func start(_ settings: [String: String] = [:]) async throws {
        var settings = settings
        settings.merge([
            "listen_addresses": "", "unix_socket_directories": directory.url.path, "fsync": "off",
            "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "400",
            "shared_buffers": "64MB", "log_min_messages": "warning", "log_statement": "none",
        ]) { given, _ in given }
        let arguments =
            ["-D", directory.path("data")] + settings.sorted { $0.key < $1.key }.flatMap { ["-c", "\($0)=\($1)"] }
        let started = try await ChildProcess.start(launch("postgres", arguments))
        process.withLock { $0 = started }
        let port = settings["port"] ?? "5432"
        // Its log says it before its socket takes connections; only an answer counts.
        var isReady = false
        await eventually(within: .seconds(60), every: .milliseconds(50)) { [programs] in
            if started.exit != nil { return true }
            guard started.error.contains("ready to accept connections") else { return false }
            let asked = try? await ChildProcess.run(
                .init(programs + "/pg_isready", ["-q", "-h", self.directory.url.path, "-p", port]))
            isReady = asked?.succeeded == true
            return isReady
        }
        guard isReady else { throw ProcessError("PostgreSQL does not start\n\(started.log)") }
    }

    /// Starts the server so that it takes connections over TCP as well, to 127.0.0.1 and as `localhost`, under TLS alone
    /// and with this password alone.
    package func start(port: Int, _ certificates: Certificates, password: String) async throws {
        func install(_ content: Data, _ name: String) throws -> String {
            // Where and as the server wants its keys.
            let path = directory.path(name)
            try content.write(to: URL(filePath: path))
            chmod(path, 0o600)
            if let user = Self.unprivileged { chown(path, user.id, user.group) }
            return path
        }
        func install(_ name: String) throws -> String {
            try install(Data(contentsOf: URL(filePath: certificates.path(name))), name)
        }
        let rules = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
        try await start([
            "listen_addresses": "127.0.0.1", "port": "\(port)", "ssl": "on",
            "ssl_cert_file": install("localhost.pem"), "ssl_key_file": install("localhost.key"),
            "hba_file": install(Data(rules.utf8), "hba.conf"),
        ])
        try await sql("ALTER ROLE \(Self.user) PASSWORD '\(password)'", url: url(["port": "\(port)"]))
    }

    /// Ends the server in an orderly way; sessions are ended first.
    package func stop() async throws {
        guard let running = process.withLock({ $0 }) else { return }
        running.signal(SIGINT)
        try await running.exit(within: .seconds(30))
    }

    /// Stops the process that accepts connections; those that are open go on. ``thaw()`` lets it go on.
    package func freeze() { process.withLock { $0?.signal(SIGSTOP) } }

    /// Ends ``freeze()``.
    package func thaw() { process.withLock { $0?.signal(SIGCONT) } }

    /// Ends the server as a power failure does.
    package func kill() async throws {
        guard let running = process.withLock({ $0 }) else { return }
        running.signalGroup(SIGKILL)
        try await running.exit(within: .seconds(30))
        // Processes of other groups find out that the postmaster is gone by themselves.
    }

    /// The URL of a database of the server, with `parameters` after the `?`.
    package func url(database: String = "postgres", _ parameters: [String: String] = [:]) -> String {
        let all = ["host": directory.url.path].merging(parameters) { _, given in given }
        let query = all.sorted { $0.key < $1.key }.map { "\($0)=\(Self.encoded($1))" }.joined(separator: "&")
        return "postgres://\(Self.user)@/\(database)?\(query)"
    }

    /// The URL of a new, empty schema: cheaper than a database, and as separate where no test looks beside its own.
    /// Statements use indexes there however small the tables are.
    package func urlOfNewSchema() async throws -> String {
        let name = schemas.withLock { number in
            number += 1
            return "test_\(number)"
        }
        try await sql("CREATE SCHEMA \(name)")
        return url(["options": "-csearch_path=\(name),public -cenable_seqscan=off"])
    }

    /// Runs statements with psql; gives what it prints, one line for each row, columns separated by `|`.
    @discardableResult
    package func sql(_ text: String, url: String? = nil) async throws -> String {
        let finished = try await ChildProcess.run(
            .init(
                programs + "/psql",
                ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url ?? self.url(), "-c", text]))
        guard finished.succeeded else { throw ProcessError("psql: \(finished.error)") }
        return finished.output.trimmingCharacters(in: .newlines)
    }

    /// What the server wrote to its log since it was started.
    package var log: String { process.withLock { $0?.error ?? "" } }

    // MARK: - Programs

    private func launch(_ program: String, _ arguments: [String]) -> ChildProcess.Launch {
        let command = [programs + "/" + program] + arguments
        guard let user = Self.unprivileged else {
            return .init(command[0], Array(command.dropFirst()), deathSignal: "INT")
        }
        // PostgreSQL refuses to run as root. The kernel forgets the death signal with the change of user.
        return .init(
            "setpriv",
            [
                "--reuid", "\(user.id)", "--regid", "\(user.group)", "--clear-groups", "--", "setpriv", "--pdeathsig",
                "INT", "--",
            ] + command, directory: directory.url.path)
    }

    /// For root: whom the server runs as.
    private static var unprivileged: (id: uid_t, group: gid_t)? {
        guard geteuid() == 0 else { return nil }
        for name in ["postgres", "nobody"] {
            if let entry = getpwnam(name) { return (entry.pointee.pw_uid, entry.pointee.pw_gid) }
        }
        return (65534, 65534)
    }

    /// The directory with the newest server's programs.
    private static func programs() throws -> String {
        let root = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        let found =
            versions.compactMap { Int($0) }.sorted(by: >).map { "\(root)/\($0)/bin" }
            + (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        guard let directory = found.first(where: { FileManager.default.isExecutableFile(atPath: $0 + "/initdb") })
        else { throw ProcessError("PostgreSQL's server is not installed: no initdb in \(root)/*/bin or PATH") }
        return directory
    }

    private static func encoded(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: .alphanumerics.union(.init(charactersIn: "/.-_"))) ?? text
    }
}
