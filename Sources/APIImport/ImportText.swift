/// Names and descriptions in the form that a model can use.
enum ImportText {
    /// Returns the text in one line, cut at a word's end when it is longer than `count` characters.
    static func cut(_ text: String, _ count: Int) -> String {
        var words = ""
        var length = 0
        for word in text.unicodeScalars.prefix(count * 4 + 1).split(whereSeparator: \.properties.isWhitespace) {
            let plain = word.filter { $0.value >= 0x20 && $0.value != 0x7F }
            guard length + plain.count + 1 <= count else { return words + "…" }
            if length > 0 { words.append(" ") }
            words.unicodeScalars.append(contentsOf: plain)
            length += plain.count + 1
        }
        return words
    }

    /// Returns a name of letters, digits, `_` and `-`, at most 64 characters; empty when nothing remains.
    static func name(_ text: String) -> String {
        var name = ""
        for scalar in text.unicodeScalars {
            guard name.utf8.count < 64 else { break }
            if scalar.isASCII, scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || scalar == "-" {
                name.unicodeScalars.append(scalar)
            } else if !name.isEmpty, !name.hasSuffix("_") {
                name.append("_")
            }
        }
        while name.hasSuffix("_") { name.removeLast() }
        return name
    }

    /// Returns a literal for a template: a brace is doubled.
    static func literal(_ text: String) -> String {
        text.replacing("{", with: "{{").replacing("}", with: "}}")
    }
}

/// Names that are taken, and the numbers that free names of the same beginning got.
struct ImportNames {
    private var taken: Set<String> = []
    private var numbers: [String: Int] = [:]

    /// Takes `name`, or the first with a number behind it that is free.
    mutating func unique(_ name: String) -> String {
        if taken.insert(name).inserted { return name }
        // Goes on where it stopped: a document may call everything the same.
        var number = numbers[name] ?? 2
        while true {
            let candidate = "\(name.prefix(58))_\(number)"
            number += 1
            if taken.insert(candidate).inserted {
                numbers[name] = number
                return candidate
            }
        }
    }
}
