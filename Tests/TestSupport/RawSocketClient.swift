import Dispatch
import Glibc

/// A TCP connection that sends exactly the bytes that a test wrote, however malformed.
package final class RawSocketClient: Sendable {
    private let descriptor: Int32
    private let queue = DispatchQueue(label: "raw-socket")

    /// Connects to `127.0.0.1:PORT`; no read or write takes longer than `patience` seconds.
    package init(port: Int, patience: Int = 10) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: patience, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            // The object is whole, so that its end closes the descriptor; closed twice, it may be another one's.
            let reason = String(cString: strerror(errno))
            throw ProcessError("connect to port \(port): \(reason)")
        }
    }

    deinit { close(descriptor) }

    /// Sends bytes; what the peer no longer takes is dropped.
    package func send(_ text: String) async { await send(bytes: Array(text.utf8)) }

    /// The same with bytes that need not be text.
    package func send(bytes: [UInt8]) async {
        await onQueue { [descriptor] in
            var sent = 0
            while sent < bytes.count {
                let count = bytes[sent...].withUnsafeBytes {
                    Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { return }
                sent += count
            }
        }
    }

    /// Ends the sending side only.
    package func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Reads until the peer closes or nothing comes for the time given to `init`.
    package func receiveAll() async -> String { await receive { _ in false } }

    /// Reads until what came satisfies `isEnough`, the peer closes, or nothing comes for the time given to `init`.
    package func receive(until isEnough: @escaping @Sendable (String) -> Bool) async -> String {
        await onQueue { [descriptor] in
            var received: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 16384)
            while !isEnough(String(decoding: received, as: UTF8.self)) {
                let count = recv(descriptor, &buffer, buffer.count, 0)
                guard count > 0 else { break }
                received += buffer[..<count]
            }
            return String(decoding: received, as: UTF8.self)
        }
    }

    // Blocking calls stay off the concurrency pool.
    private func onQueue<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T {
        await withCheckedContinuation { continuation in queue.async { continuation.resume(returning: body()) } }
    }
}

/// A port of 127.0.0.1 that was free a moment ago, for programs that cannot choose one themselves.
package func freePort() throws -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
            bind(descriptor, name, size) == 0 && getsockname(descriptor, name, &size) == 0
        }
    }
    guard bound else { throw ProcessError("no free port: \(String(cString: strerror(errno)))") }
    return Int(in_port_t(bigEndian: address.sin_port))
}
