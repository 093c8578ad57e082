import Foundation
package import NIOCore
import ServiceRuntime

extension SpanExporter {
    /// Records a request to an AI provider as a span of the tool that made it, with the attributes of OpenTelemetry's
    /// conventions for generative AI. It contains nothing of the question or the answer.
    ///
    /// - Parameters:
    ///   - error: Kind of failure; a bounded set; nil: there was an answer.
    ///   - status: The provider's HTTP status, where that is the error.
    package func record(
        _ provider: ProviderConfiguration, from start: NIODeadline, usage: ModelUsage? = nil, error: String? = nil,
        status: Int? = nil
    ) {
        let parent = CurrentSpan.context
        var attributes: [(String, Span.Value)] = [
            ("gen_ai.operation.name", .string("chat")), ("gen_ai.provider.name", .string("openai")),
            ("gen_ai.request.model", .string(provider.model)), ("chat.provider", .string(provider.name)),
        ]
        if let url = URL(string: provider.baseURL), let host = url.host {
            attributes.append(("server.address", .string(host)))
            if let port = url.port { attributes.append(("server.port", .int(port))) }
        }
        if let usage {
            attributes.append(("gen_ai.usage.input_tokens", .int(usage.prompt)))
            attributes.append(("gen_ai.usage.output_tokens", .int(usage.completion)))
        }
        if let status { attributes.append(("http.response.status_code", .int(status))) }
        if let error { attributes.append(("error.type", .string(error))) }
        record(
            Span(
                "chat \(provider.model)", .client, context: sampler.begin(parent), parentID: parent?.spanID,
                start: start, end: .now(), attributes: attributes, error: error))
    }
}
