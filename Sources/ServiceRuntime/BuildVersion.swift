/// Version of the build: the number that both processes share, and the commit. Only the executables contain the commit
/// and pass it on, so that a new commit does not recompile everything else.
package struct BuildVersion: Hashable, Sendable {
    /// Semantic version of the package.
    package static let number = "1.0.0"

    /// Commit in lower-case hexadecimal; `unknown` when the build could not determine it.
    package let commit: String

    /// - Parameter commit: Commit; nil or empty when it is not known.
    package init(commit: String? = nil) {
        self.commit = commit.flatMap { $0.isEmpty ? nil : $0 } ?? "unknown"
    }

    /// Returns the text of `--version`: `chat-gateway 1.0.0 (0123abcd…)`.
    package func text(_ name: String) -> String { "\(name) \(Self.number) (\(commit))" }
}
