import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import HTTPServer

/// Counts what reaches the socket.
private final class WireCounter: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    var writes = 0
    var flushes = 0
    var reads = 0

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        writes += 1
        context.write(data, promise: promise)
    }

    func flush(context: ChannelHandlerContext) {
        flushes += 1
        context.flush()
    }

    func read(context: ChannelHandlerContext) {
        reads += 1
        context.read()
    }
}

private final class RecordingHandler: HTTPRequestHandler {
    var exchanges: [HTTPExchange] = []
    var summaries: [HTTPExchangeSummary] = []
    var disconnects = 0
    var failures: [HTTPError] = []
    var answer: ((HTTPExchange) -> Void)?

    func handle(_ exchange: HTTPExchange) {
        exchanges.append(exchange)
        exchange.onFinish = { self.summaries.append($0) }
        exchange.onDisconnect = { self.disconnects += 1 }
        answer?(exchange)
    }

    func reject(_ failure: HTTPError, _ exchange: HTTPExchange) {
        failures.append(failure)
        exchange.respond(failure)
    }
}

private struct Connection {
    let channel: EmbeddedChannel
    let wire = WireCounter()
    let handler = RecordingHandler()
    let connections: HTTPLoopConnections

    init(answer: ((HTTPExchange) -> Void)? = nil) throws {
        let channel = EmbeddedChannel()
        self.channel = channel
        connections = HTTPLoopConnections(
            eventLoop: channel.eventLoop, configuration: HTTPServerConfiguration(addresses: []),
            counters: HTTPConnectionCounters())
        handler.answer = answer
        try channel.pipeline.syncOperations.addHandlers([
            wire,
            HTTPConnectionHandler(
                connections: connections, handler: handler, remoteAddress: nil, isOverflow: false, now: .now()),
        ])
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    }

    func send(_ text: String) throws {
        try channel.writeInbound(ByteBuffer(string: text))
    }

    /// Everything written so far, without `Date`.
    func written() throws -> String {
        var result = ""
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) { result += String(buffer: buffer) }
        return result.replacing(/Date: [^\r]*\r\n/, with: "")
    }
}

private let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

struct HTTPConnectionHandlerTests {
    @Test func aWholeResponseIsOneWriteAndOneFlush() throws {
        let connection = try Connection { $0.respond(status: .ok, headers: ["A": "b"], body: ByteBuffer(string: "hi")) }
        try connection.send(get)
        #expect(try connection.written() == "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\nhi")
        #expect(connection.wire.writes == 1)
        #expect(connection.wire.flushes == 1)
    }

    @Test func aLargeBodyIsWrittenBesideItsHeadAndFlushedWithIt() throws {
        let body = ByteBuffer(repeating: 0x61, count: 20_000)
        let connection = try Connection { $0.respond(status: .ok, headers: [:], body: body) }
        try connection.send(get)
        #expect(connection.wire.writes == 2)
        #expect(connection.wire.flushes == 1)
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n"
        #expect(try connection.written().utf8.count == head.utf8.count + 20_000)
    }

    @Test func pipelinedRequestsAnsweredAtOnceShareAFlush() throws {
        let connection = try Connection { $0.respond(status: .ok, headers: [:], body: ByteBuffer(string: $0.head.uri)) }
        try connection.send(
            "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\nGET /c HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(connection.wire.flushes == 1)
        #expect(try connection.written().matches(of: /\/[abc]/).map { String($0.output) } == ["/a", "/b", "/c"])
        #expect(connection.handler.summaries.map(\.status) == [200, 200, 200])
    }

    @Test func pipelinedRequestsAreBegunOneAtATime() throws {
        let connection = try Connection()
        try connection.send(get + get)
        #expect(connection.handler.exchanges.count == 1)
        connection.handler.exchanges[0].respond(status: .ok, headers: [:], body: nil)
        #expect(connection.handler.exchanges.count == 2)
        connection.handler.exchanges[1].respond(status: .notFound, headers: [:], body: nil)
        #expect(connection.handler.summaries.map(\.status) == [200, 404])
    }

    @Test func pipelinedRequestsTakeTurnsWithOtherConnections() throws {
        let connection = try Connection { $0.respond(status: .ok, headers: [:], body: nil) }
        let perTurn = HTTPConnectionHandler.requestsPerTurn
        try connection.send(String(repeating: get, count: 2 * perTurn + 3))
        #expect(connection.handler.exchanges.count == perTurn)
        // More of them do not shorten the wait.
        try connection.send(get)
        #expect(connection.handler.exchanges.count == perTurn)
        var others = 0
        connection.channel.embeddedEventLoop.execute { others = connection.handler.exchanges.count }
        connection.channel.embeddedEventLoop.run()
        #expect(others == 2 * perTurn)
        #expect(connection.handler.summaries.map(\.status) == Array(repeating: 200, count: 2 * perTurn + 4))
        #expect(connection.channel.isActive)
    }

    @Test func allRequestsOfALongPipelineAreAnsweredAlthoughItsClientHasHalfClosed() throws {
        let connection = try Connection { $0.respond(status: .ok, headers: [:], body: nil) }
        let count = 3 * HTTPConnectionHandler.requestsPerTurn
        try connection.send(String(repeating: get, count: count))
        connection.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(connection.channel.isActive)
        connection.channel.embeddedEventLoop.run()
        #expect(connection.handler.summaries.map(\.status) == Array(repeating: 200, count: count))
        #expect(!connection.channel.isActive)
    }

    @Test func aDrainAnswersThePipelineThatWaitsForItsTurn() throws {
        let connection = try Connection { $0.respond(status: .ok, headers: [:], body: nil) }
        try connection.send(String(repeating: get, count: HTTPConnectionHandler.requestsPerTurn + 1))
        _ = connection.connections.drain(within: .seconds(10))
        connection.channel.embeddedEventLoop.run()
        #expect(connection.handler.summaries.count == HTTPConnectionHandler.requestsPerTurn + 1)
    }

    @Test func aPipelineThatWaitsForItsTurnEndsWithItsConnection() throws {
        let connection = try Connection { $0.respond(status: .ok, headers: [:], body: nil) }
        try connection.send(String(repeating: get, count: 3 * HTTPConnectionHandler.requestsPerTurn))
        try connection.channel.close().wait()
        connection.channel.embeddedEventLoop.run()
        #expect(connection.handler.exchanges.count == HTTPConnectionHandler.requestsPerTurn)
    }

    @Test func whatIsPipelinedBehindAPendingRequestIsBounded() throws {
        let connection = try Connection()
        try connection.send(get)
        let reads = connection.wire.reads
        try connection.send(String(repeating: "x", count: 60_000))
        connection.channel.read()
        #expect(connection.wire.reads > reads)
        let before = connection.wire.reads
        try connection.send(String(repeating: "x", count: 10_000))
        connection.channel.read()
        connection.channel.read()
        #expect(connection.wire.reads == before)
        // What was pipelined is no request: refused, closed, and read (to be thrown away) again.
        connection.handler.exchanges[0].respond(status: .ok, headers: [:], body: nil)
        #expect(connection.handler.failures == [.headersTooLarge])
        #expect(connection.wire.reads > before)
    }

    @Test func aBodyThatCameWithItsHeadIsNotCopied() throws {
        var body: ByteBuffer?
        let connection = try Connection { exchange in
            exchange.collectBody(upTo: 100) { body = try? $0.get() }
        }
        try connection.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
        #expect(body.map { String(buffer: $0) } == "hello")
    }

    @Test func aBodyInPiecesIsCollected() throws {
        var result: Result<ByteBuffer, HTTPError>?
        let connection = try Connection { $0.collectBody(upTo: 8) { result = $0 } }
        try connection.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe")
        try connection.send("llo\r\n3\r\n")
        #expect(result == nil)
        try connection.send("abc\r\n0\r\n\r\n")
        #expect(result == .success(ByteBuffer(string: "helloabc")))
    }

    @Test func aChunkedBodyOverTheLimitFailsWhileItArrives() throws {
        var result: Result<ByteBuffer, HTTPError>?
        let connection = try Connection { $0.collectBody(upTo: 7) { result = $0 } }
        try connection.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nabc")
        #expect(result == .failure(.bodyTooLarge(limit: 7)))
    }

    @Test func anAnnouncedLengthOverTheLimitFailsBeforeTheBody() throws {
        var result: Result<ByteBuffer, HTTPError>?
        let connection = try Connection { $0.collectBody(upTo: 7) { result = $0 } }
        try connection.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 8\r\n\r\n")
        #expect(result == .failure(.bodyTooLarge(limit: 7)))
        #expect(try connection.written() == "")
    }

    @Test func continueIsSentOnlyToAClientThatWaitsForIt() throws {
        let start = "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n"
        let waiting = try Connection { $0.echo() }
        try waiting.send(start)
        #expect(try waiting.written() == "HTTP/1.1 100 Continue\r\n\r\n")
        try waiting.send("hi")
        #expect(try waiting.written().hasSuffix("\r\n\r\nPOST / hi"))

        let eager = try Connection { $0.echo() }
        try eager.send(start + "h")
        #expect(try eager.written() == "")

        let refusing = try Connection { $0.respond(status: .unauthorized, headers: [:], body: nil) }
        try refusing.send(start)
        let answer = try refusing.written()
        #expect(answer.hasPrefix("HTTP/1.1 401"))
        #expect(answer.contains("Connection: close"))
    }

    @Test func aStreamedBodyWaitsForItsReader() throws {
        var pieces: [String] = []
        var consumed: (() -> Void)?
        var end: Result<HTTPHeaders?, HTTPError>?
        let connection = try Connection { exchange in
            exchange.streamBody(
                {
                    pieces.append(String(buffer: $0))
                    consumed = $1
                }, onEnd: { end = $0 })
        }
        try connection.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nab")
        try connection.send("cd")
        try connection.send("ef")
        #expect(pieces == ["ab"])
        consumed?()
        #expect(pieces == ["ab", "cdef"])
        #expect(end == nil)
        consumed?()
        #expect(end == .success(nil))
        consumed?()
        connection.handler.exchanges[0].respond(status: .ok, headers: [:], body: nil)
        #expect(try connection.written() == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    }

    @Test func anUnwantedBodyThatHasArrivedDoesNotCostTheConnection() throws {
        let connection = try Connection { $0.respond(status: .notFound, headers: [:], body: nil) }
        try connection.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" + get)
        #expect(connection.handler.exchanges.count == 2)
        #expect(try !connection.written().contains("Connection: close"))
        #expect(connection.channel.isActive)
    }

    @Test func anUnwantedBodyThatIsStillToComeDoes() throws {
        let connection = try Connection { $0.respond(status: .notFound, headers: [:], body: nil) }
        try connection.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nhello")
        #expect(try connection.written().contains("Connection: close"))
        // What still comes is thrown away, never taken for a request.
        try connection.send(get)
        #expect(connection.handler.exchanges.count == 1)
    }

    @Test func headGetsTheLengthButNoBody() throws {
        let connection = try Connection { $0.respond(status: .ok, headers: [:], body: ByteBuffer(string: "hello")) }
        try connection.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + get)
        #expect(
            try connection.written()
                == "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    }

    @Test(arguments: [204, 304])
    func statusesWithoutABodyHaveNone(code: Int) throws {
        let connection = try Connection {
            $0.respond(status: .init(statusCode: code), headers: [:], body: ByteBuffer(string: "hello"))
        }
        try connection.send(get)
        let written = try connection.written()
        #expect(written.hasPrefix("HTTP/1.1 \(code) "))
        #expect(!written.contains("Content-Length"))
        #expect(written.hasSuffix("\r\n\r\n"))
    }

    @Test func aStreamedResponseIsChunkedAndItsHeadTravelsWithTheFirstPiece() throws {
        let connection = try Connection { exchange in
            exchange.startResponse(status: .ok, headers: [:])
            exchange.write(ByteBuffer(string: "hello"))
            exchange.flush()
        }
        try connection.send(get)
        #expect(connection.wire.writes == 1)
        #expect(try connection.written() == "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        let exchange = connection.handler.exchanges[0]
        exchange.write(ByteBuffer())
        exchange.write(ByteBuffer(repeating: 0x61, count: 26))
        #expect(try connection.written() == "")
        exchange.endResponse()
        #expect(try connection.written() == "1a\r\n" + String(repeating: "a", count: 26) + "\r\n0\r\n\r\n")
        #expect(connection.handler.summaries.first?.isComplete == true)
    }

    @Test func aStreamedResponseOfKnownLengthKeepsToIt() throws {
        let connection = try Connection { exchange in
            exchange.startResponse(status: .ok, headers: ["Content-Length": "3"])
            exchange.write(ByteBuffer(string: "hello"))
            exchange.endResponse()
        }
        try connection.send(get)
        #expect(try connection.written() == "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhel")
        #expect(connection.channel.isActive)

        let short = try Connection { exchange in
            exchange.startResponse(status: .ok, headers: ["Content-Length": "9"])
            exchange.write(ByteBuffer(string: "hello"))
            exchange.flush()
            exchange.endResponse()
        }
        try short.send(get)
        #expect(!short.channel.isActive)
        #expect(short.handler.summaries.map(\.isComplete) == [false])
    }

    @Test func anOldClientGetsAStreamThatEndsWithTheConnection() throws {
        let connection = try Connection { exchange in
            exchange.startResponse(status: .ok, headers: [:])
            exchange.write(ByteBuffer(string: "hello"))
            exchange.endResponse()
        }
        try connection.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        #expect(try connection.written() == "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello")
        #expect(!connection.channel.isActive)
    }

    @Test func anOldClientMayAskToStay() throws {
        let connection = try Connection { $0.respond(status: .ok, headers: [:], body: nil) }
        try connection.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        #expect(try connection.written() == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n")
        try connection.send("GET / HTTP/1.0\r\n\r\n")
        #expect(try connection.written().contains("Connection: close"))
        #expect(!connection.channel.isActive)
    }

    @Test func aHalfClosedClientIsProbedBeforeAndWithinTheResponse() throws {
        let connection = try Connection()
        try connection.send(get)
        connection.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        connection.channel.embeddedEventLoop.advanceTime(by: .milliseconds(10))
        #expect(try connection.written() == "")
        connection.channel.embeddedEventLoop.advanceTime(by: .milliseconds(11))
        #expect(try connection.written() == "HTTP/1.1 100 Continue\r\n\r\n")
        let exchange = connection.handler.exchanges[0]
        exchange.startResponse(status: .ok, headers: [:])
        exchange.write(ByteBuffer(string: "a"))
        exchange.flush()
        _ = try connection.written()
        connection.channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        // A leading zero of the next chunk's size.
        #expect(try connection.written() == "0")
        exchange.write(ByteBuffer(string: "b"))
        exchange.endResponse()
        #expect(try connection.written() == "1\r\nb\r\n0\r\n\r\n")
        #expect(!connection.channel.isActive)
        #expect(connection.handler.disconnects == 0)
        #expect(connection.handler.summaries.map(\.status) == [200])
    }

    @Test func aStreamsHalfClosedClientIsProbedAtOnce() throws {
        let connection = try Connection()
        try connection.send(get)
        let exchange = connection.handler.exchanges[0]
        exchange.startResponse(status: .ok, headers: [:])
        exchange.write(ByteBuffer(string: "a"))
        exchange.flush()
        _ = try connection.written()
        connection.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        connection.channel.embeddedEventLoop.run()
        #expect(try connection.written() == "0")
        exchange.endResponse()
        #expect(try connection.written() == "0\r\n\r\n")
    }

    @Test func pipelinedRequestsOfAHalfClosedClientAreAllAnswered() throws {
        let connection = try Connection()
        try connection.send(get + get)
        connection.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        connection.handler.exchanges[0].respond(status: .ok, headers: [:], body: nil)
        #expect(connection.channel.isActive)
        connection.handler.exchanges[1].respond(status: .ok, headers: [:], body: nil)
        #expect(connection.handler.summaries.map(\.status) == [200, 200])
        #expect(!connection.channel.isActive)
    }

    @Test func aClientThatLeavesIsReportedOnceAndWhatFollowsIsIgnored() throws {
        var body: Result<ByteBuffer, HTTPError>?
        let connection = try Connection { exchange in
            exchange.collectBody(upTo: 10) {
                body = $0
                exchange.respond(status: .ok, headers: [:], body: nil)
            }
        }
        try connection.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe")
        _ = try connection.channel.finish(acceptAlreadyClosed: true)
        let exchange = connection.handler.exchanges[0]
        #expect(body == .failure(.disconnected))
        #expect(connection.handler.disconnects == 1)
        #expect(connection.handler.summaries.map(\.status) == [499])
        exchange.respond(status: .ok, headers: [:], body: nil)
        exchange.startResponse(status: .ok, headers: [:])
        exchange.write(ByteBuffer(string: "x"))
        exchange.endResponse()
        exchange.abort()
        #expect(exchange.responseStarted)
        #expect(!exchange.isWritable)
        #expect(connection.handler.summaries.count == 1)
    }

    @Test func refusalsTellMethodAndTargetAndClose() throws {
        let connection = try Connection()
        try connection.send("GET /a HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n" + get)
        #expect(connection.handler.failures == [.malformed("invalid header name")])
        let written = try connection.written()
        #expect(written.hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
        #expect(written.contains("Connection: close"))
        #expect(written.hasSuffix(#"{"error": "Bad request: invalid header name"}"#))
        #expect(connection.handler.exchanges.isEmpty)
    }

    @Test func abortClosesWithoutTheEnd() throws {
        let connection = try Connection { exchange in
            exchange.startResponse(status: .ok, headers: [:])
            exchange.write(ByteBuffer(string: "a"))
            exchange.flush()
            exchange.abort()
        }
        try connection.send(get)
        #expect(try connection.written().hasSuffix("1\r\na\r\n"))
        #expect(!connection.channel.isActive)
        #expect(connection.handler.disconnects == 0)
        #expect(connection.handler.summaries.map(\.isComplete) == [false])
    }

    @Test func summariesCountBytesOfBothDirections() throws {
        let connection = try Connection { $0.echo() }
        let request = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
        try connection.send(request)
        var written = 0
        while let buffer = try connection.channel.readOutbound(as: ByteBuffer.self) { written += buffer.readableBytes }
        #expect(connection.handler.summaries.map(\.requestBytes) == [request.utf8.count])
        #expect(connection.handler.summaries.map(\.responseBytes) == [written])
    }
}
