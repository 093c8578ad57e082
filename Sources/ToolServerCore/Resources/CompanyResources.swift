import Foundation
import JSON
import MCP
import MCPServer
import Store

/// URIs of the company's documents and records as MCP resources.
enum CompanyURI {
    static let documents = "company://documents/{id}"
    static let records = "company://records/{model}/{query}"

    static func document(_ id: Int64) -> String { "company://documents/\(id)" }

    /// Returns the decoded parts after `company://KIND/`; nil when the URI is not of that kind and number of parts.
    static func parts(of uri: String, kind: String, count: Int) -> [String]? {
        let prefix = "company://\(kind)/"
        guard uri.hasPrefix(prefix) else { return nil }
        let parts = uri.dropFirst(prefix.count).split(separator: "/", omittingEmptySubsequences: false)
        let decoded = parts.compactMap { $0.removingPercentEncoding.map { CombiningMarks.bounded($0) } }
        return decoded.count == count && parts.count == count ? decoded : nil
    }
}

/// Resources for documents, one each, and for the rows of a model that contain a text, by a template.
struct CompanyResources: ResourceProvider {
    let documents: any DocumentReader
    let registry: any SearchRegistry
    /// Access rule for documents: that of the tool that answers from them.
    var documentAccess = AccessRule.anyone
    /// Access rule for records: that of the tool that searches them.
    var recordAccess = AccessRule.anyone

    private static let pageSize = 100
    /// Largest number of rows of one record resource; more than a tool returns, since the reader asked for a list.
    private static let maximumRecords = 50
    private static let markdown = "text/markdown"
    /// Cache hint: documents and records are the same for all callers, but access is not, and they may change at any
    /// time.
    private static let cache = CacheHint(ttlMilliseconds: 60_000, scope: .private)

    var templates: [ResourceTemplate] {
        [
            ResourceTemplate(
                uriTemplate: CompanyURI.documents, name: "document", title: "Document",
                description: "A document of the company, by its number.", mimeType: Self.markdown),
            ResourceTemplate(
                uriTemplate: CompanyURI.records, name: "records", title: "Records",
                description: "Records of a model (\(registry.searchModels.joined(separator: ", "))) of which a column "
                    + "contains the query, percent-encoded.",
                mimeType: "application/json"),
        ]
    }

    func access(to uri: String) -> AccessRule? {
        if uri.hasPrefix("company://documents/") { return documentAccess }
        return uri.hasPrefix("company://records/") ? recordAccess : nil
    }

    func resources(after cursor: String?, context: ToolContext) async throws -> ResourcePage {
        guard documentAccess.refusal(of: context.principal) == nil else { return ResourcePage([]) }
        var last: Int64 = 0
        if let cursor {
            guard let id = Int64(cursor) else { throw JSONRPCError.invalidParams("Invalid cursor") }
            last = id
        }
        let found = try await ToolError.translating(context) {
            try await documents.documents(after: last, limit: Self.pageSize + 1)
        }
        let page = found.prefix(Self.pageSize)
        return ResourcePage(
            page.map { document in
                Resource(
                    uri: CompanyURI.document(document.id), name: document.title, title: document.title,
                    mimeType: Self.markdown, size: document.bytes)
            }, next: found.count > Self.pageSize ? page.last.map { String($0.id) } : nil)
    }

    func read(_ uri: String, context: ToolContext) async throws -> ReadResourceResult? {
        if let parts = CompanyURI.parts(of: uri, kind: "documents", count: 1) {
            guard let id = Int64(parts[0]),
                let document = try await ToolError.translating(context, { try await documents.document(id: id) })
            else { return nil }
            return result(uri, Self.markdown, document.text)
        }
        guard let parts = CompanyURI.parts(of: uri, kind: "records", count: 2), !parts[1].isEmpty else { return nil }
        let hits = try await ToolError.translating(context) {
            do {
                return try await registry.search(
                    model: parts[0], query: parts[1], columns: .all, viewer: context.principal?.id,
                    limit: Self.maximumRecords)
            } catch SearchError.notAuthenticated {
                // A resource that the caller must not read is reported as unknown.
                return nil
            }
        }
        guard let hits else { return nil }
        let records = JSONValue.array(hits.map { ["name": .string($0.name), "url": .string($0.url)] })
        return result(uri, "application/json", records.text)
    }

    private func result(_ uri: String, _ mimeType: String, _ text: String) -> ReadResourceResult {
        ReadResourceResult(
            contents: [ResourceContents(uri: uri, mimeType: mimeType, text: text)], cache: Self.cache)
    }
}

extension Document {
    /// Heading and text of the document.
    var text: String { "# \(title)\n\n\(body)" }
}
