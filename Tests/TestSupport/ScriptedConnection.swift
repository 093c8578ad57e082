import Glibc
package import NIOCore
import NIOHTTP1

/// Writes the chunks of a `.produce` response.
package struct ScriptedBodyWriter: Sendable {
    let channel: any Channel
    let server: ScriptedHTTPServer

    /// Sends one chunk and returns when the kernel took it all, so a client that does not read stops the writer.
    /// - Throws: when the client closed the connection.
    package func write(_ bytes: ByteBuffer) async throws {
        guard bytes.readableBytes > 0 else { return }
        var chunk = channel.allocator.buffer(capacity: bytes.readableBytes + 16)
        chunk.writeString(String(bytes.readableBytes, radix: 16) + "\r\n")
        chunk.writeImmutableBuffer(bytes)
        chunk.writeString("\r\n")
        try await channel.writeAndFlush(chunk).get()
        server.sent(bytes.readableBytes)
    }

    package func write(_ text: String) async throws { try await write(ByteBuffer(string: text)) }
}

/// One accepted connection: collects requests on the event loop, answers them one after the other in a task.
final class ScriptedConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart

    private enum Work: Sendable {
        case request(ScriptedRequest)
        case response(ScriptedResponse)
    }

    private let server: ScriptedHTTPServer
    private let id: Int
    private let work: AsyncStream<Work>
    private let submit: AsyncStream<Work>.Continuation
    private var task: Task<Void, Never>?
    private var current: ScriptedRequest?

    init(server: ScriptedHTTPServer, id: Int) {
        self.server = server
        self.id = id
        (work, submit) = AsyncStream.makeStream()
    }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        task = Task { [server, work] in
            for await item in work {
                let response =
                    switch item {
                    case .request(let request): await server.answer(request)
                    case .response(let response): response
                    }
                if await !ScriptedAnswer(channel: channel, server: server).send(response) { return }
            }
        }
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        submit.finish()
        task?.cancel()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            var request = ScriptedRequest(
                method: head.method.rawValue, path: head.uri, headers: head.headers, body: ByteBuffer(),
                connectionID: id, index: 0)
            if let response = server.answerEarly(request) {
                server.received(&request)
                submit.yield(.response(response))
            } else {
                current = request
            }
        case .body(var bytes):
            server.receivedBody(bytes.readableBytes)
            current?.body.writeBuffer(&bytes)
        case .end:
            guard var request = current else { return }
            current = nil
            server.received(&request)
            submit.yield(.request(request))
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is HTTPParserError { server.receivedMalformed() }
        context.close(promise: nil)
    }
}

/// Sends one answer.
private struct ScriptedAnswer {
    let channel: any Channel
    let server: ScriptedHTTPServer

    /// - Returns: whether the connection can take another request.
    func send(_ response: ScriptedResponse) async -> Bool {
        do {
            return try await perform(response)
        } catch {
            // The script threw (it wants the connection to break) or the client went away.
            if !channel.isActive { server.abandoned() }
            channel.close(promise: nil)
            return false
        }
    }

    private func perform(_ response: ScriptedResponse) async throws -> Bool {
        switch response {
        case .whole(let status, let headers, let body):
            let length = status == 204 || status < 200 ? [] : [("Content-Length", String(body.readableBytes))]
            var out = head(status, headers + length)
            out.writeImmutableBuffer(body)
            try await write(out)
        case .stream(let status, let headers, let pieces):
            try await chunked(status, headers) { writer in
                for piece in pieces {
                    if piece.after > .zero { try await Task.sleep(for: piece.after) }
                    try await writer.write(piece.bytes)
                }
            }
        case .produce(let status, let headers, let body):
            try await chunked(status, headers, body)
        case .raw(let bytes, let close):
            return try await finish(with: ByteBuffer(string: bytes), close: close)
        case .rawBytes(let bytes, let close):
            return try await finish(with: ByteBuffer(bytes: bytes), close: close)
        case .delayed(let delay, let then):
            try await Task.sleep(for: delay)
            return try await perform(then)
        case .closeBeforeResponse:
            return try await end()
        case .resetBeforeResponse:
            let socket = channel as? any SocketOptionProvider
            try await socket?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
            return try await end()
        case .closeMidBody(let status, let headers, let contentLength, let body):
            var out = head(status, headers + [("Content-Length", String(contentLength))])
            out.writeString(body)
            return try await finish(with: out, close: true)
        case .hang:
            break
        }
        return true
    }

    private func chunked(
        _ status: Int, _ headers: [(String, String)], _ body: (ScriptedBodyWriter) async throws -> Void
    ) async throws {
        try await write(head(status, headers + [("Transfer-Encoding", "chunked")]))
        try await body(ScriptedBodyWriter(channel: channel, server: server))
        try await write(ByteBuffer(string: "0\r\n\r\n"))
    }

    private func head(_ status: Int, _ headers: [(String, String)]) -> ByteBuffer {
        var out = ByteBuffer()
        out.writeString("HTTP/1.1 \(status) \(HTTPResponseStatus(statusCode: status).reasonPhrase)\r\n")
        for (name, value) in headers { out.writeString("\(name): \(value)\r\n") }
        out.writeString("\r\n")
        return out
    }

    private func write(_ bytes: ByteBuffer) async throws {
        try await channel.writeAndFlush(bytes).get()
        server.sent(bytes.readableBytes)
    }

    /// Writes, and closes in the same turn of the loop: a client that has the bytes must not find the connection still open.
    private func finish(with bytes: ByteBuffer, close: Bool) async throws -> Bool {
        guard close else {
            try await write(bytes)
            return true
        }
        let channel = channel
        try await channel.eventLoop.flatSubmit {
            let written = channel.writeAndFlush(bytes)
            return written.flatMap { channel.close() }
        }.get()
        server.sent(bytes.readableBytes)
        return false
    }

    private func end() async throws -> Bool {
        try await channel.close().get()
        return false
    }
}
