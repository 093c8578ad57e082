import JSON
package import NIOCore

/// A difference between two responses: its path and kind, never a value.
package struct ResponseDifference: Hashable, Sendable, CustomStringConvertible {
    /// Kind of difference.
    package enum Kind: String, CaseIterable, Sendable {
        /// The HTTP statuses.
        case status
        /// Two values of the same kind.
        case value
        /// Two values of different kinds.
        case type
        /// A member that only the old backend's response has.
        case missing
        /// A member that only the tool's response has.
        case added
    }

    /// Kind of difference.
    package let kind: Kind
    /// JSON Pointer into the body, with `*` for a key that may be personal data. Empty: the whole body.
    package let path: String

    package var description: String { path.isEmpty ? kind.rawValue : "\(path) \(kind.rawValue)" }
}

/// A response to be compared.
package struct ComparedResponse: Sendable {
    /// HTTP status.
    package let status: Int
    package let body: ByteBuffer

    /// Creates a response to be compared.
    package init(status: Int, body: ByteBuffer) {
        self.status = status
        self.body = body
    }
}

/// Comparison of two answers to one message.
package enum ResponseComparison {
    /// Largest number of differences that are reported; the comparison ends there.
    package static let limit = 32

    /// Compares statuses, and bodies as JSON values (numbers by value, members in any order), or byte for byte where
    /// neither is JSON.
    package static func differences(old: ComparedResponse, new: ComparedResponse) -> [ResponseDifference] {
        var found: [ResponseDifference] = []
        if old.status != new.status { found.append(ResponseDifference(kind: .status, path: "")) }
        switch (json(old.body), json(new.body)) {
        case (let old?, let new?): compare(old, new, at: "", &found)
        case (nil, nil):
            if old.body != new.body { found.append(ResponseDifference(kind: .value, path: "")) }
        default: found.append(ResponseDifference(kind: .type, path: ""))
        }
        return found
    }

    private static func json(_ body: ByteBuffer) -> JSONValue? {
        try? JSONValue(parsing: Array(body.readableBytesView))
    }

    private static func compare(
        _ old: JSONValue, _ new: JSONValue, at path: String, _ found: inout [ResponseDifference]
    ) {
        guard found.count < limit else { return }
        switch (old, new) {
        case (.object(let old), .object(let new)):
            for (key, value) in old {
                let path = path + "/" + shown(key)
                if let other = new[key] { compare(value, other, at: path, &found) } else { add(.missing, path, &found) }
            }
            for (key, _) in new where old[key] == nil { add(.added, path + "/" + shown(key), &found) }
        case (.array(let old), .array(let new)):
            for (index, (value, other)) in zip(old, new).enumerated() {
                compare(value, other, at: path + "/\(index)", &found)
            }
            // Further differences in lists of different lengths say nothing new.
            if old.count != new.count {
                add(old.count > new.count ? .missing : .added, path + "/\(min(old.count, new.count))", &found)
            }
        default:
            if old != new { add(old.kind == new.kind ? .value : .type, path, &found) }
        }
    }

    private static func add(_ kind: ResponseDifference.Kind, _ path: String, _ found: inout [ResponseDifference]) {
        if found.count < limit { found.append(ResponseDifference(kind: kind, path: path)) }
    }

    /// Returns a member's name if it looks like a program's identifier; `*` for any other, which may be personal data.
    private static func shown(_ key: String) -> String {
        let isWord =
            key.utf8.count <= 40 && key.utf8.first.map { !(0x30...0x39).contains($0) } == true
            && key.utf8.allSatisfy { $0 == 0x5F || $0 == 0x2D || isAlphanumeric($0) }
        return isWord ? key : "*"
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }
}
