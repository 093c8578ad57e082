import Foundation

/// Unicode simple case folding, one scalar to one scalar.
///
/// The trigram index folds by the tables of Unicode 6.1. Pairs of letters that were added later are not folded here
/// either: a search must find the same rows with and without the index.
package enum CaseFolding {
    /// Returns the scalar that both cases fold to.
    package static func fold(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        if scalar.isASCII {
            return (0x41...0x5A).contains(scalar.value) ? Unicode.Scalar(UInt8(scalar.value) | 0x20) : scalar
        }
        // Dotless i upper-cases to I but does not fold to it (CaseFolding.txt has no simple entry).
        if scalar.value == 0x131 { return scalar }
        guard scalar.properties.isCased || scalar.properties.changesWhenCaseFolded else { return scalar }
        let upper = single(scalar.properties.uppercaseMapping) ?? scalar
        let lower = single(upper.properties.lowercaseMapping) ?? scalar
        guard isOldEnough(scalar), isOldEnough(lower) else { return scalar }
        return lower
    }

    /// Returns the UTF-8 of the folded text. Bytes that are not UTF-8 become U+FFFD.
    package static func fold(utf8 bytes: some Collection<UInt8>) -> [UInt8] {
        var folded: [UInt8] = []
        folded.reserveCapacity(bytes.count)
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        decoding: while true {
            switch decoder.decode(&iterator) {
            case .scalarValue(let scalar): append(fold(scalar), to: &folded)
            case .error: append("\u{FFFD}", to: &folded)
            case .emptyInput: break decoding
            }
        }
        return folded
    }

    /// Returns whether `haystack`, folded, contains `foldedNeedle`. An empty needle is contained in everything.
    package static func contains(_ haystack: some Collection<UInt8>, foldedNeedle: [UInt8]) -> Bool {
        if foldedNeedle.isEmpty { return true }
        // A folded scalar is at most three times shorter than its original (U+212A folds to k) and never more than
        // half as long again.
        if foldedNeedle.count > haystack.count * 3 / 2 { return false }
        let folded = fold(utf8: haystack)
        return folded.withUnsafeBytes { haystack in foldedNeedle.withUnsafeBytes { find($0, in: haystack) } }
    }

    /// Returns whether a needle, which is not empty, is in the haystack, byte by byte.
    package static func find(_ needle: UnsafeRawBufferPointer, in haystack: UnsafeRawBufferPointer) -> Bool {
        guard let pattern = needle.baseAddress, var position = haystack.baseAddress else { return false }
        var candidates = max(haystack.count - needle.count + 1, 0)
        while candidates > 0 {
            guard let found = memchr(position, Int32(needle[0]), candidates) else { return false }
            if memcmp(found, pattern, needle.count) == 0 { return true }
            let next = UnsafeRawPointer(found) + 1
            candidates -= next - position
            position = next
        }
        return false
    }

    private static func append(_ scalar: Unicode.Scalar, to bytes: inout [UInt8]) {
        if scalar.isASCII {
            bytes.append(UInt8(scalar.value))
        } else {
            bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        }
    }

    private static func single(_ mapping: String) -> Unicode.Scalar? {
        let scalars = mapping.unicodeScalars
        return scalars.count == 1 ? scalars.first : nil
    }

    private static func isOldEnough(_ scalar: Unicode.Scalar) -> Bool {
        guard let age = scalar.properties.age else { return false }
        return (age.major, age.minor) <= (6, 1)
    }
}
