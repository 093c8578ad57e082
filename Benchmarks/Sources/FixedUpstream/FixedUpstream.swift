import NIOCore
import NIOPosix

/// A fixed, fast MCP upstream: it answers every request with the same result and the request's own id.
///
/// `FixedUpstream PORT [TOOLS BYTES]`. It lists `search_any` and as many further tools as given, whose descriptions have
/// that size. To a path below `/api/` it answers as an HTTP API does, with what the tool finds. It reads only as much of HTTP and JSON as that needs, so that what is measured beside it is the
/// proxy and not the upstream. It speaks the era of `initialize`: `server/discover` is an unknown method.
@main
enum FixedUpstream {
    static func main() throws {
        let numbers = CommandLine.arguments.dropFirst().compactMap { Int($0) }
        guard numbers.count == CommandLine.arguments.count - 1, numbers.count == 1 || numbers.count == 3 else {
            print("usage: FixedUpstream PORT [TOOLS BYTES]")
            return
        }
        let port = numbers[0]
        let list = numbers.count == 3 ? FixedAnswer.list(tools: numbers[1], bytes: numbers[2]) : FixedAnswer.list()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let channel = try ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 4096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(FixedAnswer(list: list))
                }
            }
            .bind(host: "127.0.0.1", port: port).wait()
        print("listening \(port)")
        try channel.closeFuture.wait()
    }
}

private final class FixedAnswer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var received = ByteBuffer()
    /// Result of `tools/list`.
    private let list: String

    init(list: String) {
        self.list = list
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        received.writeBuffer(&bytes)
        while let request = nextRequest() {
            context.write(wrapOutboundOut(answer(to: request, allocator: context.channel.allocator)), promise: nil)
        }
        received.discardReadBytes()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.flush()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private struct Request {
        let isPost: Bool
        let isAPI: Bool
        let body: ByteBufferView
    }

    /// The next whole request, or nil while more bytes are needed.
    private func nextRequest() -> Request? {
        let view = received.readableBytesView
        guard let headEnd = view.position(of: "\r\n\r\n") else { return nil }
        let head = view[view.startIndex..<headEnd]
        let bodyStart = headEnd + 4
        let length =
            head.number(after: "ontent-Length: ") ?? head.number(after: "ontent-length: ") ?? head.number(
                after: "ontent-length:") ?? 0
        guard view.endIndex - bodyStart >= length else { return nil }
        let body = view[bodyStart..<bodyStart + length]
        let isPost = head.first == UInt8(ascii: "P")
        let isAPI = head.prefix(16).position(of: " /api/") != nil
        received.moveReaderIndex(forwardBy: bodyStart + length - view.startIndex)
        return Request(isPost: isPost, isAPI: isAPI, body: body)
    }

    private static let searchResult =
        #"{"content":[{"type":"text","text":"{\"results\":[{\"name\":\"Urgent Migration Q2\",\"url\":\"/psm/project/1/\"},{\"name\":\"Urgent Audit Q2\",\"url\":\"/psm/project/2/\"},{\"name\":\"Urgent Rollout Q2\",\"url\":\"/psm/project/3/\"},{\"name\":\"Urgent Portal Q2\",\"url\":\"/psm/project/4/\"},{\"name\":\"Urgent Forecast Q2\",\"url\":\"/psm/project/5/\"}]}"}],"structuredContent":{"results":[{"name":"Urgent Migration Q2","url":"/psm/project/1/"},{"name":"Urgent Audit Q2","url":"/psm/project/2/"},{"name":"Urgent Rollout Q2","url":"/psm/project/3/"},{"name":"Urgent Portal Q2","url":"/psm/project/4/"},{"name":"Urgent Forecast Q2","url":"/psm/project/5/"}]},"isError":false}"#
    private static let initializeResult =
        #"{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"fixed","version":"1"}}"#
    private static let apiResult =
        #"{"results":[{"name":"Urgent Migration Q2","url":"/psm/project/1/"},{"name":"Urgent Audit Q2","url":"/psm/project/2/"},{"name":"Urgent Rollout Q2","url":"/psm/project/3/"},{"name":"Urgent Portal Q2","url":"/psm/project/4/"},{"name":"Urgent Forecast Q2","url":"/psm/project/5/"}]}"#

    /// Returns the result of `tools/list`: the tool that is called, and further ones.
    static func list(tools: Int = 0, bytes: Int = 0) -> String {
        let schema =
            #"{"type":"object","properties":{"model":{"type":"string"},"query":{"type":"string"}},"required":["model","query"]}"#
        let names = ["search_any"] + (0..<tools).map { "tool_\($0)" }
        let entries = names.map { name in
            let isCalled = name == "search_any"
            let text = isCalled ? "Search" : String(repeating: "Finds. ", count: bytes / 7)
            let input = isCalled ? schema : #"{"type":"object"}"#
            return
                #"{"name":"\#(name)","description":"\#(text)","inputSchema":\#(input),"annotations":{"readOnlyHint":true}}"#
        }
        return #"{"tools":[\#(entries.joined(separator: ","))]}"#
    }

    private func answer(to request: Request, allocator: ByteBufferAllocator) -> ByteBuffer {
        if request.isAPI { return response("200 OK", "", Self.apiResult) }
        guard request.isPost else {
            return response("405 Method Not Allowed", "Allow: POST\r\n", "")
        }
        let body = request.body
        let id = body.literal(after: "\"id\":") ?? "null"
        if body.position(of: "\"initialize\"") != nil {
            return response("200 OK", "Mcp-Session-Id: fixed-session\r\n", envelope(id, Self.initializeResult))
        }
        if body.position(of: "\"notifications/") != nil { return response("202 Accepted", "", "") }
        if body.position(of: "\"tools/list\"") != nil { return response("200 OK", "", envelope(id, list)) }
        if body.position(of: "\"server/discover\"") != nil {
            let error =
                "{\"jsonrpc\":\"2.0\",\"id\":\(id),\"error\":{\"code\":-32601,\"message\":\"Method not found\"}}"
            return response("200 OK", "", error)
        }
        return response("200 OK", "", envelope(id, Self.searchResult))
    }

    private func envelope(_ id: String, _ result: String) -> String {
        "{\"jsonrpc\":\"2.0\",\"id\":\(id),\"result\":\(result)}"
    }

    private func response(_ status: String, _ headers: String, _ body: String) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(body.utf8.count + 160)
        buffer.writeString("HTTP/1.1 \(status)\r\n\(headers)")
        if !body.isEmpty { buffer.writeString("Content-Type: application/json\r\n") }
        buffer.writeString("Content-Length: \(body.utf8.count)\r\n\r\n")
        buffer.writeString(body)
        return buffer
    }
}

extension ByteBufferView {
    fileprivate func position(of text: StaticString) -> Int? {
        withUnsafeBytes { bytes -> Int? in
            let count = text.utf8CodeUnitCount
            guard bytes.count >= count else { return nil }
            let first = text.utf8Start[0]
            var offset = 0
            while offset <= bytes.count - count {
                if bytes[offset] == first {
                    var matched = 1
                    while matched < count, bytes[offset + matched] == text.utf8Start[matched] { matched += 1 }
                    if matched == count { return offset }
                }
                offset += 1
            }
            return nil
        }.map { startIndex + $0 }
    }

    fileprivate func number(after text: StaticString) -> Int? {
        guard let position = position(of: text) else { return nil }
        var value = 0
        for byte in self[(position + text.utf8CodeUnitCount)...] {
            if byte == UInt8(ascii: " ") { continue }
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { break }
            value = value * 10 + Int(byte - UInt8(ascii: "0"))
        }
        return value
    }

    /// The number or string that follows, as it stands in the text.
    fileprivate func literal(after text: StaticString) -> String? {
        guard let position = position(of: text) else { return nil }
        let rest = self[(position + text.utf8CodeUnitCount)...].drop { $0 == UInt8(ascii: " ") }
        guard let first = rest.first else { return nil }
        if first == UInt8(ascii: "\"") {
            guard let end = rest.dropFirst().firstIndex(of: UInt8(ascii: "\"")) else { return nil }
            return String(decoding: rest[rest.startIndex...end], as: UTF8.self)
        }
        return String(
            decoding: rest.prefix { $0 >= UInt8(ascii: "-") && $0 <= UInt8(ascii: "9") }, as: UTF8.self)
    }
}
