extension StringProtocol {
    /// Text for an error message: its first 200 code points, with U+FFFD for control characters.
    package var printable: String { printable(200) }

    /// Returns the first code points of the text, with U+FFFD for control characters.
    package func printable(_ limit: Int) -> String {
        var text = String.UnicodeScalarView()
        for scalar in unicodeScalars.prefix(limit) {
            text.append(scalar.properties.generalCategory == .control ? "\u{FFFD}" : scalar)
        }
        return String(text)
    }

    /// Text for a log, with `\u{…}` for each invisible or confusing code point: control characters other than tab and
    /// line feed (which JSON escapes), those that change the direction of the following text (U+202E and the like),
    /// other invisible ones and line separators. So a line of a log cannot be made to look like another.
    package var escapedForLog: String {
        // Nearly every text is plain ASCII.
        if utf8.allSatisfy({ (0x20..<0x7F).contains($0) || $0 == 0x09 || $0 == 0x0A }) { return String(self) }
        var text = ""
        for scalar in unicodeScalars {
            if scalar != "\t", scalar != "\n", scalar.isHidden {
                text += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
            } else {
                text.unicodeScalars.append(scalar)
            }
        }
        return text
    }

    /// JSON text of the same value in which code points that do not show as themselves are escaped as JSON has it, so that
    /// a reader sees all that a machine reads. The text must be JSON.
    package var escapedJSON: String {
        var text = ""
        for scalar in unicodeScalars {
            // Variation selectors and fillers are marks and letters, and show nothing either.
            guard scalar != "\n", scalar.isHidden || scalar.properties.isDefaultIgnorableCodePoint else {
                text.unicodeScalars.append(scalar)
                continue
            }
            for unit in String(scalar).utf16 {
                let digits = String(unit, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        }
        return text
    }

    /// True if some code point is a control character.
    package var hasControlCharacters: Bool { unicodeScalars.contains { $0.properties.generalCategory == .control } }
}

extension Unicode.Scalar {
    /// Indicates whether the code point does not show as itself: control characters, those that turn the direction of what follows,
    /// other invisible ones, line separators, and those that Unicode gives no meaning.
    fileprivate var isHidden: Bool {
        switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .unassigned, .privateUse, .surrogate: true
        default: false
        }
    }
}
