package import JSON

/// A request for a list of tools, or a call of one, in the form in which nearly all clients send it: no parameters but the
/// tool's name, its arguments, and metadata without a progress token.
///
/// Reading it makes no trees. Everything else, faults included, is read as ``JSONRPCBody``.
package struct DirectRequest: Sendable {
    /// Identifier of the request.
    package let id: RequestID
    /// `tools/list` or `tools/call`.
    package let method: String
    /// Name of the called tool; empty for a list.
    package let name: String
    /// Arguments of the call, an object, as text; nil: there are none.
    package let arguments: JSONFragment?
    /// `_meta` of the request; empty where it has none.
    package let meta: JSONObject
    /// Contents of `_meta`; nil where they are not those of a request of 2026-07-28.
    package let metadata: RequestMetadata?

    /// Reads a body.
    ///
    /// - Parameter metas: Objects `_meta` that were read before.
    /// - Returns: Nil for any other body.
    package init?(_ body: UnsafeRawBufferPointer, _ metas: RequestMetaCache) {
        var scanner = JSONScanner(body)
        guard let document = try? scanner.document(), document.kind == .object,
            let members = Members(of: document, in: body, Self.members),
            let version = members[0], JSONText.equals(version, "2.0", in: body),
            let id = members[1].flatMap({ RequestID(JSONValue($0, in: body)) }),
            let method = members[2], method.kind == .string
        else { return nil }
        let isCall = JSONText.equals(method, "tools/call", in: body)
        guard isCall || JSONText.equals(method, "tools/list", in: body) else { return nil }
        self.id = id
        self.method = isCall ? MCPMethod.toolsCall : MCPMethod.toolsList
        var slices: (name: JSONSlice?, arguments: JSONSlice?, meta: JSONSlice?)
        if let params = members[3] {
            guard params.kind == .object, let found = Members(of: params, in: body, Self.parameters) else { return nil }
            slices = (found[0], found[1], found[2])
        }
        guard isCall == (slices.name?.kind == .string), isCall || slices.arguments == nil,
            slices.arguments.map({ $0.kind == .object }) != false,
            slices.meta.map({ $0.kind == .object && $0.count <= Self.largestMeta }) != false
        else { return nil }
        name = slices.name.map { JSONText.string($0, in: body) } ?? ""
        arguments = slices.arguments.map { JSONFragment($0, in: body) }
        let entry = slices.meta.map { metas.read($0, in: body) }
        meta = entry?.meta ?? [:]
        metadata = entry?.metadata
        guard meta[MCPMeta.progressToken] == nil else { return nil }
    }

    /// Largest `_meta` in bytes, which becomes a tree where it was not read before.
    private static let largestMeta = 4096
    private static let members: [StaticString] = ["jsonrpc", "id", "method", "params"]
    private static let parameters: [StaticString] = ["name", "arguments", "_meta"]

    /// The members of an object that has no others, each at most once.
    private struct Members {
        private var values: (JSONSlice?, JSONSlice?, JSONSlice?, JSONSlice?)

        init?(of object: JSONSlice, in bytes: UnsafeRawBufferPointer, _ keys: [StaticString]) {
            var values: (JSONSlice?, JSONSlice?, JSONSlice?, JSONSlice?)
            var isExpected = true
            JSONScanner.members(of: object, in: bytes) { member in
                let place = keys.firstIndex { JSONText.equals(member.key, $0, in: bytes) }
                switch place {
                case 0 where values.0 == nil: values.0 = member.value
                case 1 where values.1 == nil: values.1 = member.value
                case 2 where values.2 == nil: values.2 = member.value
                case 3 where values.3 == nil: values.3 = member.value
                default: isExpected = false
                }
                return isExpected
            }
            guard isExpected else { return nil }
            self.values = values
        }

        subscript(place: Int) -> JSONSlice? {
            switch place {
            case 0: values.0
            case 1: values.1
            case 2: values.2
            default: values.3
            }
        }
    }
}
