import MCPClient

/// Which of a request's headers and cookies go upstream, prepared for one pass over the headers.
package struct ForwardRules: Sendable {
    private let cookies: [[UInt8]]
    /// Lower case. Headers that the gateway treats by themselves (`Authorization`, `traceparent`) are flags instead.
    private let headers: [[UInt8]]
    /// Lower case: those of the headers that say who the caller is.
    private let credentials: Set<String>
    /// Bit n: some header in `headers` is n bytes long. Most headers of a request are skipped by this alone.
    private let lengths: UInt64
    let forwardsAuthorization: Bool
    let forwardsTraceparent: Bool

    /// Prepares the rules of a configuration.
    package init(_ configuration: ForwardConfiguration) {
        cookies = configuration.cookies.map { Array($0.utf8) }
        let names = Set(configuration.headers.map { $0.lowercased() })
        forwardsAuthorization = names.contains("authorization")
        forwardsTraceparent = names.contains("traceparent")
        headers = names.subtracting(["authorization", "traceparent"]).sorted().map { Array($0.utf8) }
        credentials = names.intersection(configuration.credentials.map { $0.lowercased() })
            .subtracting(["authorization", "traceparent"])
        lengths = headers.reduce(0) { $0 | 1 << UInt64(min($1.count, 63)) }
    }

    /// Whether a header goes upstream as it is.
    func forwards(_ name: String) -> Bool {
        let utf8 = name.utf8
        guard lengths & 1 << UInt64(min(utf8.count, 63)) != 0 else { return false }
        return headers.contains { candidate in
            candidate.count == utf8.count
                && zip(candidate, utf8).allSatisfy { $0 == ($1 >= 0x41 && $1 <= 0x5A ? $1 | 0x20 : $1) }
        }
    }

    /// Whether a header that goes upstream says who the caller is.
    func identifiesCaller(_ name: String) -> Bool {
        !credentials.isEmpty && credentials.contains(name.lowercased())
    }

    /// The named cookies of a `Cookie` header, in its order; nil when it has none of them.
    package func forwardedCookies(of header: String) -> String? {
        var header = header
        var ranges: [Range<Int>] = []
        let isWhole = header.withUTF8 { bytes in
            // Mostly there is one cookie, and it is the one.
            if let first = bytes.first, let last = bytes.last, first > 0x20, last > 0x20,
                !bytes.contains(UInt8(ascii: ";")), isForwarded(bytes)
            {
                return true
            }
            var start = 0
            while start < bytes.count {
                var end = start
                while end < bytes.count, bytes[end] != UInt8(ascii: ";") { end += 1 }
                var lower = start
                var upper = end
                while lower < upper, bytes[lower] == 0x20 || bytes[lower] == 0x09 { lower += 1 }
                while upper > lower, bytes[upper - 1] == 0x20 || bytes[upper - 1] == 0x09 { upper -= 1 }
                if isForwarded(UnsafeBufferPointer(rebasing: bytes[lower..<upper])) { ranges.append(lower..<upper) }
                start = end + 1
            }
            return ranges.count == 1 && ranges[0] == 0..<bytes.count
        }
        if isWhole { return header }
        guard !ranges.isEmpty else { return nil }
        let utf8 = Array(header.utf8)
        return ranges.map { String(decoding: utf8[$0], as: UTF8.self) }.joined(separator: "; ")
    }

    private func isForwarded(_ pair: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let equals = pair.firstIndex(of: UInt8(ascii: "=")) else { return false }
        return cookies.contains { $0.elementsEqual(pair[..<equals]) }
    }
}
