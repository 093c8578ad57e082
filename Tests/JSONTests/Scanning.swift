@testable import JSON

/// Ways for tests to scan text and bytes.
enum Scanning {
    static func document(_ text: String, maximumDepth: Int = 64) -> Result<JSONSlice, JSONError> {
        document(Array(text.utf8), maximumDepth: maximumDepth)
    }

    static func document(_ bytes: [UInt8], maximumDepth: Int = 64) -> Result<JSONSlice, JSONError> {
        bytes.withUnsafeBytes { buffer in
            do throws(JSONError) {
                var scanner = JSONScanner(buffer, maximumDepth: maximumDepth)
                return .success(try scanner.document())
            } catch {
                return .failure(error)
            }
        }
    }

    static func code(_ bytes: [UInt8], maximumDepth: Int = 64) -> JSONError.Code? {
        if case .failure(let error) = document(bytes, maximumDepth: maximumDepth) { error.code } else { nil }
    }

    static func code(_ text: String) -> JSONError.Code? { code(Array(text.utf8)) }

    /// Runs `body` with the slice of a valid document and its bytes.
    static func with<T>(_ text: String, _ body: (JSONSlice, UnsafeRawBufferPointer) throws -> T) throws -> T {
        try Array(text.utf8).withUnsafeBytes { bytes in
            var scanner = JSONScanner(bytes)
            return try body(try scanner.document(), bytes)
        }
    }

    /// Keys and raw values that `object` visits, and how it ended.
    static func members(_ text: String) -> (members: [String], error: JSONError?) {
        var members: [String] = []
        let error: JSONError? = Array(text.utf8).withUnsafeBytes { bytes in
            do throws(JSONError) {
                var scanner = JSONScanner(bytes)
                try scanner.object { member in
                    let key = JSONText.string(member.key, in: bytes)
                    members.append("\(key)=\(JSONText.source(member.value, in: bytes))")
                }
                return nil
            } catch {
                return error
            }
        }
        return (members, error)
    }
}
