import CurlTransport
import Foundation
import MCP
import NIOCore

/// One request and its response.
extension ChatCompletionsProvider {
    /// Creates the request that is sent.
    func curlRequest(
        _ request: ModelRequest, streamed: Bool, without refused: Set<ChatCompletion.Extra>,
        until deadline: ContinuousClock.Instant
    ) -> CurlRequest {
        var headers = CurlHeaders()
        headers.append(name: "Content-Type", value: "application/json")
        headers.append(name: "Accept", value: streamed ? "text/event-stream, application/json" : "application/json")
        if let apiKey = configuration.apiKey { headers.append(name: "Authorization", value: "Bearer \(apiKey.value)") }
        if let organization = configuration.organization {
            headers.append(name: "OpenAI-Organization", value: organization)
        }
        if let project = configuration.project { headers.append(name: "OpenAI-Project", value: project) }
        for (name, value) in configuration.headers { headers.set(name: name, value: value.value) }
        let body = ChatCompletion.request(
            request, model: configuration.model, parameters: configuration.parameters, streamed: streamed,
            without: refused)
        return CurlRequest(
            method: "POST", url: configuration.endpoint, headers: headers,
            body: ByteBuffer(bytes: body), timeout: max(deadline - .now, .milliseconds(1)),
            connectTimeout: configuration.connectTimeout, maximumResponseBytes: configuration.maxAnswer,
            mode: streamed ? .streaming : .buffered, proxy: configuration.proxy?.value)
    }

    /// Sends a request for a response in one piece.
    func whole(
        _ request: CurlRequest, _ delivery: Delivery, _ start: ContinuousClock.Instant
    ) async throws -> ModelReply {
        let response = try await engine.execute(request)
        let reply = try reply(response.status, response.headers, Array(response.body.readableBytesView))
        if !reply.text.isEmpty, delivery.isWanted { await pass(reply.text, delivery, nil, start) }
        return reply
    }

    private func reply(_ status: Int, _ headers: CurlHeaders, _ body: [UInt8]) throws -> ModelReply {
        guard (200..<300).contains(status) else {
            throw ProviderError(status: status, headers: headers, body: body, now: Date())
        }
        let reply = try ChatCompletion.reply(inBody: body)
        learn(from: reply)
        return reply
    }

    private func learn(from reply: ModelReply) { reasoning.withLock { $0.learn(reply, configuration) } }

    /// Sends a request for a streamed response.
    func streamed(
        _ request: CurlRequest, by beginning: ContinuousClock.Instant, _ delivery: Delivery,
        _ start: ContinuousClock.Instant
    ) async throws -> ModelReply {
        let idle = IdleTimeout(
            first: min(configuration.firstTokenTimeout, beginning - .now), later: configuration.idleTimeout)
        idleTimeouts.add(idle)
        defer { idleTimeouts.remove(idle) }
        do {
            return try await read(request, delivery, idle, start)
        } catch  where idle.isOver {
            throw ProviderError(
                .timeout,
                delivery.hasBegun
                    ? "the provider stopped in the middle of its answer" : "the provider did not answer in time")
        }
    }

    private func read(
        _ request: CurlRequest, _ delivery: Delivery, _ idle: IdleTimeout, _ start: ContinuousClock.Instant
    ) async throws -> ModelReply {
        let response = try await engine.stream(request) { idle.guards($0) }
        let isEvents =
            response.headers.first(name: "Content-Type")?.lowercased().hasPrefix("text/event-stream") ?? false
        guard isEvents, (200..<300).contains(response.status) else {
            // The response comes in one piece although a stream was requested, or it is not declared as a stream.
            let body = try await response.body.collect(upTo: configuration.maxAnswer)
            let reply = try reply(response.status, response.headers, Array(body.readableBytesView))
            if !reply.text.isEmpty { await pass(reply.text, delivery, idle, start) }
            return reply
        }
        let turn = StreamedTurn(
            reasoning.withLock { $0 }, grace: ReasoningStyle.grace,
            graceEnded: { [self] in reasoning.withLock { $0.graceEnded() } },
            pass: { [self] in await pass($0, delivery, idle, start) })
        defer { turn.stop() }
        do {
            try await consume(response, turn, delivery, idle)
        } catch {
            await turn.fail()
            throw error
        }
        let reply = try await turn.finish()
        learn(from: reply)
        return reply
    }

    /// Passes the events of a response to a turn.
    private func consume(
        _ response: CurlStreamedResponse, _ turn: StreamedTurn, _ delivery: Delivery, _ idle: IdleTimeout
    ) async throws {
        var parser = SSEParser(maximumEventBytes: configuration.maxAnswer)
        var lastSign = ContinuousClock.now
        var isDone = false
        for try await chunk in response.body {
            try Task.checkCancellation()
            for event in try parser.feed(chunk.readableBytesView) where event.hasData {
                switch try await turn.receive(event) {
                case .nothing: break
                case .text:
                    idle.heard()
                    lastSign = .now
                case .work:
                    idle.heard()
                    guard ContinuousClock.now - lastSign >= signInterval else { continue }
                    // The model is reasoning, or writing the arguments of a call.
                    idle.pause()
                    await delivery.sign()
                    idle.heard()
                    lastSign = .now
                case .end: isDone = true
                }
            }
            if isDone { break }
            await turn.watchHolding()
        }
        // The last event may lack its blank line; an incomplete one is not an event.
        for event in try parser.feed(Array("\n\n".utf8)) where event.hasData && !isDone {
            do {
                _ = try await turn.receive(event)
            } catch let error as AssistantError where error == ChatCompletion.unreadable {
                break
            }
        }
    }

    private func pass(
        _ text: String, _ delivery: Delivery, _ idle: IdleTimeout?, _ start: ContinuousClock.Instant
    ) async {
        guard delivery.isWanted else { return }
        if !delivery.hasBegun { metrics.firstToken.with(configuration.name).observe(ContinuousClock.now - start) }
        idle?.pause()
        await delivery.pass(text)
        idle?.heard()
    }
}
