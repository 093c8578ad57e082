import Foundation
import Glibc

/// Listening sockets handed over by systemd (`sd_listen_fds(3)`): descriptors 3, 4, … as many as `LISTEN_FDS` says.
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
        /// `FileDescriptorName=` of the unit, else the unit's own name, else `unknown`.
        package let name: String
        /// The descriptor, 3 or more.
        package let fileDescriptor: Int32
    }

    /// In the order of the socket unit; empty when the process was not socket-activated.
    package let sockets: [Socket]

    /// Reads the three variables; anything malformed or meant for another process yields no sockets.
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

    /// The sockets with this name, as addresses to listen on.
    package func addresses(named name: String) -> [HTTPListenAddress] {
        sockets.filter { $0.name == name }.map { .inherited(fileDescriptor: $0.fileDescriptor) }
    }

    /// All sockets, as addresses to listen on.
    package var addresses: [HTTPListenAddress] { sockets.map { .inherited(fileDescriptor: $0.fileDescriptor) } }

    /// Keeps the sockets from processes that this one starts, and removes the variables from its environment.
    /// Call it once, before any thread exists: changing the environment is not thread-safe.
    package func claim() {
        for socket in sockets { _ = fcntl(socket.fileDescriptor, F_SETFD, FD_CLOEXEC) }
        for variable in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { unsetenv(variable) }
    }
}

/// The listening sockets of systemd's socket activation, by the listener that they are for.
package struct InheritedSockets: Sendable {
    /// For clients.
    package let main: [HTTPListenAddress]
    /// For the admin listener.
    package let admin: [HTTPListenAddress]

    /// None.
    package init() {
        main = []
        admin = []
    }

    /// A socket named `admin` is the admin listener's; every other one is for clients.
    package init(_ sockets: SystemdSockets) {
        admin = sockets.addresses(named: "admin")
        let adminSockets = Set(admin)
        main = sockets.addresses.filter { !adminSockets.contains($0) }
    }
}
