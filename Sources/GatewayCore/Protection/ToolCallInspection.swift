import JSON

/// Finds the tools that a body of the pass-through would call, whichever JSON reader the upstream uses.
///
/// Readers differ: of two equal keys some take the first and some the last, some ignore the case of keys, some accept a
/// command dialect beside JSON-RPC. So every possible reading counts, and a body that cannot be read with certainty is
/// refused.
enum ToolCallInspection {
    /// One request of the body.
    struct Request: Hashable {
        /// Text of a JSON-RPC request's `id`, as it stands in the body; nil for none, or one that is neither string nor
        /// number.
        var id: [UInt8]?
        /// Tools that the request may call.
        var tools: [String] = []
        /// True if the request calls a tool whose name cannot be determined.
        var isUnclear = false
        /// True if a member that decides what is called is duplicated, so that readers differ about the message.
        var isAmbiguous = false
        /// True if the request asks for the list of tools.
        var listsTools = false
        /// True for a JSON-RPC message, false for a command of the old dialect.
        var isMessage = false
    }

    struct Finding: Hashable {
        var requests: [Request]
        var isBatch: Bool
    }

    /// Returns the requests in a body; nil when it is not JSON text (RFC 8259) of an object or an array of objects.
    ///
    /// - Parameter isEndpoint: True if the command dialect is accepted. Under a tool's own path the body is the
    ///   arguments, in which any member name is allowed.
    static func look(_ bytes: UnsafeRawBufferPointer, isEndpoint: Bool) -> Finding? {
        var scanner = JSONScanner(bytes)
        guard let document = try? scanner.document() else { return nil }
        switch document.kind {
        case .object:
            return Finding(requests: [request(document, bytes, isEndpoint)], isBatch: false)
        case .array:
            var requests: [Request] = []
            var isReadable = true
            JSONScanner.elements(of: document, in: bytes) { element in
                isReadable = element.kind == .object
                if isReadable { requests.append(request(element, bytes, isEndpoint)) }
                return isReadable
            }
            return isReadable ? Finding(requests: requests, isBatch: true) : nil
        default:
            return nil
        }
    }

    private static func request(_ object: JSONSlice, _ bytes: UnsafeRawBufferPointer, _ isEndpoint: Bool) -> Request {
        var request = Request()
        var (hasMethod, calls) = (false, false)
        var names: [JSONSlice] = []
        var occurrences: [String: Int] = [:]
        JSONScanner.members(of: object, in: bytes) { member in
            switch folded(member.key, bytes) {
            case "id":
                occurrences["id", default: 0] += 1
                let isID = member.value.kind == .string || member.value.kind == .number
                request.id = isID ? Array(bytes[member.value.range]) : nil
            case "method":
                occurrences["method", default: 0] += 1
                hasMethod = true
                // A method that is not a string is invalid; a reader that accepts it anyway may take it for any method,
                // so it counts as a call.
                if member.value.kind == .string {
                    let method = folded(member.value, bytes).filter { !$0.isWhitespace }
                    calls = calls || method == "tools/call"
                    request.listsTools = request.listsTools || method == "tools/list"
                } else {
                    calls = calls || isEndpoint
                }
            case "params":
                occurrences["params", default: 0] += 1
                JSONScanner.members(of: member.value, in: bytes) { parameter in
                    if folded(parameter.key, bytes) == "name" {
                        occurrences["params.name", default: 0] += 1
                        names.append(parameter.value)
                    }
                    return true
                }
            case "command", "name":
                // The command dialect; JSON-RPC has no such members.
                guard isEndpoint else { break }
                names.append(member.value)
                calls = true
            default: break
            }
            return true
        }
        request.isMessage = hasMethod
        request.isAmbiguous = isEndpoint && hasMethod && occurrences.values.contains { $0 > 1 }
        if !hasMethod || (occurrences["id"] ?? 0) > 1 { request.id = nil }
        guard calls else { return request }
        request.isUnclear = names.isEmpty || names.contains { $0.kind != .string }
        request.tools = names.filter { $0.kind == .string }.map { JSONText.string($0, in: bytes) }
        return request
    }

    /// Returns a string's text in lower case, as readers that ignore case fold it: the long s and the Kelvin sign count
    /// as s and k.
    private static func folded(_ string: JSONSlice, _ bytes: UnsafeRawBufferPointer) -> String {
        var folded = String.UnicodeScalarView()
        for scalar in JSONText.string(string, in: bytes).unicodeScalars {
            switch scalar {
            case "\u{17F}": folded.append("s")
            case "\u{212A}": folded.append("k")
            case "A"..."Z": folded.append(Unicode.Scalar(UInt8(scalar.value) | 0x20))
            default: folded.append(scalar)
            }
        }
        return String(folded)
    }
}
