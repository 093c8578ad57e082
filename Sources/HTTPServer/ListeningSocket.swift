import Glibc
import NIOCore
import NIOPosix

/// A bound, accepting channel and the resources to release with it.
struct HTTPListeningSocket: Sendable, CustomStringConvertible {
    let channel: any Channel
    let localAddress: SocketAddress
    /// Path of the socket file to remove on closing; nil for sockets whose file must stay.
    private let path: String?

    /// Address `HOST:PORT` as bound, or `unix:PATH`.
    var description: String {
        switch localAddress {
        case .v4: "\(localAddress.ipAddress ?? ""):\(localAddress.port ?? 0)"
        case .v6: "[\(localAddress.ipAddress ?? "")]:\(localAddress.port ?? 0)"
        case .unixDomainSocket: "unix:\(localAddress.pathname ?? "")"
        }
    }

    func close() async {
        // The file first: a successor that binds the same path meanwhile must not lose its own.
        if let path { unlink(path) }
        try? await channel.close().get()
    }

    static func open(
        _ address: HTTPListenAddress, bootstrap: ServerBootstrap, configuration: HTTPServerConfiguration
    ) async throws -> HTTPListeningSocket {
        do {
            switch address {
            case .hostPort(let host, let port):
                let channel = try await bootstrap.bind(host: host, port: port).get()
                return try HTTPListeningSocket(channel: channel, path: nil)
            case .unixSocket(let path):
                let descriptor = try UnixListeningSocket.bind(path, mode: configuration.unixSocketMode)
                let channel = try await bootstrap.withBoundSocket(descriptor).get()
                setBacklog(descriptor, configuration.backlog)
                return try HTTPListeningSocket(channel: channel, path: path)
            case .inherited(let descriptor):
                try checkListens(descriptor)
                let channel = try await bootstrap.withBoundSocket(descriptor).get()
                setBacklog(descriptor, configuration.backlog)
                return try HTTPListeningSocket(channel: channel, path: nil)
            }
        } catch let error as HTTPListenError {
            throw error
        } catch {
            throw HTTPListenError(address: address.description, reason: reason(error))
        }
    }

    private init(channel: any Channel, path: String?) throws {
        guard let address = channel.localAddress else { throw ChannelError.unknownLocalAddress }
        self.channel = channel
        self.localAddress = address
        self.path = path
    }

    /// Sets the length of the accept queue. NIO sets its default when it takes over a socket; on a listening socket,
    /// another `listen` only changes the length of the queue.
    private static func setBacklog(_ descriptor: Int32, _ backlog: Int) {
        _ = listen(descriptor, Int32(clamping: backlog))
    }

    private static func checkListens(_ descriptor: Int32) throws {
        var listens: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 else {
            throw IOError(errnoCode: errno, reason: "getsockopt")
        }
        guard listens != 0 else {
            throw HTTPListenError(address: "fd:\(descriptor)", reason: "the inherited socket does not listen")
        }
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case let error as IOError: return errorText(error.errnoCode)
        case let error as SocketAddressError.UnknownHost: return "cannot resolve the name (\(error.errorDescription))"
        default: return "\(error)"
        }
    }

    static func errorText(_ code: Int32) -> String {
        let text = String(cString: strerror(code))
        return text.prefix(1).lowercased() + text.dropFirst()
    }
}

/// Binding of a Unix-domain socket such that its permissions hold from the first connection on.
enum UnixListeningSocket {
    static func bind(_ path: String, mode: UInt32) throws -> Int32 {
        func fail(_ code: Int32) -> HTTPListenError {
            HTTPListenError(address: "unix:\(path)", reason: HTTPListeningSocket.errorText(code))
        }
        try removeStale(path)
        let address = try SocketAddress(unixDomainSocketPath: path)
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw fail(errno) }
        let bound = address.withSockAddr { pointer, size in Glibc.bind(descriptor, pointer, socklen_t(size)) }
        // Connections are impossible before `listen`, so the mode is never wider than configured.
        guard bound == 0, chmod(path, mode) == 0 else {
            let code = errno
            close(descriptor)
            throw fail(code)
        }
        return descriptor
    }

    /// Removes a socket file on which no process listens; anything else at that path is left alone.
    private static func removeStale(_ path: String) throws {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw HTTPListenError(address: "unix:\(path)", reason: "the path exists and is no socket")
        }
        let address = try SocketAddress(unixDomainSocketPath: path)
        let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard probe >= 0 else { return }
        defer { close(probe) }
        let connected = address.withSockAddr { pointer, size in connect(probe, pointer, socklen_t(size)) }
        // Only a refused connection proves that no process listens; a full queue (EAGAIN) means that one does.
        guard connected != 0, errno == ECONNREFUSED else {
            throw HTTPListenError(
                address: "unix:\(path)", reason: HTTPListeningSocket.errorText(EADDRINUSE))
        }
        unlink(path)
    }
}
