import JSON
package import MCP

/// A prompt that users may choose.
package protocol PromptProvider: Sendable {
    /// Read once, at registration.
    var definition: Prompt { get }
    /// Whether that caller may see and use it.
    func isVisible(to principal: Principal?) -> Bool
    /// Whether the prompt exists for callers that speak that revision.
    func isAvailable(in version: MCPVersion) -> Bool
    /// Renders the prompt. Required arguments are there, and no undeclared one.
    func render(_ arguments: [String: String], context: ToolContext) async throws -> GetPromptResult
}

extension PromptProvider {
    package func isVisible(to principal: Principal?) -> Bool { true }
    package func isAvailable(in version: MCPVersion) -> Bool { true }
}

/// Some resources behind one door.
package protocol ResourceProvider: Sendable {
    /// One page of the resources that this caller may see, after the provider's own `cursor`; `nil` starts.
    ///
    /// Errors: a `JSONRPCError` for a cursor that this provider never gave.
    func resources(after cursor: String?, context: ToolContext) async throws -> ResourcePage
    /// Who may read the resource of that URI, or ask about the template of that text; `nil`: not one of this
    /// provider's. Only what the caller may read is listed.
    func access(to uri: String) -> AccessRule?
    /// Templates of the URIs it can read.
    var templates: [ResourceTemplate] { get }
    /// Reads a resource; `nil`: not one of this provider's, or not for this caller.
    func read(_ uri: String, context: ToolContext) async throws -> ReadResourceResult?
}

extension ResourceProvider {
    package var templates: [ResourceTemplate] { [] }
    package func access(to uri: String) -> AccessRule? { nil }
}

/// Part of a list of resources.
package struct ResourcePage: Sendable {
    /// Resources of the page.
    package var resources: [Resource]
    /// The provider's own cursor for the next page; `nil`: this was the last.
    package var next: String?

    /// Describes a page of resources.
    package init(_ resources: [Resource], next: String? = nil) {
        self.resources = resources
        self.next = next
    }
}

/// Suggests values for arguments of prompts and resource templates; `nil`: not one it knows.
package typealias Completer = @Sendable (CompleteParameters, ToolContext) async throws -> CompleteResult?
