import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import HTTPServer

private final class EchoHandler: HTTPRequestHandler {
    func handle(_ exchange: HTTPExchange) { exchange.echo() }
}

struct HTTPConnectionSplittingTests {
    /// What a connection answers to these pieces, without `Date`.
    private func answers(to pieces: [some Collection<UInt8>]) throws -> String {
        let channel = EmbeddedChannel()
        let connections = HTTPLoopConnections(
            eventLoop: channel.eventLoop, configuration: HTTPServerConfiguration(addresses: []),
            counters: HTTPConnectionCounters())
        let handler = HTTPConnectionHandler(
            connections: connections, handler: EchoHandler(), remoteAddress: nil, isOverflow: false, now: .now())
        try channel.pipeline.syncOperations.addHandler(handler)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        for piece in pieces { try channel.writeInbound(ByteBuffer(bytes: piece)) }
        var result = ""
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) { result += String(buffer: buffer) }
        return result.replacing(/Date: [^\r]*\r\n/, with: "")
    }

    private let good = Array(
        ("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
            + "\r\nPOST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;e=1\r\nabc\r\n0A\r\n0123456789\r\n"
            + "0\r\nX-Sum: 1\r\n\r\nGET /c HTTP/1.1\r\nHost: x\r\n\r\nHEAD /d HTTP/1.0\r\n\r\n").utf8)

    @Test func theAnswersDoNotDependOnWhereTheInputIsSplit() throws {
        let expected = try answers(to: [good])
        #expect(expected.matches(of: /HTTP\/1\.1 200 OK/).count == 4)
        #expect(expected.contains("\r\n\r\nPOST /b abc0123456789"))
        for split in 1..<good.count {
            #expect(try answers(to: [good[..<split], good[split...]]) == expected, "split at \(split)")
        }
        #expect(try answers(to: good.map { CollectionOfOne($0) }) == expected)
    }

    @Test func damagedInputIsAnsweredOrRefusedButNeverDesynchronises() throws {
        // One byte at a time is replaced: every answer is a whole one, and after a refusal there is none.
        for index in good.indices {
            for byte: UInt8 in [0, 10, 13, 32, 58, 255] where good[index] != byte {
                var damaged = good
                damaged[index] = byte
                let text = try answers(to: [damaged])
                let statuses = text.matches(of: #/HTTP/1\.1 (\d{3})\s/#).map { String($0.output.1) }
                #expect(statuses.count <= 4)
                #expect(!statuses.dropLast().contains { $0.hasPrefix("4") }, "\(index) \(byte) \(statuses)")
            }
        }
    }
}
