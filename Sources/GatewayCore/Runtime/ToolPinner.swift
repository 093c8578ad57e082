import Foundation
import HTTPSyntax
import JSON
import Logging
import MCP
import MCPAggregator
import MCPClient
import NIOHTTP1

/// Pins the tools of the upstreams that are not trusted, for `gateway pin`.
package struct ToolPinner: Sendable {
    /// Tools as the upstreams have them now. Of an upstream that cannot be read it has what was pinned.
    package let present: ToolLock
    /// Upstreams that could not be read, or not in every revision, each on a line.
    package let problems: [String]
    /// Differences between what was pinned and what is there.
    package let diff: ToolLockDiff

    /// Reads the tools of the upstreams in every revision that they speak.
    ///
    /// - Parameters:
    ///   - pinned: Definitions that were pinned before.
    ///   - callerFile: File with header fields of a caller in whose name the tools are listed, a `Name: value` on each
    ///     line; what of them goes to an upstream follows from its configuration. Nil: no caller's.
    /// - Throws: ``ToolPinnerError`` for a file that cannot be read.
    package init(
        _ configuration: GatewayConfiguration, pinned: ToolLock, callerFile: String?
    ) async throws(ToolPinnerError) {
        let headers = if let callerFile { try Self.headers(callerFile) } else { HTTPHeaders() }
        // What is hidden is to be seen here.
        var configuration = configuration
        configuration.lock = nil
        let upstreams = CommandUpstreams(configuration, for: "pin")
        var partitions = PartitionCache()
        let facts = RequestHeaders(headers, ForwardRules(configuration.forward), forwardsRequestID: false)
        var present = ToolLock()
        var problems: [String] = []
        for upstream in upstreams.all where upstream.configuration.isPinnable {
            let name = ExactString(upstream.name)
            let credentials = facts.credentials(for: upstream, headers, &partitions)
            let read = await Self.read(upstream, upstreams, EndpointCaller { _ in credentials })
            problems += read.problems
            // What is away now was reviewed all the same.
            present.upstreams[name] = read.tools ?? pinned.upstreams[name] ?? [:]
        }
        await upstreams.close()
        self.present = present
        self.problems = problems
        diff = ToolLockDiff(from: pinned, to: present)
    }

    private static func read(
        _ upstream: Upstream, _ upstreams: CommandUpstreams, _ caller: EndpointCaller
    ) async -> (tools: ToolLock.Tools?, problems: [String]) {
        let member = upstream.member(for: upstreams, timeout: CommandUpstreams.patience)
        do {
            _ = try await member.describe(caller)
        } catch {
            return (nil, ["upstream \(upstream.name) cannot be read: \(error)"])
        }
        var lists: [[JSONValue]] = []
        var problems: [String] = []
        var read: Set<MCPVersion> = []
        for version in MCPVersion.allCases.reversed() {
            let revision = await member.revision(for: version)
            guard read.insert(revision).inserted else { continue }
            do {
                lists.append(try await member.tools(caller, for: version, logger: upstreams.logger))
            } catch {
                problems.append("upstream \(upstream.name) cannot be read in revision \(revision.rawValue): \(error)")
            }
        }
        return (lists.isEmpty ? nil : ToolLock.tools(lists), problems)
    }

    /// Number of tools that are pinned.
    package var count: Int { present.upstreams.values.reduce(0) { $0 + $1.count } }

    /// Writes the lock file, whole or not at all.
    ///
    /// - Throws: an error of Foundation that names the file.
    package func write(to path: String) throws {
        try Data(present.text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
    }

    private static func headers(_ path: String) throws(ToolPinnerError) -> HTTPHeaders {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw ToolPinnerError(description: "\(path): cannot be read")
        }
        var headers = HTTPHeaders()
        for (index, line) in text.split(whereSeparator: \.isNewline).enumerated() {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, HTTPSyntax.isToken(parts[0]) else {
                // The line may be a secret.
                throw ToolPinnerError(description: "\(path): expected \"Name: value\" as header field \(index + 1)")
            }
            headers.add(name: String(parts[0]), value: parts[1].trimmingCharacters(in: .whitespaces))
        }
        return headers
    }
}

/// Error of headers of a caller that cannot be read.
package struct ToolPinnerError: Error, CustomStringConvertible {
    package let description: String
}
