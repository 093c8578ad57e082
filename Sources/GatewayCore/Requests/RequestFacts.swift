import HTTPSyntax
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
    /// The named cookies, as they go upstream: each once, in one spelling.
    private(set) var cookies: String?
    /// `Authorization` in one spelling; present only where it is forwarded.
    private(set) var authorization: String?
    /// The headers forwarded as they are.
    private(set) var forwarded: [(name: String, value: String)] = []
    /// Those of them that say who the caller is, besides cookies and `Authorization`.
    private var identifying: [(name: String, value: String)] = []
    /// Valid, and present only where it is forwarded.
    private(set) var traceparent: String?
    /// The site that the request is for, and the page that sent it. None of these fields is passed on.
    private(set) var site = SiteFields()
    /// Headers that `Connection` names, lower case.
    private(set) var nominated: [String] = []

    /// - Parameter forwardsRequestID: Whether the caller's own request identifier goes upstream.
    init(_ headers: HTTPHeaders, _ rules: ForwardRules, forwardsRequestID: Bool = true) {
        var callersID: String?
        var cookieField: String?
        var furtherCookieFields: [String] = []
        for (name, value) in headers {
            switch name.utf8.count {
            case 4 where HTTPSyntax.name(name, is: "host"):
                site.host = value
            case 6 where HTTPSyntax.name(name, is: "accept"):
                noteAccepted(value)
            case 6 where HTTPSyntax.name(name, is: "cookie"):
                if cookieField == nil { cookieField = value } else { furtherCookieFields.append(value) }
            case 6 where site.note(name, value): break
            case 10 where HTTPSyntax.name(name, is: "connection"):
                nominated += FieldNames.nominated(byConnection: value)
            case 11 where HTTPSyntax.name(name, is: "traceparent"):
                if rules.forwardsTraceparent, TraceContext(traceparent: value) != nil { traceparent = value }
            case 12 where HTTPSyntax.name(name, is: "x-request-id"):
                callersID = value
            case 13 where HTTPSyntax.name(name, is: "authorization"):
                if rules.forwardsAuthorization { authorization = AuthorizationField.normalized(value) }
            case 14 where site.note(name, value), 16 where site.note(name, value): break
            default:
                guard rules.forwards(name) else { continue }
                forwarded.append((name: name, value: value))
                if rules.identifiesCaller(name) { identifying.append((name: name, value: value)) }
            }
        }
        if let cookieField {
            // Mostly there is one cookie, and it is the one.
            cookies =
                furtherCookieFields.isEmpty && rules.isOneCookie(cookieField)
                ? cookieField : rules.forwardedCookies(of: [cookieField] + furtherCookieFields)
        }
        requestID = RequestIdentifier.accept(callersID)
        // One that nginx or the client follows goes on, into the log of the tool-server.
        if forwardsRequestID, requestID == callersID { forwarded.append((name: "X-Request-Id", value: requestID)) }
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

    /// Returns the callers whose limits the request counts in: the cookies (with an `Authorization` that is no token),
    /// the bearer token, and each key, every one by itself. Made-up ones beside a real one win nothing so, whichever of
    /// them the upstream reads.
    func limited(_ partitions: inout PartitionCache) -> [CredentialPartition] {
        let token = authorization.flatMap { AuthorizationField($0)?.isBearer == true ? $0 : nil }
        let others = token == nil ? authorization : nil
        var callers: [CredentialPartition] = []
        if cookies != nil || others != nil {
            callers.append(partitions.partition(cookies: cookies, authorization: others))
        }
        if let token { callers.append(partitions.partition(cookies: nil, authorization: token)) }
        callers += identifying.map { CredentialPartition(cookies: nil, authorization: nil, further: [$0]) }
        return callers
    }

    /// - Parameter subject: The caller's bearer token, which is exchanged instead of sent.
    func credentials(_ partitions: inout PartitionCache, subject: String? = nil) -> ForwardedCredentials {
        if let subject {
            let others = forwarded.filter { header in !identifying.contains { $0.name == header.name } }
            var credentials = ForwardedCredentials(
                cookies: cookies, authorization: nil, further: identifying, perRequest: others,
                partition: CredentialPartition(
                    cookies: cookies, authorization: "Bearer " + subject, further: identifying))
            credentials.subjectToken = subject
            return credentials
        }
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
        wantsProblem = wantsProblem || AcceptField.names("application/problem+json", in: value)
        wantsEventStream = wantsEventStream || AcceptField.names("text/event-stream", in: value)
    }
}
