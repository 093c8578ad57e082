/// Writer of `text/event-stream`. Lines end with LF.
package enum SSEWriter {
    /// Returns an event. Line breaks in `data` become separate lines; JSON text has none. Line breaks and NUL in `id`
    /// and `event` would end or void the field and are left out.
    package static func event(
        data: some Collection<UInt8>, event: String? = nil, id: String? = nil, retry: Int? = nil
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(data.count + 64)
        if let event { appendField("event", event, to: &bytes) }
        if let id { appendField("id", id, to: &bytes) }
        if let retry { appendField("retry", String(max(0, retry)), to: &bytes) }
        bytes.append(contentsOf: "data: ".utf8)
        var afterCarriageReturn = false
        for byte in data {
            let isLineFeed = byte == UInt8(ascii: "\n")
            let isCarriageReturn = byte == UInt8(ascii: "\r")
            if isLineFeed && afterCarriageReturn {
                afterCarriageReturn = false
                continue
            }
            afterCarriageReturn = isCarriageReturn
            if isLineFeed || isCarriageReturn {
                bytes.append(contentsOf: "\ndata: ".utf8)
            } else {
                bytes.append(byte)
            }
        }
        bytes.append(contentsOf: "\n\n".utf8)
        return bytes
    }

    /// Returns an event with text as data.
    package static func event(
        data: String, event: String? = nil, id: String? = nil, retry: Int? = nil
    ) -> [UInt8] {
        self.event(data: data.utf8, event: event, id: id, retry: retry)
    }

    /// Returns a JSON-RPC message as `event: message`.
    package static func message(_ message: JSONRPCMessage, id: String? = nil) -> [UInt8] {
        event(data: message.serialized, event: "message", id: id)
    }

    /// Returns a comment line, which keeps a connection open and has no meaning.
    package static func comment(_ text: String = "") -> [UInt8] {
        var bytes: [UInt8] = [UInt8(ascii: ":")]
        if !text.isEmpty { bytes.append(UInt8(ascii: " ")) }
        bytes.append(contentsOf: singleLine(text))
        bytes.append(contentsOf: "\n\n".utf8)
        return bytes
    }

    private static func appendField(_ name: String, _ value: String, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: name.utf8)
        bytes.append(contentsOf: ": ".utf8)
        bytes.append(contentsOf: singleLine(value))
        bytes.append(UInt8(ascii: "\n"))
    }

    private static func singleLine(_ text: String) -> [UInt8] {
        text.utf8.filter { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") && $0 != 0 }
    }
}
