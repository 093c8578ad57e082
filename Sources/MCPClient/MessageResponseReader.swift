import CurlTransport
import JSON
import MCP
import NIOCore
import ProcessMemory

/// Reader that turns the HTTP response to one JSON-RPC request into an `MessageResponse`: JSON or an event stream, whole
/// or in pieces.
struct MessageResponseReader: Sendable {
    /// Parts of a response, in the order in which they are read.
    enum Incoming: Sendable {
        /// The answer; the bytes after it are ignored.
        case answer(MessageResponse)
        /// A notification or request of the server, on the stream before the answer.
        case message(JSONRPCMessage)
    }

    private enum Kind: Sendable { case document, events }

    let id: Int64
    /// Last event id of the stream, from which it can be resumed.
    private(set) var lastEventID: String?
    /// Pause that the server requested before the stream is resumed, in milliseconds.
    private(set) var retryMilliseconds: Int?
    private(set) var isAnswered = false
    private var answer = MessageResponse(status: 0, content: .nothing)
    private var kind = Kind.document
    /// Content type, where it is neither JSON's nor absent, for the error of an unreadable body.
    private var oddType: String?
    private var collected = ByteBuffer()
    private var parser: SSEParser
    private let limit: Int
    private var foreign = false
    private var isFirstChunk = true
    private let memory: MemoryBudget
    /// Memory that the body has drawn; nil while it is small.
    private(set) var reservation: MemoryReservation?
    /// True if the budget had no room for more of the body: nothing further is read of it.
    private(set) var isStarved = false

    /// Largest size, in bytes, and largest number of events of a body of another content type that is read as an event
    /// stream. Unlike a stream's pieces it is read in one turn of the event loop.
    private static let maximumUnannounced = (bytes: 4 << 20, events: 1000)
    /// Number of bytes of it that are read at a time, so that few events are held.
    private static let pieceBytes = 16 << 10

    /// Largest number of bytes of an unreadable body that are kept.
    private static let excerptLength = 512

    /// - Parameters:
    ///   - limit: Largest event, and largest body of another type, in bytes.
    ///   - memory: Budget from which the body draws while it is read in pieces.
    init(id: Int64, limit: Int, memory: MemoryBudget = .unlimited) {
        self.id = id
        self.limit = limit
        self.memory = memory
        self.parser = SSEParser(maximumEventBytes: limit)
    }

    /// True if the server responded with an event stream.
    var isEventStream: Bool { kind == .events }
    var status: Int { answer.status }

    // MARK: Whole

    /// Reads a complete response. Messages before the answer come first.
    mutating func whole(_ response: CurlResponse) -> [Incoming] {
        head(status: response.status, headers: response.headers)
        reservation = response.reservation
        if kind == .events { return chunk(response.body) + finish() }
        return document(response.body)
    }

    // MARK: In pieces

    mutating func head(status: Int, headers: CurlHeaders) {
        answer = MessageResponse(status: status, content: .nothing)
        parser = SSEParser(maximumEventBytes: limit)
        kind = headers.announcesEventStream ? .events : .document
        oddType = kind == .events ? nil : headers.first(name: "Content-Type").flatMap { Self.isJSON($0) ? nil : $0 }
        isFirstChunk = true
        answer.setCookies = headers.all(name: "Set-Cookie")
        answer.sessionID = headers.first(name: MCPHeader.sessionID)
        if status >= 300 {
            answer.location = headers.first(name: "Location")
            answer.retryAfter = headers.first(name: "Retry-After")
            answer.proofNonce = headers.first(name: "DPoP-Nonce")
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
            guard bytes.readableBytes <= limit - collected.readableBytes else { return [] }
            guard memory.hold(collected.readableBytes + bytes.readableBytes, in: &reservation) else { return starve() }
            collected.writeImmutableBuffer(bytes)
            return []
        }
        var incoming: [Incoming] = []
        feed(bytes, &incoming)
        if !isAnswered {
            // Between two events of a long stream nothing is held.
            if parser.heldBytes == 0 { reservation = nil }
            if !memory.hold(parser.heldBytes, in: &reservation) { return incoming + starve() }
        }
        return incoming
    }

    /// Returns whether a piece completes, or the end of the body completes, so long a message that it is read beside the
    /// event loop.
    ///
    /// - Parameter piece: Next bytes of the body; nil: its end.
    func completesLongMessage(_ piece: ByteBuffer?) -> Bool {
        if isAnswered { return false }
        guard kind == .events, 200..<300 ~= answer.status else {
            return piece == nil && collected.readableBytes >= ParsingQueue.longAnswer
        }
        return piece.map { ParsingQueue.isLongEvent(held: parser.heldBytes, completedBy: $0) } ?? false
    }

    /// Gives away what is read, to be continued elsewhere. Until it is back, only the head is known.
    mutating func lend() -> MessageResponseReader {
        let lent = self
        parser = SSEParser(maximumEventBytes: limit)
        collected = ByteBuffer()
        reservation = nil
        return lent
    }

    /// Gives away what the body has drawn, with the answer that was read from it.
    mutating func takeReservation() -> MemoryReservation? { reservation.take() }

    private mutating func starve() -> [Incoming] {
        isStarved = true
        collected = ByteBuffer()
        reservation = nil
        return []
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
    var headOnly: MessageResponse { answer }

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

    /// - Returns: Number of events that the bytes have completed.
    @discardableResult
    private mutating func feed(_ bytes: ByteBuffer, _ incoming: inout [Incoming]) -> Int {
        do {
            let events = try parser.feed(bytes.readableBytesView)
            for event in events { take(event, &incoming) }
            return events.count
        } catch {
            incoming.append(refuse("event stream: \(error)"))
            return 1
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
        var content: MessageResponse.Content?
        var problem: String?
        MessageScanner.scan(body, id: id) { message in
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
            take(content, of: body)
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

    /// Keeps the answer's content. Where it is long, everything that takes long is done at once.
    private mutating func take(_ content: MessageResponse.Content, of message: ByteBuffer) {
        answer.content = content
        guard message.readableBytes >= ParsingQueue.longAnswer, case .result(let message, let result) = content else {
            return
        }
        answer.resultType = MessageScanner.resultType(of: result, in: message)
    }

    /// Reads an event stream with another content type; nil when it contains no answer.
    private mutating func events(in body: ByteBuffer) -> [Incoming]? {
        var reader = MessageResponseReader(id: id, limit: limit, memory: memory)
        reader.answer = answer
        reader.reservation = reservation
        guard body.readableBytes <= Self.maximumUnannounced.bytes else { return nil }
        var rest = body
        var incoming: [Incoming] = []
        var events = 0
        while let piece = rest.readSlice(length: min(rest.readableBytes, Self.pieceBytes)), piece.readableBytes > 0,
            !reader.isAnswered, !reader.isStarved, events <= Self.maximumUnannounced.events
        {
            events += reader.feed(piece, &incoming)
        }
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
        // Memory of the event's messages, which are passed on together.
        var held: MemoryReservation?
        var footprint = 0
        defer { withExtendedLifetime(held) {} }
        MessageScanner.scan(message, id: id) { found in
            if isAnswered || isStarved { return }
            switch found {
            case .answer(let content):
                isAnswered = true
                take(content, of: message)
                incoming.append(.answer(answer))
            case .foreign:
                // Not fatal yet: the right one may follow.
                foreign = true
            case .notification(let slice), .request(let slice):
                message.withUnsafeReadableBytes { bytes in
                    footprint += JSONValue.footprint(of: UnsafeRawBufferPointer(rebasing: bytes[slice.range]))
                    guard memory.hold(footprint, in: &held) else {
                        isStarved = true
                        return
                    }
                    if let message = Self.message(JSONValue(slice, in: bytes)) { incoming.append(.message(message)) }
                }
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
