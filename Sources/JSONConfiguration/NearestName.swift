/// Search for the known name that a mistyped one most likely means.
enum NearestName {
    /// Returns the candidate within an edit distance of a third of its length (at least 2), nearest first; nil when
    /// there is none.
    static func among(_ candidates: some Sequence<String>, to name: String) -> String? {
        // A mistyped name is short: comparing a name of a megabyte would cost time in vain.
        guard name.utf8.count <= 64 else { return nil }
        var best: (name: String, distance: Int)?
        for candidate in candidates {
            let distance = editDistance(name.lowercased(), candidate.lowercased())
            guard distance <= max(2, candidate.utf8.count / 3) else { continue }
            if best.map({ distance < $0.distance }) ?? true { best = (candidate, distance) }
        }
        return best?.name
    }

    /// Returns Levenshtein's distance of two texts, in characters.
    private static func editDistance(_ left: String, _ right: String) -> Int {
        let left = Array(left)
        let right = Array(right)
        var previous = Array(0...right.count)
        for (row, character) in left.enumerated() {
            var current = [row + 1]
            current.reserveCapacity(right.count + 1)
            for (column, other) in right.enumerated() {
                let substitution = previous[column] + (character == other ? 0 : 1)
                current.append(min(substitution, previous[column + 1] + 1, current[column] + 1))
            }
            previous = current
        }
        return previous[right.count]
    }
}
