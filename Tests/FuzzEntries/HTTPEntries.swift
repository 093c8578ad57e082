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

    /// Requests, body bytes and failures of a connection, as text.
    private static func requests(_ pieces: [UnsafeRawBufferPointer]) -> [String] {
        var parser = HTTPRequestParser(maximumHeaderBytes: 2048, maximumHeaderCount: 32)
        var buffer = ByteBuffer()
        var seen: [String] = []
        var body = ""
        var isInBody = false
        for piece in pieces {
            buffer.writeBytes(piece)
            do throws(HTTPFailure) {
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
