package import JSON
package import Logging
package import MCP
import MCPClient
import MCPServer
import ProcessMemory

/// Decides which of an upstream's tools may be shown and called, by their definitions.
package protocol ToolReview: Sendable {
    /// True if anything is hidden at all.
    var isActive: Bool { get }

    /// Returns those of the tools that may be shown and called, in their order.
    ///
    /// - Parameters:
    ///   - tools: A whole list, as the server sent it.
    ///   - version: Revision in which the server was spoken to.
    ///   - isOwn: True for a list of the endpoint's own, false for one in the name of a caller.
    func admitted(_ tools: [JSONValue], version: MCPVersion, isOwn: Bool) -> [JSONValue]
}

/// Reads the lists of one upstream, all pages of them, within bounds.
struct OfferingReader: Sendable {
    let upstream: any EndpointUpstream
    let limits: MemberLists.Limits
    let logger: Logger

    /// Reads a list as that caller sees it; an upstream that does not offer lists of the kind has an empty one.
    ///
    /// - Throws: ``EndpointError``; a `JSONRPCError` that the server answered; `CancellationError`.
    func read(_ kind: OfferingKind, _ caller: EndpointCaller, _ version: MCPVersion) async throws -> MemberList {
        let description = try await upstream.describe(caller)
        guard kind.isOffered(by: description.capabilities) else {
            return MemberList(entries: [], cache: hint(nil))
        }
        return try await pages(kind, caller, version)
    }

    /// Entries of a list as far as it was read.
    private struct Collected: Sendable {
        var entries: [JSONValue] = []
        var bytes = 0
        var footprint = 0
        /// False once the list was cut.
        var isWhole = true

        /// Adds the entries of a page, as far as they are within a limit.
        mutating func add(_ page: [JSONValue], identifier: String, limit: Int) {
            for entry in page where entry[identifier]?.string != nil {
                let text = entry.serialized
                guard text.count <= limit - bytes else {
                    isWhole = false
                    return
                }
                bytes += text.count
                footprint += JSONValue.footprint(of: text)
                entries.append(entry)
            }
        }
    }

    private func pages(
        _ kind: OfferingKind, _ caller: EndpointCaller, _ version: MCPVersion
    ) async throws -> MemberList {
        var collected = Collected()
        var cache: CacheHint?
        var reservation: MemoryReservation?
        var seen: Set<[UInt8]> = []
        var params: JSONObject = [:]
        while true {
            let answer = try await upstream.send(
                UpstreamRequest(method: kind.method, params: params, caller: caller, version: version))
            cache = cache ?? CacheHint(result: answer.result)
            let page = try await ParsingQueue.lists.run { [collected, limits] in
                var next = collected
                let footprint = answer.result.withSlice(of: kind.key) { JSONValue.footprint(of: $1) } ?? 0
                var reservation: MemoryReservation?
                guard limits.memory.hold(footprint, in: &reservation) else { return nil as Collected? }
                defer { withExtendedLifetime(reservation) {} }
                next.add(answer.result[kind.key]?.array ?? [], identifier: kind.identifier, limit: limits.bytes)
                return next
            }
            guard let page else { throw Self.noRoom }
            collected = page
            guard limits.memory.hold(collected.footprint, in: &reservation) else { throw Self.noRoom }
            guard collected.isWhole else {
                warn(kind)
                break
            }
            guard let cursor = answer.result["nextCursor"]?.string else { break }
            // An empty cursor is the end for legacy servers; a cursor that comes again would come for ever.
            if answer.era == .legacy, cursor.isEmpty { break }
            guard seen.insert(Array(cursor.utf8)).inserted, seen.count < limits.pages,
                collected.entries.count < limits.entries
            else {
                warn(kind)
                break
            }
            params = ["cursor": .string(cursor)]
        }
        return MemberList(
            entries: Array(collected.entries.prefix(limits.entries)), cache: hint(cache), reservation: reservation)
    }

    private static let noRoom = EndpointError(
        label: "overloaded", executed: "yes", detail: "no room in limits.memory for the list")

    private func warn(_ kind: OfferingKind) {
        logger.warning(
            "list of an upstream is too long; the rest of it is left out",
            metadata: ["upstream": "\(upstream.name)", "mcp.method": "\(kind.method)"])
    }

    private func hint(_ given: CacheHint?) -> CacheHint {
        given ?? CacheHint(ttlMilliseconds: Int(limits.lifetime.components.seconds) * 1000, scope: .private)
    }
}

extension EndpointUpstream {
    /// Reads the definitions of all tools that the server offers to a client of that revision, as the server sends them.
    ///
    /// - Throws: ``EndpointError``; a `JSONRPCError` that the server answered; `CancellationError`.
    package func tools(
        _ caller: EndpointCaller, for version: MCPVersion, logger: Logger
    ) async throws -> [JSONValue] {
        try await OfferingReader(upstream: self, limits: MemberLists.Limits(), logger: logger)
            .read(.tools, caller, version).entries
    }
}
