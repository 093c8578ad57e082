import Foundation

/// Grams: sequences of neighbouring letters in a text. They find passages that words do not find: in scripts without
/// spaces between words, with inflected or compound words, and with misspelled ones.
///
/// Both engines store the grams of ``indexed(_:)`` and search for those of ``QuestionGrams``.
package enum TextGrams {
    /// Kind of a script, by how it writes words.
    enum Script: Sendable {
        /// Words separated by spaces: Latin, Cyrillic, Arabic, digits, …
        case spaced
        /// No spaces, and a word is one or two characters: Han, Kana, Hangul (whose words carry particles).
        case ideographic
        /// No spaces, and words of letters: Thai, Lao, Khmer, Burmese, Tibetan.
        case unspaced
    }

    /// Neighbouring letters of one script.
    struct Run: Sendable {
        let script: Script
        var letters: [Unicode.Scalar]
    }

    /// Largest number of grams of a text; a passage has far fewer.
    private static let maximumGrams = 40_000
    /// Largest number of scalars of a text that are read; a passage is far shorter.
    private static let maximumScalars = 100_000

    /// Returns the grams of a text, each once: all that a question may search for.
    package static func indexed(_ text: String) -> [String] {
        var seen: Set<String> = []
        var grams: [String] = []
        for run in runs(of: text) {
            for size in indexedSizes(run) {
                for gram in Self.grams(run, size) where seen.insert(gram).inserted { grams.append(gram) }
            }
            if grams.count > maximumGrams { return Array(grams.prefix(maximumGrams)) }
        }
        return grams
    }

    /// Returns the runs of a text in its compatibility form, in lower case and without accents.
    static func runs(of text: String, maximumScalars: Int = Self.maximumScalars) -> [Run] {
        var runs: [Run] = []
        var current: Run?
        let cut = streamSafe(text.unicodeScalars.prefix(maximumScalars))
        for scalar in cut.precomposedStringWithCompatibilityMapping.lowercased().unicodeScalars {
            guard let letter = letter(scalar) else {
                if !isMark(scalar), let run = current {
                    runs.append(run)
                    current = nil
                }
                continue
            }
            let script = script(of: letter)
            if current?.script == script {
                current?.letters.append(letter)
            } else {
                if let run = current { runs.append(run) }
                current = Run(script: script, letters: [letter])
            }
        }
        if let run = current { runs.append(run) }
        return runs
    }

    /// Returns a text whose letters have 30 marks at most (UAX #15, Stream-Safe Text Format): putting marks in order takes
    /// time that grows with the square of their number.
    private static func streamSafe(_ scalars: some Sequence<Unicode.Scalar>) -> String {
        var text = String.UnicodeScalarView()
        var marks = 0
        for scalar in scalars {
            marks = isMark(scalar) ? marks + 1 : 0
            if marks <= 30 { text.append(scalar) }
        }
        return String(text)
    }

    /// Returns the grams of a run, each of `size` letters; none when it is shorter.
    static func grams(_ run: Run, _ size: Int) -> [String] {
        guard size > 0, run.letters.count >= size else { return [] }
        return (0...run.letters.count - size).map { start in
            String(String.UnicodeScalarView(run.letters[start..<start + size]))
        }
    }

    private static func indexedSizes(_ run: Run) -> ClosedRange<Int> {
        switch run.script {
        case .spaced: min(run.letters.count, 3)...min(run.letters.count, 3)
        case .ideographic: 1...3
        case .unspaced: 2...3
        }
    }

    private static func script(of scalar: Unicode.Scalar) -> Script {
        switch scalar.value {
        case 0x1100...0x11FF, 0x3005...0x3007, 0x3041...0x30FF, 0x3105...0x318F, 0x31F0...0x31FF, 0x3400...0x4DBF,
            0x4E00...0x9FFF, 0xAC00...0xD7FF, 0xF900...0xFAFF, 0x20000...0x3FFFF:
            .ideographic
        case 0x0E00...0x0FFF, 0x1000...0x109F, 0x1780...0x17FF: .unspaced
        default: .spaced
        }
    }

    /// Returns the letter for a scalar; nil for one that is not part of a word.
    private static func letter(_ scalar: Unicode.Scalar) -> Unicode.Scalar? {
        if scalar.isASCII {
            return (0x30...0x39).contains(scalar.value) || (0x61...0x7A).contains(scalar.value) ? scalar : nil
        }
        // Accents of Latin, Greek and Cyrillic; in other scripts marks are part of the letters.
        if scalar.value < 0x530 || (0x1E00...0x1FFF).contains(scalar.value) {
            let base = String(scalar).decomposedStringWithCanonicalMapping.unicodeScalars.first ?? scalar
            return base.properties.isAlphabetic || base.properties.numericType != nil ? base : nil
        }
        let isPart = scalar.properties.isAlphabetic || scalar.properties.numericType != nil || isMark(scalar)
        return isPart ? scalar : nil
    }

    private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
        guard !scalar.isASCII else { return false }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark: return true
        default: return false
        }
    }
}

/// Grams of a question, and the decision whether a passage contains enough of them.
package struct QuestionGrams: Sendable {
    /// Largest number of grams of a question.
    private static let maximumGrams = 96
    private static let maximumScalars = 4096
    /// Endings and question words that carry no information.
    private static let ignored: Set<String> = [
        "什么", "怎么", "如何", "多少", "哪里", "哪些", "我们", "可以", "是否", "一个", "什麼", "怎麼", "我們", "時候", "时候",
        "何日", "습니", "니다", "합니", "입니", "있습", "하나", "나요", "까요", "어떻", "떻게", "무엇", "얼마", "해야", "하는",
        "되나", "인가", "는가", "언제", "어디",
    ]

    private var runs: [TextGrams.Run] = []
    private var seen: Set<String> = []

    /// Grams to be looked up, each once.
    package private(set) var list: [String] = []

    /// Extracts from a question what words do not find: scripts without spaces, and words with letters beyond ASCII.
    package init(_ question: String) {
        let all = TextGrams.runs(of: question, maximumScalars: Self.maximumScalars)
        let isMixed = all.contains { $0.script != .spaced }
        for run in all where run.script != .spaced || isMixed { add(run) }
        if !isMixed { add(Self.wordsBeyondASCII(question)) }
    }

    /// Adds words that do not occur in any passage as they are written.
    package mutating func add(_ words: [String]) {
        for word in words { for run in TextGrams.runs(of: word) { add(run) } }
    }

    /// True if words suffice for the question.
    package var isEmpty: Bool { list.isEmpty }

    /// Full-text expression for any of the grams, a phrase each.
    package var expression: String { list.map { "\"\($0)\"" }.joined(separator: " OR ") }

    private static func wordsBeyondASCII(_ question: String) -> [String] {
        QuestionWords(question).list.filter { !$0.utf8.allSatisfy { $0 < 0x80 } }
    }

    private mutating func add(_ run: TextGrams.Run) {
        let grams = Self.asked(run)
        guard !grams.isEmpty, list.count < Self.maximumGrams else { return }
        runs.append(run)
        for gram in grams.prefix(Self.maximumGrams - list.count) where seen.insert(gram).inserted { list.append(gram) }
    }

    /// Returns the grams of a run that carry information.
    private static func asked(_ run: TextGrams.Run) -> [String] {
        let length = run.letters.count
        switch run.script {
        case .spaced: return TextGrams.grams(run, min(length, 3))
        case .unspaced: return length == 1 ? [] : TextGrams.grams(run, min(length, 3))
        case .ideographic:
            guard length > 1 else { return TextGrams.grams(run, 1) }
            let grams = TextGrams.grams(run, 2) + TextGrams.grams(run, 3)
            let telling = grams.filter(isTelling)
            return telling.isEmpty ? grams : telling
        }
    }

    /// Returns whether an ideographic gram is more than an ending: Hiragana alone carries only grammar.
    private static func isTelling(_ gram: String) -> Bool {
        let scalars = gram.unicodeScalars
        if scalars.allSatisfy({ (0x3041...0x309F).contains($0.value) }) { return false }
        return !ignored.contains(String(String.UnicodeScalarView(scalars.prefix(2))))
            && !ignored.contains(String(String.UnicodeScalarView(scalars.suffix(2))))
    }

    /// Returns how well a passage answers the question, by its share of the question's grams; nil when that is too
    /// small. Grams in the text count more than those in the title.
    func share(ofTitle title: String, text: String) -> Double? {
        let titleGrams = Set(TextGrams.indexed(title))
        let textGrams = Set(TextGrams.indexed(text))
        let (inTitle, inText) = (list.count(where: titleGrams.contains), list.count(where: textGrams.contains))
        guard inTitle + inText > 0, isAnswered(by: title + "\n" + text, titleGrams.union(textGrams)) else { return nil }
        return 0.2 + (Double(inText) + 0.5 * Double(inTitle)) / Double(list.count)
    }

    /// Returns whether a text matches enough of the question: a word similar to one of its words, or enough
    /// neighbouring letters.
    private func isAnswered(by text: String, _ grams: Set<String>) -> Bool {
        var words: [TextGrams.Run]?
        return runs.contains { run in
            let asked = Self.asked(run)
            guard asked.contains(where: grams.contains) else { return false }
            switch run.script {
            case .ideographic: return true
            case .unspaced: return Self.hasLettersInARow(run, grams)
            case .spaced:
                let known = words ?? TextGrams.runs(of: text).filter { $0.script == .spaced }
                words = known
                return known.contains { Self.isAlike(run, asked, $0) }
            }
        }
    }

    /// Returns whether a run, or five neighbouring letters of it, are among the grams of a text.
    private static func hasLettersInARow(_ run: TextGrams.Run, _ grams: Set<String>) -> Bool {
        var (longest, current) = (0, 0)
        for gram in asked(run) {
            current = grams.contains(gram) ? current + 1 : 0
            longest = max(longest, current)
        }
        guard longest > 0 else { return false }
        let common = longest + min(run.letters.count, 3) - 1
        return common == run.letters.count || common >= 5
    }

    /// Returns whether a word equals another one, is a part of it, or shares two fifths of both words' grams with it.
    private static func isAlike(_ word: TextGrams.Run, _ grams: [String], _ other: TextGrams.Run) -> Bool {
        guard word.letters.count > 3 else { return word.letters == other.letters }
        let others = asked(other)
        let common = grams.count(where: others.contains)
        return common == grams.count || common >= 2 && 5 * common >= grams.count + others.count
    }
}

/// A passage that an engine found.
package struct PassageCandidate: Sendable {
    /// Primary key.
    package let id: Int64
    /// The passage.
    package let passage: Passage
    /// Rank of the passage; higher is better.
    package let rank: Double

    /// Creates a candidate.
    /// - Parameter rank: Quality of the match; higher is better; 0 means no match.
    package init(id: Int64, passage: Passage, rank: Double) {
        self.id = id
        self.passage = passage
        self.rank = rank
    }
}

/// Common order for passages that were found by words and by grams.
package enum PassageRanking {
    /// Returns the number of candidates of each kind to compare.
    package static func candidates(_ limit: Int) -> Int { max(4 * limit, 24) }

    /// Returns the best passages, by the sum of both ranks. The rank of the grams counts where enough of them match,
    /// and counts more the more of the question matches.
    package static func merged(
        words: [PassageCandidate], grams: [PassageCandidate], _ question: QuestionGrams, limit: Int
    ) -> [Passage] {
        var ranks: [Int64: (passage: Passage, rank: Double)] = [:]
        for candidate in words { ranks[candidate.id] = (candidate.passage, candidate.rank) }
        for candidate in grams {
            let passage = candidate.passage
            guard let share = question.share(ofTitle: passage.title, text: passage.text) else { continue }
            ranks[candidate.id] = (passage, (ranks[candidate.id]?.rank ?? 0) + candidate.rank * share)
        }
        return ranks.sorted { ($0.value.rank, -$0.key) > ($1.value.rank, -$1.key) }.prefix(limit).map(\.value.passage)
    }
}
