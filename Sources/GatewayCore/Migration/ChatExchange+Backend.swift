import CurlTransport
import HTTPServer
import MCPClient
import NIOCore
import NIOHTTP1

extension ChatExchange {
    /// Sends a payload where its type goes.
    func route(_ body: ByteBuffer) {
        switch view.translator.type(of: body) {
        case .failure(let error):
            if error.label == .unknownType, let (backend, timeout) = view.snapshot.unknownTypes {
                forward(body, to: backend, timeout: timeout)
            } else {
                respond(error)
            }
        case .success(let type):
            chatType = type
            if let refusal = refusal(of: type) { return respond(refusal) }
            switch type.route {
            case .mcp:
                callTool(type, body)
            case .chat(let backend):
                forward(body, to: backend, timeout: type.timeout)
            case .canary(let rule, let backend):
                if isChosen(by: rule) {
                    side = .mcp
                    callTool(type, body)
                } else {
                    forward(body, to: backend, timeout: type.timeout)
                }
            case .shadow(let rule, let backend):
                forward(body, to: backend, timeout: type.timeout, shadow: rule)
            }
        }
    }

    private func isChosen(by rule: CanaryRule) -> Bool {
        let configuration = view.snapshot.configuration
        let client = CallerAddress(
            peer: exchange.remoteAddress, headers: exchange.head.headers,
            header: configuration.rateLimits?.addressHeader ?? .forwardedFor, trusted: configuration.trustedProxies)
        return rule.chooses(cookies: facts.cookies, authorization: facts.authorization, address: client.bytes)
    }

    private func callTool(_ type: ChatType, _ body: ByteBuffer) {
        switch view.translator.call(type, body) {
        case .success(let call): check(call)
        case .failure(let error): respond(error)
        }
    }

    /// The old backend gets the client's own bytes, and the client its answer as it is.
    private func forward(_ body: ByteBuffer, to backend: Int, timeout: TimeAmount, shadow: ShadowRule? = nil) {
        let gate = view.backends[backend]
        side = .chat
        beginUpstream(gate.upstream.name)
        // A fragment is no part of a request (RFC 9110 section 7.1); libcurl would cut the query there.
        let query = (exchange.query ?? "").prefix { $0 != "#" }
        let request = ChatBackendRequest(
            query: query.isEmpty ? "" : "?" + query, headers: PassThroughHeaders.chat(self), body: body,
            deadline: exchange.start + timeout)
        exchange.onDisconnect = { [self] in cancel() }
        let started = gate.call(request) { [self] outcome in
            isAnswered = true
            handle = nil
            if trace != nil { self.upstream?.end = .now() }
            switch outcome {
            case .refused(let error): respond(error)
            case .answered(.success(let response)):
                relay(response, from: gate.upstream)
                if let shadow, let chatType { compare(chatType, shadow, body, response) }
            case .answered(.failure(let failure)):
                // Cancelled means that the client left: there is nobody to answer.
                if failure.kind != .cancelled { respond(GatewayError(failure)) }
            }
        }
        if !isAnswered { handle = started.map { .backend($0) } }
    }

    private func relay(_ response: CurlResponse, from backend: ChatBackend) {
        upstream?.duration = response.timings.total
        isRelayed = true
        var headers = PassThroughHeaders.downstream(
            response.headers, own: headers(), origin: backend.configuration.address.origin,
            isPrivate: true, sharesByItself: view.snapshot.crossOrigin.cors != nil)
        if view.snapshot.configuration.serverTiming, headers["Server-Timing"].count > 1 {
            let own = headers.first(name: "Server-Timing") ?? ""
            headers.replaceOrAdd(name: "Server-Timing", value: own)
        }
        exchange.respond(
            status: HTTPResponseStatus(statusCode: response.status), headers: headers, body: response.body)
    }

    private func compare(_ type: ChatType, _ rule: ShadowRule, _ body: ByteBuffer, _ response: CurlResponse) {
        shard.shadows.ask(
            ShadowCalls.Original(
                type: type, rule: rule, payload: body,
                answer: ComparedAnswer(status: response.status, body: response.body),
                credentials: facts.credentials(&shard.partitions), traceparent: facts.traceparent,
                requestID: facts.requestID), view)
    }
}
