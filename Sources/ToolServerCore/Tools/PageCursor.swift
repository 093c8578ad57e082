import Crypto
import Foundation
import JSON
import JSONSchema
import MCP
import MCPServer
import Store

/// Cursor that marks the end of a page for callers, bound to the query.
///
/// The digest detects a damaged cursor, and one of another search. It is not a secret: a position only says where to
/// continue, and access is checked again for every page.
struct PageCursor {
    /// Query to which the pages belong: the tool, its arguments and the caller.
    private let scope: [String]

    private static let digestLength = 12

    init(_ scope: [String?]) {
        // Nil and the empty text are different.
        self.scope = scope.map { $0.map { "=" + $0 } ?? "" }
    }

    func text(_ position: PagePosition) -> String {
        let payload = Array(JSONValue.array(position.values.map(Self.json)).text.utf8)
        return Base64URL.encode(digest(payload) + payload)
    }

    /// Returns the position in a caller's cursor; nil without a cursor.
    /// - Throws: ``ToolError`` for a text that ``text(_:)`` did not make for this scope.
    func position(_ text: String?) throws(ToolError) -> PagePosition? {
        guard let text else { return nil }
        guard let bytes = Base64URL.decode(text), bytes.count > Self.digestLength else { throw Self.invalid }
        let payload = Array(bytes.dropFirst(Self.digestLength))
        guard Array(bytes.prefix(Self.digestLength)) == digest(payload),
            let elements = (try? JSONValue(parsing: String(decoding: payload, as: UTF8.self)))?.array
        else { throw Self.invalid }
        let values = elements.compactMap(Self.value)
        guard values.count == elements.count else { throw Self.invalid }
        return PagePosition(values)
    }

    static let invalid = ToolError(
        "Invalid arguments: cursor: not the nextCursor of a call with these arguments", status: 400)

    private func digest(_ payload: [UInt8]) -> [UInt8] {
        var hash = SHA256()
        HashedTexts.feed(scope) { hash.update(bufferPointer: $0) }
        hash.update(data: payload)
        return Array(hash.finalize().prefix(Self.digestLength))
    }

    private static func json(_ value: StoreValue) -> JSONValue {
        switch value {
        case .null: .null
        case .boolean(let flag): .bool(flag)
        case .integer(let number): .number(Int(number))
        // Stored as bits, so that the exact number comes back.
        case .real(let number): ["r": .string(String(number.bitPattern))]
        case .text(let text): .string(text)
        case .blob(let bytes): ["b": .string(Base64URL.encode(bytes))]
        }
    }

    private static func value(_ json: JSONValue) -> StoreValue? {
        switch json {
        case .null: .null
        case .bool(let flag): .boolean(flag)
        case .number(let number): number.int.map { .integer(Int64($0)) }
        case .string(let text): .text(text)
        case .object(let object):
            if let bits = object["r"]?.string.flatMap({ UInt64($0) }) {
                .real(Double(bitPattern: bits))
            } else {
                object["b"]?.string.flatMap(Base64URL.decode).map { .blob($0) }
            }
        case .array: nil
        }
    }
}

/// Structured result of a tool with pages.
///
/// A caller that passes neither `limit` nor `cursor` gets only `results`: clients that know only the first page compare
/// the whole object.
struct PagedResults<Element: Codable & Sendable>: Codable, Sendable {
    let results: [Element]
    /// Cursor of the next page; absent after the last one.
    let nextCursor: String?

    init(_ results: [Element], next: PagePosition?, cursors: PageCursor, arguments: any PagingArguments) {
        self.results = results
        let isPaging = arguments.limit != nil || arguments.cursor != nil
        nextCursor = isPaging ? next.map(cursors.text) : nil
    }
}

/// Arguments of a tool with pages.
protocol PagingArguments {
    var limit: Int? { get }
    var cursor: String? { get }
}

extension PagingArguments {
    static func pagingDocumentation(standardLimit: Int) -> [String: JSONSchemaProperty] {
        [
            "limit": JSONSchemaProperty(
                "Largest number of results. If given, the answer has a nextCursor while more results follow.",
                minimum: 1,
                maximum: 100, default: .number(standardLimit)),
            "cursor":
                "Cursor of the next page: the nextCursor of the previous call, whose other arguments stay the same.",
        ]
    }
}
