import Foundation
import Glibc

@testable import HTTPServer

struct RawClientError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

struct RawResponse: Equatable {
    var status: Int
    var headers: [String: String]
    var body: String
}

/// A blocking client that sends exactly the bytes it is told to. Use it inside `blocking { … }` only.
final class RawClient {
    let descriptor: Int32
    private var buffer: [UInt8] = []
    private var isOpen = true

    init(port: Int, receiveBuffer: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        if var size = receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            // Not the system's function alone: the object is whole, so that its end closes the descriptor too, which may
            // be another one's by then.
            close()
            throw RawClientError("connect: \(String(cString: strerror(errno)))")
        }
        setTimeout(10)
    }

    init(unixPath: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: unixPath.utf8) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            // Not the system's function alone: the object is whole, so that its end closes the descriptor too, which may
            // be another one's by then.
            close()
            throw RawClientError("connect: \(String(cString: strerror(errno)))")
        }
        setTimeout(10)
    }

    deinit { close() }

    private func setTimeout(_ seconds: Int) {
        var timeout = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw RawClientError("send: \(String(cString: strerror(errno)))") }
            sent += count
        }
    }

    /// One read; empty at the end of the stream.
    func receive() throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        guard count >= 0 else { throw RawClientError("receive: \(String(cString: strerror(errno)))") }
        return Array(bytes[..<count])
    }

    /// Everything up to the end of the stream.
    func readAll() throws -> String {
        while true {
            let bytes = try receive()
            if bytes.isEmpty { break }
            buffer += bytes
        }
        defer { buffer = [] }
        return String(decoding: buffer, as: UTF8.self)
    }

    private func readLine() throws -> String {
        while true {
            if let end = buffer.firstIndex(of: 10) {
                defer { buffer.removeSubrange(...end) }
                return String(decoding: buffer[..<(end - 1)], as: UTF8.self)
            }
            try fill()
        }
    }

    private func read(_ count: Int) throws -> String {
        while buffer.count < count { try fill() }
        defer { buffer.removeSubrange(..<count) }
        return String(decoding: buffer[..<count], as: UTF8.self)
    }

    private func fill() throws {
        let bytes = try receive()
        guard !bytes.isEmpty else { throw RawClientError("the stream ended early") }
        buffer += bytes
    }

    /// The head of the next response, interim ones included.
    func readHead() throws -> RawResponse {
        let line = try readLine()
        let parts = line.split(separator: " ")
        guard parts.count >= 2, parts[0] == "HTTP/1.1", let status = Int(parts[1]) else {
            throw RawClientError("no status line: \(line)")
        }
        var headers: [String: String] = [:]
        while true {
            let line = try readLine()
            if line.isEmpty { break }
            let parts = line.split(separator: ":", maxSplits: 1)
            headers[parts[0].lowercased(), default: ""] += parts[1].trimmingCharacters(in: .whitespaces)
        }
        return RawResponse(status: status, headers: headers, body: "")
    }

    /// The next chunk of a chunked body, empty for the last; trailers are not expected.
    func readChunk() throws -> String {
        guard let size = Int(try readLine(), radix: 16) else { throw RawClientError("no chunk size") }
        let chunk = try read(size)
        _ = try readLine()
        return chunk
    }

    /// The next final response, with its body.
    func readResponse(toHead: Bool = false) throws -> RawResponse {
        var response = try readHead()
        while response.status == 100 { response = try readHead() }
        if toHead || response.status == 204 || response.status == 304 { return response }
        if let length = response.headers["content-length"].flatMap({ Int($0) }) {
            response.body = try read(length)
        } else if response.headers["transfer-encoding"] == "chunked" {
            while true {
                let chunk = try readChunk()
                if chunk.isEmpty { break }
                response.body += chunk
            }
        } else {
            response.body = try readAll()
        }
        return response
    }

    /// True when the server has ended its side; false when bytes come or nothing does for 10 s.
    func isAtEnd() -> Bool {
        guard buffer.isEmpty else { return false }
        var byte: UInt8 = 0
        let count = recv(descriptor, &byte, 1, 0)
        return count == 0 || (count < 0 && errno == ECONNRESET)
    }

    func shutdownWrite() { shutdown(descriptor, Int32(SHUT_WR)) }

    func close() {
        guard isOpen else { return }
        isOpen = false
        Glibc.close(descriptor)
    }
}

/// Runs blocking code on a thread of its own, so that it does not starve the tasks that tests run on.
func blocking<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
    }
}
