import HTTPSyntax
import MCPClient
import NIOHTTP1
import Observability

/// Metadata of a request that the gateway needs from its headers, collected in one pass.
struct RequestHeaders {
    /// The caller's identifier if it is valid, else a new one.
    private(set) var requestID = ""
    /// True if the client accepts RFC 9457 problem documents.
    private(set) var wantsProblem = false
    /// True if the client accepts an event stream.
    private(set) var wantsEventStream = false
    /// The forwarded cookies in the form in which they are sent: each once, in one spelling.
    private(set) var cookies: String?
    /// `Authorization` in one spelling; present only where it is forwarded.
    private(set) var authorization: String?
    /// Headers that are forwarded unchanged.
    private(set) var forwarded: [(name: String, value: String)] = []
    /// Those of the forwarded headers that identify the caller, besides cookies and `Authorization`.
    private var identifying: [(name: String, value: String)] = []
    /// `traceparent` if it is valid and forwarded.
    private(set) var traceparent: String?
    /// Fields that name the requested site and the page that sent the request. None of them is forwarded.
    private(set) var site = SiteFields()
    /// Headers that `Connection` names, lower case.
    private(set) var nominated: [String] = []

    /// - Parameter forwardsRequestID: True if the caller's own request identifier is sent to the upstream.
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
            // The usual case: exactly one cookie, and it is the forwarded one.
            cookies =
                furtherCookieFields.isEmpty && rules.isOneCookie(cookieField)
                ? cookieField : rules.forwardedCookies(of: [cookieField] + furtherCookieFields)
        }
        requestID = RequestIdentifier.accept(callersID)
        // An identifier that nginx or the client chose is forwarded, for the log of the tool-server.
        if forwardsRequestID, requestID == callersID { forwarded.append((name: "X-Request-Id", value: requestID)) }
        if !nominated.isEmpty { dropNominated() }
    }

    /// Removes the headers that `Connection` names: they belong to this connection only.
    private mutating func dropNominated() {
        forwarded.removeAll { nominated.contains($0.name.lowercased()) }
        identifying.removeAll { nominated.contains($0.name.lowercased()) }
        if nominated.contains("authorization") { authorization = nil }
        if nominated.contains("cookie") { cookies = nil }
        if nominated.contains("traceparent") { traceparent = nil }
    }

    /// True if nothing that is forwarded identifies the caller.
    var isAnonymous: Bool { cookies == nil && authorization == nil && identifying.isEmpty }

    /// Everything that is forwarded and identifies the caller.
    var identity: [(name: String, value: String)] {
        let own = [
            cookies.map { (name: "Cookie", value: $0) }, authorization.map { (name: "Authorization", value: $0) },
        ]
        return own.compactMap(\.self) + identifying
    }

    /// Returns the callers whose limits the request counts against: the cookies (with an `Authorization` other than a
    /// bearer token), the bearer token, and each key, every one by itself. Adding made-up credentials to a real one
    /// therefore gains nothing, whichever of them the upstream reads.
    func limited(_ partitions: inout PartitionCache) -> [CredentialPartition] {
        limited { cookies, authorization, further in
            further.isEmpty
                ? partitions.partition(cookies: cookies, authorization: authorization)
                : CredentialPartition(cookies: cookies, authorization: authorization, further: further)
        }
    }

    /// Returns the same callers.
    /// - Parameter partition: Makes the partition of cookies, an `Authorization` and further headers.
    func limited(
        _ partition: (_ cookies: String?, _ authorization: String?, _ further: [(name: String, value: String)])
            -> CredentialPartition
    ) -> [CredentialPartition] {
        let token = authorization.flatMap { AuthorizationField($0)?.isBearer == true ? $0 : nil }
        let others = token == nil ? authorization : nil
        var callers: [CredentialPartition] = []
        if cookies != nil || others != nil {
            callers.append(partition(cookies, others, []))
        }
        if let token { callers.append(partition(nil, token, [])) }
        callers += identifying.map { partition(nil, nil, [$0]) }
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
        // The usual values are short and name neither media type.
        guard value.utf8.count >= "text/event-stream".utf8.count else { return }
        if value == AcceptField.both {
            wantsEventStream = true
            return
        }
        wantsProblem = wantsProblem || AcceptField.names("application/problem+json", in: value)
        wantsEventStream = wantsEventStream || AcceptField.names("text/event-stream", in: value)
    }
}
