import JSON
import MCP

/// Translation of results and errors between the revisions of an upstream and of a client.
///
/// Members that both revisions have are passed on unchanged. Members that a client's revision lacks are dropped or
/// described in text: structured content before 2025-06-18 (its text stays), audio and resource links where they are
/// unknown.
enum ResultTranslation {
    /// Members that only 2026-07-28 has.
    private static let modernMembers = ["resultType", "ttlMs", "cacheScope"]

    /// Returns the result of a call, prompt or resource for a client of that revision. What needs no change stays byte for
    /// byte.
    static func result(
        _ result: JSONObjectText, of method: String, from era: MCPEra, to version: MCPVersion
    ) -> JSONObjectText {
        var result = result
        for member in modernMembers where version.era == .legacy { result.cut(member) }
        if var meta = result.text(of: "_meta"), meta.kind(of: MCPMeta.serverInfo) != nil {
            meta.cut(MCPMeta.serverInfo)
            if meta.isEmpty { result.cut("_meta") } else { result.join("_meta", meta.fragment) }
        }
        if method == MCPMethod.toolsCall { content(of: &result, for: version) }
        if version.era == .modern, method == MCPMethod.resourcesRead, result.kind(of: "ttlMs") == nil {
            result.join("ttlMs", 0)
            result.join("cacheScope", .string(CacheScope.private.rawValue))
        }
        return result
    }

    private static func content(of result: inout JSONObjectText, for version: MCPVersion) {
        if let kind = result.kind(of: "structuredContent") {
            let fits = version.hasAnyStructuredContent || version.hasStructuredContent && kind == .object
            if !fits {
                if isEmpty(result), let structured = result["structuredContent"] {
                    result.join("content", [["type": "text", "text": .string(structured.text)]])
                }
                result.cut("structuredContent")
            }
        }
        guard result.kind(of: "content") == .array else { return result.join("content", []) }
        guard !version.hasAudio || !version.hasResourceLinks else { return }
        let blocks = result["content"]?.array ?? []
        let known = blocks.map { block($0, for: version) }
        if known != blocks { result.join("content", .array(known)) }
    }

    /// Returns whether a result has no content.
    private static func isEmpty(_ result: JSONObjectText) -> Bool { result["content"]?.array?.isEmpty != false }

    /// Returns a content block, as a text where the revision lacks its type.
    private static func block(_ block: JSONValue, for version: MCPVersion) -> JSONValue {
        switch block["type"]?.string {
        case "audio" where !version.hasAudio:
            return text("[audio, \(block["mimeType"]?.string ?? "unknown type")]")
        case "resource_link" where !version.hasResourceLinks:
            let title = block["title"]?.string ?? block["name"]?.string ?? ""
            return text("\(title) \(block["uri"]?.string ?? "")")
        default: return block
        }
    }

    private static func text(_ text: String) -> JSONValue { ["type": "text", "text": .string(text)] }

    /// Returns an entry of a list for a client of that revision, under the endpoint's name for it.
    static func entry(_ entry: JSONValue, _ kind: OfferingKind, prefix: String, to version: MCPVersion) -> JSONValue {
        guard var object = entry.object else { return entry }
        if !prefix.isEmpty, let name = object["name"]?.string, kind == .tools || kind == .prompts {
            object["name"] = .string(prefix + name)
        }
        if kind == .tools {
            if !version.hasToolAnnotations { object["annotations"] = nil }
            let output = object["outputSchema"]
            let isObject = output?["type"]?.string == "object"
            if output != nil, !version.hasStructuredContent || !version.hasAnyStructuredContent && !isObject {
                object["outputSchema"] = nil
            }
        }
        if !version.hasTitles { object["title"] = nil }
        if !version.hasIcons { object["icons"] = nil }
        return .object(object)
    }

    /// Returns a server's error as a client of that revision expects it: only the legacy revisions have a separate code
    /// for an unknown resource.
    static func error(_ error: JSONRPCError, of method: String, uri: String?, to version: MCPVersion) -> JSONRPCError {
        if method == MCPMethod.resourcesRead, let uri, isUnknownResource(error) {
            return JSONRPCError(
                version.era == .modern ? .invalidParams : .resourceNotFound, error.message,
                data: error.data ?? ["uri": .string(uri)])
        }
        switch error.knownCode {
        case .headerMismatch, .unsupportedVersion, .methodNotFound:
            // These codes refer to the gateway's own request, not to the client's.
            return .internalError(error.message)
        case .missingClientCapability where version.era == .legacy: return .internalError(error.message)
        default: return error
        }
    }

    /// Returns whether an error means an unknown resource.
    static func isUnknownResource(_ error: JSONRPCError) -> Bool {
        error.knownCode == .resourceNotFound || error.knownCode == .invalidParams && error.data?["uri"] != nil
    }
}
