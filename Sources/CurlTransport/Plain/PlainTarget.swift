import HTTPSyntax

/// Place to which a request goes, as its URL says.
struct PlainTarget {
    /// Connections are reused by requests of the same key.
    struct Key: Hashable, CustomStringConvertible {
        /// Name or address, without brackets.
        let host: String
        let port: Int
        /// Path of a socket to connect to instead.
        let socketPath: String?

        var description: String { socketPath ?? "\(host) port \(port)" }
    }

    let key: Key
    /// Rest of the request's first line, after the method.
    let line: [UInt8]
    /// `Host` line.
    let host: [UInt8]

    /// Reads `http://HOST[:PORT][/PATH][?QUERY]`. A URL of any other form is left to libcurl, which accepts more, or says
    /// what is wrong: user names, fragments, escapes in names, and addresses in unusual spellings.
    init?(url: String, socketPath: String?) {
        let bytes = Array(url.utf8)
        guard bytes.starts(with: "http://".utf8) else { return nil }
        let end = bytes[7...].firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? bytes.count
        let path = bytes[end...]
        guard path.allSatisfy({ 0x21...0x7E ~= $0 && $0 != UInt8(ascii: "#") }) else { return nil }
        guard let (name, port) = Self.authority(bytes[7..<end]) else { return nil }
        let isAddress6 = name.contains(UInt8(ascii: ":"))
        key = Key(host: String(decoding: name, as: UTF8.self), port: port, socketPath: socketPath)
        let slash = path.first == UInt8(ascii: "/") ? "" : "/"
        line = Array(" \(slash)".utf8) + path + Array(" HTTP/1.1\r\n".utf8)
        let host = isAddress6 ? "[\(key.host)]" : key.host
        self.host = Array("Host: \(host)\(port == 80 ? "" : ":\(port)")\r\n".utf8)
    }

    private static func authority(_ bytes: ArraySlice<UInt8>) -> (name: ArraySlice<UInt8>, port: Int)? {
        let name: ArraySlice<UInt8>
        let rest: ArraySlice<UInt8>
        if bytes.first == UInt8(ascii: "[") {
            guard let bracket = bytes.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            name = bytes[bytes.startIndex + 1..<bracket]
            rest = bytes[(bracket + 1)...]
            guard name.contains(UInt8(ascii: ":")), name.allSatisfy({ isHexDigit($0) || ":.".utf8.contains($0) })
            else { return nil }
        } else {
            let colon = bytes.firstIndex(of: UInt8(ascii: ":")) ?? bytes.endIndex
            name = bytes[..<colon]
            rest = bytes[colon...]
            guard !name.isEmpty, name.allSatisfy({ isNameByte($0) }) else { return nil }
            let last = name.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).last ?? []
            // A name whose last label is a number is an address; only its canonical spelling is read here.
            if last.isEmpty || isDigit(last[last.startIndex]), !isAddress4(name) { return nil }
        }
        if rest.isEmpty { return (name, 80) }
        let digits = rest.dropFirst()
        guard rest.first == UInt8(ascii: ":"), (1...5).contains(digits.count), digits.allSatisfy({ isDigit($0) }),
            let port = Int(String(decoding: digits, as: UTF8.self)), 1...65535 ~= port
        else { return nil }
        return (name, port)
    }

    private static func isAddress4(_ name: ArraySlice<UInt8>) -> Bool {
        name.withUnsafeBytes { IPAddress.number(ofIPv4: $0) } != nil
    }

    private static func isDigit(_ byte: UInt8) -> Bool { 0x30...0x39 ~= byte }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        isDigit(byte) || 0x41...0x46 ~= byte || 0x61...0x66 ~= byte
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        isDigit(byte) || 0x41...0x5A ~= byte || 0x61...0x7A ~= byte || "-._".utf8.contains(byte)
    }
}
