import JSON
import MCP
import NIOCore

/// A request that a driver can send: the hot path's tool call, or the async client's.
struct OutgoingRequest {
    enum Body {
        case toolCall(tool: String, arguments: ByteBuffer)
        /// Another request; its parameter `arguments` is text where it is not among the parameters.
        case other(method: String, params: JSONObject?, arguments: JSONFragment? = nil)
    }

    /// Closure that answers a request of the server (elicitation, sampling, roots); called on the event loop, and
    /// answers there, once.
    typealias RequestAnswerer = (JSONRPCRequest, @escaping (Result<JSONValue, JSONRPCError>) -> Void) -> Void

    var body: Body
    var credentials: ForwardedCredentials
    var deadline: NIODeadline
    var idleTimeout: TimeAmount?
    var traceparent: String?
    /// Number of times that it is repeated after it may have run.
    var replays: Int
    /// Number of repetitions for this and all other servers together; nil: there are no others.
    var replaysLeft: Int?
    /// Answers with which the call is repeated, once its tool has asked.
    var input: CallInput?
    /// Key by which the server recognises a write that it has carried out already.
    var idempotencyKey: String?
    var takesInputRequests = false
    var mirrored = ToolHeaderParameters.none
    var onProgress: ((MCPProgress) -> Void)?
    /// Listener for every other notification on the request's stream.
    var onNotification: ((JSONRPCNotification) -> Void)?
    var onRequest: RequestAnswerer?
    /// Listener for elicitations of a legacy server, during which the deadlines rest.
    var onQuestion: ((ToolQuestion) -> Void)?
    /// Longest time that the answers to all questions may take together.
    var questionTime = TimeAmount.zero

    /// Returns a forwarded header, its lines joined; nil without one.
    func forwarded(_ name: String) -> String? {
        let values = credentials.perRequest.filter { $0.name.lowercased() == name }.map(\.value)
        return values.isEmpty ? nil : values.joined(separator: ",")
    }

    var method: String {
        switch body {
        case .toolCall: MCPMethod.toolsCall
        case .other(let method, _, _): method
        }
    }

    /// Value of `Mcp-Name`; nil for a method without it.
    var name: String? {
        switch body {
        case .toolCall(let tool, _): return tool
        case .other(MCPMethod.toolsCall, let params, _), .other(MCPMethod.promptsGet, let params, _):
            return params?["name"]?.string
        case .other(MCPMethod.resourcesRead, let params, _):
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
        case .other(_, _, let arguments?):
            return arguments.withSlice { mirrored.headers(for: $0, in: $1) }
        case .other(_, let params, nil):
            return mirrored.headers(for: params?["arguments"]?.object ?? [:])
        }
    }
}
