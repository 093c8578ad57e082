/// Names and descriptions in a form for models.
enum ImportText {
    /// Returns the text in one line, cut at the end of a word when it is longer than `count` characters.
    static func cut(_ text: String, _ count: Int) -> String {
        var text = text
        // A document has thousands of descriptions, nearly all of them in ASCII.
        let ascii = text.withUTF8 { bytes -> String? in
            let beginning = bytes.prefix(count * 4 + 1)
            return beginning.allSatisfy { $0 < 0x80 } ? cutASCII(beginning, count) : nil
        }
        return ascii ?? cutScalars(text, count)
    }

    private static func cutASCII(_ bytes: Slice<UnsafeBufferPointer<UInt8>>, _ count: Int) -> String {
        var words: [UInt8] = []
        words.reserveCapacity(min(bytes.count, count) + 3)
        var length = 0
        for word in bytes.split(whereSeparator: { $0 == 0x20 || (0x09...0x0D).contains($0) }) {
            let plain = word.count { $0 >= 0x20 && $0 != 0x7F }
            guard length + plain + 1 <= count else { return String(decoding: words, as: UTF8.self) + "…" }
            if length > 0 { words.append(0x20) }
            if plain == word.count {
                words.append(contentsOf: word)
            } else {
                words.append(contentsOf: word.filter { $0 >= 0x20 && $0 != 0x7F })
            }
            length += plain + 1
        }
        return String(decoding: words, as: UTF8.self)
    }

    /// Does the same for text of any script.
    static func cutScalars(_ text: String, _ count: Int) -> String {
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

/// Used names, and the next numbers for further names with the same beginning.
struct ImportNames {
    private var taken: Set<String> = []
    private var numbers: [String: Int] = [:]

    /// Takes `name`, or with a number appended when it is used already.
    mutating func unique(_ name: String) -> String {
        if taken.insert(name).inserted { return name }
        // Continues with the last number: a document may use one name for everything.
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
