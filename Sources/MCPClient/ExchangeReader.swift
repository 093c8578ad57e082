import CurlTransport
import JSON
import MCP
import NIOCore

/// Reader that turns the HTTP response to one JSON-RPC request into an `ExchangeAnswer`: JSON or an event stream, whole
/// or in pieces.
struct ExchangeReader {
    /// Parts of a response, in the order in which they are read.
    enum Incoming {
        /// The answer; the bytes after it are ignored.
        case answer(ExchangeAnswer)
        /// A notification or request of the server, on the stream before the answer.
        case message(JSONRPCMessage)
    }

    private enum Kind { case document, events }

    let id: Int64
    /// Last event id of the stream, from which it can be resumed.
    private(set) var lastEventID: String?
    /// Pause that the server requested before the stream is resumed, in milliseconds.
    private(set) var retryMilliseconds: Int?
    private(set) var isAnswered = false
    private var answer = ExchangeAnswer(status: 0, content: .nothing)
    private var kind = Kind.document
    /// Content type, where it is neither JSON's nor absent, for the error of an unreadable body.
    private var oddType: String?
    private var collected = ByteBuffer()
    private var parser: SSEParser
    private let limit: Int
    private var foreign = false
    private var isFirstChunk = true

    /// Largest number of bytes of an unreadable body that are kept.
    private static let excerptLength = 512

    init(id: Int64, limit: Int) {
        self.id = id
        self.limit = limit
        self.parser = SSEParser(maximumEventBytes: limit)
    }

    /// True if the server responded with an event stream.
    var isEventStream: Bool { kind == .events }
    var status: Int { answer.status }

    // MARK: Whole

    /// Reads a complete response. Messages before the answer come first.
    mutating func whole(_ response: CurlResponse) -> [Incoming] {
        head(status: response.status, headers: response.headers)
        if kind == .events { return chunk(response.body) + finish() }
        return document(response.body)
    }

    // MARK: In pieces

    mutating func head(status: Int, headers: CurlHeaders) {
        answer = ExchangeAnswer(status: status, content: .nothing)
        parser = SSEParser(maximumEventBytes: limit)
        kind = headers.announcesEventStream ? .events : .document
        oddType = kind == .events ? nil : headers.first(name: "Content-Type").flatMap { Self.isJSON($0) ? nil : $0 }
        isFirstChunk = true
        answer.setCookies = headers.all(name: "Set-Cookie")
        answer.sessionID = headers.first(name: MCPHeader.sessionID)
        if status >= 300 {
            answer.location = headers.first(name: "Location")
            answer.retryAfter = headers.first(name: "Retry-After")
            answer.wwwAuthenticate = headers.all(name: "WWW-Authenticate")
        }
    }

    mutating func chunk(_ bytes: ByteBuffer) -> [Incoming] {
        if isFirstChunk, bytes.readableBytes > 0 {
            isFirstChunk = false
            // The body is a JSON document, although its content type is that of a stream.
            if kind == .events, Self.beginsDocument(bytes) { kind = .document }
        }
        guard kind == .events, 200..<300 ~= answer.status else {
            if bytes.readableBytes <= limit - collected.readableBytes { collected.writeImmutableBuffer(bytes) }
            return []
        }
        var incoming: [Incoming] = []
        feed(bytes, &incoming)
        return incoming
    }

    /// Ends the body. Returns nothing when an event stream ended without the answer: see `isAnswered`.
    mutating func finish() -> [Incoming] {
        if isAnswered { return [] }
        if kind == .events, 200..<300 ~= answer.status {
            guard foreign else { return [] }
            return [refuse("answer with the wrong id")]
        }
        return document(collected)
    }

    /// Answer as far as the head determines it: enough for a notification.
    var headOnly: ExchangeAnswer { answer }

    // MARK: Inside

    private static func isJSON(_ contentType: String) -> Bool {
        let type = contentType.utf8.prefix { $0 != UInt8(ascii: ";") && $0 != UInt8(ascii: " ") }
        return Substring(type).equalsIgnoringCase("application/json")
    }

    /// Returns a question or a notification. A server that waits for an answer gets one even if its message has no
    /// `jsonrpc`, or parameters other than an object.
    private static func message(_ tree: JSONValue) -> JSONRPCMessage? {
        if let message = try? JSONRPCMessage(tree) { return message }
        guard let method = tree["method"]?.string else { return nil }
        let params = tree["params"]?.object
        guard let id = JSONRPCMessage.requestID(of: tree) else {
            return .notification(JSONRPCNotification(method: method, params: params))
        }
        return .request(JSONRPCRequest(id: id, method: method, params: params))
    }

    private static func beginsDocument(_ bytes: ByteBuffer) -> Bool {
        let first = bytes.readableBytesView.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
        return first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
    }

    private mutating func feed(_ bytes: ByteBuffer, _ incoming: inout [Incoming]) {
        do {
            for event in try parser.feed(bytes.readableBytesView) { take(event, &incoming) }
        } catch {
            incoming.append(refuse("event stream: \(error)"))
        }
    }

    private mutating func refuse(_ detail: String) -> Incoming {
        isAnswered = true
        answer.content = .malformed(detail, executed: .unknown)
        return .answer(answer)
    }

    /// Reads a complete body by its content: a JSON-RPC message under any content type, or else events.
    private mutating func document(_ body: ByteBuffer) -> [Incoming] {
        let success = 200..<300 ~= answer.status
        guard body.readableBytes > 0 else {
            isAnswered = true
            return [.answer(answer)]
        }
        var body = body
        if body.readableBytesView.starts(with: [0xEF, 0xBB, 0xBF]) { body.moveReaderIndex(forwardBy: 3) }
        var content: ExchangeAnswer.Content?
        var problem: String?
        AnswerScanner.scan(body, id: id) { message in
            switch message {
            case .answer(let found): content = found
            case .foreign: problem = "answer with the wrong id"
            case .notification, .request: problem = problem ?? "no response in the answer"
            case .malformed(let detail): problem = detail
            }
        }
        if content == nil, !Self.beginsDocument(body), let incoming = events(in: body) { return incoming }
        isAnswered = true
        if let content {
            answer.content = content
        } else {
            // Error pages are often HTML: they say nothing beyond their status. A success must be JSON.
            answer.excerpt = String(decoding: body.readableBytesView.prefix(Self.excerptLength), as: UTF8.self)
            if success {
                let unread = oddType == nil || Self.beginsDocument(body) ? problem : "unexpected content type"
                answer.content = .malformed(unread ?? "no response in the answer", executed: .unknown)
            }
        }
        return [.answer(answer)]
    }

    /// Reads an event stream with another content type; nil when it contains no answer.
    private mutating func events(in body: ByteBuffer) -> [Incoming]? {
        var reader = ExchangeReader(id: id, limit: limit)
        reader.answer = answer
        var incoming: [Incoming] = []
        reader.feed(body, &incoming)
        guard case .answer(let found) = incoming.last, found.rpcError != nil || found.failure == nil else { return nil }
        self = reader
        return incoming
    }

    private mutating func take(_ event: ServerSentEvent, _ incoming: inout [Incoming]) {
        if let id = event.id { lastEventID = id.isEmpty ? nil : id }
        if let retry = event.retry { retryMilliseconds = retry }
        // Other event types are not MCP's; empty data is the priming event.
        guard !isAnswered, !event.data.isEmpty, event.event == "message" else { return }
        let message = ByteBuffer(string: event.data)
        AnswerScanner.scan(message, id: id) { found in
            if isAnswered { return }
            switch found {
            case .answer(let content):
                isAnswered = true
                answer.content = content
                incoming.append(.answer(answer))
            case .foreign:
                // Not fatal yet: the right one may follow.
                foreign = true
            case .notification(let slice), .request(let slice):
                let tree = message.withUnsafeReadableBytes { JSONValue(slice, in: $0) }
                if let message = Self.message(tree) { incoming.append(.message(message)) }
            case .malformed(let detail):
                incoming.append(refuse(detail))
            }
        }
    }
}

extension StringProtocol {
    /// Compares ASCII letters without case; sufficient for header names and media types.
    func equalsIgnoringCase(_ lower: StaticString) -> Bool {
        lower.withUTF8Buffer { lower in
            utf8.count == lower.count
                && zip(utf8, lower).allSatisfy { left, right in
                    left == right || (0x41...0x5A ~= left && left | 0x20 == right)
                }
        }
    }
}
