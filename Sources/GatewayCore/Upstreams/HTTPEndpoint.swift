import AuthorizationClient
import CurlTransport
import JSON
import MCPClient
import NIOCore

/// A server of the old backend or of an HTTP API: takes payloads unchanged, and runs the configured tools.
final class HTTPEndpoint: Endpoint {
    private let upstream: Upstream
    private let address: UpstreamAddress
    private let engine: CurlEngine
    private let eventLoop: any EventLoop

    init(_ upstream: Upstream, _ address: UpstreamAddress, engine: CurlEngine, eventLoop: any EventLoop) {
        self.upstream = upstream
        self.address = address
        self.engine = engine
        self.eventLoop = eventLoop
    }

    let retriesRefusals = false

    func send(_ call: UpstreamCall, _ attempt: CallAttempt) -> any RunningCall {
        switch call {
        case .payload(let payload): send(payload, attempt)
        case .tool(let call): send(call, attempt)
        case .request, .describe: refuse(attempt)
        }
    }

    private func refuse(_ attempt: CallAttempt) -> any RunningCall {
        attempt.ended(.refused(GatewayError(.internal, detail: "an HTTP upstream takes calls of tools and payloads")))
        return EndedCall()
    }

    /// Sends a GET, which changes nothing; the status of the response does not matter.
    func check(
        _ credentials: ForwardedCredentials, deadline: NIODeadline,
        completion: @escaping (Result<ToolCatalog, UpstreamError>) -> Void
    ) {
        let request = request(
            "GET", address.url, CurlHeaders(credentials.credentials), nil, until: deadline, isIdempotent: true)
        let catalog = upstream.catalog ?? ToolCatalog(tools: [], era: .legacy)
        _ = engine.start(
            request, on: eventLoop,
            receiver: TransferReceiver { completion($0.map { _ in catalog }.mapError { UpstreamError($0) }) })
    }

    private func request(
        _ method: String, _ url: String, _ headers: CurlHeaders, _ body: ByteBuffer?, until deadline: NIODeadline,
        isIdempotent: Bool = false
    ) -> CurlRequest {
        // At least a millisecond: zero would mean no limit.
        let left = max(.milliseconds(1), Duration.nanoseconds((deadline - .now()).nanoseconds))
        return CurlRequest(
            method: method, url: url, unixSocketPath: address.socketPath, headers: headers, body: body, timeout: left,
            connectTimeout: upstream.configuration.connectTimeout, maximumResponseBytes: upstream.responseLimit,
            mayResend: isIdempotent, tls: upstream.tls)
    }

    private func send(_ payload: ChatPayload, _ attempt: CallAttempt) -> any RunningCall {
        let request = request(
            "POST", address.url + payload.query, payload.headers, payload.body, until: payload.deadline)
        return engine.start(
            request, on: eventLoop,
            receiver: TransferReceiver { result in
                switch result {
                case .success(let response): attempt.ended(.response(response))
                case .failure(let failure): attempt.ended(.failure(UpstreamError(failure)))
                }
            })
    }

    // MARK: Tools

    private func send(_ call: MCPToolCall, _ attempt: CallAttempt) -> any RunningCall {
        guard let tool = upstream.tools[call.tool] else {
            attempt.ended(.refused(GatewayError(.upstreamRejected, detail: "unknown tool \(call.tool.prefix(128))")))
            return EndedCall()
        }
        let filled: RequestTemplate.Filled
        do throws(TemplateArguments.ArgumentError) {
            filled = try tool.fill(call.arguments)
        } catch {
            attempt.ended(.result(MCPCallResult(ToolResultWriter.text(error.message, isError: true))))
            return EndedCall()
        }
        let base =
            address.url.hasSuffix("/") && filled.target.hasPrefix("/") ? String(address.url.dropLast()) : address.url
        var headers = filled.headers
        for (name, value) in call.credentials.credentials + call.credentials.perRequest
        where name.lowercased() != "content-type" {
            headers.set(name: name, value: value)
        }
        if let traceparent = call.traceparent { headers.set(name: "traceparent", value: traceparent) }
        let deadline = tool.timeout.map { min(call.deadline, .now() + TimeAmount($0)) } ?? call.deadline
        // An idempotent tool is called again by the load balancer.
        let maySendAgain = tool.isIdempotent && call.earlierRuns < upstream.configuration.replays
        return engine.start(
            request(filled.method, base + filled.target, headers, filled.body, until: deadline),
            on: eventLoop,
            receiver: TransferReceiver {
                [eventLoop, hasOwn = upstream.credentials != nil, hasToken = upstream.configuration.token != nil]
                result in
                switch result {
                case .success(let response) where response.body.readableBytes >= ParsingQueue.longAnswer:
                    ParsingQueue.answers.run(on: eventLoop) {
                        tool.outcome(response, hasOwnCredentials: hasOwn, hasToken: hasToken)
                    } then: { outcome in
                        attempt.ended(outcome)
                    }
                case .success(let response):
                    attempt.ended(tool.outcome(response, hasOwnCredentials: hasOwn, hasToken: hasToken))
                case .failure(let failure):
                    attempt.ended(.failure(UpstreamError(failure, isIdempotent: maySendAgain)))
                }
            })
    }
}

extension ToolConfiguration {
    /// Returns the request for a call.
    fileprivate func fill(_ arguments: ByteBuffer) throws(TemplateArguments.ArgumentError) -> RequestTemplate.Filled {
        try arguments.withUnsafeReadableBytes { (bytes) throws(TemplateArguments.ArgumentError) in
            let arguments = try TemplateArguments(bytes)
            switch binding {
            case .http(let template): return try template.fill(arguments)
            case .chat(let binding): return try binding.fill(arguments)
            }
        }
    }

    /// Returns the outcome for a response.
    fileprivate func outcome(_ response: CurlResponse, hasOwnCredentials: Bool, hasToken: Bool) -> UpstreamOutcome {
        let isChat = if case .chat = binding { true } else { false }
        let outcome: UpstreamOutcome
        switch response.status {
        case 200..<300: outcome = success(response, isChat: isChat)
        case 401 where hasOwnCredentials:
            outcome = failure(.unauthorized, response, executed: .no)
        case 403 where hasToken && BearerRefusal(response.challenge)?.isInsufficientScope == true:
            outcome = failure(.forbidden, response, executed: .no)
        case 400..<500 where isChat: outcome = .result(MCPCallResult(ToolResultWriter.error(response)))
        case 429: outcome = failure(.rateLimited, response, executed: .no)
        // 401 and 403 refer to the gateway's own credentials, so that they are not passed on to the caller.
        case 401, 403: outcome = failure(.rejected, response, executed: .no)
        case 400..<500: outcome = .result(MCPCallResult(ToolResultWriter.error(response)))
        case 300..<400: outcome = failure(.rejected, response, executed: .unknown)
        default: outcome = failure(.failed, response, executed: .unknown)
        }
        return outcome.with(
            MCPCallTimings(
                upstream: response.timings.total, connect: response.timings.connect,
                firstByte: response.timings.firstByte))
    }

    private func success(_ response: CurlResponse, isChat: Bool) -> UpstreamOutcome {
        do throws(ToolResultWriter.Invalid) {
            var result = MCPCallResult(
                try ToolResultWriter.result(response, path: path, limit: limit, alwaysWraps: isChat))
            result.reservation = response.reservation
            return .result(result)
        } catch {
            return .failure(
                UpstreamError(MCPCallError(kind: .invalid, executed: .yes, detail: error.detail)))
        }
    }

    private func failure(
        _ kind: MCPCallError.Kind, _ response: CurlResponse, executed: MCPExecuted
    ) -> UpstreamOutcome {
        .failure(
            UpstreamError(
                MCPCallError(
                    kind: kind, status: response.status,
                    wwwAuthenticate: kind == .unauthorized || kind == .forbidden ? response.challenge : [],
                    retryAfter: kind == .rateLimited ? response.headers.first(name: "Retry-After") : nil,
                    executed: executed, detail: "status \(response.status)")))
    }
}

extension CurlResponse {
    /// Values of `WWW-Authenticate`.
    fileprivate var challenge: [String] { headers.all(name: "WWW-Authenticate") }
}

extension ToolConfiguration.ChatBinding {
    /// Returns the payload of a call. No argument can set the field `type`.
    fileprivate func fill(_ arguments: TemplateArguments) throws(TemplateArguments.ArgumentError)
        -> RequestTemplate.Filled
    {
        var body = Array(#"{"type":"#.utf8) + JSONText.quoted(type)
        var written: Set<String> = ["type"]
        for name in arguments.names {
            guard let value = arguments[name] else { continue }
            let field = fields[name] ?? name
            guard written.insert(field).inserted else {
                throw TemplateArguments.ArgumentError(message: "\(name): not an argument of this tool")
            }
            body.append(UInt8(ascii: ","))
            body += JSONText.quoted(field)
            body.append(UInt8(ascii: ":"))
            body += arguments.json(value)
        }
        body.append(UInt8(ascii: "}"))
        return RequestTemplate.Filled(
            method: "POST", target: "", headers: [(name: "Content-Type", value: "application/json")],
            body: ByteBuffer(bytes: body))
    }
}

extension MCPCallResult {
    /// Creates the outcome of a result that the gateway has written itself.
    init(_ result: ByteBuffer) {
        let slice = result.withUnsafeReadableBytes { bytes -> JSONSlice? in
            var scanner = JSONScanner(bytes, maximumDepth: 160)
            return try? scanner.document()
        }
        if let slice {
            self.init(message: result, result: slice)
        } else {
            // The result is nested too deeply to be read again.
            self.init(ToolResultWriter.text("The answer is nested too deeply", isError: true))
        }
    }
}

extension UpstreamOutcome {
    fileprivate func with(_ timings: MCPCallTimings) -> UpstreamOutcome {
        switch self {
        case .result(var result):
            result.timings = timings
            return .result(result)
        case .failure(var failure):
            failure.timings = timings
            return .failure(failure)
        case .response: return self
        }
    }
}

/// Receiver that passes on the end of a transfer.
final class TransferReceiver: CurlTransferReceiver {
    private let completion: (Result<CurlResponse, CurlError>) -> Void

    init(_ completion: @escaping (Result<CurlResponse, CurlError>) -> Void) {
        self.completion = completion
    }

    func transferDone(_ result: Result<CurlResponse, CurlError>) { completion(result) }
}

extension CurlTransfer: RunningCall {}
