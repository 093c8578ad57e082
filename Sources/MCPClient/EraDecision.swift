import JSON
import MCP

/// Decision on the era of a server, from its answer to `server/discover`. It is made only here.
///
/// The first matching row counts.
///
/// | answer | decision |
/// |---|---|
/// | 401, 403, 408, 413, 429, whatever the body | `report`: the status is about the caller or the load |
/// | 2xx, a result that names a modern revision (`supportedVersions`, `protocolVersion`) that the client supports | `modern` |
/// | 2xx, a result that names legacy revisions | `legacy` |
/// | 2xx, a result that names unknown revisions alone | `noCommonVersion` |
/// | 2xx, any other result | `legacy` |
/// | -32022 at any status, naming a modern revision that the client supports | `ask` for that one, once |
/// | -32022 at any status, naming legacy revisions | `legacy` |
/// | -32022 at any status, naming unknown revisions alone | `noCommonVersion` |
/// | -32022 without a list, -32020, -32021, at any status | `modern`: no other revision has these codes |
/// | any other JSON-RPC error, -32601 included, at any status | `legacy`: a modern server has `server/discover` |
/// | 5xx | `unclear` |
/// | any other status (2xx without a result, 3xx, 4xx) | `legacy` |
/// | no answer: a timeout, an empty stream, a connection that breaks twice, a response that is not HTTP | `unclear` |
/// | a refused connection, an unknown host, a certificate | reported after the same retries as any call |
///
/// `legacy` continues with `initialize`. So does `unclear`, once: its success decides, and where the server refuses
/// `initialize` too, its answer to the probe is reported. An upstream that is configured as modern never continues with
/// `initialize`, one that is configured as legacy is never probed.
enum EraDecision: Equatable {
    case modern(MCPVersion)
    case ask(MCPVersion)
    case legacy
    case unclear
    case noCommonVersion
    case report

    /// - Parameter asked: Revision in which the probe was sent.
    init(_ answer: MessageResponse, asked: MCPVersion) {
        if answer.isAboutTheCaller {
            self = .report
        } else if case .result(let message, let result) = answer.content, 200..<300 ~= answer.status {
            self = Self.decision(on: MessageScanner.tree(result, in: message) ?? .null)
        } else if answer.rpcError?.knownCode == .unsupportedVersion {
            guard let names = answer.rpcError?.data?["supported"]?.array?.compactMap(\.string) else {
                self = .modern(asked)
                return
            }
            switch Self.common(names) {
            case .modern(let version): self = .ask(version)
            case let other: self = other
            }
        } else if answer.provesModern {
            self = .modern(asked)
        } else if answer.rpcError != nil {
            self = .legacy
        } else {
            self = answer.status >= 500 ? .unclear : .legacy
        }
    }

    private static func decision(on result: JSONValue) -> EraDecision {
        if let names = result["supportedVersions"]?.array?.compactMap(\.string) { return common(names) }
        // Some servers name one revision, as in the answer to `initialize`.
        if let name = result["protocolVersion"]?.string { return common([name]) }
        return .legacy
    }

    private static func common(_ names: [String]) -> EraDecision {
        let known = names.compactMap(MCPVersion.init(rawValue:))
        if let version = known.filter({ $0.era == .modern }).max() { return .modern(version) }
        return known.isEmpty ? .noCommonVersion : .legacy
    }
}

/// Choice of the next revision to request when `initialize` was refused.
///
/// | answer to `initialize` | next |
/// |---|---|
/// | names legacy revisions that were not asked for, in `data` or in its text | the latest of them |
/// | -32602, -32600, or 400 without -32601; or any status but 401, 403, 408, 413, 429, with a text about the version | the next older revision |
/// | -32020, -32021, -32022 without legacy revisions; anything else | none: reported |
///
/// At most one request for each legacy revision; a single one where the configuration fixes the revision.
enum VersionDecision {
    static func next(after answer: MessageResponse, tried: [MCPVersion]) -> MCPVersion? {
        guard !answer.isAboutTheCaller else { return nil }
        let untried = MCPVersion.legacy.filter { !tried.contains($0) }
        let words = answer.words + (answer.rpcError?.data?.text ?? "")
        if let named = untried.last(where: { words.contains($0.rawValue) }) { return named }
        guard !answer.provesModern, isAboutTheVersion(answer, words) else { return nil }
        return untried.last { version in tried.allSatisfy { version < $0 } }
    }

    private static func isAboutTheVersion(_ answer: MessageResponse, _ words: String) -> Bool {
        switch answer.rpcError?.knownCode {
        case .methodNotFound: return false
        case .invalidParams, .invalidRequest: return true
        default: break
        }
        return answer.status == 400 || words.lowercased().contains("version")
    }
}
