import JSON

/// The differences between a lock file and the tools as they are, as text for reviewers.
package struct ToolLockDiff: Sendable {
    /// Lines of the text; empty where nothing differs. Nothing in them can pass for anything else on a terminal.
    package let lines: [String]

    /// Compares the tools of each upstream.
    ///
    /// - Parameters:
    ///   - lock: Tools as they were pinned.
    ///   - present: Tools as they are now. Upstreams that it lacks are not compared.
    package init(from lock: ToolLock, to present: ToolLock) {
        var lines: [String] = []
        for (upstream, tools) in Self.sorted(present.upstreams) {
            let pinned = lock.upstreams[upstream] ?? [:]
            for name in Self.sorted(pinned.merging(tools) { first, _ in first }).map(\.key) {
                lines += Self.lines(upstream, name, from: pinned[name] ?? [], to: tools[name] ?? [])
            }
        }
        self.lines = lines
    }

    private static func sorted<Value>(_ values: [ExactString: Value]) -> [(key: ExactString, value: Value)] {
        values.sorted { $0.key.text.utf8.lexicographicallyPrecedes($1.key.text.utf8) }
    }

    private static func lines(
        _ upstream: ExactString, _ tool: ExactString, from pinned: [ToolLock.Definition],
        to present: [ToolLock.Definition]
    ) -> [String] {
        let gone = pinned.filter { !present.contains($0) }
        let new = present.filter { !pinned.contains($0) }
        guard !gone.isEmpty || !new.isEmpty else { return [] }
        let what = pinned.isEmpty ? "new" : present.isEmpty ? "removed" : "changed"
        let name = JSONValue.string(tool.text).text.escapedJSON
        var lines = ["\(what): tool \(name) of upstream \(upstream)"]
        for index in 0..<max(gone.count, new.count) {
            let old = index < gone.count ? gone[index] : nil
            let now = index < new.count ? new[index] : nil
            lines.append("  " + (old.map { "- sha256 \($0.digest)" } ?? "+ sha256 \(now?.digest ?? "")"))
            if old != nil, let now { lines.append("  + sha256 \(now.digest)") }
            lines += LineDiff.lines(from: text(old), to: text(now)).map { "  " + $0 }
        }
        return lines
    }

    private static func text(_ definition: ToolLock.Definition?) -> [Substring] {
        definition?.json.sorted.prettyText.escapedJSON.split(separator: "\n", omittingEmptySubsequences: false) ?? []
    }
}

/// Compares texts line by line.
enum LineDiff {
    /// Lines around a difference that are shown.
    private static let context = 3
    /// Pairs of lines that are compared at most; beyond it everything that differs counts as replaced.
    private static let maximumPairs = 4_000_000

    /// Returns the lines that differ, `- ` or `+ ` in front, with some of those around them; `…` stands for what is left
    /// out.
    static func lines(from old: [Substring], to new: [Substring]) -> [String] {
        guard old != new else { return [] }
        let all = script(from: old, to: new)
        var shown = Array(repeating: false, count: all.count)
        for (index, line) in all.enumerated() where !line.hasPrefix(" ") {
            for near in max(0, index - context)...min(all.count - 1, index + context) { shown[near] = true }
        }
        var lines: [String] = []
        for (index, line) in all.enumerated() {
            if shown[index] {
                lines.append(line)
            } else if index == 0 || shown[index - 1] {
                lines.append("…")
            }
        }
        return lines
    }

    private static func script(from old: [Substring], to new: [Substring]) -> [String] {
        var start = 0
        while start < old.count, start < new.count, old[start] == new[start] { start += 1 }
        var (oldEnd, newEnd) = (old.count, new.count)
        while oldEnd > start, newEnd > start, old[oldEnd - 1] == new[newEnd - 1] {
            oldEnd -= 1
            newEnd -= 1
        }
        var lines = old[..<start].map { "  \($0)" }
        lines += middle(Array(old[start..<oldEnd]), Array(new[start..<newEnd]))
        lines += old[oldEnd...].map { "  \($0)" }
        return lines
    }

    /// By the longest common subsequence.
    private static func middle(_ old: [Substring], _ new: [Substring]) -> [String] {
        guard !old.isEmpty, !new.isEmpty, old.count <= maximumPairs / new.count else {
            return old.map { "- \($0)" } + new.map { "+ \($0)" }
        }
        let width = new.count + 1
        var lengths = Array(repeating: Int32(0), count: (old.count + 1) * width)
        for row in stride(from: old.count - 1, through: 0, by: -1) {
            for column in stride(from: new.count - 1, through: 0, by: -1) {
                lengths[row * width + column] =
                    old[row] == new[column]
                    ? lengths[(row + 1) * width + column + 1] + 1
                    : max(lengths[(row + 1) * width + column], lengths[row * width + column + 1])
            }
        }
        var lines: [String] = []
        var (row, column) = (0, 0)
        while row < old.count || column < new.count {
            if row < old.count, column < new.count, old[row] == new[column] {
                lines.append("  \(old[row])")
                row += 1
                column += 1
            } else if column == new.count
                || row < old.count && lengths[(row + 1) * width + column] >= lengths[row * width + column + 1]
            {
                lines.append("- \(old[row])")
                row += 1
            } else {
                lines.append("+ \(new[column])")
                column += 1
            }
        }
        return lines
    }
}
