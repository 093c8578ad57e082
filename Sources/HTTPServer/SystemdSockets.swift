import Foundation
import Glibc

/// Listening sockets passed by systemd (`sd_listen_fds(3)`): descriptors 3, 4, … as many as `LISTEN_FDS` says.
///
/// ```
/// let sockets = SystemdSockets(environment: ProcessInfo.processInfo.environment)
/// let addresses = sockets.addresses(named: "main")     // FileDescriptorName= in the .socket unit
/// ```
/// `LISTEN_PID` must name this process, so that a child which inherits the environment does not take its parent's
/// sockets. Names come from `LISTEN_FDNAMES`, separated by colons; a socket without one is named `unknown`.
package struct SystemdSockets: Hashable, Sendable {
    /// One inherited socket.
    package struct Socket: Hashable, Sendable {
        /// Name: `FileDescriptorName=` of the unit, else the unit's own name, else `unknown`.
        package let name: String
        /// File descriptor, 3 or more.
        package let fileDescriptor: Int32
    }

    /// Sockets in the order of the socket unit; empty when the process was not socket-activated.
    package let sockets: [Socket]

    /// Reads the three variables; malformed ones, or those of another process, give no sockets.
    package init(
        environment: [String: String] = ProcessInfo.processInfo.environment,
        processID: Int32 = getpid()
    ) {
        guard environment["LISTEN_PID"].flatMap({ Int32($0) }) == processID,
            let count = environment["LISTEN_FDS"].flatMap({ Int32($0) }), (1...1024).contains(count)
        else {
            sockets = []
            return
        }
        let names = (environment["LISTEN_FDNAMES"] ?? "").split(separator: ":", omittingEmptySubsequences: false)
        sockets = (0..<count).map { index in
            let name = Int(index) < names.count ? String(names[Int(index)]) : ""
            return Socket(name: name.isEmpty ? "unknown" : name, fileDescriptor: 3 + index)
        }
    }

    /// Returns the sockets with this name, as addresses to listen on.
    package func addresses(named name: String) -> [HTTPListenAddress] {
        sockets.filter { $0.name == name }.map { .inherited(fileDescriptor: $0.fileDescriptor) }
    }

    /// All sockets, as addresses to listen on.
    package var addresses: [HTTPListenAddress] { sockets.map { .inherited(fileDescriptor: $0.fileDescriptor) } }

    /// Prevents processes that this one starts from inheriting the sockets, and removes the variables from its
    /// environment. Must be called once, before any thread exists: changing the environment is not thread-safe.
    package func claim() {
        for socket in sockets { _ = fcntl(socket.fileDescriptor, F_SETFD, FD_CLOEXEC) }
        for variable in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { unsetenv(variable) }
    }
}

/// Listening sockets of systemd's socket activation, by listener.
package struct InheritedSockets: Sendable {
    /// Sockets for clients.
    package let main: [HTTPListenAddress]
    /// Sockets of the admin listener.
    package let admin: [HTTPListenAddress]

    /// Creates an empty set.
    package init() {
        main = []
        admin = []
    }

    /// Assigns a socket named `admin` to the admin listener, all others to clients.
    package init(_ sockets: SystemdSockets) {
        admin = sockets.addresses(named: "admin")
        let adminSockets = Set(admin)
        main = sockets.addresses.filter { !adminSockets.contains($0) }
    }
}
