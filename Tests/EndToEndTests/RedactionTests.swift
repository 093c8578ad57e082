import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// What is secret must be in no log line and no metric, however much is logged and whatever goes wrong.
    @Suite struct Redaction {
        @Test func noSecretIsLoggedOrCounted() async throws {
            let provider = try await ScriptedHTTPServer { request in
                request.text.contains("!fail")
                    ? .json(#"{"error":{"message":"refused"}}"#, status: 401)
                    : .json(#"{"choices":[{"message":{"role":"assistant","content":"Hello"}}]}"#)
            }
            defer { provider.stop() }
            let providerKey = "provider-key-4c19aa"
            let sessionKey = "session-key-of-the-replicas-77b1"
            let environment = [
                "AI_BASE_URL": provider.url + "/v1", "AI_MODEL": "test", "AI_API_KEY": providerKey,
                "TOOL_SERVER_SESSION_KEY": sessionKey, "TOOL_SERVER_LOG_LEVEL": "trace",
            ]
            try await RunningStack.with(
                toolServerEnvironment: environment, gatewayEnvironment: ["GATEWAY_LOG_LEVEL": "trace"]
            ) { stack in
                let client = stack.gateway.client
                let password = "pass-word-91e2f0"
                let wrongPassword = "wrong-pass-word-5d"
                let bearer = "bearer-token-d0c7"
                let stale = "stale-cookie-a3b8"
                let other = "other-cookie-66f1"
                let inQuery = "query-secret-2e9d"
                try await stack.addUser("keeper", password: password)

                _ = try await client.post(
                    "/auth/login", json: ["username": "keeper", "password": .string(wrongPassword)])
                let login = try await client.post(
                    "/auth/login", json: ["username": "keeper", "password": .string(password)])
                let cookie = try #require(login.cookie("sessionid"))
                var mcp = MCPTestClient(client, headers: [("Cookie", "sessionid=\(cookie)")])
                _ = try await mcp.initialize()
                let session = try #require(mcp.headers.first { $0.name == "Mcp-Session-Id" }?.value)
                _ = try await mcp.result("tools/call", id: 2, params: ["name": "get_user_info", "arguments": [:]])

                /// One of everything that can be sent, with every kind of credential.
                func everything() async throws {
                    let credentials: [HTTPTestClient.Headers] = [
                        [("Cookie", "sessionid=\(cookie); csrftoken=\(other)")],
                        [("Authorization", "Bearer \(bearer)")], [("Cookie", "sessionid=\(stale)")],
                        [("Cookie", "sessionid=\(cookie)"), ("Origin", "https://evil.example")],
                    ]
                    for headers in credentials {
                        for body: JSONValue in [
                            ["type": "get_user_info"], ["message": "hello"], ["type": "ai_prompt", "message": "!fail"],
                            ["type": "nothing"], ["type": "search_any", "model": "none", "query": "x"],
                            ["type": "history"],
                        ] {
                            _ = try await client.post("/api/chat/", json: body, headers: headers)
                        }
                        _ = try await client.post("/api/chat/", "{", headers: headers)
                        _ = try await client.get("/mcp/?token=\(inQuery)", headers: headers)
                        _ = try await client.post("/mcp/echo?token=\(inQuery)", #"{"message":"x"}"#, headers: headers)
                        _ = try await client.post("/mcp/", "{", headers: headers + [("Mcp-Session-Id", session)])
                        _ = try await client.get("/nothing?token=\(inQuery)", headers: headers)
                        _ = try await client.post("/auth/logout?token=\(inQuery)", "")
                    }
                    let raw = try RawSocketClient(port: stack.gateway.port)
                    await raw.send(
                        "GET /mcp/ HTTP/1.1\r\nHost: a\r\nHost: b\r\nCookie: sessionid=\(cookie)\r\n"
                            + "Authorization: Bearer \(bearer)\r\n\r\n")
                    _ = await raw.receiveAll()
                }
                try await everything()
                let secrets = [
                    providerKey, sessionKey, password, wrongPassword, bearer, stale, other, inQuery, cookie, session,
                ]
                for service in [stack.gateway, stack.toolServer] {
                    let metrics = try await service.admin.get("/metrics").text
                    #expect(metrics.contains("_total"))
                    for secret in secrets { #expect(!metrics.contains(secret), "\(secret) in a metric") }
                }
                try await stack.toolServer.stop()
                try await everything()

                let lines = stack.log.split(separator: "\n")
                #expect(lines.count > 50)
                for secret in secrets {
                    let found = lines.first { $0.contains(secret) }
                    #expect(found == nil, "\(secret): \(found ?? "")")
                }
            }
        }
    }
}
