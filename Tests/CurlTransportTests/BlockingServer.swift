import Glibc
import Synchronization

/// A TCP server without any event loop: each accepted connection runs `serve` on a thread of its own. For peers that do
/// what no sane server does, such as never reading, or not noticing that the client closed.
final class BlockingServer: Sendable {
    struct Connection: Sendable {
        let descriptor: Int32
        /// Counted from 0.
        let number: Int

        /// Reads up to the end of a head and its Content-Length; nil at the end of the stream.
        func readRequest() -> String? {
            var text = ""
            var buffer = [UInt8](repeating: 0, count: 65536)
            while true {
                if let end = text.range(of: "\r\n\r\n") {
                    let length = text[..<end].split(separator: "\r\n").first { $0.hasPrefix("Content-Length: ") }
                        .flatMap { Int($0.dropFirst(16)) }
                    if text[end...].utf8.count - 4 >= length ?? 0 { return text }
                }
                let count = recv(descriptor, &buffer, buffer.count, 0)
                if count <= 0 { return nil }
                text += String(decoding: buffer[..<count], as: UTF8.self)
            }
        }

        func send(_ text: String) {
            _ = text.withCString { Glibc.send(descriptor, $0, strlen($0), Int32(MSG_NOSIGNAL)) }
        }
    }

    let port: Int
    private let listener: Int32
    private let accepts: Bool

    /// - Parameter backlog: of the listening socket; nothing is accepted when `serve` is nil.
    init(backlog: Int32 = 128, _ serve: (@Sendable (Connection) -> Void)?) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(listener, address, size) == 0 && listen(listener, backlog) == 0
                    && getsockname(listener, address, &size) == 0
            }
        }
        guard bound else { throw POSIXFailure(code: errno) }
        port = Int(UInt16(bigEndian: address.sin_port))
        self.listener = listener
        accepts = serve != nil
        guard let serve else { return }
        Self.thread {
            var number = 0
            while true {
                let descriptor = accept(listener, nil, nil)
                if descriptor < 0 {
                    close(listener)
                    return
                }
                let connection = Connection(descriptor: descriptor, number: number)
                number += 1
                Self.thread {
                    serve(connection)
                    close(descriptor)
                }
            }
        }
    }

    var url: String { "http://127.0.0.1:\(port)" }

    /// Stops accepting. The thread that accepts closes the listener: closed here, its number could be another test's
    /// listener by the time of the next `accept`, which would take that test's connections.
    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        if !accepts { close(listener) }
    }

    private static func thread(_ body: @escaping @Sendable () -> Void) {
        final class Box: Sendable {
            let body: @Sendable () -> Void
            init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }
        var thread = pthread_t()
        let context = Unmanaged.passRetained(Box(body)).toOpaque()
        let failed = pthread_create(
            &thread, nil,
            { context in
                Unmanaged<Box>.fromOpaque(context!).takeRetainedValue().body()
                return nil
            }, context)
        precondition(failed == 0)
        pthread_detach(thread)
    }
}

struct POSIXFailure: Error {
    let code: Int32
}

extension String {
    fileprivate func range(of needle: String) -> String.Index? {
        let pattern = Array(needle.utf8)
        let bytes = Array(utf8)
        guard bytes.count >= pattern.count else { return nil }
        for start in 0...(bytes.count - pattern.count) where Array(bytes[start..<(start + pattern.count)]) == pattern {
            return utf8.index(utf8.startIndex, offsetBy: start)
        }
        return nil
    }
}

/// Sockets of this process whose peer is that port on 127.0.0.1: the client's ends.
func clientSockets(to port: Int) -> [Int32] {
    (3..<Int32(4096)).filter { descriptor in
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let known = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &size) == 0 }
        }
        return known && address.sin_family == sa_family_t(AF_INET) && Int(UInt16(bigEndian: address.sin_port)) == port
    }
}
