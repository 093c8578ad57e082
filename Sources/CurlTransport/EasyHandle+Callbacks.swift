import CCurl
import Glibc
import HTTPSyntax
import NIOCore
import Synchronization

// libcurl's callbacks. All run on the engine's thread, inside curl_multi_socket_action, curl_easy_pause or
// curl_multi_cleanup, and none blocks. The context is the `EasyHandle` (the `CurlReactor` for sockets), which outlives
// its registration with libcurl.

private func handle(_ context: UnsafeMutableRawPointer?) -> EasyHandle? {
    context.map { Unmanaged<EasyHandle>.fromOpaque($0).takeUnretainedValue() }
}

private func reactor(_ context: UnsafeMutableRawPointer?) -> CurlReactor? {
    context.map { Unmanaged<CurlReactor>.fromOpaque($0).takeUnretainedValue() }
}

enum LibcurlCallback {
    static let body: ccurl_data_callback = { bytes, size, count, context in
        handle(context)?.receiveBody(UnsafeRawBufferPointer(start: bytes, count: size * count)) ?? 0
    }

    static let headerLine: ccurl_data_callback = { bytes, size, count, context in
        handle(context)?.receiveHeaderLine(UnsafeRawBufferPointer(start: bytes, count: size * count)) ?? 0
    }

    static let requestBody: ccurl_data_callback = { bytes, size, count, context in
        let buffer = UnsafeMutableRawBufferPointer(start: bytes, count: size * count)
        return handle(context)?.readBody(buffer) ?? ccurl_readfunc_abort
    }

    static let beforeSending: ccurl_prereq_callback = { context, _, _, _, _ in
        handle(context)?.beforeSending() == true ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT
    }

    static let openSocket: ccurl_open_socket_callback = { context, _, address in
        guard reactor(context)?.allows(address) ?? false else { return -1 }
        let socket = ccurl_open_socket(address)
        if socket >= 0 { reactor(context)?.socketOpened(socket) }
        return socket
    }

    static let closeSocket: ccurl_close_socket_callback = { context, socket in
        reactor(context)?.socketClosing(socket)
        return close(socket)
    }
}

extension EasyHandle {
    /// Largest response head, in bytes. libcurl allows 300 KiB; no known upstream needs more than this.
    private static let maximumHeadBytes = 64 << 10
    /// Largest memory reserved for a declared Content-Length, which may be false, in bytes.
    private static let maximumReservation = 1 << 20

    // MARK: Response head

    func receiveHeaderLine(_ line: UnsafeRawBufferPointer) -> Int {
        exchange.lastActivity = reactor.now
        // Trailers are ignored.
        if exchange.headComplete { return line.count }
        // Interim responses count too: a server may send any number of them.
        exchange.headBytes += line.count
        if exchange.headBytes > Self.maximumHeadBytes {
            return fail(.tooLarge, "response head is longer than \(Self.maximumHeadBytes) bytes")
        }
        if exchange.expectsStatusLine { return receiveStatusLine(line) }
        var end = line.count
        while end > 0, line[end - 1] == 0x0A || line[end - 1] == 0x0D { end -= 1 }
        if end == 0 { return completeHead() ? line.count : 0 }
        let text = UnsafeRawBufferPointer(rebasing: line[..<end])
        if text.contains(where: isForbiddenInValue) {
            return fail(.invalidResponse, "a response header contains CR, LF or NUL")
        }
        if HTTPSyntax.hasLongNonASCIIRun(text) {
            return fail(.invalidResponse, "a header of the response consists of non-ASCII bytes")
        }
        if text[0] == 0x20 || text[0] == 0x09 {
            if exchange.keptLastHeader { exchange.headers.continueLast(text) }
        } else {
            exchange.keptLastHeader = receiveHeader(text)
        }
        return line.count
    }

    private func receiveStatusLine(_ line: UnsafeRawBufferPointer) -> Int {
        guard let status = HTTPStatusLine.status(line) else {
            return fail(.invalidResponse, "the status line is not HTTP/1's")
        }
        exchange.headers = CurlHeaders()
        exchange.headers.reserveCapacity(lines: 12, bytes: 384)
        exchange.keptLastHeader = false
        exchange.status = status
        exchange.expectsStatusLine = false
        return line.count
    }

    /// Stores a header. One whose name is not a token is dropped, as if the server had not sent it.
    /// - Returns: True if it was stored.
    private func receiveHeader(_ text: UnsafeRawBufferPointer) -> Bool {
        guard let colon = text.firstIndex(of: UInt8(ascii: ":")) else { return false }
        let name = UnsafeRawBufferPointer(rebasing: text[..<colon])
        guard HTTPSyntax.isToken(name) else { return false }
        exchange.headers.append(name: name, value: UnsafeRawBufferPointer(rebasing: text[(colon + 1)...]))
        return true
    }

    /// - Returns: False to end the transfer.
    private func completeHead() -> Bool {
        if exchange.status < 200 {
            // The engine never requests another protocol.
            if exchange.status == 101 { return fail(.invalidResponse, "the server switches protocols") != 0 }
            exchange.expectsStatusLine = true
            return true
        }
        exchange.headComplete = true
        guard let transfer else { return false }
        if let problem = exchange.headers.normalizeFraming() { return fail(.invalidResponse, problem) != 0 }
        let limit = transfer.request.maximumResponseBytes
        if limit > 0, transfer.request.method != "HEAD", let text = exchange.headers.first(name: "Content-Length"),
            let length = Int(text), length > limit
        {
            return fail(.tooLarge, "response announces \(length) bytes, limit \(limit)") != 0
        }
        // libcurl abandons the rest of a body that was answered with an error, but a body that it waits for keeps the
        // transfer alive.
        if exchange.sendingPaused { transfer.post(CurlTransfer.Command.wake) }
        exchange.isStreaming = transfer.request.mode.streams(exchange.headers)
        if exchange.isStreaming {
            reactor.outbox.add(.head(transfer, status: exchange.status, exchange.headers))
        }
        return true
    }

    // MARK: Response body

    func receiveBody(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard let transfer else { return 0 }
        let isStreaming = exchange.isStreaming
        let limit = transfer.request.maximumResponseBytes
        let window = reactor.configuration.streamWindow
        if isStreaming, transfer.mustWait(window: window) {
            exchange.receivingPaused = true
            return ccurl_writefunc_pause
        }
        exchange.lastActivity = reactor.now
        if limit > 0, bytes.count > limit - exchange.receivedBytes {
            return fail(.tooLarge, "response is longer than \(limit) bytes")
        }
        if isStreaming {
            guard transfer.began(bytes.count) else {
                exchange.receivingPaused = true
                return ccurl_writefunc_pause
            }
            var chunk = ByteBufferAllocator().buffer(capacity: bytes.count)
            chunk.writeBytes(bytes)
            reactor.outbox.add(.body(transfer, chunk, window: window))
        } else {
            let size = exchange.receivedBytes + bytes.count
            guard reactor.configuration.memory.hold(size, in: &exchange.reservation) else {
                return fail(.overloaded, "no room in limits.memory for a response of \(size) bytes or more")
            }
            if exchange.receivedBytes == 0 {
                let announced = Int(ccurl_easy_info_offset(easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T))
                exchange.body = ByteBufferAllocator().buffer(
                    capacity: max(bytes.count, min(announced, Self.maximumReservation)))
            }
            exchange.body.writeBytes(bytes)
        }
        exchange.receivedBytes += bytes.count
        return bytes.count
    }

    // MARK: Request

    func readBody(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
        guard let transfer, case .stream(let source) = transfer.request.body else { return 0 }
        let reading = source.read(into: buffer) { reactor.outbox.add(.consumed(transfer, $0)) }
        switch reading {
        case .bytes(let count):
            exchange.lastActivity = reactor.now
            return count
        case .end:
            return 0
        case .wait:
            exchange.sendingPaused = true
            return ccurl_readfunc_pause
        case .failed:
            _ = fail(.cancelled, "the request body's source failed")
            return ccurl_readfunc_abort
        }
    }

    /// - Returns: True if the request may be sent now.
    func beforeSending() -> Bool {
        if exchange.sendings > 0, transfer?.request.mayResend != true, requestSent {
            _ = fail(.resendRefused, "the connection died after the request was sent")
            return false
        }
        exchange.sendings += 1
        // For a repeated request, the response begins anew.
        exchange.expectsStatusLine = true
        return true
    }

    /// - Returns: 0, which makes libcurl end the transfer.
    private func fail(_ kind: CurlError.Kind, _ message: String) -> Int {
        exchange.failure = (kind, message)
        return 0
    }
}
