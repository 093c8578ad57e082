import Foundation
import NIOCore
import TestSupport
import Testing

@testable import CurlTransport

/// What a server may write instead of a response head: never a trap, never a head that says something else.
@Suite struct ResponseHeadTests {
    static let lines: [(String, Int?)] = [
        ("HTTP/1.1 200 OK\r\n", 200), ("HTTP/1.0 404 Not Found\r\n", 404), ("HTTP/1.1 204\r\n", 204),
        ("HTTP/1.1 204 \r\n", 204), ("HTTP/2 200\r\n", 200), ("HTTP/1.1 599 x\n", 599),
        ("HTTP/1.1 100 Continue\r\n", 100),
        ("HTTP/1.1  200 OK\r\n", nil), ("HTTP/2 -50\r\n", nil), ("HTTP/1.1 +20 OK\r\n", nil), ("HTTP/1.1 20\r\n", nil),
        ("HTTP/1.1 2000 OK\r\n", nil), ("HTTP/1.1 099 OK\r\n", nil), ("HTTP/1.1 600 OK\r\n", nil),
        ("HTTP/1.1\t200 OK\r\n", nil), ("HTTP/1.1 2 0 OK\r\n", nil), ("HTTP/x.1 200 OK\r\n", nil),
        ("HTTP/1.x 200 OK\r\n", nil), ("HTTP/11 200 OK\r\n", nil), ("HTTP/a: b\r\n", nil), ("HTTP/\r\n", nil),
        ("HTTP/1.1 ", nil), ("HTTP/1.1 ２００\r\n", nil), ("ICY 200 OK\r\n", nil), ("", nil),
    ]

    @Test(arguments: lines) func aStatusIsThreeDigitsAfterOneSpace(_ line: String, _ status: Int?) {
        var line = line
        let read = line.withUTF8 { HTTPStatusLine.status(UnsafeRawBufferPointer($0)) }
        #expect(read == status)
    }

    @Test(
        arguments: [
            "HTTP/1.1  200 OK", "HTTP/2 -50", "HTTP/1.1 -50 x", "HTTP/1.1 999 x", "HTTP/1.1 000 x",
            "HTTP/1.1 \u{E9}\u{E9} x",
            "HTTP/1.1 101 Switching Protocols",
        ], [CurlRequest.Mode.buffered, .streaming, .byContent])
    func aHeadWithAnotherStatusLineIsInvalid(_ line: String, _ mode: CurlRequest.Mode) async throws {
        try await withServer { _ in
            .raw(line + "\r\nContent-Length: 2\r\n\r\n{}", close: true)
        } _: { engine, server in
            let receiver = RecordingReceiver(anyLoop())
            engine.start(CurlRequest(url: server.url, mode: mode), on: anyLoop(), receiver: receiver)
            _ = try await receiver.finished()
            #expect(receiver.error?.kind == .invalidResponse)
            #expect(receiver.seen.heads.isEmpty)
        }
    }

    @Test func headersWhoseNamesAreNoTokensAreDroppedWithTheirFolds() async throws {
        let head =
            "HTTP/1.1 200 OK\r\nX-A: 1\r\nHTTP/a: b\r\nX-\u{E9}: c\r\n folded\r\n: d\r\nX B: e\r\nX-C : f\r\n"
            + "X-D: g\r\n  h\r\n\ti \r\nX-E:\r\n j\r\nContent-Length: 2\r\n\r\n{}"
        try await withServer { _ in
            .raw(head, close: true)
        } _: { engine, server in
            let response = try await engine.execute(CurlRequest(url: server.url))
            #expect(response.status == 200)
            #expect(response.headers.map(\.name) == ["X-A", "X-D", "X-E", "Content-Length"])
            #expect(response.headers.first(name: "X-A") == "1")
            #expect(response.headers.first(name: "X-D") == "g h i")
            #expect(response.headers.first(name: "X-E") == "j")
            #expect(response.headers.invalidLine == nil)
        }
    }

    /// libcurl before 8.1.0 appends such a line to a header of the same easy handle's transfer before, which it has freed
    /// (curl's issue 11101): with a memory checker, or often enough, the process ends.
    @Test(arguments: [" ", "\t"]) func aFoldedLineBeforeAnyHeaderIsInvalid(_ blank: String) async throws {
        try await withServer { request in
            .raw(
                "HTTP/1.1 200 OK\r\n"
                    + (request.path == "/folded" ? blank + String(repeating: "f", count: 9000) : "X-A: 1")
                    + "\r\nX-B: 2\r\nContent-Length: 2\r\n\r\n{}", close: false)
        } _: { engine, server in
            for _ in 0..<50 {
                let response = try await engine.execute(CurlRequest(url: server.url + "/plain"))
                #expect(response.headers.map(\.name) == ["X-A", "X-B", "Content-Length"])
                let error = await failure { _ = try await engine.execute(CurlRequest(url: server.url + "/folded")) }
                #expect(error?.kind == .invalidResponse)
                #expect(error?.requestSent == true)
            }
        }
    }

    @Test func aBareCarriageReturnInAHeaderIsInvalid() async throws {
        try await withServer { _ in
            .raw("HTTP/1.1 200 OK\r\nX-A: 1\rSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\n{}", close: true)
        } _: { engine, server in
            let error = await failure { _ = try await engine.execute(CurlRequest(url: server.url)) }
            #expect(error?.kind == .invalidResponse)
        }
    }

    @Test func interimResponsesAreSkippedAndBounded() async throws {
        let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        try await withServer { request in
            let count = request.path == "/few" ? 3 : 5000
            return .raw(
                String(repeating: interim, count: count) + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
                close: false)
        } _: { engine, server in
            let response = try await engine.execute(CurlRequest(url: server.url + "/few"))
            #expect(response.status == 200)
            #expect(!response.headers.contains(name: "Link"))
            let error = await failure { _ = try await engine.execute(CurlRequest(url: server.url + "/many")) }
            #expect(error?.kind == .tooLarge)
        }
    }

    // MARK: Codings

    @Test(
        arguments: [
            "gzip, chunked", "gzip", "chunked, gzip", "deflate, chunked", "br, chunked", "chunked, chunked", "x",
        ])
    func aTransferCodingOtherThanChunkedIsInvalid(_ coding: String) async throws {
        try await withServer { _ in
            .raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: \(coding)\r\n\r\n0\r\n\r\n", close: true)
        } _: { engine, server in
            let error = await failure { _ = try await engine.execute(CurlRequest(url: server.url)) }
            #expect(error?.kind == .invalidResponse)
            let receiver = RecordingReceiver(anyLoop())
            engine.start(
                CurlRequest(url: server.url, mode: .streaming, mayResend: true), on: anyLoop(), receiver: receiver)
            _ = try await receiver.finished()
            #expect(receiver.error?.kind == .invalidResponse)
            #expect(receiver.seen.body.readableBytes == 0)
        }
    }

    @Test func aLengthBesideChunksIsDroppedAndTwoLengthsAreInvalid() async throws {
        try await withServer { request in
            switch request.path {
            case "/chunks":
                .raw(
                    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
                    close: true)
            case "/same":
                .raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", close: true)
            default:
                .raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 1\r\n\r\nok", close: true)
            }
        } _: { engine, server in
            let chunks = try await engine.execute(CurlRequest(url: server.url + "/chunks"))
            #expect(String(buffer: chunks.body) == "ok")
            #expect(!chunks.headers.contains(name: "Content-Length"))
            let same = try await engine.execute(CurlRequest(url: server.url + "/same", mayResend: true))
            #expect(same.headers.all(name: "Content-Length") == ["2"])
            let error = await failure {
                _ = try await engine.execute(CurlRequest(url: server.url + "/two", mayResend: true))
            }
            #expect(error?.kind == .invalidResponse)
        }
    }

    /// `{"ok":true}`.
    private static let packed = Data(base64Encoded: "H4sIAAAAAAACA6tWys9WsiopKk2tBQCQX9SnCwAAAA==") ?? Data()

    private static func gzip(_ body: Data) -> ScriptedResponse {
        .whole(
            status: 200, headers: [("Content-Type", "application/json"), ("Content-Encoding", "gzip")],
            body: ByteBuffer(bytes: body))
    }

    @Test func contentIsDecodedOnlyWhereThatIsAskedFor() async throws {
        try await withServer { _ in
            Self.gzip(Self.packed)
        } _: { engine, server in
            for decodes in [false, true, false, true] {
                var request = CurlRequest(url: server.url)
                request.decodesContent = decodes
                let body = try await engine.execute(request).body
                #expect(Array(body.readableBytesView) == (decodes ? Array(#"{"ok":true}"#.utf8) : Array(Self.packed)))
            }
            #expect(server.requests.allSatisfy { $0.headers["Accept-Encoding"] == ["identity"] })
            var small = CurlRequest(url: server.url, maximumResponseBytes: 40)
            small.decodesContent = true
            _ = try await engine.execute(small)
        }
    }

    @Test func whatIsDecodedCountsAgainstTheLimit() async throws {
        // A million zeros, as copies of one.
        let bomb = try #require(Gzip.zeros(1_000_000))
        #expect(bomb.count < 10_000)
        try await withServer { _ in
            Self.gzip(bomb)
        } _: { engine, server in
            for mode in [CurlRequest.Mode.buffered, .streaming] {
                var request = CurlRequest(url: server.url, maximumResponseBytes: 100_000, mode: mode)
                request.decodesContent = true
                let receiver = RecordingReceiver(anyLoop())
                engine.start(request, on: anyLoop(), receiver: receiver)
                _ = try await receiver.finished()
                #expect(receiver.error?.kind == .tooLarge)
                #expect(receiver.seen.body.readableBytes <= 100_000)
            }
        }
    }

    // MARK: By content

    @Test func onlyAnEventStreamIsHandedOutAsItComes() async throws {
        try await withServer { request in
            .whole(
                status: 200, headers: [("Content-Type", String(request.path.dropFirst()))],
                body: ByteBuffer(string: "data: x\n\n"))
        } _: { engine, server in
            for (type, streams) in [
                ("text/event-stream", true), ("Text/Event-Stream;charset=utf-8", true), ("text/event-streams", false),
                ("application/json", false),
            ] {
                let receiver = RecordingReceiver(anyLoop())
                engine.start(
                    CurlRequest(url: server.url + "/" + type, mode: .byContent), on: anyLoop(), receiver: receiver)
                let response = try await receiver.finished().get()
                #expect(receiver.seen.heads.count == (streams ? 1 : 0))
                #expect(String(buffer: receiver.seen.body) == (streams ? "data: x\n\n" : ""))
                #expect(String(buffer: response.body) == (streams ? "" : "data: x\n\n"))
            }
        }
    }
}

/// A gzip stream of zeros, made of fixed Huffman blocks by hand: no compressor is linked here.
private enum Gzip {
    static func zeros(_ count: Int) -> Data? {
        var bits = BitWriter()
        // One final block with fixed codes: a literal zero, then copies of 258 bytes from one byte before.
        bits.write(1, 1)
        bits.write(1, 2)
        bits.writeReversed(0x30, 8)
        let copies = (count - 1) / 258
        for _ in 0..<copies {
            bits.writeReversed(0xC5, 8)
            bits.writeReversed(0, 5)
        }
        bits.writeReversed(0, 7)
        let total = 1 + copies * 258
        var data = Data([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3])
        data.append(contentsOf: bits.bytes)
        // The checksum is never reached: the limit ends the transfer before.
        data.append(contentsOf: [0, 0, 0, 0])
        withUnsafeBytes(of: UInt32(total).littleEndian) { data.append(contentsOf: $0) }
        return data
    }

    struct BitWriter {
        private(set) var bytes: [UInt8] = []
        private var used = 8

        mutating func write(_ value: Int, _ count: Int) {
            for bit in 0..<count {
                if used == 8 {
                    bytes.append(0)
                    used = 0
                }
                if value >> bit & 1 == 1 { bytes[bytes.count - 1] |= 1 << UInt8(used) }
                used += 1
            }
        }

        /// Huffman codes begin with their highest bit.
        mutating func writeReversed(_ value: Int, _ count: Int) {
            for bit in (0..<count).reversed() { write(value >> bit & 1, 1) }
        }
    }
}
