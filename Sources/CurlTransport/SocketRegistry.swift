import CCurl
import Glibc

/// Sockets that the engine's epoll watches, with the events of interest. Confined to the engine's thread.
///
/// libcurl requests a socket at the start of each transfer and withdraws the request at its end. Doing so literally
/// costs two system calls per request, so read interest stays registered when a transfer releases its socket. The rules
/// that make this safe:
/// - Interest is level-triggered, and write interest exists only while libcurl wants it: an idle socket is always
///   writable.
/// - An event on a socket that no transfer holds means that the peer closed it or sent bytes to no request (or that the
///   transfer is paused): the socket is deregistered, or it would be reported forever. Before libcurl reuses it, it finds
///   out by itself that the peer closed it; unexpected bytes it would take for the next response (before 8.1.0), so the
///   reactor ends such a connection.
/// - Only sockets that were opened through `opened` may stay: libcurl closes them through `closed`. Others (the pipe of
///   its resolver thread) are closed without notice, and their number may be given to another socket.
/// - A socket that was still connecting when its transfer ended is closed without notice too (libcurl 7.88 calls back
///   only for connections that were established). The kernel has dropped its registration then, which is how this is
///   detected.
struct SocketRegistry {
    private struct Socket {
        var registered = false
        var readable = false
        var writable = false
        /// True while a transfer waits for the socket.
        var held = false
        /// True if the socket was opened through `opened`, so that its closing is announced.
        var own = false
    }

    private let epoll: Int32
    private var sockets: [Socket] = []
    /// Number of open sockets.
    private(set) var openCount = 0

    init(epoll: Int32) { self.epoll = epoll }

    mutating func opened(_ socket: Int32) {
        grow(to: socket)
        // A number that is given again belonged to a socket that was closed without notice.
        if !sockets[Int(socket)].own { openCount += 1 }
        sockets[Int(socket)] = Socket(own: true)
    }

    /// Handles the closing of a socket. Must be called before the descriptor is closed: a copy of it in a child process
    /// would keep it in the epoll.
    mutating func closed(_ socket: Int32) {
        grow(to: socket)
        if sockets[Int(socket)].registered { _ = ccurl_epoll_forget(epoll, socket) }
        if sockets[Int(socket)].own { openCount -= 1 }
        sockets[Int(socket)] = Socket()
    }

    /// Sets the events on which a transfer waits at that socket.
    mutating func want(_ socket: Int32, readable: Bool, writable: Bool) {
        grow(to: socket)
        sockets[Int(socket)].held = true
        watch(socket, readable: readable, writable: writable)
    }

    /// Releases the socket: no transfer waits for it any more.
    mutating func release(_ socket: Int32) {
        grow(to: socket)
        sockets[Int(socket)].held = false
        let state = sockets[Int(socket)]
        if !state.own {
            forget(socket)
        } else if state.registered, state.writable {
            if ccurl_epoll_watch(epoll, socket, 1, 1, 0) == 0 {
                sockets[Int(socket)].readable = true
                sockets[Int(socket)].writable = false
            } else {
                // The socket was closed; its number may belong to another thread by now.
                sockets[Int(socket)] = Socket()
                openCount -= 1
            }
        }
    }

    /// State of a socket on which an event happened.
    enum Holder {
        /// A transfer waits for the event.
        case transfer
        /// No transfer waits at this connection, which is deregistered now.
        case unused
        /// The socket is not a connection, or not open any more.
        case unknown
    }

    /// Returns who waits for an event on that socket, and deregisters it where no transfer does.
    mutating func holder(onEvent socket: Int32) -> Holder {
        grow(to: socket)
        let state = sockets[Int(socket)]
        if state.held { return .transfer }
        forget(socket)
        return state.own && state.registered ? .unused : .unknown
    }

    private mutating func watch(_ socket: Int32, readable: Bool, writable: Bool) {
        let state = sockets[Int(socket)]
        if state.registered, state.readable == readable, state.writable == writable { return }
        let known = state.registered
        var result = ccurl_epoll_watch(epoll, socket, known ? 1 : 0, readable ? 1 : 0, writable ? 1 : 0)
        if result < 0, errno == EEXIST || errno == ENOENT {
            result = ccurl_epoll_watch(epoll, socket, known ? 0 : 1, readable ? 1 : 0, writable ? 1 : 0)
        }
        sockets[Int(socket)].registered = result == 0
        sockets[Int(socket)].readable = readable
        sockets[Int(socket)].writable = writable
    }

    private mutating func forget(_ socket: Int32) {
        if sockets[Int(socket)].registered { _ = ccurl_epoll_forget(epoll, socket) }
        sockets[Int(socket)].registered = false
        sockets[Int(socket)].writable = false
    }

    private mutating func grow(to socket: Int32) {
        while sockets.count <= Int(socket) { sockets.append(Socket()) }
    }
}
