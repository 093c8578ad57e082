import Configuration
package import CurlTransport
import Foundation
import JSON
package import Logging
import MCP
import NIOCore

/// An AI provider over HTTP that speaks the OpenAI-compatible chat-completions protocol.
package struct ChatCompletionsProvider: AnswerProvider {
    /// The longest error text passed on, in characters.
    private static let maximumErrorLength = 2000

    let configuration: AnswerConfiguration
    let engine: CurlEngine
    let logger: Logger

    /// A provider that sends its requests through the engine.
    package init(configuration: AnswerConfiguration, engine: CurlEngine, logger: Logger) {
        self.configuration = configuration
        self.engine = engine
        self.logger = logger
    }

    package func answer(_ prompt: String, onDelta: (@Sendable (String) async -> Void)?) async throws -> String {
        let request = request(prompt, streamed: onDelta != nil)
        do {
            guard let onDelta else { return try whole(await engine.execute(request)) }
            return try await streamed(request, onDelta: onDelta)
        } catch let error as CurlError {
            if error.kind == .cancelled { throw CancellationError() }
            logger.warning("provider failed", metadata: ["error.kind": "\(error.kind.rawValue)"])
            throw AnswerError(Self.explanation(of: error))
        } catch let error as AnswerError {
            throw AnswerError(redacted(error.message))
        }
    }

    private func request(_ prompt: String, streamed: Bool) -> CurlRequest {
        var headers = CurlHeaders()
        headers.append(name: "Content-Type", value: "application/json")
        headers.append(name: "Accept", value: streamed ? "text/event-stream, application/json" : "application/json")
        if let apiKey = configuration.apiKey { headers.append(name: "Authorization", value: "Bearer \(apiKey.value)") }
        let body = ChatCompletion.request(model: configuration.model, prompt: prompt, streamed: streamed)
        return CurlRequest(
            method: "POST", url: configuration.baseURL + "/chat/completions", headers: headers,
            body: ByteBuffer(bytes: body), timeout: configuration.timeout,
            connectTimeout: configuration.connectTimeout, idleTimeout: configuration.idleTimeout,
            maximumResponseBytes: configuration.maxAnswer, mode: streamed ? .streaming : .buffered)
    }

    private func whole(_ response: CurlResponse) throws -> String {
        try answer(status: response.status, body: Array(response.body.readableBytesView))
    }

    private func answer(status: Int, body: [UInt8]) throws -> String {
        let json = try? JSONValue(parsing: body)
        guard (200..<300).contains(status) else {
            logger.warning("provider refused", metadata: ["http.status": "\(status)"])
            throw AnswerError(
                json.flatMap(ChatCompletion.errorMessage(in:)) ?? "the provider answered with status \(status)")
        }
        guard let json else { throw AnswerError("the provider's answer cannot be read") }
        return try ChatCompletion.answer(in: json)
    }

    private func streamed(
        _ request: CurlRequest, onDelta: @Sendable (String) async -> Void
    ) async throws -> String {
        let response = try await engine.stream(request)
        let isEvents =
            response.headers.first(name: "Content-Type")?.lowercased().hasPrefix("text/event-stream") ?? false
        guard isEvents, (200..<300).contains(response.status) else {
            var body: [UInt8] = []
            for try await chunk in response.body { body.append(contentsOf: chunk.readableBytesView) }
            let answer = try answer(status: response.status, body: body)
            await onDelta(answer)
            return answer
        }
        var parser = SSEParser()
        var stream = ChatCompletionStream()
        for try await chunk in response.body {
            for event in try parser.feed(chunk.readableBytesView) {
                guard event.hasData, let delta = try stream.receive(event.data) else { continue }
                await onDelta(delta)
            }
            if stream.isDone { break }
        }
        return try stream.finish()
    }

    /// What failed, without addresses: the caller is anybody.
    private static func explanation(of error: CurlError) -> String {
        switch error.kind {
        case .timedOut: "the provider did not answer in time"
        case .couldNotResolve, .couldNotConnect, .tlsFailed: "the provider cannot be reached"
        case .tooLarge: "the provider's answer is too large"
        case .shutdown: "the server is shutting down"
        default: "the connection to the provider failed"
        }
    }

    /// The provider's own words, without the key or the address should it repeat them.
    private func redacted(_ message: String) -> String {
        var message = message
        // Very short names and keys are part of ordinary words: replacing them would garble the message.
        if let key = configuration.apiKey?.value, key.count >= 4 { message = message.replacing(key, with: "…") }
        message = message.replacing(configuration.baseURL, with: "…")
        if let authority = URL(string: configuration.baseURL)?.authority,
            authority.contains(where: { ".:".contains($0) })
        {
            message = message.replacing(authority, with: "…")
        }
        return message.count > Self.maximumErrorLength ? message.prefix(Self.maximumErrorLength) + "…" : message
    }
}

extension URL {
    /// Host and port as the URL writes them.
    fileprivate var authority: String? {
        guard let host = host() else { return nil }
        return port.map { "\(host):\($0)" } ?? host
    }
}
