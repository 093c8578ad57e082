import JSON
import JSONConfiguration
import MCP
import MCPClient
import NIOCore

/// Source of a caller's identity: `upstream`, `tool`, `id` and `name` (fields of the tool's result), `ttl`.
///
/// Scopes and claims stand in the `_meta` of our tool-server's `get_user_info`; of another tool, in the fields `scopes` and
/// `claims` of its result.
package struct CallerConfiguration: Hashable, Sendable {
    /// Upstream that is asked.
    package let upstream: String
    /// Tool that is called in the caller's name.
    package let tool: String
    /// Field of the result with the caller's identifier.
    package let id: String
    /// Field of the result with the caller's name.
    package let name: String
    /// Time for which an answer is used again.
    package let ttl: Duration

    init(_ reader: ConfigurationReader, upstream: String) {
        self.upstream = reader.string(
            "upstream", default: upstream,
            "Name of the upstream that identifies callers. Default: the one named tools.")
        tool = reader.string(
            "tool", default: "get_user_info",
            "Name of the tool, without arguments, whose result identifies its caller.")
        id = reader.string("id", default: "username", "Name of the result's field with the caller's identifier.")
        name = reader.string("name", default: "alias", "Name of the result's field with the caller's name.")
        ttl = reader.duration(
            "ttl", default: .seconds(60), in: .seconds(1)...(.seconds(86_400)),
            "Time for which the result is cached for a credential.")
    }
}

/// Identity of a caller, as its upstream reports it: the facts that templates refer to, by their names there.
struct CallerIdentity: Hashable, Sendable {
    /// A fact that a tool's request needs and the caller's credential does not say.
    struct MissingFact: Error {
        let name: String
    }

    static let idName = "caller.id"
    private static let callerName = "caller.name"
    private static let scopesName = "caller.scopes"
    private static let claimPrefix = "claim:"

    private let facts: [String: JSONValue]

    /// Returns whether a template's name stands for a fact of the caller: `caller.id`, `caller.name`, `caller.scopes`, or
    /// `claim:` and a JSON pointer.
    static func isFact(_ name: String) -> Bool {
        [idName, callerName, scopesName].contains(name) || name.hasPrefix(claimPrefix + "/")
    }

    /// Takes the facts of these names from what a tool says of its caller.
    ///
    /// - Parameters:
    ///   - person: The result of the tool.
    ///   - credential: Its scopes and claims, where they stand apart from the result.
    /// - Returns: Nil where the tool names no user.
    init?(_ names: Set<String>, person: JSONValue?, credential: JSONValue?, _ configuration: CallerConfiguration) {
        guard let id = person?[configuration.id]?.string, !id.isEmpty else { return nil }
        let credential = credential ?? person
        var facts: [String: JSONValue] = [:]
        for name in names {
            switch name {
            case Self.idName: facts[name] = .string(id)
            case Self.callerName: facts[name] = .string(person?[configuration.name]?.string ?? "")
            // A credential without scopes has none, which is said by an empty list.
            case Self.scopesName: facts[name] = credential?["scopes"] ?? []
            default:
                let pointer = String(name.dropFirst(Self.claimPrefix.count))
                let claim = credential?["claims"].flatMap { JSONPointer.value(at: pointer, in: $0) }
                if let claim, !claim.isNull { facts[name] = claim }
            }
        }
        self.facts = facts
    }

    /// Returns the arguments with the facts that a tool's templates refer to. What the caller itself says under these names
    /// comes first, and of a name that comes twice the last counts.
    func added(to arguments: ByteBuffer, _ names: [String]) throws(MissingFact) -> ByteBuffer {
        var text = Array(arguments.readableBytesView)
        while let last = text.last, last != UInt8(ascii: "}") { text.removeLast() }
        _ = text.popLast()
        var isEmpty = text.last { $0 > 0x20 } == UInt8(ascii: "{")
        for name in names {
            guard let fact = facts[name] else { throw MissingFact(name: name) }
            text += Array((isEmpty ? "" : ",").utf8) + JSONText.quoted(name) + Array(":".utf8) + fact.serialized
            isEmpty = false
        }
        return ByteBuffer(bytes: text + [UInt8(ascii: "}")])
    }
}

/// Directory of the callers of one worker: each is looked up once per credential and `ttl`, with one request for all
/// waiting calls. Confined to its event loop.
final class CallerDirectory {
    enum Answer {
        case known(CallerIdentity)
        case anonymous
        /// The upstream could not be asked.
        case unavailable
    }

    private struct Entry {
        var answer: Answer?
        var end = NIODeadline.uptimeNanoseconds(0)
        var waiters: [(Answer) -> Void] = []
    }

    let configuration: CallerConfiguration
    let balancer: LoadBalancer
    /// The facts that tools need; others are forgotten.
    let names: Set<String>
    private var entries: [CredentialPartition: Entry] = [:]

    /// Largest number of callers that are remembered.
    private static let limit = 10_000
    private static let timeout = TimeAmount.seconds(10)

    init(_ configuration: CallerConfiguration, _ balancer: LoadBalancer, names: Set<String>) {
        self.names = names
        self.configuration = configuration
        self.balancer = balancer
    }

    /// Looks up who a caller is.
    ///
    /// - Parameter completion: Called exactly once, perhaps before this method returns.
    func identify(_ caller: any Caller, completion: @escaping (Answer) -> Void) {
        let partition = caller.credentials(for: balancer.upstream).partition
        guard partition != .anonymous else { return completion(.anonymous) }
        let now = NIODeadline.now()
        if let entry = entries[partition] {
            if let answer = entry.answer, now < entry.end { return completion(answer) }
            if !entry.waiters.isEmpty {
                entries[partition]?.waiters.append(completion)
                return
            }
        }
        makeRoom(now)
        entries[partition] = Entry(waiters: [completion])
        let call = MCPToolCall(
            tool: configuration.tool, arguments: ByteBuffer(string: "{}"), credentials: .anonymous,
            deadline: now + Self.timeout)
        _ = balancer.call(.tool(call), of: caller, for: Lookup(partition, self))
    }

    private final class Lookup: CallReceiver {
        private let partition: CredentialPartition
        private let directory: CallerDirectory

        init(_ partition: CredentialPartition, _ directory: CallerDirectory) {
            self.partition = partition
            self.directory = directory
        }

        func callAccepted() {}
        func callEnded(_ outcome: UpstreamOutcome) { directory.finish(partition, outcome) }
    }

    private func finish(_ partition: CredentialPartition, _ outcome: UpstreamOutcome) {
        let answer = answer(outcome)
        let waiters = entries[partition]?.waiters ?? []
        if case .unavailable = answer {
            entries[partition] = nil
        } else {
            entries[partition] = Entry(answer: answer, end: .now() + TimeAmount(configuration.ttl))
        }
        for waiter in waiters { waiter(answer) }
    }

    private func answer(_ outcome: UpstreamOutcome) -> Answer {
        switch outcome {
        case .failure(let failure):
            return failure.error.label == .unauthorized || failure.error.label == .forbidden ? .anonymous : .unavailable
        case .response: return .unavailable
        case .result(let result):
            guard let tree = MessageScanner.tree(result.result, in: result.message) else { return .unavailable }
            if tree["isError"]?.bool == true { return .anonymous }
            let document = tree["structuredContent"] ?? Self.document(inText: tree)
            let results = document?["results"] ?? document?["result"] ?? document
            let person = results?.array?.first ?? results
            let credential = tree["_meta"]?[MCPMeta.caller]
            return CallerIdentity(names, person: person, credential: credential, configuration)
                .map { .known($0) } ?? .anonymous
        }
    }

    private static func document(inText result: JSONValue) -> JSONValue? {
        result["content"]?.array?.first?["text"]?.string.flatMap { try? JSONValue(parsing: Array($0.utf8)) }
    }

    private func makeRoom(_ now: NIODeadline) {
        guard entries.count >= Self.limit else { return }
        entries = entries.filter { !$0.value.waiters.isEmpty || now < $0.value.end }
        while entries.count >= Self.limit, let some = entries.first(where: { $0.value.waiters.isEmpty })?.key {
            entries[some] = nil
        }
    }
}

/// A call whose request identifies the caller: waits until the caller is known. Confined to its event loop.
final class IdentifiedCall: RunningCall {
    private let callers: CallerDirectory
    private let eventLoop: any EventLoop
    private let start: (UpstreamCall) -> (any RunningCall)?
    private var receiver: (any CallReceiver)?
    private var running: (any RunningCall)?
    private var expiry: Scheduled<Void>?
    private var isWaiting = true

    /// - Parameter start: Makes the call once the caller is known.
    init(
        _ callers: CallerDirectory, eventLoop: any EventLoop, receiver: any CallReceiver,
        start: @escaping (UpstreamCall) -> (any RunningCall)?
    ) {
        self.callers = callers
        self.eventLoop = eventLoop
        self.receiver = receiver
        self.start = start
    }

    /// - Parameter names: The facts that the call's request needs.
    func identify(_ call: MCPToolCall, of caller: any Caller, for names: [String]) {
        callers.identify(caller) { [self] answer in
            guard isWaiting else { return }
            isWaiting = false
            expiry?.cancel()
            switch answer {
            case .known(let identity):
                var call = call
                do throws(CallerIdentity.MissingFact) {
                    call.arguments = try identity.added(to: call.arguments, names)
                } catch {
                    let text = "The caller has no \(error.name)"
                    return end(.result(MCPCallResult(ToolResultWriter.text(text, isError: true))))
                }
                receiver = nil
                running = start(.tool(call))
            case .anonymous:
                end(.result(MCPCallResult(ToolResultWriter.text("Not authenticated", isError: true))))
            case .unavailable:
                end(.refused(GatewayError(.overloaded, detail: "the caller could not be identified")))
            }
        }
        guard isWaiting else { return }
        expiry = eventLoop.assumeIsolated().scheduleTask(deadline: call.deadline) { [self] in
            guard isWaiting else { return }
            isWaiting = false
            end(.refused(GatewayError(.overloaded, detail: "the caller could not be identified in time")))
        }
    }

    func cancel() {
        guard isWaiting else { return running?.cancel() ?? () }
        isWaiting = false
        expiry?.cancel()
        end(.cancelled)
    }

    private func end(_ outcome: UpstreamOutcome) { receiver.take()?.callEnded(outcome) }
}
