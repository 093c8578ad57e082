import JSON

/// Place of a value in a document's text, found by the dotted path of an error.
///
/// A dotted path is ambiguous, as names may have dots themselves (`/v1.0/`); the document tells which names there are.
struct DocumentPath {
    /// Names from the root down; an index of a list as `[0]`. What the document does not have comes last, divided at dots.
    let components: [String]
    /// Line of the deepest value on the path that the document has, counted from 1.
    let line: Int

    /// Follows `path` through `bytes`, which must be valid JSON.
    init(_ path: String, in bytes: [UInt8]) {
        (components, line) = bytes.withUnsafeBytes { buffer -> ([String], Int) in
            var scanner = JSONScanner(buffer, maximumDepth: JSONScanner.largestMaximumDepth)
            guard var value = try? scanner.document() else { return ([path], 1) }
            var (components, offset, rest): ([String], Int, Substring) = ([], value.lowerBound, path[...])
            while !rest.isEmpty {
                guard let step = Self.step(rest, from: value, in: buffer) else { break }
                components.append(step.name)
                (value, offset) = (step.value, step.offset)
                rest = rest.dropFirst(step.name.count)
                if rest.first == "." { rest = rest.dropFirst() }
            }
            components += rest.split(separator: ".").map(String.init)
            return (components, buffer[..<offset].count { $0 == UInt8(ascii: "\n") } + 1)
        }
    }

    private typealias Step = (name: String, value: JSONSlice, offset: Int)

    /// Returns the member or element that `path` begins with: of several names the longest, of equal ones the last.
    private static func step(_ path: Substring, from value: JSONSlice, in bytes: UnsafeRawBufferPointer) -> Step? {
        var found: Step?
        if value.kind == .object {
            JSONScanner.members(of: value, in: bytes) { member in
                let name = JSONText.string(member.key, in: bytes)
                let after = path.dropFirst(name.count).first
                if path.hasPrefix(name), after == nil || after == "." || after == "[", !name.isEmpty,
                    name.count >= found?.name.count ?? 0
                {
                    found = (name, member.value, member.key.lowerBound)
                }
                return true
            }
        } else if value.kind == .array, path.first == "[", let end = path.firstIndex(of: "]"),
            let wanted = Int(path.dropFirst()[..<end])
        {
            var index = 0
            JSONScanner.elements(of: value, in: bytes) { element in
                if index == wanted { found = (String(path[...end]), element, element.lowerBound) }
                index += 1
                return found == nil
            }
        }
        return found
    }
}
