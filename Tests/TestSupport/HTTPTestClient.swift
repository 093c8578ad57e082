package import CurlTransport
package import JSON
import NIOCore

/// An HTTP client for tests: the same libcurl engine as the products use, so cookies and redirects are the test's own.
package struct HTTPTestClient: Sendable {
    /// Header fields, in order, repetitions kept.
    package typealias Headers = [(name: String, value: String)]

    private static let engine = CurlEngine(label: "tests")

    /// Scheme, host and port, without a path.
    package let base: String
    /// Whole transfer.
    package var timeout: Duration = .seconds(30)

    package init(_ base: String) { self.base = base }

    package func get(_ path: String, headers: Headers = []) async throws -> HTTPTestResponse {
        try await send("GET", path, headers: headers)
    }

    /// Posts text, as JSON unless the headers say otherwise.
    package func post(_ path: String, _ body: String, headers: Headers = []) async throws -> HTTPTestResponse {
        try await send("POST", path, headers: headers, body: Array(body.utf8))
    }

    /// Posts a JSON document.
    package func post(_ path: String, json: JSONValue, headers: Headers = []) async throws -> HTTPTestResponse {
        try await send("POST", path, headers: headers, body: json.serialized)
    }

    /// Posts a chat payload, as the front-end does.
    package func chat(_ payload: JSONValue, cookie: String? = nil, headers: Headers = []) async throws
        -> HTTPTestResponse
    {
        let cookies: Headers = cookie.map { [("Cookie", "sessionid=\($0)")] } ?? []
        return try await post("/api/chat/", json: payload, headers: cookies + headers)
    }

    /// Sends a request and collects the response.
    package func send(
        _ method: String, _ path: String, headers: Headers = [], body: [UInt8]? = nil
    ) async throws -> HTTPTestResponse {
        let response = try await Self.engine.execute(request(method, path, headers, body))
        return HTTPTestResponse(
            status: response.status, headers: Array(response.headers),
            body: Array(response.body.readableBytesView))
    }

    /// Sends a request and hands over the response as it arrives.
    package func stream(
        _ method: String, _ path: String, headers: Headers = [], body: [UInt8]? = nil
    ) async throws -> CurlStreamedResponse {
        try await Self.engine.stream(request(method, path, headers, body))
    }

    private func request(_ method: String, _ path: String, _ headers: Headers, _ body: [UInt8]?) -> CurlRequest {
        var headers = headers
        if body != nil, !headers.contains(where: { $0.name.lowercased() == "content-type" }) {
            headers.append(("Content-Type", "application/json"))
        }
        return CurlRequest(
            method: method, url: base + path, headers: CurlHeaders(headers), body: body.map { ByteBuffer(bytes: $0) },
            timeout: timeout)
    }
}

/// A whole response.
package struct HTTPTestResponse: Sendable {
    package let status: Int
    package let headers: HTTPTestClient.Headers
    package let body: [UInt8]

    package var text: String { String(decoding: body, as: UTF8.self) }
    /// The body as JSON.
    package var json: JSONValue { get throws { try JSONValue(parsing: body) } }

    /// The first header field of that name, whatever its case.
    package func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }
    /// The media type, without parameters.
    package var mediaType: String? {
        header("Content-Type")?.split(separator: ";").first.map { $0.trimmingPrefix(" ") }.map(String.init)
    }
    /// The value of a cookie that the response sets.
    package func cookie(_ name: String) -> String? {
        for header in headers where header.name.lowercased() == "set-cookie" {
            if header.value.hasPrefix(name + "=") {
                return header.value.dropFirst(name.count + 1).split(separator: ";").first.map(String.init)
            }
        }
        return nil
    }
}
