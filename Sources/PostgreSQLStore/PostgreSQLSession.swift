import CPostgres
import Foundation

/// Opening of a connection, and the settings of every connection.
enum PostgreSQLSession {
    /// Opens a connection.
    /// - Throws: ``PostgreSQLError``; `CancellationError` when `wake` is signalled.
    static func open(
        _ location: PostgreSQLLocation, settings: PostgreSQLSettings, wake: WakeSignal
    ) throws -> OpaquePointer {
        // Parameters of the URL take precedence over these, except the last.
        var parameters = [
            "fallback_application_name": "tool-server", "keepalives_idle": "30", "keepalives_interval": "10",
            "tcp_user_timeout": "30000",
        ]
        parameters.merge(location.parameters) { _, given in given }
        parameters["client_encoding"] = "UTF8"
        if let password = location.password ?? settings.password { parameters["password"] = password.value }
        let keywords = parameters.keys.sorted()
        var names: [UnsafePointer<CChar>?] = []
        var values: [UnsafePointer<CChar>?] = []
        for keyword in keywords {
            names.append(UnsafePointer(strdup(keyword)))
            values.append(UnsafePointer(strdup(parameters[keyword] ?? "")))
        }
        defer { for pointer in names + values { free(UnsafeMutablePointer(mutating: pointer)) } }
        guard let handle = PQconnectStartParams(names + [nil], values + [nil], 0) else {
            throw PostgreSQLError(disconnected: "out of memory")
        }
        // Notices would be written to standard error, which is the log.
        _ = PQsetNoticeProcessor(handle, { _, _ in }, nil)
        do {
            try waitForConnection(handle, until: .now + settings.connectTimeout, wake: wake)
        } catch {
            PQfinish(handle)
            throw error
        }
        return handle
    }

    private static func waitForConnection(
        _ handle: OpaquePointer, until deadline: ContinuousClock.Instant, wake: WakeSignal
    ) throws {
        var events = POLLOUT
        while PQstatus(handle) != CONNECTION_BAD {
            switch SocketWait(socket: PQsocket(handle), for: events, until: deadline, wake: wake) {
            case .ready: break
            case .woken: throw CancellationError()
            case .timedOut: throw PostgreSQLError(disconnected: "connecting took too long")
            }
            switch PQconnectPoll(handle) {
            case PGRES_POLLING_OK: return
            case PGRES_POLLING_READING: events = POLLIN
            case PGRES_POLLING_WRITING: events = POLLOUT
            default: throw PostgreSQLError(disconnected: message(of: handle))
            }
        }
        throw PostgreSQLError(disconnected: message(of: handle))
    }

    /// Returns the statements that set up a connection.
    static func script(readOnly: Bool, timeout: Duration) -> String {
        """
        SET statement_timeout = \(timeout.inMilliseconds);
        SET idle_in_transaction_session_timeout = '60s';
        SET standard_conforming_strings = on;
        SET bytea_output = hex;
        SET datestyle = 'ISO, YMD';
        SET timezone = 'UTC';
        SET jit = off;
        SET max_parallel_workers_per_gather = 0;
        \(readOnly ? "SET default_transaction_read_only = on;" : "")
        """
    }

    /// Returns libpq's last message, on one line.
    static func message(of handle: OpaquePointer) -> String {
        let text = PQerrorMessage(handle).map { PostgreSQLCodes.text($0) } ?? ""
        let line = text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
            .joined(separator: "; ")
        return line.isEmpty ? "the connection was lost" : line
    }
}
