import JSON
import NIOCore
import NIOHTTP1
import Testing

@testable import GatewayCore

/// The table of failures in the interface, row by row.
@Suite struct GatewayErrorTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let label: GatewayErrorLabel
        let status: Int
        let body: String
        var type = "application/json"
        var testDescription: String { label.rawValue }
    }

    static let text = "text/plain; charset=utf-8"
    static let rows: [Row] = [
        Row(label: .methodNotAllowed, status: 405, body: "", type: text),
        Row(label: .notFound, status: 404, body: #"{"error":"Not found"}"#),
        Row(label: .malformedRequest, status: 400, body: #"{"error":"Malformed request"}"#),
        Row(label: .invalidJSON, status: 400, body: "Invalid JSON", type: text),
        Row(
            label: .unsupportedEncoding, status: 415, body: #"{"error":"Encoded bodies are not supported"}"#),
        Row(label: .unknownType, status: 400, body: "TEXT", type: text),
        Row(label: .missingField, status: 400, body: "TEXT", type: text),
        Row(label: .invalidArgument, status: 400, body: #"{"error":"TEXT"}"#),
        Row(label: .unknownQuestion, status: 404, body: #"{"error":"Unknown question"}"#),
        Row(label: .questionExpired, status: 410, body: #"{"error":"Question expired"}"#),
        Row(label: .bodyTooLarge, status: 413, body: #"{"error":"Request body too large"}"#),
        Row(label: .headersTooLarge, status: 431, body: #"{"error":"Request headers too large"}"#),
        Row(label: .requestTimeout, status: 408, body: #"{"error":"Request timeout"}"#),
        Row(label: .forbiddenOrigin, status: 403, body: #"{"error":"Origin not allowed"}"#),
        Row(label: .rateLimited, status: 429, body: #"{"error":"Too many requests"}"#),
        Row(label: .overloaded, status: 503, body: #"{"error":"Overloaded"}"#),
        Row(label: .draining, status: 503, body: #"{"error":"Shutting down"}"#),
        Row(label: .toolError, status: 400, body: #"{"error":"TEXT"}"#),
        Row(
            label: .questionsOff, status: 400,
            body: #"{"error":"The tool has a question for its user, and this chat passes no questions on"}"#),
        Row(label: .unauthorized, status: 401, body: #"{"error":"Unauthorized"}"#),
        Row(label: .forbidden, status: 403, body: #"{"error":"Forbidden"}"#),
        Row(label: .upstreamRateLimited, status: 429, body: #"{"error":"Too many requests"}"#),
        Row(label: .upstreamRejected, status: 502, body: #"{"error":"MCP error"}"#),
        Row(label: .upstreamFailed, status: 502, body: #"{"error":"MCP error"}"#),
        Row(label: .upstreamInvalid, status: 502, body: #"{"error":"MCP error"}"#),
        Row(label: .upstreamUnreachable, status: 502, body: #"{"error":"MCP error"}"#),
        Row(label: .upstreamTimeout, status: 504, body: #"{"error":"MCP error"}"#),
        Row(label: .internal, status: 500, body: #"{"error":"Internal error"}"#),
    ]

    private func error(_ row: Row) -> GatewayError {
        GatewayError(row.label, text: row.body.contains("TEXT") ? "TEXT" : nil)
    }

    @Test func everyLabelHasARow() {
        #expect(Self.rows.map(\.label) == GatewayErrorLabel.allCases)
    }

    @Test(arguments: rows) func aRowGivesItsStatusTypeAndBody(_ row: Row) {
        let response = GatewayErrorResponse(error(row), style: .standard, wantsProblem: false, requestID: "r")
        #expect(response.status.code == UInt(row.status))
        #expect(response.headers.first(name: "Content-Type") == row.type)
        #expect(String(buffer: response.body) == row.body)
        #expect(response.headers["X-Content-Type-Options"] == ["nosniff"])
        #expect(response.headers["Cache-Control"] == ["no-store"])
        #expect(response.headers["Content-Security-Policy"] == ["default-src 'none'; frame-ancestors 'none'"])
        #expect(response.headers["Allow"] == (row.status == 405 ? ["POST"] : []))
        let hasDelay = [.rateLimited, .overloaded, .draining].contains(row.label)
        #expect(response.headers.contains(name: "Retry-After") == hasDelay)
    }

    @Test(arguments: rows) func theLegacyStyleAnswers500For502And504(_ row: Row) {
        let response = GatewayErrorResponse(error(row), style: .legacy, wantsProblem: false, requestID: "r")
        let expected = row.status == 502 || row.status == 504 ? 500 : row.status
        #expect(response.status.code == UInt(expected))
        #expect(String(buffer: response.body) == row.body)
    }

    @Test(arguments: rows) func aProblemDocumentNamesTheFailure(_ row: Row) throws {
        var error = error(row)
        error.executed = .unknown
        let response = GatewayErrorResponse(error, style: .standard, wantsProblem: true, requestID: "abc")
        #expect(response.headers["Content-Type"] == ["application/problem+json"])
        let document = try JSONValue(parsing: Array(response.body.readableBytesView))
        #expect(document.object?.keys == ["type", "title", "status", "detail", "instance", "label", "executed"])
        #expect(document["status"]?.int == row.status)
        #expect(document["label"]?.string == row.label.rawValue)
        #expect(document["executed"]?.string == "unknown")
        #expect(document["instance"]?.string?.hasSuffix("abc") == true)
        #expect(document["detail"]?.string?.isEmpty == false)
    }

    @Test func whatTheUpstreamSaysAboutAccessIsKept() {
        var error = GatewayError(.unauthorized, retryAfter: "7")
        error.challenges = ["Bearer realm=\"a\"", "Basic"]
        error.setCookies = ["a=1", "b=2"]
        let headers = GatewayErrorResponse(error, style: .standard, wantsProblem: false, requestID: "r").headers
        #expect(headers["WWW-Authenticate"] == ["Bearer realm=\"a\"", "Basic"])
        #expect(headers["Set-Cookie"] == ["a=1", "b=2"])
        #expect(headers["Retry-After"] == ["7"])
    }

    @Test func aDeclaredStatusReplacesTheLabelsOwn() {
        var error = GatewayError(.toolError, text: "no", executed: .yes)
        error.declaredStatus = 409
        #expect(error.status(.standard) == 409)
        #expect(error.status(.legacy) == 409)
    }
}
