package import JSON

/// A received body: one message, or a batch of them (2025-03-26).
package enum JSONRPCBody: Sendable {
    /// A message as it was received, not yet read.
    package struct Element: Sendable {
        /// The message as a tree.
        package let value: JSONValue
        /// `params.arguments` as text, where it is kept as such; the tree then lacks it.
        package let arguments: JSONFragment?
        /// Contents of `params._meta`, where they are those of a request of 2026-07-28 and were read already.
        let metadata: RequestMetadata?
    }

    case message(Element)
    case batch([Element])
    /// A body with more values than are read beside the arguments of its calls.
    case excessive

    /// Largest number of values of a body that are read beside the arguments of its calls, where those are kept as text:
    /// the other ones are read on an event loop, and nothing that clients send needs a hundredth of them.
    package static let maximumValues = 10_000

    /// Parses a body.
    ///
    /// - Parameter metas: Objects `_meta` that were read before. With it, `params.arguments` of each message is kept as its
    ///   text, for a receiver that passes it on; nil: the message is one tree.
    /// - Throws: ``JSONError`` naming the offset.
    package init(parsing body: [UInt8], keepingArguments metas: RequestMetaCache?) throws(JSONError) {
        let parsed = body.withUnsafeBytes { bytes -> Result<JSONRPCBody, JSONError> in
            var scanner = JSONScanner(bytes)
            do throws(JSONError) {
                return .success(JSONRPCBody(try scanner.document(), in: bytes, metas))
            } catch {
                return .failure(error)
            }
        }
        self = try parsed.get()
    }

    private init(_ document: JSONSlice, in bytes: UnsafeRawBufferPointer, _ metas: RequestMetaCache?) {
        if metas != nil, Self.hasTooManyValues(document, in: bytes) {
            self = .excessive
            return
        }
        guard document.kind == .array else {
            self = .message(Element(document, in: bytes, metas))
            return
        }
        var elements: [Element] = []
        JSONScanner.elements(of: document, in: bytes) { element in
            elements.append(Element(element, in: bytes, metas))
            return true
        }
        self = .batch(elements)
    }

    private static func hasTooManyValues(_ document: JSONSlice, in bytes: UnsafeRawBufferPointer) -> Bool {
        // A value needs a byte at least.
        guard document.count > maximumValues else { return false }
        var rest = values(of: document, in: bytes)
        guard rest > maximumValues else { return false }
        let take = { (message: JSONSlice) in
            JSONScanner.members(of: message, in: bytes) { member in
                if JSONText.equals(member.key, "params", in: bytes) {
                    if let arguments = JSONScanner.member("arguments", of: member.value, in: bytes) {
                        rest -= values(of: arguments, in: bytes)
                    }
                } else if JSONText.equals(member.key, "arguments", in: bytes) {
                    // A command of the old dialect.
                    rest -= values(of: member.value, in: bytes)
                }
                return true
            }
        }
        if document.kind == .array {
            JSONScanner.elements(of: document, in: bytes) { element in
                take(element)
                return true
            }
        } else {
            take(document)
        }
        return rest > maximumValues
    }

    /// Returns the number of values in a text, those of each object's members twice, without reading them.
    private static func values(of slice: JSONSlice, in bytes: UnsafeRawBufferPointer) -> Int {
        var (values, isString, isEscaped) = (0, false, false)
        for byte in bytes[slice.range] {
            if isString {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isString = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isString = true
            case UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "{"): values += 1
            default: break
            }
        }
        return values
    }
}

extension JSONRPCBody.Element {
    fileprivate init(_ slice: JSONSlice, in bytes: UnsafeRawBufferPointer, _ metas: RequestMetaCache?) {
        guard let metas, slice.kind == .object else {
            self.init(value: JSONValue(slice, in: bytes), arguments: nil, metadata: nil)
            return
        }
        var message: JSONObject = [:]
        message.reserveCapacity(4)
        // Of duplicate keys the last value counts.
        var params = Params()
        JSONScanner.members(of: slice, in: bytes) { member in
            let key = JSONText.string(member.key, in: bytes)
            if key == "params" {
                params = Params(member.value, in: bytes, metas)
                message[key] = params.value
            } else {
                message[key] = JSONValue(member.value, in: bytes)
            }
            return true
        }
        self.init(value: .object(message), arguments: params.arguments, metadata: params.metadata)
    }

    /// Parameters of a message.
    private struct Params {
        var value = JSONValue.null
        var arguments: JSONFragment?
        var metadata: RequestMetadata?

        init() {}

        init(_ slice: JSONSlice, in bytes: UnsafeRawBufferPointer, _ metas: RequestMetaCache) {
            guard slice.kind == .object else {
                value = JSONValue(slice, in: bytes)
                return
            }
            var params: JSONObject = [:]
            params.reserveCapacity(4)
            var arguments: JSONSlice?
            var metadata: RequestMetadata?
            JSONScanner.members(of: slice, in: bytes) { member in
                if JSONText.equals(member.key, "arguments", in: bytes) {
                    arguments = member.value
                } else if member.value.kind == .object, JSONText.equals(member.key, "_meta", in: bytes) {
                    let entry = metas.read(member.value, in: bytes)
                    params["_meta"] = .object(entry.meta)
                    metadata = entry.metadata
                } else {
                    let key = JSONText.string(member.key, in: bytes)
                    if key == "_meta" { metadata = nil }
                    params[key] = JSONValue(member.value, in: bytes)
                }
                return true
            }
            value = .object(params)
            self.arguments = arguments.map { JSONFragment($0, in: bytes) }
            self.metadata = metadata
        }
    }
}
