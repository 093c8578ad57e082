import JSON
import MCP
import NIOCore

/// A request that a driver can send: the hot path's tool call, or the async client's.
struct OutgoingRequest {
    enum Body {
        case toolCall(tool: String, arguments: ByteBuffer)
        case other(method: String, params: JSONObject?)
    }

    /// Closure that answers a request of the server (elicitation, sampling, roots); called on the event loop, and
    /// answers there, once.
    typealias Answerer = (JSONRPCRequest, @escaping (Result<JSONValue, JSONRPCError>) -> Void) -> Void

    var body: Body
    var credentials: ForwardedCredentials
    var deadline: NIODeadline
    var idleTimeout: TimeAmount?
    var traceparent: String?
    /// Number of times that it is repeated after it may have run.
    var replays: Int
    /// Number of repetitions for this and all other servers together; nil: there are no others.
    var replaysLeft: Int?
    /// Declines with which the call is repeated, once its tool has asked.
    var input: DeclinedInput?
    var takesInputRequests = false
    var mirrored = ToolHeaderParameters.none
    var onProgress: ((MCPProgress) -> Void)?
    /// Listener for every other notification on the request's stream.
    var onNotification: ((JSONRPCNotification) -> Void)?
    var onRequest: Answerer?

    /// Returns a forwarded header, its lines joined; nil without one.
    func forwarded(_ name: String) -> String? {
        let values = credentials.perRequest.filter { $0.name.lowercased() == name }.map(\.value)
        return values.isEmpty ? nil : values.joined(separator: ",")
    }

    var method: String {
        switch body {
        case .toolCall: MCPMethod.toolsCall
        case .other(let method, _): method
        }
    }

    /// Value of `Mcp-Name`; nil for a method without it.
    var name: String? {
        switch body {
        case .toolCall(let tool, _): return tool
        case .other(MCPMethod.toolsCall, let params), .other(MCPMethod.promptsGet, let params):
            return params?["name"]?.string
        case .other(MCPMethod.resourcesRead, let params):
            return params?["uri"]?.string
        case .other: return nil
        }
    }

    /// Headers of the arguments that are sent as headers too.
    var mirroredHeaders: [(name: String, value: String)] {
        guard !mirrored.isEmpty else { return [] }
        switch body {
        case .toolCall(_, let arguments):
            return arguments.withUnsafeReadableBytes { bytes in
                var scanner = JSONScanner(bytes)
                return (try? scanner.document()).map { mirrored.headers(for: $0, in: bytes) } ?? []
            }
        case .other(_, let params):
            return mirrored.headers(for: params?["arguments"]?.object ?? [:])
        }
    }
}
