/// Version that was built: the number that both processes share, and the commit. The executables know the commit;
/// everything else is told, so that a new commit does not recompile everything else.
package struct BuildVersion: Hashable, Sendable {
    /// Semantic version of the package.
    package static let number = "1.0.0"

    /// Lower-case hexadecimal; `unknown` when the build could not tell.
    package let commit: String

    /// - Parameter commit: nil or empty when it is not known.
    package init(commit: String? = nil) {
        self.commit = commit.flatMap { $0.isEmpty ? nil : $0 } ?? "unknown"
    }

    /// Text that `--version` prints: `chat-gateway 1.0.0 (0123abcd…)`.
    package func text(_ name: String) -> String { "\(name) \(Self.number) (\(commit))" }
}
