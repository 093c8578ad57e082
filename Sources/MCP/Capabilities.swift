package import JSON

/// What a client can do for a server. Use only what was declared.
package struct ClientCapabilities: Hashable, Sendable {
    /// The object as received or to be sent; unknown capabilities stay in it.
    package var declared: JSONObject

    package init(_ declared: JSONObject = [:]) {
        self.declared = declared
    }

    package init(
        sampling: Bool, elicitation: Bool = false, elicitationURL: Bool = false, roots: Bool = false,
        rootsListChanged: Bool = false
    ) {
        declared = [:]
        if sampling { declared["sampling"] = [:] }
        if elicitation || elicitationURL {
            var modes: JSONObject = [:]
            if elicitation { modes["form"] = [:] }
            if elicitationURL { modes["url"] = [:] }
            declared["elicitation"] = .object(modes)
        }
        if roots { declared["roots"] = rootsListChanged ? ["listChanged": true] : [:] }
    }

    package init(json: JSONValue) throws(MCPDecodingError) {
        declared = try MCPReader(json, "clientCapabilities").object
    }

    package var sampling: Bool { declared["sampling"]?.object != nil }
    /// Tools inside sampling requests, from 2025-11-25.
    package var samplingTools: Bool { declared["sampling"]?["tools"]?.object != nil }
    package var roots: Bool { declared["roots"]?.object != nil }

    /// Form elicitation; an empty object means it too, since revisions before 2025-11-25 know no modes.
    package var elicitation: Bool {
        guard let elicitation = declared["elicitation"]?.object else { return false }
        return elicitation["form"] != nil || elicitation["url"] == nil
    }

    package var elicitationURL: Bool { declared["elicitation"]?["url"]?.object != nil }

    package func json(for version: MCPVersion) -> JSONValue {
        var object = declared
        if !version.hasElicitation { object["elicitation"] = nil }
        if version == .v2025_06_18, object["elicitation"] != nil { object["elicitation"] = [:] }
        if version.era == .modern {
            object["tasks"] = nil
            if object["roots"] != nil { object["roots"] = [:] }
        } else {
            object["extensions"] = nil
        }
        return .object(object)
    }
}

/// What a server offers. Every member here is declared exactly when it is served.
package struct ServerCapabilities: Hashable, Sendable {
    package struct Lists: Hashable, Sendable {
        package var listChanged: Bool
        /// Resources only.
        package var subscribe: Bool

        package init(listChanged: Bool = false, subscribe: Bool = false) {
            self.listChanged = listChanged
            self.subscribe = subscribe
        }

        fileprivate var json: JSONValue {
            var object: JSONObject = [:]
            if subscribe { object["subscribe"] = true }
            if listChanged { object["listChanged"] = true }
            return .object(object)
        }

        fileprivate init?(_ json: JSONValue?) {
            guard let object = json?.object else { return nil }
            listChanged = object["listChanged"]?.bool ?? false
            subscribe = object["subscribe"]?.bool ?? false
        }
    }

    package var tools: Lists?
    package var prompts: Lists?
    package var resources: Lists?
    /// Left out for 2024-11-05, which completes without declaring it.
    package var completions: Bool
    package var logging: Bool
    package var experimental: JSONObject

    package init(
        tools: Lists? = nil, prompts: Lists? = nil, resources: Lists? = nil, completions: Bool = false,
        logging: Bool = false, experimental: JSONObject = [:]
    ) {
        self.tools = tools
        self.prompts = prompts
        self.resources = resources
        self.completions = completions
        self.logging = logging
        self.experimental = experimental
    }

    package init(json: JSONValue) throws(MCPDecodingError) {
        let reader = try MCPReader(json, "capabilities")
        self.init(
            tools: Lists(reader.object["tools"]), prompts: Lists(reader.object["prompts"]),
            resources: Lists(reader.object["resources"]), completions: reader.object["completions"]?.object != nil,
            logging: reader.object["logging"]?.object != nil,
            experimental: reader.object["experimental"]?.object ?? [:])
    }

    package func json(for version: MCPVersion) -> JSONValue {
        var object: JSONObject = [:]
        object.set("tools", tools?.json)
        object.set("prompts", prompts?.json)
        object.set("resources", resources?.json)
        if completions, version.hasCompletionsCapability { object["completions"] = [:] }
        if logging { object["logging"] = [:] }
        if !experimental.isEmpty { object["experimental"] = .object(experimental) }
        return .object(object)
    }
}
