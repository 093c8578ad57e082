import JSON
import MCP
import NIOCore

/// Parts of every request that do not change while an upstream lives, as JSON text.
struct EnvelopeFragments: Sendable {
    /// Members of a modern `_meta` after the protocol version.
    let modernMeta: String
    /// Members of the parameters of `initialize` after the protocol version.
    let initializeParams: String

    init(clientInfo: Implementation, capabilities: ClientCapabilities, legacyVersion: MCPVersion = .latestLegacy) {
        let modern = MCPVersion.latestModern
        modernMeta =
            "\"\(MCPMeta.clientInfo)\":\(clientInfo.json(for: modern).text),"
            + "\"\(MCPMeta.clientCapabilities)\":\(capabilities.json(for: modern).text)"
        initializeParams =
            "\"capabilities\":\(capabilities.json(for: legacyVersion).text),"
            + "\"clientInfo\":\(clientInfo.json(for: legacyVersion).text)"
    }
}

/// Writer of JSON-RPC messages around bytes that are JSON already.
struct RequestEnvelope {
    let fragments: EnvelopeFragments

    /// Contents of a request's `_meta`.
    struct Meta {
        var version: MCPVersion
        var progress: Bool
        var traceparent: String?
        /// `tracestate`; only with `traceparent`.
        var tracestate: String?
        /// `baggage`; only with `traceparent`.
        var baggage: String?
        /// `MCPMeta.idempotencyKey`.
        var idempotencyKey: String?

        /// True if there is nothing to write.
        var isEmpty: Bool { version.era == .legacy && !progress && traceparent == nil && idempotencyKey == nil }

        /// Returns whether a member that a caller may set itself is set here.
        func sets(_ key: String) -> Bool {
            key == MCPMeta.tracestate && tracestate != nil || key == MCPMeta.baggage && baggage != nil
        }
    }

    /// Writes `tools/call` around the caller's own argument bytes.
    func toolCall(
        number: Int64, tool: String, arguments: ByteBuffer, input: CallInput? = nil, meta: Meta
    ) -> ByteBuffer {
        var out = ByteBufferAllocator().buffer(
            capacity: arguments.readableBytes + tool.utf8.count + fragments.modernMeta.utf8.count + 320)
        out.writeStaticString(#"{"jsonrpc":"2.0","id":"#)
        out.writeNumber(number)
        out.writeStaticString(#","method":"tools/call","params":{"name":"#)
        out.writeQuoted(tool)
        out.writeStaticString(#","arguments":"#)
        out.writeImmutableBuffer(arguments)
        input?.write(to: &out)
        if !meta.isEmpty {
            out.writeStaticString(#","_meta":{"#)
            write(meta, number: number, to: &out)
            out.writeStaticString("}")
        }
        out.writeStaticString("}}")
        return out
    }

    /// Writes any other request; members of `params._meta` that the caller set are kept.
    ///
    /// - Parameter arguments: The parameter `arguments` as text, written byte for byte; nil: it is among the parameters.
    func request(
        number: Int64, method: String, params: JSONObject?, arguments: JSONFragment? = nil, meta: Meta
    ) -> ByteBuffer {
        let own = params?["_meta"]?.object
        let needsMeta = !meta.isEmpty || own != nil
        var out = ByteBufferAllocator().buffer(
            capacity: (arguments?.bytes.count ?? 0) + fragments.modernMeta.utf8.count + 384)
        out.writeStaticString(#"{"jsonrpc":"2.0","id":"#)
        out.writeNumber(number)
        out.writeStaticString(#","method":"#)
        out.writeQuoted(method)
        if params != nil || arguments != nil || needsMeta {
            out.writeStaticString(#","params":{"#)
            var isFirst = true
            for (key, value) in params ?? [:] where key != "_meta" {
                out.writeKey(key, &isFirst)
                out.writeJSON(value)
            }
            if let arguments {
                out.writeKey("arguments", &isFirst)
                out.writeBytes(arguments.bytes)
            }
            if needsMeta {
                out.writeKey("_meta", &isFirst)
                out.writeStaticString("{")
                write(own ?? [:], and: meta, number: number, to: &out)
                out.writeStaticString("}")
            }
            out.writeStaticString("}")
        }
        out.writeStaticString("}")
        return out
    }

    private func write(_ own: JSONObject, and meta: Meta, number: Int64, to out: inout ByteBuffer) {
        var isFirst = true
        for (key, value) in own where !Self.isReserved(key) && !meta.sets(key) {
            out.writeKey(key, &isFirst)
            out.writeJSON(value)
        }
        guard !meta.isEmpty else { return }
        if !isFirst { out.writeStaticString(",") }
        write(meta, number: number, to: &out)
    }

    func initialize(number: Int64, version: MCPVersion) -> ByteBuffer {
        var out = ByteBuffer()
        out.writeStaticString(#"{"jsonrpc":"2.0","id":"#)
        out.writeNumber(number)
        out.writeStaticString(#","method":"initialize","params":{"protocolVersion":""#)
        out.writeString(version.rawValue)
        out.writeStaticString("\",")
        out.writeString(fragments.initializeParams)
        out.writeStaticString("}}")
        return out
    }

    func notification(method: String, params: JSONObject? = nil) -> ByteBuffer {
        var message: JSONObject = ["jsonrpc": "2.0", "method": .string(method)]
        if let params { message["params"] = .object(params) }
        return ByteBuffer(bytes: JSONValue.object(message).serialized)
    }

    // MARK: Inside

    /// Returns whether a member of `_meta` is the connection's own.
    private static func isReserved(_ key: String) -> Bool {
        switch key {
        case MCPMeta.progressToken, MCPMeta.traceparent, MCPMeta.protocolVersion, MCPMeta.clientInfo,
            MCPMeta.clientCapabilities:
            true
        default: false
        }
    }

    /// Writes the members of `_meta`, at least one. The progress token is the request's number: unique in the process,
    /// and so among all active requests of any session.
    private func write(_ meta: Meta, number: Int64, to out: inout ByteBuffer) {
        var separated = true
        if meta.version.era == .modern {
            out.writeStaticString(#""io.modelcontextprotocol/protocolVersion":""#)
            out.writeString(meta.version.rawValue)
            out.writeStaticString("\",")
            out.writeString(fragments.modernMeta)
            separated = false
        }
        if meta.progress {
            if !separated { out.writeStaticString(",") }
            out.writeStaticString(#""progressToken":"#)
            out.writeNumber(number)
            separated = false
        }
        if let traceparent = meta.traceparent {
            if !separated { out.writeStaticString(",") }
            out.writeStaticString(#""traceparent":"#)
            out.writeQuoted(traceparent)
            if let tracestate = meta.tracestate {
                out.writeStaticString(#","tracestate":"#)
                out.writeQuoted(tracestate)
            }
            if let baggage = meta.baggage {
                out.writeStaticString(#","baggage":"#)
                out.writeQuoted(baggage)
            }
            separated = false
        }
        if let key = meta.idempotencyKey {
            if !separated { out.writeStaticString(",") }
            out.writeStaticString("\"")
            out.writeString(MCPMeta.idempotencyKey)
            out.writeStaticString("\":")
            out.writeQuoted(key)
        }
    }
}

extension ByteBuffer {
    /// Writes decimal digits without creating a `String`.
    mutating func writeNumber(_ number: Int64) {
        writeWithUnsafeMutableBytes(minimumWritableBytes: 20) { bytes in
            var digits = 0
            var rest = number.magnitude
            repeat {
                digits += 1
                bytes[20 - digits] = UInt8(0x30 + rest % 10)
                rest /= 10
            } while rest > 0
            for index in 0..<digits { bytes[index] = bytes[20 - digits + index] }
            return digits
        }
    }

    /// Writes the name of a member and what separates it from the one before.
    mutating func writeKey(_ key: String, _ isFirst: inout Bool) {
        if !isFirst { writeStaticString(",") }
        isFirst = false
        writeQuoted(key)
        writeStaticString(":")
    }

    /// Writes a value.
    mutating func writeJSON(_ value: JSONValue) {
        if case .string(let text) = value { writeQuoted(text) } else { writeBytes(value.serialized) }
    }

    /// Writes a JSON string; text without anything to escape is copied.
    mutating func writeQuoted(_ text: String) {
        var text = text
        let quoted: [UInt8]? = text.withUTF8 { utf8 in
            let bytes = UnsafeRawBufferPointer(utf8)
            return JSONText.isPlain(bytes) ? nil : JSONText.quoted(bytes)
        }
        if let quoted {
            writeBytes(quoted)
        } else {
            writeStaticString("\"")
            writeString(text)
            writeStaticString("\"")
        }
    }
}
