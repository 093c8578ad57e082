import CurlTransport
import Foundation
import JSON
import NIOCore
import TestSupport
import Testing

/// One table for both processes: the host a request is for, the page that sent it, what the browser says, the cookie
/// that came along, the path, and the listener.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct SiteTableTests {
    /// A listener, and what it accepts.
    private struct Listener {
        let name: String
        let base: String
        var socketPath: String?
        /// Its own host, with the port.
        var own = "localhost"
        /// Whether `allowedHosts` names `chat.example`, the listener's own host and nothing else.
        var isConfigured = false
        let isGateway: Bool
    }

    private struct Case: CustomStringConvertible {
        var host: String
        var origin: String?
        var forwardedHost: String?
        var site: String?
        var hasCookie: Bool
        var method: String
        var path: String

        var description: String {
            "\(method) \(path) Host: \(host) Origin: \(origin ?? "-") X-Forwarded-Host: \(forwardedHost ?? "-") "
                + "Sec-Fetch-Site: \(site ?? "-") cookie: \(hasCookie)"
        }

        var headers: CurlHeaders {
            var headers: CurlHeaders = [("Host", host), ("Content-Type", "application/json")]
            if let origin { headers.append(name: "Origin", value: origin) }
            if let forwardedHost { headers.append(name: "X-Forwarded-Host", value: forwardedHost) }
            if let site { headers.append(name: "Sec-Fetch-Site", value: site) }
            if hasCookie { headers.append(name: "Cookie", value: "sessionid=made-up") }
            return headers
        }
    }

    /// What the rule says, written down a second time and in other words than the product's.
    private static func expected(_ request: Case, at listener: Listener) -> String? {
        if request.host.isEmpty { return "Bad request: no Host" }
        let name = request.host.split(separator: ":")[0]
        let own = listener.own.split(separator: ":")[0]
        if listener.isConfigured {
            if name != "chat.example" && name != own { return "Host not allowed" }
        } else if listener.socketPath == nil, !["localhost", "127.0.0.1"].contains(name) {
            return "Host not allowed"
        }
        if request.method == "OPTIONS" { return nil }
        guard let origin = request.origin else {
            let isForeign = request.site == "cross-site" || request.site == "same-site"
            let mayChange = request.method != "GET" && request.method != "HEAD"
            return isForeign && mayChange && request.hasCookie ? "Origin not allowed" : nil
        }
        let isSame = origin == "http://" + request.host
        let isForwarded = request.forwardedHost.map { origin == "http://" + $0 } ?? false
        let mayForward = !listener.isConfigured || request.forwardedHost == "chat.example"
        return isSame || (isForwarded && mayForward) || origin == "https://ok.example" ? nil : "Origin not allowed"
    }

    private static let paths: [(method: String, path: String, body: String?, isGatewayOnly: Bool)] = [
        ("POST", "/api/chat/", #"{"type":"search_projects","query":"urgent"}"#, true),
        ("POST", "/mcp/", #"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, false),
        ("POST", "/mcp/search_projects", #"{"query":"urgent"}"#, false),
        ("POST", "/mcp", #"{"command":"echo","arguments":{"message":"x"}}"#, false),
        ("GET", "/mcp/session/new", nil, false), ("POST", "/auth/login", "{}", false),
        ("GET", "/openapi.json", nil, true), ("GET", "/", nil, true), ("GET", "/nothing", nil, false),
        ("DELETE", "/mcp/", nil, false), ("OPTIONS", "/mcp/echo", nil, false),
    ]

    /// Every combination of the fields, each on some path, and the telling ones on every path.
    private static func cases(_ own: String) -> [Case] {
        var cases: [Case] = []
        let hosts = [own, "chat.example", "evil.example:8080", ""]
        for host in hosts {
            for origin in [nil, "http://" + host, "http://evil.example:8080", "null", "https://ok.example"] {
                for forwardedHost in [nil, "chat.example", "evil.example:8080"] {
                    for site in [nil, "same-origin", "cross-site", "same-site"] {
                        for hasCookie in [false, true] {
                            let path = paths[cases.count % paths.count]
                            cases.append(
                                Case(
                                    host: host, origin: origin, forwardedHost: forwardedHost, site: site,
                                    hasCookie: hasCookie, method: path.method, path: path.path))
                        }
                    }
                }
            }
        }
        for path in paths {
            for (host, origin, site, cookie) in [
                ("evil.example:8080", "http://evil.example:8080", "same-origin", false),
                ("evil.example:8080", nil, nil, false), (own, "http://evil.example:8080", "cross-site", false),
                (own, "null", nil, true), (own, nil, "cross-site", true), (own, "http://" + own, "same-origin", true),
            ] as [(String, String?, String?, Bool)] {
                cases.append(
                    Case(
                        host: host, origin: origin, site: site, hasCookie: cookie, method: path.method, path: path.path)
                )
            }
        }
        return cases
    }

    @Test func oneTableHoldsForBothProcessesOnEveryPathAndListener() async throws {
        let directory = try TemporaryDirectory("site")
        let database = directory.path("chat.sqlite")
        try await DemoDatabase.shared.copy(to: database)
        let origins = [
            "GATEWAY_ALLOWED_ORIGINS": "https://ok.example", "TOOL_SERVER_ALLOWED_ORIGINS": "https://ok.example",
        ]
        let hosts = [
            "GATEWAY_ALLOWED_HOSTS": "chat.example,127.0.0.1", "TOOL_SERVER_ALLOWED_HOSTS": "chat.example,127.0.0.1",
        ]
        let tools = try await RunningService.toolServer(database: database, environment: origins)
        let upstream = tools.url + "/mcp/"
        let named = try await RunningService.start(
            .toolServer,
            [
                "--transport", "http", "--host", "0.0.0.0", "--port", "0", "--admin", "127.0.0.1:0", "--database",
                database,
            ],
            environment: origins.merging(hosts) { $1 })
        let loopback = try await RunningService.gateway(upstream: upstream, environment: origins)
        let configured = try await RunningService.gateway(
            upstream: upstream, listen: "0.0.0.0:0", environment: origins.merging(hosts) { $1 })
        let socket = directory.path("gateway.sock")
        let unix = try await RunningService.gateway(upstream: upstream, listen: "unix:" + socket, environment: origins)
        let services = [unix, configured, loopback, named, tools]
        func own(_ service: RunningService) -> String { "127.0.0.1:\(service.port)" }
        let listeners = [
            Listener(name: "tool-server", base: "http://" + own(tools), own: own(tools), isGateway: false),
            Listener(
                name: "tool-server, configured", base: "http://" + own(named), own: own(named), isConfigured: true,
                isGateway: false),
            Listener(name: "gateway", base: "http://" + own(loopback), own: own(loopback), isGateway: true),
            Listener(
                name: "gateway, configured", base: "http://" + own(configured), own: own(configured),
                isConfigured: true, isGateway: true),
            Listener(name: "gateway, socket", base: "http://localhost", socketPath: socket, isGateway: true),
        ]
        let engine = CurlEngine(label: "site")
        do {
            for service in services { try await service.ready() }
            for listener in listeners { try await Self.check(listener, engine) }
            for service in services { try await Self.checkAdmin(service, engine) }
        } catch {
            for service in services { try? await service.stop() }
            await engine.shutdown()
            throw error
        }
        await engine.shutdown()
        #expect(unix.process.log.contains("no allowed hosts are set") == false)
        #expect(configured.process.log.contains("no allowed hosts are set") == false)
        for service in services { try await service.stop() }
    }

    private static func check(_ listener: Listener, _ engine: CurlEngine) async throws {
        for request in cases(listener.own) {
            guard let path = paths.first(where: { $0.method == request.method && $0.path == request.path }) else {
                continue
            }
            let response = try await engine.execute(
                CurlRequest(
                    method: request.method, url: listener.base + request.path, unixSocketPath: listener.socketPath,
                    headers: request.headers, body: path.body.map { ByteBuffer(string: $0) }))
            let text = String(buffer: response.body)
            if let refusal = expected(request, at: listener) {
                #expect(
                    response.status == (refusal.hasPrefix("Bad") ? 400 : 403), "\(listener.name): \(request): \(text)")
                let json = try? JSONValue(parsing: Array(text.utf8))
                #expect(json == ["error": .string(refusal)], "\(listener.name): \(request)")
            } else {
                #expect(
                    response.status != 403 && !text.contains("Host not") && !text.contains("Origin not"),
                    "\(listener.name): \(request): \(text)")
            }
        }
    }

    /// The admin listener takes no orders from pages, and none under a hostile name.
    private static func checkAdmin(_ service: RunningService, _ engine: CurlEngine) async throws {
        func status(_ method: String, _ path: String, _ headers: CurlHeaders, _ body: String?) async throws -> Int {
            try await engine.execute(
                CurlRequest(
                    method: method, url: service.adminURL + path, headers: headers,
                    body: body.map { ByteBuffer(string: $0) })
            ).status
        }
        for headers: CurlHeaders in [
            [("Host", "evil.example")], [("Origin", "http://evil.example")], [("Origin", "null")],
            [("Host", "evil.example"), ("Origin", "http://evil.example")],
        ] {
            #expect(try await status("PUT", "/loglevel", headers, "debug") == 403)
            #expect(try await status("GET", "/metrics", headers, nil) == 403)
        }
        #expect(try await status("PUT", "/loglevel", [("Origin", service.adminURL)], "info") == 200)
        #expect(try await status("GET", "/healthz", [], nil) == 200)
    }
}
