import MCPClient
import NIOHTTP1
import Observability

/// What the gateway wants to know of a request's headers, found in one pass.
struct RequestFacts {
    /// The caller's identifier if it is sane, else a new one.
    private(set) var requestID = ""
    /// The client takes RFC 9457 problem documents.
    private(set) var wantsProblem = false
    /// The client takes an event stream.
    private(set) var wantsEventStream = false
    /// Whether there is any cookie, forwarded or not.
    private(set) var hasCookie = false
    /// The named cookies, as they go upstream.
    private(set) var cookies: String?
    /// Present only where it is forwarded.
    private(set) var authorization: String?
    /// The headers forwarded as they are.
    private(set) var forwarded: [(name: String, value: String)] = []
    /// Those of them that say who the caller is, besides cookies and `Authorization`.
    private var identifying: [(name: String, value: String)] = []
    /// Valid, and present only where it is forwarded.
    private(set) var traceparent: String?
    private(set) var origin: String?
    /// `Sec-Fetch-Site`: how the page that sends the request is related to this site, as the browser says.
    private(set) var fetchSite: String?
    private(set) var host: String?
    private(set) var forwardedHost: String?
    /// Headers that `Connection` names, lower case.
    private(set) var nominated: [String] = []

    init(_ headers: HTTPHeaders, _ rules: ForwardRules) {
        var callersID: String?
        for (name, value) in headers {
            switch name.utf8.count {
            case 4 where HeaderNames.equal(name, "host"):
                host = value
            case 6 where HeaderNames.equal(name, "accept"):
                noteAccepted(value)
            case 6 where HeaderNames.equal(name, "cookie"):
                hasCookie = true
                guard let kept = rules.forwardedCookies(of: value) else { continue }
                cookies = cookies.map { "\($0); \(kept)" } ?? kept
            case 6 where HeaderNames.equal(name, "origin"):
                origin = value
            case 10 where HeaderNames.equal(name, "connection"):
                nominated += ConnectionHeader.nominated(by: value)
            case 11 where HeaderNames.equal(name, "traceparent"):
                if rules.forwardsTraceparent, TraceContext(traceparent: value) != nil { traceparent = value }
            case 12 where HeaderNames.equal(name, "x-request-id"):
                callersID = value
            case 13 where HeaderNames.equal(name, "authorization"):
                if rules.forwardsAuthorization { authorization = value }
            case 16 where HeaderNames.equal(name, "x-forwarded-host"):
                forwardedHost = value
            case 14 where HeaderNames.equal(name, "sec-fetch-site"):
                fetchSite = value
                if rules.forwards(name) { forwarded.append((name: name, value: value)) }
            default:
                guard rules.forwards(name) else { continue }
                forwarded.append((name: name, value: value))
                if rules.identifiesCaller(name) { identifying.append((name: name, value: value)) }
            }
        }
        requestID = RequestIdentifier.accept(callersID)
        // One that nginx or the client follows goes on, into the log of the tool-server.
        if requestID == callersID { forwarded.append((name: "X-Request-Id", value: requestID)) }
        if !nominated.isEmpty { dropNominated() }
    }

    /// A header that `Connection` names belongs to this connection, whatever else it is.
    private mutating func dropNominated() {
        forwarded.removeAll { nominated.contains($0.name.lowercased()) }
        identifying.removeAll { nominated.contains($0.name.lowercased()) }
        if nominated.contains("authorization") { authorization = nil }
        if nominated.contains("cookie") { cookies = nil }
        if nominated.contains("traceparent") { traceparent = nil }
    }

    /// Whether nothing that goes upstream says who the caller is.
    var isAnonymous: Bool { cookies == nil && authorization == nil && identifying.isEmpty }

    /// Which caller this is, for limits; the same as that of ``credentials(_:)``.
    func partition(_ partitions: inout PartitionCache) -> CredentialPartition {
        guard identifying.isEmpty else { return credentials(&partitions).partition }
        return partitions.partition(cookies: cookies, authorization: authorization)
    }

    func credentials(_ partitions: inout PartitionCache) -> ForwardedCredentials {
        if cookies == nil, authorization == nil, forwarded.isEmpty { return .anonymous }
        guard identifying.isEmpty else {
            let others = forwarded.filter { header in !identifying.contains { $0.name == header.name } }
            return ForwardedCredentials(
                cookies: cookies, authorization: authorization, further: identifying, perRequest: others)
        }
        return ForwardedCredentials(
            cookies: cookies, authorization: authorization, perRequest: forwarded,
            partition: partitions.partition(cookies: cookies, authorization: authorization))
    }

    private mutating func noteAccepted(_ value: String) {
        // The usual values are short and name neither type.
        guard value.utf8.count >= "text/event-stream".utf8.count else { return }
        wantsProblem = wantsProblem || AcceptHeader.names("application/problem+json", in: value)
        wantsEventStream = wantsEventStream || AcceptHeader.names("text/event-stream", in: value)
    }
}

/// The `Connection` header, RFC 9110 section 7.6.1.
enum ConnectionHeader {
    /// The header names in it, lower case; options that are no headers are left out.
    static func nominated(by value: String) -> [String] {
        if value.utf8.count == 10, HeaderNames.equal(value, "keep-alive") { return [] }
        return value.split(separator: ",").map { $0.trimmingBlanks().lowercased() }
            .filter { !$0.isEmpty && $0 != "close" && $0 != "keep-alive" }
    }
}

/// The `Accept` header, RFC 9110 section 12.5.1.
enum AcceptHeader {
    /// Whether a media type is asked for by name, and not with a weight of zero. Ranges such as `*/*` do not count:
    /// browsers send them with everything.
    static func names(_ mediaType: String, in value: String) -> Bool {
        value.split(separator: ",").contains { element in
            let parts = element.split(separator: ";").map { $0.trimmingBlanks().lowercased() }
            guard parts.first == mediaType else { return false }
            let weight = parts.dropFirst().first { $0.hasPrefix("q=") }?.dropFirst(2)
            return weight.flatMap { Double($0) } != 0
        }
    }
}

extension Substring {
    /// Without blanks and tabs at both ends.
    func trimmingBlanks() -> Substring {
        var slice = self
        while let first = slice.utf8.first, first == 0x20 || first == 0x09 { slice = slice.dropFirst() }
        while let last = slice.utf8.last, last == 0x20 || last == 0x09 { slice = slice.dropLast() }
        return slice
    }
}
