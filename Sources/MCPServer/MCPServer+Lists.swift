import JSON
import MCP
import Synchronization

extension MCPServer {
    func listTools(_ params: JSONObject, _ context: ToolContext) throws(JSONRPCError) -> JSONObject {
        let page = try Cursor.page(
            toolDefinitions(for: context.principal, in: context.version), of: "tools", size: configuration.pageSize,
            cursor: params["cursor"], name: \.name)
        return list(page.entries, page.next, context)
    }

    func listPrompts(_ params: JSONObject, _ context: ToolContext) throws(JSONRPCError) -> JSONObject {
        let prompts = registry.withLock { registry in registry.promptOrder.compactMap { registry.prompts[$0] } }
        let page = try Cursor.page(
            prompts.filter { isUsable($0, context) && $0.access.refusal(of: context.principal) == nil }
                .map(\.prompt.definition), of: "prompts", size: configuration.pageSize,
            cursor: params["cursor"], name: \.name)
        return list(page.entries, page.next, context)
    }

    private func isUsable(_ prompt: RegisteredPrompt, _ context: ToolContext) -> Bool {
        prompt.prompt.isVisible(to: context.principal) && prompt.prompt.isAvailable(in: context.version)
    }

    func listTemplates(_ params: JSONObject, _ context: ToolContext) throws(JSONRPCError) -> JSONObject {
        let templates = registry.withLock { $0.resources }.flatMap { provider in
            provider.templates.filter { mayRead($0.uriTemplate, of: provider, context) }
        }
        let page = try Cursor.page(
            templates, of: "templates", size: configuration.pageSize, cursor: params["cursor"], name: \.uriTemplate)
        return list(page.entries, page.next, context)
    }

    /// Returns a page of resources. Providers come one after the other; a cursor names the provider, and contains its
    /// own cursor.
    func listResources(_ params: JSONObject, _ context: ToolContext) async throws -> JSONObject {
        let providers = registry.withLock { $0.resources }
        var index = 0
        var inner: String?
        if let position = try Cursor.decode("resources", params["cursor"]) {
            let parts = position.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
            guard let number = parts.first.flatMap({ Int($0) }), providers.indices.contains(number) else {
                throw Cursor.invalid
            }
            index = number
            inner = parts.count == 2 ? String(parts[1]) : nil
        }
        // A provider without entries must not produce an empty page.
        while index < providers.count {
            let provider = providers[index]
            var page = try await provider.resources(after: inner, context: context)
            page.resources.removeAll { !mayRead($0.uri, of: provider, context) }
            let position = page.next.map { "\(index)\n\($0)" } ?? (index + 1 < providers.count ? "\(index + 1)" : nil)
            if !page.resources.isEmpty || position == nil {
                return list(page.resources, position.map { Cursor.encode("resources", $0) }, context)
            }
            inner = page.next
            if inner == nil { index += 1 }
        }
        return list([] as [Resource], nil, context)
    }

    private func mayRead(_ uri: String, of provider: any ResourceProvider, _ context: ToolContext) -> Bool {
        provider.access(to: uri)?.refusal(of: context.principal) == nil
    }

    func readResource(_ params: JSONObject, _ context: ToolContext) async throws -> (JSONObject, CacheHint?) {
        let uri = try string("uri", params)
        for provider in registry.withLock({ $0.resources }) {
            guard let result = try await provider.read(uri, context: context) else { continue }
            return (result.json(for: context.version).object ?? [:], result.cache)
        }
        throw JSONRPCError.resourceNotFound(uri, for: context.version)
    }

    func getPrompt(_ params: JSONObject, _ context: ToolContext) async throws -> JSONObject {
        let name = try string("name", params)
        guard let registered = registry.withLock({ $0.prompts[name] }), isUsable(registered, context) else {
            throw JSONRPCError.invalidParams("Unknown prompt: \(name)")
        }
        let prompt = registered.prompt
        var arguments: [String: String] = [:]
        let declared = prompt.definition.arguments
        switch params["arguments"] {
        case nil, .null?: break
        case .object(let object)?:
            for (key, value) in object where declared.contains(where: { $0.name == key }) {
                guard let text = value.string else {
                    throw JSONRPCError.invalidParams("arguments.\(key): expected string, found \(value.kind)")
                }
                arguments[key] = text
            }
        case let other?: throw JSONRPCError.invalidParams("arguments: expected an object, found \(other.kind)")
        }
        for argument in declared where argument.required && arguments[argument.name] == nil {
            throw JSONRPCError.invalidParams("Missing argument: \(argument.name)")
        }
        return try await prompt.render(arguments, context: context).json(for: context.version).object ?? [:]
    }

    func complete(_ params: JSONObject, _ context: ToolContext) async throws -> JSONObject {
        let parameters: CompleteParameters
        do {
            parameters = try CompleteParameters(params: params)
        } catch {
            throw JSONRPCError.invalidParams("\(error)")
        }
        for completer in registry.withLock({ $0.completers }) {
            if let result = try await completer(parameters, context) {
                return result.json(for: context.version).object ?? [:]
            }
        }
        try checkReference(parameters.reference)
        return CompleteResult(values: []).json(for: context.version).object ?? [:]
    }

    /// Checks the reference of a completion. One to an unknown prompt or template is an error (completion, error
    /// handling); one without a completer is not.
    private func checkReference(_ reference: CompletionReference) throws(JSONRPCError) {
        switch reference {
        case .prompt(let name):
            guard registry.withLock({ $0.prompts[name] != nil }) else {
                throw .invalidParams("Unknown prompt: \(name)")
            }
        case .resource(let uri):
            let templates = registry.withLock { $0.resources }.flatMap(\.templates)
            guard templates.contains(where: { $0.uriTemplate == uri }) else {
                throw .invalidParams("Unknown resource template: \(uri)")
            }
        }
    }

    private func list<Entry: MCPListable>(
        _ entries: some Sequence<Entry>, _ next: String?, _ context: ToolContext
    ) -> JSONObject {
        let result = ListResult(Array(entries), nextCursor: next, cache: configuration.listCache)
        return result.json(for: context.version).object ?? [:]
    }
}
