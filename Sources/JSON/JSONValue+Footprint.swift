extension JSONValue {
    /// Memory of one value in a tree, beside its text: what enumerations, arrays, dictionaries and keys take at most.
    private static let bytesPerValue = 64

    /// Returns about how many bytes the tree of a document takes, from its punctuation alone: more than what most trees
    /// take, and never less than the text. A document of empty arrays takes forty times its text.
    package static func footprint(of document: UnsafeRawBufferPointer) -> Int {
        var values = 0
        for byte in document {
            switch byte {
            case UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "{"): values += 1
            default: break
            }
        }
        return document.count + values * bytesPerValue
    }

    /// Returns the same for an array of bytes.
    package static func footprint(of document: [UInt8]) -> Int { document.withUnsafeBytes { footprint(of: $0) } }
}
