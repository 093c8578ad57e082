import JSON
package import MCP

/// A prompt that users may choose.
package protocol PromptProvider: Sendable {
    /// Definition of the prompt; read once, at registration.
    var definition: Prompt { get }
    /// Returns whether that caller may see and use it.
    func isVisible(to principal: Principal?) -> Bool
    /// Returns whether the prompt exists for callers that speak that revision.
    func isAvailable(in version: MCPVersion) -> Bool
    /// Renders the prompt. Required arguments are present, and all arguments are declared.
    func render(_ arguments: [String: String], context: ToolContext) async throws -> GetPromptResult
}

extension PromptProvider {
    package func isVisible(to principal: Principal?) -> Bool { true }
    package func isAvailable(in version: MCPVersion) -> Bool { true }
}

/// A group of resources with common reading and listing.
package protocol ResourceProvider: Sendable {
    /// Returns one page of the resources that this caller may see, after the provider's own `cursor`; nil: the first
    /// page.
    ///
    /// Errors: a `JSONRPCError` for a cursor that this provider never issued.
    func resources(after cursor: String?, context: ToolContext) async throws -> ResourcePage
    /// Returns the access rule for the resource of that URI, or for completion of the template of that text; nil: it is
    /// not one of this provider's. Only resources that the caller may read are listed.
    func access(to uri: String) -> AccessRule?
    /// Templates of the URIs that the provider can read.
    var templates: [ResourceTemplate] { get }
    /// Reads a resource; nil: it is not one of this provider's, or not for this caller.
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
    /// The provider's own cursor for the next page; nil after the last page.
    package var next: String?

    /// Describes a page of resources.
    package init(_ resources: [Resource], next: String? = nil) {
        self.resources = resources
        self.next = next
    }
}

/// Closure that completes values for arguments of prompts and resource templates; nil: it does not know the reference.
package typealias Completer = @Sendable (CompleteParameters, ToolContext) async throws -> CompleteResult?
