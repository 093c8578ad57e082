#if DEBUG

import Foundation
import JSON

@testable import MCP
@testable import MCPServer

extension FuzzEntry {
    static let protocolEntries = [
        FuzzEntry("jsonrpc") { bytes in
            guard let value = try? JSONValue(parsing: bytes), let message = try? JSONRPCMessage(value) else { return }
            let again = try? JSONRPCMessage(message.json)
            try require(again == message, "what is written is not what was read")
        },
        FuzzEntry("sse") { bytes in
            let whole = events { try $0.feed(bytes) }
            let pieces = events { parser in
                var events: [ServerSentEvent] = []
                try inPieces(bytes) { events += try parser.feed($0) }
                return events
            }
            try require(whole == pieces, "pieces of a stream give other events than the whole")
        },
        FuzzEntry("lines") { bytes in
            var whole: [InputLine] = []
            var pieces: [InputLine] = []
            var first = LineSplitter(limit: 64)
            first.feed(bytes) { whole.append($0) }
            first.end { whole.append($0) }
            var second = LineSplitter(limit: 64)
            inPieces(bytes) { second.feed($0) { pieces.append($0) } }
            second.end { pieces.append($0) }
            try require(whole == pieces, "pieces of input give other lines than the whole")
        },
        FuzzEntry("base64") { bytes in
            try require(Base64.decode(Base64.encode(bytes).utf8) == Array(bytes), "encoded bytes come back as others")
            if let decoded = Base64.decode(bytes) {
                try require(Base64.decode(Base64.encode(decoded).utf8) == decoded, "decoded bytes do not survive")
            }
        },
        FuzzEntry("session-id") { bytes in
            try require(
                identifiers.expiry(of: String(decoding: bytes, as: UTF8.self)) == nil,
                "an identifier opens that was not sealed here")
        },
    ]

    private static let identifiers = SealedSessionIdentifiers(secret: "a secret of the fuzzer alone")

    private static func events(
        _ body: (inout SSEParser) throws -> [ServerSentEvent]
    ) -> [ServerSentEvent]? {
        var parser = SSEParser(maximumEventBytes: 4096)
        return try? body(&parser)
    }
}

#endif
