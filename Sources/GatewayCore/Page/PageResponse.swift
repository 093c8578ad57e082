import HTTPSyntax
import NIOCore
import NIOHTTP1
import ServiceRuntime

/// Response to a request for a file, computed without I/O, for both listeners.
struct PageResponse {
    let status: HTTPResponseStatus
    let headers: HTTPHeaders
    let body: ByteBuffer?

    /// - Parameters:
    ///   - file: File at the path; nil: there is none.
    ///   - query: The part of the target after `?`.
    init(_ file: PageFile?, method: HTTPMethod, query: Substring?, request: HTTPHeaders) {
        var headers: HTTPHeaders = ["X-Content-Type-Options": "nosniff"]
        guard method == .GET || method == .HEAD else {
            headers.add(name: "Allow", value: "GET, HEAD")
            headers.add(name: "Content-Type", value: "text/plain; charset=utf-8")
            self.init(.methodNotAllowed, headers, ByteBuffer())
            return
        }
        guard let file else {
            headers.add(name: "Content-Type", value: "application/json")
            self.init(.notFound, headers, ByteBuffer(staticString: "{\"error\":\"Not found\"}"))
            return
        }
        let compressed = Self.acceptsGzip(request) ? file.compressed : nil
        let tag = compressed == nil ? file.entityTag : file.compressedEntityTag
        headers.add(name: "ETag", value: tag)
        headers.add(name: "Vary", value: "Accept-Encoding")
        headers.add(name: "Cache-Control", value: Self.cacheControl(file, query))
        if Self.matches(tag, request) {
            self.init(.notModified, headers, nil)
            return
        }
        headers.add(name: "Content-Type", value: file.contentType)
        if compressed != nil { headers.add(name: "Content-Encoding", value: "gzip") }
        headers.add(name: "Content-Security-Policy", value: file.isDocument ? Self.policy : Self.filePolicy)
        headers.add(name: "Cross-Origin-Resource-Policy", value: "same-origin")
        if file.isDocument {
            headers.add(name: "Cross-Origin-Opener-Policy", value: "same-origin")
            headers.add(name: "Referrer-Policy", value: "same-origin")
        }
        self.init(.ok, headers, compressed ?? file.body)
    }

    private init(_ status: HTTPResponseStatus, _ headers: HTTPHeaders, _ body: ByteBuffer?) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// Content security policy of documents: no inline code, nothing from other hosts, and no conversion of strings to
    /// markup or scripts.
    static let policy = [
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
        "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ].joined(separator: "; ")

    /// Content security policy of files other than documents, for a browser that opens one directly.
    private static let filePolicy = "default-src 'none'; frame-ancestors 'none'"

    /// Returns the value of `Cache-Control`. A file under the URL of its version never changes; under any other URL it
    /// must be revalidated, which costs a 304.
    private static func cacheControl(_ file: PageFile, _ query: Substring?) -> String {
        query == "v=\(file.version)" ? "public, max-age=31536000, immutable" : "no-cache"
    }

    /// Evaluates `If-None-Match` (RFC 9110 section 13.1.2) with weak comparison.
    private static func matches(_ tag: String, _ request: HTTPHeaders) -> Bool {
        request["If-None-Match"].contains { value in
            value.listElements.contains { $0 == "*" || $0 == tag || $0 == "W/\(tag)" }
        }
    }

    /// Evaluates `Accept-Encoding` (RFC 9110 section 12.5.3): gzip by name or by `*`, and not with a weight of zero.
    static func acceptsGzip(_ request: HTTPHeaders) -> Bool {
        AcceptField.acceptsCoding(["gzip", "x-gzip"], in: request["Accept-Encoding"])
    }
}

extension PageResponse {
    /// Creates the response of a listener that ignores the query of the target.
    init(_ file: PageFile?, _ head: HTTPRequestHead) {
        let query = head.uri.firstIndex(of: "?").map { head.uri[head.uri.index(after: $0)...] }
        self.init(file, method: head.method, query: query, request: head.headers)
    }
}

extension PageFiles {
    /// Answers a request for the status page and its files; nil for every other path.
    static func statusPage(_ head: HTTPRequestHead) -> AdminEndpoints.Answer? {
        guard let file = embedded.status[String(head.uri.prefix { $0 != "?" })] else { return nil }
        let answer = PageResponse(file, head)
        return AdminEndpoints.Answer(
            status: answer.status, headers: answer.headers, body: answer.body ?? ByteBuffer())
    }
}
