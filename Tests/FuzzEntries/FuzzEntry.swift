#if DEBUG

/// A parser that takes bytes of any kind, with what must hold whatever they are.
///
/// The fuzzer runs one entry for long; the tests run each on its corpus and on a bounded number of mutations of it. These
/// files are compiled in debug builds alone: they reach parsers that their targets keep to themselves.
package struct FuzzEntry: Sendable {
    /// The name, which is that of the directory of its corpus.
    package let name: String
    /// Runs the parser once.
    /// - Throws: ``FuzzFinding`` where something does not hold.
    package let run: @Sendable (UnsafeRawBufferPointer) throws -> Void

    init(_ name: String, _ run: @escaping @Sendable (UnsafeRawBufferPointer) throws -> Void) {
        self.name = name
        self.run = run
    }

    /// Every entry.
    package static let all: [FuzzEntry] =
        jsonEntries + protocolEntries + httpEntries + gatewayEntries + toolServerEntries + importEntries
}

/// Something that must hold and did not.
package struct FuzzFinding: Error, CustomStringConvertible {
    /// Text that says what did not hold.
    package let description: String

    init(_ description: String) { self.description = description }
}

/// - Throws: ``FuzzFinding`` unless the condition holds.
func require(_ condition: Bool, _ text: @autoclosure () -> String) throws {
    guard condition else { throw FuzzFinding(text()) }
}

/// Returns the bytes divided at the first zero byte; without one the second part is empty.
func halves(_ bytes: UnsafeRawBufferPointer) -> ([UInt8], [UInt8]) {
    let parts = bytes.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
    return (Array(parts[0]), parts.count > 1 ? Array(parts[1]) : [])
}

/// Calls `body` with the bytes in pieces whose lengths come from the bytes themselves.
func inPieces(_ bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> Void) rethrows {
    var start = 0
    while start < bytes.count {
        let length = min(1 + Int(bytes[start] % 7), bytes.count - start)
        try body(UnsafeRawBufferPointer(rebasing: bytes[start..<start + length]))
        start += length
    }
}

#endif
