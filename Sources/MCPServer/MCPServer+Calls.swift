package import JSON
import Logging
package import MCP

extension MCPServer {
    func callTool(_ params: JSONObject, _ context: ToolContext) async throws -> JSONObject {
        switch try check(params, context) {
        case .refused(let result): render(result, context)
        case .runs(let tool, let arguments): render(try await run(tool, arguments, context), context)
        }
    }

    private enum CheckedCall {
        case refused(CallToolResult)
        case runs(RegisteredTool, JSONObject)
    }

    // Separate from the function that waits for the tool: an async function keeps all variables that it has ever used
    // until it returns.
    @inline(never)
    private func check(_ params: JSONObject, _ context: ToolContext) throws -> CheckedCall {
        let name = try string("name", params)
        guard let tool = tool(name, for: context.principal, in: context.version) else {
            throw JSONRPCError.invalidParams(ToolCallError.unknownTool(name).description)
        }
        if let refusal = tool.access.refusal(of: context.principal) {
            return .refused(.error(refusal.description, status: refusal.status))
        }
        let arguments: JSONObject
        switch params["arguments"] {
        case nil, .null?: arguments = [:]
        case .object(let object)?: arguments = object
        case let other?: throw JSONRPCError.invalidParams("arguments: expected an object, found \(other.kind)")
        }
        let violations = violations(of: arguments, tool)
        guard violations.isEmpty else {
            let text = ToolCallError.invalidArguments(violations).description
            guard context.version.reportsBadArgumentsAsToolErrors else { throw JSONRPCError.invalidParams(text) }
            return .refused(.error(text, status: 400))
        }
        return .runs(tool, arguments)
    }

    /// Calls a tool for a caller that does not speak MCP.
    ///
    /// Errors: ``ToolCallError`` or ``AccessError`` when the tool did not run; a `JSONRPCError` of the tool; `CancellationError`. A
    /// tool's failure is a result with `isError`.
    /// - Throws: ``ToolCallError``, ``AccessError``, `JSONRPCError`, and errors of the tool.
    package func call(
        tool name: String, arguments: JSONObject, principal: Principal?, attachment: (any Sendable)? = nil,
        version: MCPVersion = .latestLegacy, traceparent: String? = nil,
        onProgress: (@Sendable (ToolProgress) async -> Void)? = nil
    ) async throws -> CallToolResult {
        let context = ToolContext(
            principal: principal, attachment: attachment, requestID: nil, version: version, traceparent: traceparent,
            logger: logger, onProgress: onProgress)
        if let forwarder {
            let call = JSONRPCRequest(
                id: .string("plain"), method: MCPMethod.toolsCall,
                params: ["name": .string(name)], arguments: JSONFragment(.object(arguments)))
            do {
                return try CallToolResult(json: .object(try await forwarder.result(of: call, context: context).object))
            } catch let error as JSONRPCError
                where error.message == ToolCallError.unknownTool(name).description && error.data == nil
            {
                throw ToolCallError.unknownTool(name)
            }
        }
        guard let tool = tool(name, for: principal, in: version) else { throw ToolCallError.unknownTool(name) }
        if let refusal = tool.access.refusal(of: principal) { throw refusal }
        let violations = violations(of: arguments, tool)
        guard violations.isEmpty else { throw ToolCallError.invalidArguments(violations) }
        return try await run(tool, arguments, context)
    }

    /// Calls a tool on behalf of another one that is running: for the same caller, in the same revision.
    ///
    /// The call takes no place of its own among the simultaneous ones, because it could wait there for the call that
    /// made it; nor does it report progress or ask the client. Errors: those of the method above.
    /// - Parameter confirmation: Idempotency key of the call where the user has confirmed it.
    /// - Throws: ``ToolCallError``, ``AccessError``, `JSONRPCError`, and errors of the tool.
    package func call(
        tool name: String, arguments: JSONObject, within caller: ToolContext, confirmation: String? = nil
    ) async throws -> CallToolResult {
        guard let tool = tool(name, for: caller.principal, in: caller.version) else {
            throw ToolCallError.unknownTool(name)
        }
        if let refusal = tool.access.refusal(of: caller.principal) { throw refusal }
        let violations = violations(of: arguments, tool)
        guard violations.isEmpty else { throw ToolCallError.invalidArguments(violations) }
        let context = ToolContext(
            principal: caller.principal, requestID: nil, version: caller.version, traceparent: caller.traceparent,
            logger: caller.logger, confirmation: confirmation)
        return try await perform(tool, arguments, context)
    }

    private func violations(of arguments: JSONObject, _ tool: RegisteredTool) -> [String] {
        tool.input.validate(.object(arguments)).map { "\($0)" }
    }

    private func render(_ result: CallToolResult, _ context: ToolContext) -> JSONObject {
        result.json(for: context.version).object ?? [:]
    }

    private func run(
        _ tool: RegisteredTool, _ arguments: JSONObject, _ context: ToolContext
    ) async throws -> CallToolResult {
        do {
            try await limiter.enter()
        } catch .cancelled {
            throw CancellationError()
        } catch .overloaded {
            throw JSONRPCError.internalError("Too many calls are waiting")
        }
        defer { limiter.leave() }
        return try await perform(tool, arguments, context)
    }

    private func perform(
        _ tool: RegisteredTool, _ arguments: JSONObject, _ context: ToolContext
    ) async throws -> CallToolResult {
        do {
            let result = try await tool.tool.call(arguments, context: context)
            return configuration.checksResults ? checked(result, tool) : result
        } catch {
            return try self.result(of: error, tool)
        }
    }

    /// Returns the outcome for a tool's error.
    @inline(never)
    private func result(of error: any Error, _ tool: RegisteredTool) throws -> CallToolResult {
        switch error {
        case let error as ToolError:
            return .error(error.text, structured: error.structured.map { .object($0) }, status: error.status)
        case let error as ClientQuestionError:
            return .error(error.description)
        case is JSONRPCError, is InputRequired:
            throw error
        case is CancellationError:
            // A cancellation that the tool throws by itself is a failure; only the caller's cancellation ends the call.
            if Task.isCancelled { throw error }
            return .error("Cancelled")
        default:
            if Task.isCancelled { throw CancellationError() }
            logger.error("tool failed", metadata: ["mcp.tool": "\(tool.definition.name)", "error": "\(error)"])
            return .error("Internal error")
        }
    }

    private func checked(_ result: CallToolResult, _ tool: RegisteredTool) -> CallToolResult {
        guard let schema = tool.output, !result.isError else { return result }
        let violations = result.structuredContent.map { schema.validate($0).map { "\($0)" } } ?? ["nothing structured"]
        guard !violations.isEmpty else { return result }
        logger.error(
            "tool result violates its schema",
            metadata: [
                "mcp.tool": "\(tool.definition.name)", "violations": "\(violations.joined(separator: "; "))",
            ])
        return .error("Internal error")
    }
}
