package import JSON
import MCP
package import NIOCore

/// Scanner that reads JSON-RPC messages as slices. A response with a result is not decoded into a tree.
package enum MessageScanner {
    /// One message, classified by its members.
    enum Message {
        /// A response to the given id, or an error without an id.
        case answer(MessageResponse.Content)
        /// A response to some other id.
        case foreign
        case notification(JSONSlice)
        case request(JSONSlice)
        case malformed(String)
    }

    enum ResultType: Sendable { case complete, inputRequired, unknown }

    /// Largest number of messages in one batch: beside the answer to one request, what the server reports meanwhile.
    private static let maximumMessages = 1000
    /// Largest memory, in bytes, that the values of one error, notification or question may take. They are read as trees,
    /// on the event loop; only results are not.
    private static let maximumFootprint = 8 << 20

    /// Largest nesting of answers, deeper than that of requests: the envelope adds levels of its own.
    private static let maximumDepth = 128

    private struct Envelope {
        var id: JSONSlice?
        var method: JSONSlice?
        var result: JSONSlice?
        var error: JSONSlice?

        mutating func take(_ member: JSONMember, _ bytes: UnsafeRawBufferPointer) {
            // Of duplicate keys the last one counts, as everywhere in this product.
            switch bytes[member.key.content.lowerBound] {
            case UInt8(ascii: "i") where JSONText.equals(member.key, "id", in: bytes): id = member.value
            case UInt8(ascii: "m") where JSONText.equals(member.key, "method", in: bytes): method = member.value
            case UInt8(ascii: "r") where JSONText.equals(member.key, "result", in: bytes): result = member.value
            case UInt8(ascii: "e") where JSONText.equals(member.key, "error", in: bytes): error = member.value
            default: break
            }
        }
    }

    /// Visits the message, or each message of a batch, in the bytes.
    static func scan(_ message: ByteBuffer, id: Int64, _ visit: (Message) -> Void) {
        message.withUnsafeReadableBytes { bytes in
            var envelope = Envelope()
            var scanner = JSONScanner(bytes, maximumDepth: maximumDepth)
            do throws(JSONError) {
                let document = try scanner.object { envelope.take($0, bytes) }
                visit(classify(envelope, document, in: bytes, message: message, id: id))
            } catch {
                guard error.code == .notAnObject else { return visit(.malformed("not JSON: \(error.code)")) }
                scanBatch(bytes, message: message, id: id, visit)
            }
        }
    }

    /// Visits the messages of a batch: in 2025-03-26 a server may put several into one array.
    private static func scanBatch(
        _ bytes: UnsafeRawBufferPointer, message: ByteBuffer, id: Int64, _ visit: (Message) -> Void
    ) {
        var scanner = JSONScanner(bytes, maximumDepth: maximumDepth)
        guard let document = try? scanner.document(), document.kind == .array else {
            return visit(.malformed("not a JSON-RPC message"))
        }
        var messages = 0
        JSONScanner.elements(of: document, in: bytes) { element in
            messages += 1
            guard messages <= maximumMessages else {
                visit(.malformed("a batch of more than \(maximumMessages) messages"))
                return false
            }
            guard element.kind == .object else {
                visit(.malformed("not a JSON-RPC message"))
                return true
            }
            var envelope = Envelope()
            JSONScanner.members(of: element, in: bytes) { member in
                envelope.take(member, bytes)
                return true
            }
            visit(classify(envelope, element, in: bytes, message: message, id: id))
            return true
        }
    }

    private static func classify(
        _ envelope: Envelope, _ document: JSONSlice, in bytes: UnsafeRawBufferPointer, message: ByteBuffer, id: Int64
    ) -> Message {
        // Some servers write every member of their message type: null beside a result means that the member is absent.
        if let method = envelope.method, method.kind != .null {
            guard method.kind == .string else { return .malformed("method that is no string") }
            guard isSmall(document, in: bytes) else { return .malformed("a message of the server is too large") }
            return envelope.id == nil ? .notification(document) : .request(document)
        }
        if let error = envelope.error, error.kind != .null {
            guard envelope.id == nil || envelope.id?.kind == .null || isID(envelope.id, id, in: bytes) else {
                return .foreign
            }
            guard let error = try? JSONRPCError(json: readable(error, in: bytes)) else {
                return .malformed("error without a code")
            }
            return .answer(.error(error))
        }
        guard let result = envelope.result else { return .malformed("neither result nor error") }
        guard isID(envelope.id, id, in: bytes) else { return .foreign }
        guard result.kind == .object else {
            return .answer(.malformed("result that is no object", executed: .yes))
        }
        return .answer(.result(message: message, result: result))
    }

    /// Returns the tree of a part of an answer; nil where it would take too much memory and time on an event loop.
    package static func tree(_ slice: JSONSlice, in message: ByteBuffer) -> JSONValue? {
        message.withUnsafeReadableBytes { isSmall(slice, in: $0) ? JSONValue(slice, in: $0) : nil }
    }

    private static func isSmall(_ slice: JSONSlice, in bytes: UnsafeRawBufferPointer) -> Bool {
        slice.count <= maximumFootprint
            && JSONValue.footprint(of: UnsafeRawBufferPointer(rebasing: bytes[slice.range])) <= maximumFootprint
    }

    /// Returns an error's values; without its data where they are too many.
    private static func readable(_ error: JSONSlice, in bytes: UnsafeRawBufferPointer) -> JSONValue {
        guard !isSmall(error, in: bytes) else { return JSONValue(error, in: bytes) }
        var members: JSONObject = [:]
        for name in ["code", "message"] {
            guard let member = JSONScanner.member(name, of: error, in: bytes), isSmall(member, in: bytes) else {
                continue
            }
            members[name] = JSONValue(member, in: bytes)
        }
        return .object(members)
    }

    /// Returns whether an id is that of the request. The client's ids are numbers that no other request has, so the
    /// same number as a string or with an empty fraction (`"31"`, `31.0`) cannot be another one's.
    private static func isID(_ slice: JSONSlice?, _ id: Int64, in bytes: UnsafeRawBufferPointer) -> Bool {
        guard let slice, slice.count <= 24 else { return false }
        var digits = UnsafeRawBufferPointer(rebasing: bytes[slice.range])
        switch slice.kind {
        case .number:
            if let point = digits.firstIndex(of: UInt8(ascii: ".")) {
                guard digits[(point + 1)...].allSatisfy({ $0 == UInt8(ascii: "0") }) else { return false }
                digits = UnsafeRawBufferPointer(rebasing: digits[..<point])
            }
        case .string:
            guard digits.count > 2 else { return false }
            digits = UnsafeRawBufferPointer(rebasing: digits[1..<(digits.count - 1)])
        default: return false
        }
        guard !digits.isEmpty else { return false }
        var value: Int64 = 0
        for byte in digits {
            guard 0x30...0x39 ~= byte, value < Int64.max / 10 else { return false }
            value = value * 10 + Int64(byte - 0x30)
        }
        return value == id
    }

    /// Returns the `resultType` of a modern result; an absent one means complete.
    static func resultType(of result: JSONSlice, in message: ByteBuffer) -> ResultType {
        message.withUnsafeReadableBytes { bytes in
            guard let type = JSONScanner.member("resultType", of: result, in: bytes) else { return .complete }
            if JSONText.equals(type, "complete", in: bytes) { return .complete }
            return JSONText.equals(type, "input_required", in: bytes) ? .inputRequired : .unknown
        }
    }
}
