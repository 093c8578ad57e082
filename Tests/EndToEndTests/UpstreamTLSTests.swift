import Foundation
import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// The gateway's connections to its upstreams under TLS, with nginx as the tool-server's front and certificates
    /// from the `openssl` command.
    @Suite(.enabled(if: NginxProcess.isInstalled, "nginx is not installed; deploy/local/packages test installs it"))
    struct UpstreamTLS {
        let stack: RunningStack

        init() throws { stack = try RunningStack.current }

        /// What a type's answer says about its upstream.
        private struct Outcome: Equatable {
            let status: Int
            let label: String?
        }

        @Test func onlyTheRightServerIsTrusted() async throws {
            let peer = try await TLSPeer.start(toolServer: stack.toolServer.address)
            let authority = peer.certificates.path("authority.pem")
            let client: JSONObject = [
                "caFile": .string(authority), "certificateFile": .string(peer.certificates.path("client.pem")),
                "keyFile": .string(peer.certificates.path("client.key")),
            ]
            let pin = try await peer.certificates.pin(of: "localhost")
            let cases: [(name: String, port: Int, tls: JSONObject)] = [
                ("right", peer.plain, ["caFile": .string(authority)]),
                ("system", peer.plain, [:]),
                ("wrong", peer.plain, ["caFile": .string(peer.certificates.path("stranger.pem"))]),
                ("name", peer.otherName, ["caFile": .string(authority)]),
                ("unverified", peer.otherName, ["verify": false]),
                ("mutual", peer.mutual, client), ("nobody", peer.mutual, ["caFile": .string(authority)]),
                ("pinned", peer.plain, ["caFile": .string(authority), "pinnedKeys": [.string(pin)]]),
                (
                    "mispinned", peer.plain,
                    [
                        "caFile": .string(authority),
                        "pinnedKeys": ["sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="],
                    ]
                ),
                ("redirect", peer.redirecting, ["caFile": .string(authority)]),
            ]
            var upstreams: JSONObject = [:]
            var types: JSONObject = [:]
            for (name, port, tls) in cases {
                upstreams[name] = [
                    "url": .string("https://localhost:\(port)/mcp/"), "tls": .object(tls), "retryWindow": "0s",
                    "probeInterval": "60s", "breaker": ["failures": 0],
                ]
                types[name] = [
                    "tool": "search_projects", "upstream": .string(name), "arguments": ["query": [:]], "timeout": "20s",
                ]
            }
            let configuration: JSONValue = [
                "upstreams": .object(upstreams), "passthrough": ["upstream": "wrong"],
                "chat": ["defaultType": "right", "types": .object(types)],
            ]
            let path = try peer.certificates.write(configuration.text, to: "gateway.json")
            let gateway = try await RunningService.start(
                .gateway, ["--config", path, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            try await gateway.ready()
            var outcomes: [String: Outcome] = [:]
            for (name, _, _) in cases {
                let answer = try await gateway.client.chat(
                    ["type": .string(name), "query": "urgent"], headers: [("Accept", "application/problem+json")])
                outcomes[name] = Outcome(status: answer.status, label: try answer.json["label"]?.string)
            }
            let good = Outcome(status: 200, label: nil)
            let unreachable = Outcome(status: 502, label: "upstream_unreachable")
            for name in ["right", "unverified", "mutual", "pinned"] { #expect(outcomes[name] == good, "\(name)") }
            for name in ["system", "wrong", "name", "mispinned"] { #expect(outcomes[name] == unreachable, "\(name)") }
            #expect(outcomes["nobody"]?.status == 502)
            // Away from TLS no redirect leads, to whatever address: no credential goes out in the clear.
            #expect(outcomes["redirect"]?.status == 502)

            // The pass-through trusts no more than the types do.
            let passed = try await gateway.client.post(
                "/mcp/", "{}", headers: [("Accept", "application/problem+json")])
            #expect(passed.status == 502)
            #expect(try passed.json["label"] == "upstream_unreachable")
            try await gateway.stop()
            try await peer.stop()
        }

        @Test func aFileThatIsNotThereIsReportedAtOnce() async throws {
            let directory = try TemporaryDirectory("tls")
            let configuration: JSONValue = [
                "upstreams": [
                    "tools": [
                        "url": "https://localhost:1/mcp/",
                        "tls": [
                            "caFile": .string(directory.path("none.pem")), "keyFile": "/dev/null", "pinnedKeys": ["x"],
                        ],
                    ]
                ]
            ]
            let path = try directory.write(configuration.text, to: "gateway.json")
            let finished = try await ChildProcess.run(.init(BuiltProduct.gateway.path, ["check", "--config", path]))
            #expect(!finished.succeeded)
            for key in ["tls.caFile", "tls.keyFile", "tls.pinnedKeys"] {
                #expect((finished.output + finished.error).contains(key), "\(key)")
            }
        }
    }
}

/// An nginx that offers a tool-server under TLS, in four ways.
private struct TLSPeer {
    let certificates: Certificates
    let process: ChildProcess
    /// A certificate for `localhost`.
    let plain: Int
    /// The same, and the client needs one as well.
    let mutual: Int
    /// A certificate for another name.
    let otherName: Int
    /// Answers each request with a redirect to the tool-server, in the clear.
    let redirecting: Int

    static func start(toolServer: String) async throws -> TLSPeer {
        let certificates = try await Certificates.make()
        let ports = try (0..<4).map { _ in try freePort() }
        func server(_ port: Int, _ name: String, _ more: String = "", _ action: String? = nil) -> String {
            """
            server {
                listen 127.0.0.1:\(port) ssl;
                ssl_certificate \(certificates.path("\(name).pem"));
                ssl_certificate_key \(certificates.path("\(name).key"));
                \(more)
                location / { \(action ?? "proxy_pass http://\(toolServer); proxy_buffering off; proxy_http_version 1.1;") }
            }
            """
        }
        let process = try await NginxProcess.launch(
            in: certificates.directory,
            http: """
                access_log off;
                \(server(ports[0], "localhost"))
                \(server(
                    ports[1], "localhost",
                    "ssl_verify_client on; ssl_client_certificate \(certificates.path("authority.pem"));"))
                \(server(ports[2], "elsewhere"))
                \(server(ports[3], "localhost", "", "return 307 http://\(toolServer)/mcp/;"))
                """, port: ports[3])
        return TLSPeer(
            certificates: certificates, process: process, plain: ports[0], mutual: ports[1], otherName: ports[2],
            redirecting: ports[3])
    }

    func stop() async throws {
        let exit = try await process.stop()
        guard exit == .status(0) else { throw ProcessError("nginx ended with \(exit)\n\(process.log)") }
    }
}
