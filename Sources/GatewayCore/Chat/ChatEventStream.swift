import HTTPServer
import JSON
import MCPClient
import NIOCore
import NIOHTTP1

/// Response to a chat request as server-sent events: `delta` and `progress` while the tool works, then one `reply`, one
/// `question` or one `error`. Comments in between keep the connection open.
final class ChatEventStream {
    /// Largest number of bytes that may wait for a client that reads slower than the tool writes.
    static let waitingLimit = 1_048_576

    private let exchange: HTTPExchange
    private let keepAlive: TimeAmount
    private var timer: Scheduled<Void>?
    private var isOpen = false
    /// Number of bytes written since the client last kept up.
    private var waiting = 0
    /// Callback for a client that fell too far behind and has been cut off.
    var onOverflow: (() -> Void)?

    init(_ exchange: HTTPExchange, keepAlive: Duration) {
        self.exchange = exchange
        self.keepAlive = TimeAmount(keepAlive)
    }

    /// Sends the head of the response, once.
    func start(headers: HTTPHeaders) {
        if isOpen { return }
        var headers = headers
        headers.add(name: "Content-Type", value: "text/event-stream")
        SecurityHeaders.addBasic(to: &headers)
        // Keeps nginx from collecting the events.
        headers.add(name: "X-Accel-Buffering", value: "no")
        isOpen = true
        exchange.onWritable = { [weak self] in self?.waiting = 0 }
        exchange.startResponse(status: .ok, headers: headers)
        exchange.flush()
        scheduleKeepAlive()
    }

    /// Sends a progress notification: its message, if any, as a `delta`; its numbers and tool, or a notification
    /// without a message, as `progress`.
    func send(_ progress: MCPProgress) {
        if let message = progress.message, !message.isEmpty {
            send("delta", JSONValue.object(["text": .string(message)]).serialized)
        }
        if progress.message == nil || progress.total != nil || progress.tool != nil {
            var data: JSONObject = ["progress": .number(JSONNumber(progress.progress))]
            if let total = progress.total { data["total"] = .number(JSONNumber(total)) }
            if let tool = progress.tool { data["tool"] = .string(tool) }
            send("progress", JSONValue.object(data).serialized)
        }
    }

    /// Returns the event of a reply.
    static func event(reply body: ByteBuffer) -> ByteBuffer {
        // Line ends would end the event. Outside of strings they are white space, inside of strings they are escaped.
        event("reply", body.readableBytesView.map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 })
    }

    /// Sends the event of a reply, the last one.
    func finish(_ event: ByteBuffer) {
        if isOpen { write(event) }
        end()
    }

    func finish(question body: ByteBuffer) {
        send("question", Array(body.readableBytesView))
        end()
    }

    func finish(error: JSONValue) {
        send("error", error.serialized)
        end()
    }

    /// Sends nothing more: the exchange is over or about to be.
    func stop() {
        isOpen = false
        timer?.cancel()
        timer = nil
        onOverflow = nil
    }

    private func end() {
        guard isOpen else { return }
        stop()
        exchange.endResponse()
    }

    private func send(_ event: StaticString, _ data: [UInt8]) {
        if isOpen { write(Self.event(event, data)) }
    }

    private static func event(_ event: StaticString, _ data: [UInt8]) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(data.count + 32)
        buffer.writeStaticString("event: ")
        buffer.writeStaticString(event)
        buffer.writeStaticString("\ndata: ")
        buffer.writeBytes(data)
        buffer.writeStaticString("\n\n")
        return buffer
    }

    private func write(_ buffer: ByteBuffer) {
        waiting = exchange.isWritable ? 0 : waiting + buffer.readableBytes
        if waiting > Self.waitingLimit {
            let onOverflow = onOverflow
            stop()
            exchange.abort()
            onOverflow?()
            return
        }
        exchange.write(buffer)
        exchange.flush()
    }

    private func scheduleKeepAlive() {
        timer = exchange.eventLoop.assumeIsolated().scheduleTask(in: keepAlive) { [weak self] in
            guard let self, isOpen else { return }
            // A client that does not even read comments is disconnected.
            if exchange.isWritable { write(ByteBuffer(staticString: ": keep-alive\n\n")) }
            scheduleKeepAlive()
        }
    }
}
