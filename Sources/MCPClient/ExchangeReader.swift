import CurlTransport
import JSON
import MCP
import NIOCore

/// Turns the HTTP answer to one JSON-RPC request into an `ExchangeAnswer`: JSON or an event stream, whole or in pieces.
struct ExchangeReader {
    /// What becomes known while an answer is read.
    enum Incoming {
        /// The answer; whatever follows it is of no interest.
        case answer(ExchangeAnswer)
        /// Notifications and requests of the server, on the stream before the answer.
        case message(JSONRPCMessage)
    }

    private enum Kind { case none, json, events, other }

    let id: Int64
    /// Last event id of the stream: where it can be taken up again.
    private(set) var lastEventID: String?
    /// The pause that the server asked for before the stream is taken up again, in milliseconds.
    private(set) var retryMilliseconds: Int?
    private(set) var isAnswered = false
    private var answer = ExchangeAnswer(status: 0, content: .nothing)
    private var kind = Kind.none
    private var collected = ByteBuffer()
    private var parser: SSEParser
    private let limit: Int
    private var foreign = false

    init(id: Int64, limit: Int) {
        self.id = id
        self.limit = limit
        self.parser = SSEParser(maximumEventBytes: limit)
    }

    /// The server answered with an event stream.
    var isEventStream: Bool { kind == .events }
    var status: Int { answer.status }

    // MARK: Whole

    /// A buffered answer. Messages before the answer come first.
    mutating func whole(_ response: CurlResponse) -> [Incoming] {
        head(status: response.status, headers: response.headers)
        if kind == .events {
            return chunk(response.body) + finish()
        }
        return [.answer(document(response.body))]
    }

    // MARK: In pieces

    mutating func head(status: Int, headers: CurlHeaders) {
        answer = ExchangeAnswer(status: status, content: .nothing)
        parser = SSEParser(maximumEventBytes: limit)
        kind = headers.first(name: "Content-Type").map(Self.kind) ?? .none
        answer.isStreamed = kind == .events
        answer.setCookies = headers.all(name: "Set-Cookie")
        answer.sessionID = headers.first(name: MCPHeader.sessionID)
        if status >= 300 {
            answer.location = headers.first(name: "Location")
            answer.retryAfter = headers.first(name: "Retry-After")
            answer.wwwAuthenticate = headers.all(name: "WWW-Authenticate")
        }
    }

    mutating func chunk(_ bytes: ByteBuffer) -> [Incoming] {
        guard kind == .events, 200..<300 ~= answer.status else {
            if collected.readableBytes + bytes.readableBytes <= limit { collected.writeImmutableBuffer(bytes) }
            return []
        }
        var incoming: [Incoming] = []
        do {
            for event in try parser.feed(bytes.readableBytesView) { take(event, &incoming) }
        } catch {
            isAnswered = true
            answer.content = .malformed("event stream: \(error)", executed: .unknown)
            incoming.append(.answer(answer))
        }
        return incoming
    }

    /// The body is complete. Nothing when an event stream ended without the answer: see `isAnswered`.
    mutating func finish() -> [Incoming] {
        if isAnswered { return [] }
        if kind == .events, 200..<300 ~= answer.status {
            guard foreign else { return [] }
            isAnswered = true
            answer.content = .malformed("answer with the wrong id", executed: .unknown)
            return [.answer(answer)]
        }
        return [.answer(document(collected))]
    }

    // MARK: Inside

    private static func kind(of contentType: String) -> Kind {
        // By bytes: to find the ends of characters would cost as much as to read the answer.
        let type = Substring(contentType.utf8.prefix { $0 != UInt8(ascii: ";") && $0 != UInt8(ascii: " ") })
        if type.equalsIgnoringCase("application/json") { return .json }
        return type.equalsIgnoringCase("text/event-stream") ? .events : .other
    }

    private mutating func document(_ body: ByteBuffer) -> ExchangeAnswer {
        isAnswered = true
        let success = 200..<300 ~= answer.status
        // Error pages are often HTML: they say nothing beyond their status. A success has to be JSON.
        guard body.readableBytes > 0 else { return answer }
        if kind == .other {
            if success { answer.content = .malformed("unexpected content type", executed: .unknown) }
            return answer
        }
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
        if let content {
            answer.content = content
        } else if success {
            answer.content = .malformed(problem ?? "no response in the answer", executed: .unknown)
        }
        return answer
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
                if let message = try? JSONRPCMessage(tree) { incoming.append(.message(message)) }
            case .malformed(let detail):
                isAnswered = true
                answer.content = .malformed(detail, executed: .unknown)
                incoming.append(.answer(answer))
            }
        }
    }
}

extension StringProtocol {
    /// ASCII letters compared without case; what header names and media types need.
    func equalsIgnoringCase(_ lower: StaticString) -> Bool {
        lower.withUTF8Buffer { lower in
            utf8.count == lower.count
                && zip(utf8, lower).allSatisfy { left, right in
                    left == right || (0x41...0x5A ~= left && left | 0x20 == right)
                }
        }
    }
}
