package import JSON
import MCP
package import NIOCore

/// Converts a tool's result into `{"type":T,"replies":…}`, around the upstream's own bytes.
package enum ChatReply {
    /// - Parameters:
    ///   - message: The upstream's JSON-RPC message.
    ///   - result: The `result` object in the message's readable bytes.
    /// - Returns: The response's body, or the tool's error.
    package static func make(
        _ type: ChatType, message: ByteBuffer, result: JSONSlice
    ) -> Result<ByteBuffer, GatewayError> {
        message.withUnsafeReadableBytes { bytes in
            let parts = ToolResultParts(result, in: bytes)
            if parts.isError { return .failure(toolError(parts, type, in: bytes)) }
            guard let structured = parts.structured else { return fromText(type, parts, in: bytes) }
            // Some servers send `{}` beside the text that holds the result.
            if isEmptyObject(structured, in: bytes), parts.texts(in: bytes)?.isEmpty != true {
                return fromText(type, parts, in: bytes)
            }
            return reply(type, parts, document: structured, in: bytes, isText: false)
        }
    }

    private static let tooManyBlocks = GatewayError(
        .upstreamInvalid, executed: .yes, detail: "too many blocks of content")

    private static func isEmptyObject(_ value: JSONSlice, in bytes: UnsafeRawBufferPointer) -> Bool {
        value.kind == .object && value.range.dropFirst().dropLast().allSatisfy { bytes[$0] <= 0x20 }
    }

    // MARK: Values

    /// Returns the reply for a JSON document: a structured result, or the JSON in a text.
    private static func reply(
        _ type: ChatType, _ parts: ToolResultParts, document: JSONSlice, in bytes: UnsafeRawBufferPointer, isText: Bool
    ) -> Result<ByteBuffer, GatewayError> {
        let rule = type.configuration.reply
        var value = document
        if document.kind == .object {
            let members = DocumentMembers(document, in: bytes)
            if let error = members.onlyError {
                return .failure(toolError(JSONText.string(error, in: bytes), parts, type))
            }
            if rule.path.isEmpty {
                value = members.results ?? members.result ?? document
            } else if let found = resolve(rule.path, document, in: bytes) {
                value = found
            } else if !isText {
                return fromText(type, parts, in: bytes)
            }
            // Where a function may return a list or an error, servers wrap both: {"result": {"error": …}}.
            if value.kind == .object, value != document, let error = onlyError(value, in: bytes) {
                return .failure(toolError(JSONText.string(error, in: bytes), parts, type))
            }
        }
        return .success(body(type, value, in: bytes))
    }

    private static func resolve(
        _ path: [String], _ document: JSONSlice, in bytes: UnsafeRawBufferPointer
    ) -> JSONSlice? {
        var value = document
        for name in path {
            guard let next = JSONScanner.member(name, of: value, in: bytes) else { return nil }
            value = next
        }
        return value
    }

    /// Returns the text of an object whose only member is an error.
    private static func onlyError(_ object: JSONSlice, in bytes: UnsafeRawBufferPointer) -> JSONSlice? {
        var members = 0
        JSONScanner.members(of: object, in: bytes) { _ in
            members += 1
            return members < 2
        }
        return members == 1 ? DocumentMembers(object, in: bytes).onlyError : nil
    }

    // MARK: Text

    /// Returns the reply for text content alone, as servers without structured results send it.
    private static func fromText(
        _ type: ChatType, _ parts: ToolResultParts, in bytes: UnsafeRawBufferPointer
    ) -> Result<ByteBuffer, GatewayError> {
        guard let texts = parts.texts(in: bytes) else { return .failure(tooManyBlocks) }
        let rule = type.configuration.reply
        if rule.text == .plain { return .success(plainText(type, texts, in: bytes)) }
        if texts.count == 1, let text = texts.first {
            let document = text.unescaped(in: bytes)
            return document.withUnsafeBytes { inner in
                var scanner = JSONScanner(inner)
                guard let value = try? scanner.document() else { return .success(plainText(type, texts, in: bytes)) }
                return reply(type, parts, document: value, in: inner, isText: true)
            }
        }
        guard rule.shape == .list else { return .success(plainText(type, texts, in: bytes)) }
        // Servers send one block for each element: an empty list has none.
        var list: [UInt8] = [UInt8(ascii: "[")]
        for (index, text) in texts.enumerated() {
            if index > 0 { list.append(UInt8(ascii: ",")) }
            appendElement(text, in: bytes, to: &list)
        }
        list.append(UInt8(ascii: "]"))
        return list.withUnsafeBytes { inner in
            var scanner = JSONScanner(inner)
            guard let value = try? scanner.document() else {
                return .failure(GatewayError(.upstreamInvalid, executed: .yes, detail: "text is nested too deeply"))
            }
            return .success(body(type, value, in: inner))
        }
    }

    private static func appendElement(
        _ text: ContentText, in bytes: UnsafeRawBufferPointer, to list: inout [UInt8]
    ) {
        let element = text.unescaped(in: bytes)
        let isJSON = element.withUnsafeBytes { inner in
            var scanner = JSONScanner(inner)
            return (try? scanner.document()) != nil
        }
        if isJSON {
            list.append(contentsOf: element)
        } else {
            list.append(UInt8(ascii: "\""))
            text.withContent(in: bytes) { list.append(contentsOf: $0) }
            list.append(UInt8(ascii: "\""))
        }
    }

    /// Returns the text as one JSON string, several blocks joined by line ends; null when there is none.
    private static func plainText(
        _ type: ChatType, _ texts: [ContentText], in bytes: UnsafeRawBufferPointer
    ) -> ByteBuffer {
        let length = texts.reduce(8) { $0 + $1.count + 2 }
        var buffer = ByteBufferAllocator().buffer(capacity: type.replyHead.count + length + 4)
        buffer.writeBytes(type.replyHead)
        buffer.writeInteger(UInt8(ascii: "["))
        if texts.isEmpty {
            if type.configuration.reply.shape == .wrapped { buffer.writeStaticString("null") }
        } else {
            buffer.writeInteger(UInt8(ascii: "\""))
            for (index, text) in texts.enumerated() {
                if index > 0 { buffer.writeStaticString("\\n") }
                text.withContent(in: bytes) { _ = buffer.writeBytes($0) }
            }
            buffer.writeInteger(UInt8(ascii: "\""))
        }
        buffer.writeStaticString("]}")
        return buffer
    }

    // MARK: Writing

    /// Returns the response body. A list is cut at the limit; a single value becomes a list of one element, null an
    /// empty list, unless the type wraps.
    private static func body(_ type: ChatType, _ value: JSONSlice, in bytes: UnsafeRawBufferPointer) -> ByteBuffer {
        let rule = type.configuration.reply
        var buffer = ByteBufferAllocator().buffer(capacity: type.replyHead.count + value.count + 4)
        buffer.writeBytes(type.replyHead)
        if value.kind == .array {
            let end = JSONScanner.end(of: value, cutAfter: rule.limit, in: bytes)
            if let end {
                buffer.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[value.lowerBound..<end]))
                buffer.writeInteger(UInt8(ascii: "]"))
            } else {
                buffer.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[value.range]))
            }
        } else if value.kind == .null, rule.shape == .list {
            buffer.writeStaticString("[]")
        } else {
            buffer.writeInteger(UInt8(ascii: "["))
            buffer.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[value.range]))
            buffer.writeInteger(UInt8(ascii: "]"))
        }
        buffer.writeInteger(UInt8(ascii: "}"))
        return buffer
    }

    // MARK: Errors

    private static func toolError(
        _ parts: ToolResultParts, _ type: ChatType, in bytes: UnsafeRawBufferPointer
    ) -> GatewayError {
        guard let texts = parts.texts(in: bytes) else { return tooManyBlocks }
        if let text = texts.first {
            return toolError(String(decoding: text.unescaped(in: bytes), as: UTF8.self), parts, type)
        }
        let structured = parts.structured.flatMap { JSONScanner.member("error", of: $0, in: bytes) }
        return toolError(structured.map { JSONText.string($0, in: bytes) }, parts, type)
    }

    private static func toolError(_ text: String?, _ parts: ToolResultParts, _ type: ChatType) -> GatewayError {
        var error = GatewayError(.toolError, text: text, executed: .yes)
        guard let status = parts.declaredStatus else { return error }
        if status == 503 {
            // 503 with `Retry-After`: the request is not to blame, so the status counts whatever the type says.
            error.declaredStatus = status
            error.retryAfter = "1"
        } else if type.configuration.useToolStatus {
            error.declaredStatus = status
        }
        return error
    }
}

/// Members of a reply's document that decide how it is read. Of duplicate members the last counts.
private struct DocumentMembers {
    private(set) var error: JSONSlice?
    private(set) var results: JSONSlice?
    private(set) var result: JSONSlice?

    init(_ object: JSONSlice, in bytes: UnsafeRawBufferPointer) {
        JSONScanner.members(of: object, in: bytes) { member in
            if JSONText.equals(member.key, "results", in: bytes) {
                results = member.value
            } else if JSONText.equals(member.key, "result", in: bytes) {
                result = member.value
            } else if JSONText.equals(member.key, "error", in: bytes) {
                error = member.value
            }
            return true
        }
    }

    /// Text of `{"error": TEXT}`. An object that has a result beside the error is a result.
    var onlyError: JSONSlice? {
        guard let error, error.kind == .string, results == nil, result == nil else { return nil }
        return error
    }
}
