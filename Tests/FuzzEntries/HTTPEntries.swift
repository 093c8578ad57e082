#if DEBUG

import NIOCore

@testable import CurlTransport
@testable import HTTPServer
@testable import HTTPSyntax

extension FuzzEntry {
    static let httpEntries = [
        FuzzEntry("http-request") { bytes in
            let whole = requests([bytes])
            var pieces: [UnsafeRawBufferPointer] = []
            inPieces(bytes) { pieces.append($0) }
            try require(requests(pieces) == whole, "pieces of a connection give other requests than the whole")
        },
        FuzzEntry("http-response") { bytes in
            let whole = responses([bytes])
            var pieces: [UnsafeRawBufferPointer] = []
            inPieces(bytes) { pieces.append($0) }
            try require(responses(pieces) == whole, "pieces of a connection give other responses than the whole")
        },
        FuzzEntry("status-line") { bytes in
            guard let status = HTTPStatusLine.status(bytes) else { return }
            try require((100...999).contains(status), "status \(status)")
        },
        FuzzEntry("fields") { bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            _ = CookieField.value(of: "sessionid", in: [text])
            if let normalized = AuthorizationField.normalized(text) {
                try require(AuthorizationField.normalized(normalized) == normalized, "normalising twice differs")
            }
            _ = AcceptField.accepts("application/json", in: [text])
            _ = AcceptField.acceptsCoding(["gzip", "br"], in: [text])
            let challenges = AuthenticationChallenge.read([text, text])
            try require(challenges.count <= AuthenticationChallenge.limit, "more challenges than the limit")
            try require(challenges.allSatisfy { HTTPSyntax.isToken($0.scheme) }, "a scheme that is not a token")
            _ = FieldNames.nominated(byConnection: text)
            _ = IPAddressRange(text)
            if let authority = Authority(text) {
                try require(!authority.host.isEmpty, "an authority without a host")
                try require(AllowedHosts(["*"], invalid: { _ in }).allows(authority), "* does not allow \(text)")
            }
            if let origin = WebOrigin(text) { try require(origin == WebOrigin(text), "an origin is not itself") }
            let rule = ClientAddressRule(.forwardedFor, trusted: TrustedProxies(["127.0.0.1"]))
            _ = rule.address(of: IPAddress("127.0.0.1").map { Peer.address($0) }) { _ in [text] }
        },
    ]

    /// Heads, body bytes and failures of a connection's responses, as text.
    private static func responses(_ pieces: [UnsafeRawBufferPointer]) -> [String] {
        var parser = ResponseParser()
        var seen: [String] = []
        var body: [UInt8] = []
        parser.reset(isHead: false)
        for piece in pieces {
            var position = 0
            do throws(ResponseError) {
                while let event = try parser.next(piece, &position, limit: 5) {
                    switch event {
                    case .head:
                        let headers = parser.headers.map { "\($0.name): \($0.value)" }
                        seen.append("\(parser.status) \(headers) \(parser.isPersistent)")
                    case .body(let range): body += piece[range]
                    case .end:
                        seen.append("body \(body)")
                        body = []
                        guard parser.isPersistent else { return seen }
                        parser.reset(isHead: false)
                    }
                }
            } catch {
                // Of several faults the one that is met first is told; the pieces decide which.
                return seen + ["refused"]
            }
        }
        return seen + ["open \(body) \(parser.endOfInput())"]
    }

    /// Requests, body bytes and failures of a connection, as text.
    private static func requests(_ pieces: [UnsafeRawBufferPointer]) -> [String] {
        var parser = HTTPRequestParser(maximumHeaderBytes: 2048, maximumHeaderCount: 32)
        var buffer = ByteBuffer()
        var seen: [String] = []
        var body = ""
        var isInBody = false
        for piece in pieces {
            buffer.writeBytes(piece)
            do throws(HTTPError) {
                while true {
                    if !isInBody {
                        guard let request = try parser.nextHead(&buffer) else { break }
                        let head = request.head
                        seen.append("\(head.method) \(head.uri) \(request.framing) \(request.keepAlive)")
                        isInBody = true
                    }
                    guard let event = try parser.nextBodyEvent(&buffer) else { break }
                    switch event {
                    case .chunk(let chunk): body += String(buffer: chunk)
                    case .end(let trailers):
                        seen.append("body \(body.utf8.count) \(trailers.map { "\($0.count)" } ?? "-")")
                        body = ""
                        isInBody = false
                    }
                }
            } catch {
                // Of several faults the one that is met first is told; the pieces decide which.
                return seen + ["refused"]
            }
        }
        return seen
    }
}

#endif
