/// An upstream as a member of an endpoint: the names under which its entries appear there, and the rules that hide
/// some.
package struct EndpointMember: Sendable {
    /// Upstream behind the member.
    package let upstream: any EndpointUpstream
    /// Text in front of the names of the upstream's tools and prompts; empty: none.
    package let prefix: String
    /// Rule for definitions of tools that may be shown; nil: all may.
    let review: (any ToolReview)?
    private let allow: [NamePattern]
    private let deny: [NamePattern]

    /// Describes a member.
    ///
    /// - Parameters:
    ///   - allow: Patterns of the upstream's own tool names that are shown; `*` matches any run of characters.
    ///   - deny: Patterns of tool names that are hidden; they win over `allow`.
    ///   - review: Hides tools by their definitions; nil: none.
    package init(
        _ upstream: any EndpointUpstream, prefix: String = "", allow: [String] = ["*"], deny: [String] = [],
        review: (any ToolReview)? = nil
    ) {
        self.upstream = upstream
        self.prefix = prefix
        self.review = review
        self.allow = allow.map(NamePattern.init)
        self.deny = deny.map(NamePattern.init)
    }

    /// Returns whether a tool, by the upstream's own name, is shown and may be called.
    func shows(tool name: String) -> Bool {
        allow.contains { $0.matches(name) } && !deny.contains { $0.matches(name) }
    }

    /// Returns the upstream's own name for a name of the endpoint; nil when it lacks the prefix.
    func ownName(_ name: String) -> String? {
        guard !prefix.isEmpty else { return name }
        let (name, prefix) = (Array(name.utf8), Array(prefix.utf8))
        guard name.count > prefix.count, name.starts(with: prefix) else { return nil }
        return String(decoding: name[prefix.count...], as: UTF8.self)
    }
}
