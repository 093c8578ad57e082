import HTTPSyntax
package import ProcessMemory

/// Header fields of one HTTP message: names are compared without case, values with; several fields may share a name.
package struct MCPHTTPHeaders: Sendable, ExpressibleByDictionaryLiteral {
    private var fields: [(name: String, value: String)]

    /// Takes the fields in the order of the message.
    package init(_ fields: [(name: String, value: String)] = []) { self.fields = fields }

    package init(dictionaryLiteral elements: (String, String)...) {
        fields = elements.map { (name: $0.0, value: $0.1) }
    }

    /// First value of that name. Setting it replaces every field of that name.
    package subscript(_ name: String) -> String? {
        get { fields.first { Self.equals($0.name, name) }?.value }
        set {
            fields.removeAll { HTTPSyntax.equals($0.name, name) }
            if let newValue { fields.append((name, newValue)) }
        }
    }

    /// Returns every value of that name, in order.
    package func all(_ name: String) -> [String] {
        fields.filter { Self.equals($0.name, name) }.map(\.value)
    }

    /// Returns the value of that name where exactly one field has it, and the number of fields that have it.
    func single(_ name: String) -> (value: String?, count: Int) {
        var found: (value: String?, count: Int) = (nil, 0)
        for field in fields where Self.equals(field.name, name) {
            found = (found.count == 0 ? field.value : nil, found.count + 1)
        }
        return found
    }

    private static func equals(_ name: String, _ other: String) -> Bool {
        // Clients mostly spell them as the specification does.
        name.utf8.count == other.utf8.count && (name == other || HTTPSyntax.equals(name, other))
    }
}

/// An HTTP request to an MCP endpoint, independent of the HTTP server.
package struct MCPHTTPRequest: Sendable {
    /// HTTP method.
    package var method: String
    /// Path without the query.
    package var path: String
    /// Header lines.
    package var headers: MCPHTTPHeaders
    package var body: [UInt8]
    /// Caller; nil: anonymous. Authenticated by the HTTP server before this library gets the request.
    package var principal: Principal?
    /// Data of the HTTP server for a ``RequestForwarder``, which finds it in ``ToolContext/attachment``.
    package var attachment: (any Sendable)?
    /// Executor of the tasks that serve the request; nil: the concurrency pool.
    package var executor: (any TaskExecutor)?
    /// Time at which the request was begun, where that was earlier; nil: now.
    package var started: ContinuousClock.Instant?
    /// Memory that the body and the values parsed from it have drawn, for as long as they are used.
    package var reservation: MemoryReservation?

    /// Describes a request.
    package init(
        method: String, path: String = "/mcp", headers: MCPHTTPHeaders = [:], body: [UInt8] = [],
        principal: Principal? = nil, attachment: (any Sendable)? = nil
    ) {
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.principal = principal
        self.attachment = attachment
    }
}

/// Response to a ``MCPHTTPRequest``.
package enum MCPHTTPResponse: Sendable {
    /// A complete response. An empty body with status 202 or 204 means a response without a body.
    case whole(status: Int, headers: [(String, String)], body: [UInt8])
    /// An event stream: the head is sent at once, then the bytes from ``MCPResponseStream/take()``.
    case stream(status: Int, headers: [(String, String)], body: MCPResponseStream)

    /// HTTP status.
    package var status: Int {
        switch self {
        case .whole(let status, _, _), .stream(let status, _, _): status
        }
    }

    /// Header lines.
    package var headers: [(String, String)] {
        switch self {
        case .whole(_, let headers, _), .stream(_, let headers, _): headers
        }
    }
}
