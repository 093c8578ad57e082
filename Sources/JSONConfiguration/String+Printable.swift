extension String {
    /// Shortened, without control characters: fit to be repeated in an error.
    package var printable: String {
        let scalars = unicodeScalars.prefix(200).map { scalar in
            scalar.properties.generalCategory == .control ? "\u{FFFD}" : scalar
        }
        return String(String.UnicodeScalarView(scalars))
    }
}
