import Foundation
import JSON
import JSONConfiguration
import JSONSchema
import Logging
import TestSupport
import Testing

@testable import GatewayCore

@Suite struct GatewayConfigurationTests {
    @Test(
        arguments: [
            (["tools.internal"], false), (["*.internal"], false), (["localhost"], true), ([], false), (["*"], false),
        ] as [([String], Bool)])
    func hostsThatWouldShutTheGatewayOutAreFound(_ hosts: [String], _ isProblem: Bool) throws {
        let configuration = try TestConfiguration.read([
            "upstreams": ["tools": ["url": "http://tools.internal:8001/mcp/", "trusted": true]],
            "toolServer": ["allowedHosts": .array(hosts.map { .string($0) })],
        ])
        let upstream = Upstream(
            try #require(configuration.upstreams.first), responseLimit: 1000, forward: configuration.forward,
            logger: Logger(label: "test"))
        let problem = GatewayReport.hostProblem(of: upstream, configuration)
        #expect((problem != nil) == isProblem)
        if isProblem { #expect(problem?.contains("toolServer.allowedHosts: expected tools.internal") == true) }
    }

    private func errors(_ document: JSONValue) -> [String] {
        do {
            _ = try TestConfiguration.read(document)
            return []
        } catch let errors as ConfigurationErrors {
            return errors.errors.map(\.description)
        } catch {
            return ["\(error)"]
        }
    }

    private let upstreams: JSONValue = ["tools": ["url": "http://127.0.0.1:8001/mcp/"]]

    @Test func theShippedFileHasTheSixTypes() throws {
        let configuration = try TestConfiguration.read(.object(TestConfiguration.shipped()))
        #expect(
            configuration.chat.types.map(\.name).sorted() == [
                "ai_prompt", "chat", "get_user_info", "history", "search_any", "search_projects",
            ])
        #expect(configuration.chat.defaultType == "chat")
        #expect(configuration.listen == "127.0.0.1:8080")
        #expect(configuration.admin == "127.0.0.1:9090")
        #expect(configuration.limits.body == 2_621_440)
        #expect(configuration.limits.upstreamResponse == 16 << 20)
        #expect(configuration.upstreams.map(\.isTrusted) == [true])
        #expect(configuration.forward.cookies == ["sessionid"])
        let timeouts = Dictionary(uniqueKeysWithValues: configuration.chat.types.map { ($0.name, $0.timeout) })
        #expect(timeouts["chat"] == .seconds(30))
        #expect(timeouts["search_any"] == .seconds(10))
        let history = try #require(configuration.chat.types.first { $0.name == "history" })
        #expect(history.tool == "chat_history")
        #expect(history.reply.limit == 50)
        #expect(!configuration.chat.types.contains { $0.useToolStatus })
    }

    @Test func theDefaultsNeedOnlyAnUpstream() throws {
        let configuration = try TestConfiguration.read(["upstreams": upstreams])
        #expect(configuration.errors == .standard)
        #expect(configuration.workers >= 1)
        #expect(configuration.forward.headers.contains("Authorization"))
        #expect(configuration.chat.types.isEmpty)
        #expect(configuration.passthrough.isEnabled)
    }

    @Test func everyErrorNamesItsPath() {
        let found = errors([
            "upstreams": ["tools": ["url": "ftp://x", "era": "old", "trustd": true]], "listen": "8080",
            "limits": ["body": "2 GB or so"],
            "chat": [
                "defaultType": "search",
                "types": [
                    "search_any": ["tool": "search_any", "timeout": "soon", "upstream": "tool"],
                    "other": ["arguments": ["a": ["value": 1, "default": 2], "b": ["from": "type"]]],
                ],
            ],
        ])
        let expected = [
            "listen:", "upstreams.tools.url:", "upstreams.tools.era:", "limits.body:", "chat.types.search_any.timeout:",
            "chat.types.other.tool:", "chat.types.other.arguments.a.default:", "chat.types.other.arguments.b.from:",
            "chat.defaultType:", "chat.types.search_any.upstream:", "upstreams.tools.trustd:",
        ]
        for path in expected {
            #expect(found.contains { $0.hasPrefix(path) }, "\(path) is missing in \(found)")
        }
        #expect(found.count == expected.count, "\(found)")
        #expect(found.contains { $0.hasPrefix("upstreams.tools.trustd") && $0.contains("\"trusted\"") })
        #expect(found.contains { $0.contains("timeout") && $0.contains("\"soon\"") })
    }

    @Test func aConfigurationWithoutUpstreamsIsRefused() {
        #expect(errors([:]).contains { $0.hasPrefix("upstreams:") })
    }

    @Test(
        arguments: [["send": 1], ["Senden"], "Senden", ["send": .string(String(repeating: "x", count: 70_000))]]
            as [JSONValue])
    func theTextsOfThePageAreStringsByName(_ texts: JSONValue) {
        #expect(errors(["upstreams": upstreams, "pageTexts": texts]).contains { $0.hasPrefix("pageTexts:") })
    }

    @Test func hopByHopHeadersAreNotForwarded() {
        for name in ["Connection", "Host", "cookie", "Transfer-Encoding", "a b", "Content-Length", ""] {
            let found = errors(["upstreams": upstreams, "forward": ["headers": [.string(name)]]])
            #expect(found.count == 1, "\(name)")
        }
    }

    @Test(
        arguments: [
            ("http://127.0.0.1:8001/mcp/", "http://127.0.0.1:8001", "/mcp/", nil),
            ("HTTPS://Tools.Example", "https://tools.example", "/", nil),
            ("http://[::1]:9/x", "http://[::1]:9", "/x", nil),
            ("unix:/run/tool.sock", "http://localhost", "/mcp/", "/run/tool.sock"),
            ("unix:///run/tool.sock", "http://localhost", "/mcp/", "/run/tool.sock"),
        ] as [(String, String, String, String?)])
    func anUpstreamIsAURLOrASocket(_ text: String, _ origin: String, _ endpoint: String, _ socket: String?) {
        let address = UpstreamAddress(text)
        #expect(address == UpstreamAddress(origin: origin, endpoint: endpoint, socketPath: socket))
    }

    @Test(arguments: [
        "", "ftp://x", "http://", "http://user:secret@host/", "http://host/?q", "http://host/#f", "http://host:0/",
        "http://host:x/", "http://a b/", "unix:relative", "unix:/", "http://host:", "http://a:1:2/", "127.0.0.1:8001",
    ])
    func anythingElseIsNoUpstream(_ text: String) {
        #expect(UpstreamAddress(text) == nil)
    }

    @Test func theCommandLineWinsOverTheFile() throws {
        let configuration = try GatewayConfiguration.read(
            ["listen": "127.0.0.1:1", "upstreams": upstreams],
            environment: ["GATEWAY_LISTEN": "127.0.0.1:2", "GATEWAY_WORKERS": "3"],
            overrides: ["listen": "127.0.0.1:3", "upstreams.tools.url": "http://127.0.0.1:9/mcp"])
        #expect(configuration.listen == "127.0.0.1:3")
        #expect(configuration.workers == 3)
        #expect(configuration.upstreams.first?.address.url == "http://127.0.0.1:9/mcp")
    }

    @Test func theUpstreamOptionNeedsNoUpstreamInTheFile() throws {
        let configuration = try GatewayConfiguration.read(
            [:], environment: [:], overrides: ["upstreams.tools.url": "http://127.0.0.1:9/mcp"])
        #expect(configuration.upstreams.map(\.name) == ["tools"])
    }

    @Test func theSchemaDescribesTheShippedFile() throws {
        let schema = try JSONSchema(GatewayConfiguration.schema())
        #expect(schema.validate(.object(try TestConfiguration.shipped())) == [])
        #expect(!schema.validate(["listn": "x", "upstreams": upstreams]).isEmpty)
        let workers = GatewayConfiguration.schema()["properties"]?["workers"]
        #expect(workers?["x-environment"]?.string == "GATEWAY_WORKERS")
    }

    @Test(arguments: ["django", "first-day", "oauth", "old-api", "servers", "strangler", "tokens"])
    func theSchemaDescribesTheExamples(_ name: String) throws {
        let schema = try JSONSchema(GatewayConfiguration.schema())
        let example = try JSONValue(parsing: Checkout.text("deploy/examples/\(name)/gateway.json"))
        #expect(schema.validate(example) == [])
    }

    @Test func theSchemaHasTheToolKeysOfEveryKindOfUpstream() throws {
        let upstream = GatewayConfiguration.schema()["properties"]?["upstreams"]?["additionalProperties"]
        let tool = upstream?["properties"]?["tools"]?["additionalProperties"]?["properties"]?.object
        for key in ["type", "fields", "reply", "method", "path", "query", "headers", "body", "result"] {
            #expect(tool?[key] != nil, "\(key)")
        }
    }

    @Test func aFileThatCannotBeReadIsOneClearLine() throws {
        let file = GatewayConfigurationFile(path: "/nonexistent/gateway.json", environment: [:])
        let error = #expect(throws: GatewayConfigurationFile.LoadError.self) { try file.load() }
        #expect(error?.description == "/nonexistent/gateway.json: cannot be read (No such file or directory)")
    }

    @Test func aFileThatIsNoJSONNamesTheLine() throws {
        let url = FileManager.default.temporaryDirectory.appending(path: "\(UUID()).json")
        try Data("{\n\"listen\": 1,\n}".utf8).write(to: url)
        defer { try? FileManager.default.removeItem(at: url) }
        let file = GatewayConfigurationFile(path: url.path, environment: [:])
        let error = #expect(throws: GatewayConfigurationFile.LoadError.self) { try file.load() }
        #expect(error?.description.contains("not JSON at line 3, column 1") == true)
    }

    @Test func routesShowEveryType() throws {
        let lines = GatewayReport.routes(try TestConfiguration.read(.object(TestConfiguration.shipped())))
        #expect(lines.count == 7)
        #expect(lines[0].hasPrefix("TYPE"))
        let prompt = try #require(lines.first { $0.hasPrefix("ai_prompt") })
        #expect(prompt.contains("prompt←message trimmed"))
        #expect(prompt.contains("30s"))
        #expect(prompt.hasSuffix("tools http://127.0.0.1:8001/mcp/"))
        #expect(lines.contains { $0.hasPrefix("chat (default)") })
    }
}
