package import JSON

/// Capabilities of a client (Lifecycle, "Capability Negotiation"). Only declared ones may be used.
package struct ClientCapabilities: Hashable, Sendable {
    /// Object as received or to be sent; unknown capabilities stay in it.
    package var declared: JSONObject

    /// Wraps capabilities as a client declares them.
    package init(_ declared: JSONObject = [:]) {
        self.declared = declared
    }

    /// Declares the given capabilities (Lifecycle, "Capability Negotiation").
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

    /// Reads the JSON form.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(json: JSONValue) throws(MCPDecodingError) {
        declared = try MCPReader(json, "clientCapabilities").object
    }

    /// True if the client answers `sampling/createMessage`.
    package var sampling: Bool { declared["sampling"]?.object != nil }
    /// True if sampling requests may contain tools, from 2025-11-25.
    package var samplingTools: Bool { declared["sampling"]?["tools"]?.object != nil }
    /// True if the client answers `roots/list`.
    package var roots: Bool { declared["roots"]?.object != nil }

    /// True if the client supports elicitation by a form; an empty object means it too, since revisions before
    /// 2025-11-25 have no modes.
    package var elicitation: Bool {
        guard let elicitation = declared["elicitation"]?.object else { return false }
        return elicitation["form"] != nil || elicitation["url"] == nil
    }

    /// True if the client supports elicitation in the mode `url`, from 2025-11-25.
    package var elicitationURL: Bool { declared["elicitation"]?["url"]?.object != nil }

    /// Returns the JSON form in a revision.
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

/// Capabilities of a server (Lifecycle, "Capability Negotiation"). A capability is declared exactly when it is
/// supported.
package struct ServerCapabilities: Hashable, Sendable {
    /// Capability of a kind of list.
    package struct Lists: Hashable, Sendable {
        /// True if changes are announced by `list_changed`.
        package var listChanged: Bool
        /// True if updates of single resources are announced; only for resources.
        package var subscribe: Bool

        /// Declares a list with the given announcements.
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

    /// Tools; nil where the server offers none.
    package var tools: Lists?
    /// Prompts; nil where the server offers none.
    package var prompts: Lists?
    /// Resources; nil where the server offers none.
    package var resources: Lists?
    /// True if the server completes arguments. Not sent in 2024-11-05, which has completions without declaring them.
    package var completions: Bool
    /// True if the server sends log messages by `notifications/message`.
    package var logging: Bool
    /// Capabilities outside the specification.
    package var experimental: JSONObject

    /// Declares the given capabilities of a server.
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

    /// Reads the JSON form.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(json: JSONValue) throws(MCPDecodingError) {
        let reader = try MCPReader(json, "capabilities")
        self.init(
            tools: Lists(reader.object["tools"]), prompts: Lists(reader.object["prompts"]),
            resources: Lists(reader.object["resources"]), completions: reader.object["completions"]?.object != nil,
            logging: reader.object["logging"]?.object != nil,
            experimental: reader.object["experimental"]?.object ?? [:])
    }

    /// Returns the JSON form in a revision.
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
