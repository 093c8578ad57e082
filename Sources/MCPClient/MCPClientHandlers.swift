package import JSON
package import MCP

/// Handlers of a server's requests and notifications. Only those that are set are declared as capabilities.
package struct MCPClientHandlers: Sendable {
    /// Answer to an elicitation.
    package var elicit: (@Sendable (ElicitParameters) async throws -> ElicitResult)?
    /// Answer to a sampling request.
    package var sample: (@Sendable (CreateMessageParameters) async throws -> CreateMessageResult)?
    /// Answer to `roots/list`.
    package var roots: (@Sendable () async throws -> [Root])?
    /// Answer to every request of the server, in place of the three above.
    package var onRequest: (@Sendable (JSONRPCRequest) async -> Result<JSONValue, JSONRPCError>)?
    /// Capabilities to declare with `onRequest`; nil: those of the handlers that are set.
    package var declared: ClientCapabilities?
    /// Listener for every notification except progress, on the stream of a request. Called on the event loop: must not
    /// block.
    package var onNotification: (@Sendable (JSONRPCNotification) -> Void)?

    /// Sets the handlers; a capability without one is not declared.
    package init(
        elicit: (@Sendable (ElicitParameters) async throws -> ElicitResult)? = nil,
        sample: (@Sendable (CreateMessageParameters) async throws -> CreateMessageResult)? = nil,
        roots: (@Sendable () async throws -> [Root])? = nil,
        onNotification: (@Sendable (JSONRPCNotification) -> Void)? = nil
    ) {
        self.elicit = elicit
        self.sample = sample
        self.roots = roots
        self.onNotification = onNotification
    }

    /// Capabilities that the client's upstream must declare.
    package var capabilities: ClientCapabilities {
        declared
            ?? ClientCapabilities(sampling: sample != nil, elicitation: elicit != nil, roots: roots != nil)
    }

    /// Answers a question: a legacy request, or a member of a modern `inputRequests`.
    func answer(_ question: InputRequest, version: MCPVersion) async -> Result<JSONValue, JSONRPCError> {
        do {
            switch question {
            case .elicitation(let parameters):
                guard let elicit else { return .failure(.methodNotFound(question.method)) }
                return .success(try await elicit(parameters).json)
            case .sampling(let parameters):
                guard let sample else { return .failure(.methodNotFound(question.method)) }
                return .success(try await sample(parameters).json(for: version))
            case .roots:
                guard let roots else { return .failure(.methodNotFound(question.method)) }
                return .success(Root.json(try await roots()))
            }
        } catch let error as JSONRPCError {
            return .failure(error)
        } catch {
            return .failure(.internalError("The client could not answer"))
        }
    }

    func answer(_ request: JSONRPCRequest, version: MCPVersion) async -> Result<JSONValue, JSONRPCError> {
        if let onRequest { return await onRequest(request) }
        do {
            return await answer(try InputRequest(method: request.method, params: request.params), version: version)
        } catch {
            let known = [MCPMethod.elicitationCreate, MCPMethod.samplingCreateMessage, MCPMethod.rootsList]
            return .failure(
                known.contains(request.method)
                    ? .invalidParams("\(error)") : .methodNotFound(request.method))
        }
    }
}
