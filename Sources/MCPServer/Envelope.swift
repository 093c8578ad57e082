import JSON
import MCP

/// JSON-RPC envelopes as bytes, members in the order `jsonrpc`, `id`, `method`/`result`/`error`.
///
/// A response is written straight into one buffer: no object is built around the result just to be taken apart again.
enum Envelope {
    static func result(_ id: RequestID, _ result: JSONObject) -> [UInt8] {
        var bytes = opening(id, reserving: 512)
        bytes.append(contentsOf: "\"result\":".utf8)
        JSONValue.object(result).append(to: &bytes)
        bytes.append(0x7D)
        return bytes
    }

    /// Returns the response with the result of another server, whose text is copied.
    static func result(_ id: RequestID, _ result: JSONObjectText) -> [UInt8] {
        var bytes = opening(id, reserving: result.sizeLimit + 96)
        bytes.append(contentsOf: "\"result\":".utf8)
        result.append(to: &bytes)
        bytes.append(0x7D)
        return bytes
    }

    /// Returns an error response. An id that could not be read is omitted, never null.
    static func error(_ id: RequestID?, _ error: JSONRPCError) -> [UInt8] {
        var bytes = opening(id, reserving: 128)
        bytes.append(contentsOf: "\"error\":".utf8)
        error.json.append(to: &bytes)
        bytes.append(0x7D)
        return bytes
    }

    private static func opening(_ id: RequestID?, reserving capacity: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(capacity)
        bytes.append(contentsOf: "{\"jsonrpc\":\"2.0\",".utf8)
        if let id {
            bytes.append(contentsOf: "\"id\":".utf8)
            id.json.append(to: &bytes)
            bytes.append(0x2C)
        }
        return bytes
    }
}
