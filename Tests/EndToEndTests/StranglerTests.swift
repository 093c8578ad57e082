import Foundation
import Glibc
import JSON
import Synchronization
import TestSupport
import Testing

extension EndToEnd {
    /// The example that moves an old API type by type, in front of a real second backend: the shipped gateway, which
    /// answers `/api/chat/` as the old API did.
    @Suite struct Strangler {
        private static let example = "deploy/examples/strangler/gateway.json"

        private struct Site {
            let directory: TemporaryDirectory
            let configuration: String
            let gateway: RunningService

            init(_ change: (inout JSONObject) throws -> Void = { _ in }) async throws {
                let stack = try RunningStack.current
                directory = try TemporaryDirectory("strangler")
                var document = try #require(JSONValue(parsing: Checkout.text(Strangler.example)).object)
                var upstreams = try #require(document["upstreams"]?.object)
                #expect(upstreams["old"]?["kind"] == "chat")
                upstreams["tools"] = ["url": .string(stack.upstream), "trusted": true, "probeInterval": "100ms"]
                upstreams["old"] = ["kind": "chat", "trusted": true, "url": .string(stack.gateway.url + "/api/chat/")]
                document["upstreams"] = .object(upstreams)
                document["listen"] = "127.0.0.1:0"
                document["admin"] = "127.0.0.1:0"
                try change(&document)
                configuration = try directory.write(JSONValue.object(document).text, to: "gateway.json")
                gateway = try await RunningService.start(.gateway, ["--config", configuration])
                try await gateway.ready()
                let gateway = gateway
                // The tools are known a moment later than the old backend.
                #expect(await eventually { (try? await Self.metrics(gateway).contains(Self.toolsReachable)) == true })
            }

            private static let toolsReachable = #"gateway_upstream_reachable{upstream="tools"} 1"#

            static func metrics(_ gateway: RunningService) async throws -> String {
                try await gateway.admin.get("/metrics").text
            }

            func metric(_ line: String) async throws -> Int {
                let found = try await Self.metrics(gateway).split(separator: "\n").first { $0.hasPrefix(line + " ") }
                return found.flatMap { Int($0.dropFirst(line.count + 1)) } ?? 0
            }

            /// Writes the configuration anew and waits until it is in force.
            func reload(_ change: (inout JSONObject) throws -> Void) async throws {
                var document = try #require(
                    JSONValue(parsing: String(contentsOfFile: configuration, encoding: .utf8)).object)
                try change(&document)
                try directory.write(JSONValue.object(document).text, to: "gateway.json")
                let before = try await gateway.admin.get("/readyz").json["config_version"]?.int ?? 0
                gateway.process.signal(SIGHUP)
                let isNew = await eventually {
                    (try? await gateway.admin.get("/readyz").json["config_version"]?.int ?? 0) == before + 1
                }
                #expect(isNew, "\(gateway.process.log)")
            }
        }

        private static func side(_ response: HTTPTestResponse) -> String? {
            let timing = response.header("Server-Timing") ?? ""
            return ["mcp", "chat"].first { timing.hasSuffix("route;desc=\"\($0)\"") }
        }

        private static let search: JSONValue = ["type": "search_any", "model": "projects", "query": "urgent"]

        @Test func everyTypeGoesItsWay() async throws {
            let stack = try RunningStack.current
            let site = try await Site()
            let client = site.gateway.client
            let cookie = try await stack.session(of: "alice")

            // Moved.
            let user = try await client.chat(["type": "get_user_info"], cookie: cookie)
            #expect(user.replies == [["username": "alice", "alias": "Al"]])
            #expect(Self.side(user) == nil)
            // Not configured: the old backend has it, the type of a payload without one too.
            let history = try await client.chat(["type": "history"], cookie: cookie)
            #expect(history.status == 200)
            #expect(Self.side(history) == "chat")
            let message = try await client.chat(["message": "   "])
            #expect(message.text == "Empty message")
            #expect(Self.side(message) == "chat")
            #expect(try await client.chat(["type": "made up"]).text == "Unknown type: made up")

            // Shadowed.
            let direct = try await stack.gateway.client.chat(Self.search)
            let shadowed = try await client.chat(Self.search)
            #expect(try shadowed.json == direct.json)
            #expect(Self.side(shadowed) == "chat")
            let refused = try await client.chat(["type": "search_any", "model": "planets", "query": "x"])
            #expect(refused.errorText == "Unknown model")
            let agreed = #"gateway_shadow_requests_total{type="search_any",result="agree"}"#
            #expect(await eventually { (try? await site.metric(agreed)) == 2 })

            // A canary: some callers here, some there, each of them always the same.
            var sides: [String: Int] = [:]
            for caller in 0..<40 {
                let payload: JSONValue = ["type": "search_projects", "query": "urgent"]
                let first = try await client.chat(payload, cookie: "caller-\(caller)")
                let second = try await client.chat(payload, cookie: "caller-\(caller)")
                #expect(first.status == 200)
                #expect(try first.json == second.json)
                #expect(Self.side(first) == Self.side(second))
                sides[Self.side(first) ?? "none", default: 0] += 1
            }
            #expect(Set(sides.keys) == ["mcp", "chat"])
            #expect((sides["mcp"] ?? 0) < 15)
            let served = try await site.metric(
                #"gateway_routed_requests_total{type="search_projects",side="mcp",outcome="ok"}"#)
            #expect(served == 2 * (sides["mcp"] ?? 0))
            let logged = site.gateway.process.logLines.filter { $0["type"] == "search_projects" }
            #expect(logged.contains { $0["chat.route"] == "mcp" && $0["upstream"] == "tools" })
            #expect(logged.contains { $0["chat.route"] == "chat" && $0["upstream"] == "old" })
            try await site.gateway.stop()
        }

        @Test func aDifferenceIsLoggedByItsPlace() async throws {
            let site = try await Site { document in
                var chat = try #require(document["chat"]?.object)
                var types = try #require(chat["types"]?.object)
                var type = try #require(types["search_any"]?.object)
                type["reply"] = ["limit": 1]
                types["search_any"] = .object(type)
                chat["types"] = .object(types)
                document["chat"] = .object(chat)
            }
            let shadowed = try await site.gateway.client.chat(
                Self.search, headers: [("X-Request-Id", "differing-request")])
            #expect((shadowed.replies?.count ?? 0) > 1)
            let differ = #"gateway_shadow_requests_total{type="search_any",result="differ"}"#
            #expect(await eventually { (try? await site.metric(differ)) == 1 })
            let line = try #require(site.gateway.process.logLines.first { $0["message"] == "shadow differs" })
            #expect(line["shadow.differences"] == ["/replies/1 missing"])
            #expect(line["http.request_id"] == "differing-request")
            #expect(!line.text.contains("Urgent"))
            try await site.gateway.stop()
        }

        @Test func aTypeGoesBackAndForthWithoutOneFailedRequest() async throws {
            let site = try await Site()
            let client = site.gateway.client
            let isOver = Mutex(false)
            async let traffic = {
                var sides: Set<String> = []
                while !isOver.withLock({ $0 }) {
                    let answer = try await client.chat(["type": "get_user_info"], cookie: "nobody")
                    #expect(answer.errorText == "Not authenticated")
                    sides.insert(Self.side(answer) ?? "moved")
                }
                return sides
            }()
            for upstream in ["old", "tools", "old"] {
                try await site.reload { document in
                    var chat = try #require(document["chat"]?.object)
                    var types = try #require(chat["types"]?.object)
                    var type = try #require(types["get_user_info"]?.object)
                    type["upstream"] = .string(upstream)
                    types["get_user_info"] = .object(type)
                    chat["types"] = .object(types)
                    document["chat"] = .object(chat)
                }
                let now = try await client.chat(["type": "get_user_info"], cookie: "nobody")
                #expect(Self.side(now) == (upstream == "old" ? "chat" : nil))
            }
            isOver.withLock { $0 = true }
            #expect(try await traffic == ["moved", "chat"])
            try await site.gateway.stop()
        }

        @Test func typesComeFromTheServersOwnTools() async throws {
            let site = try await Site { document in
                document["chat"] = ["tools": ["allow": ["search_*", "echo"], "deny": ["search_projects"]]]
            }
            let client = site.gateway.client
            let echo = try await client.chat(["type": "echo", "message": "Hello"])
            #expect(try echo.json == ["type": "echo", "replies": [["Echo": "Hello"]]])
            #expect(try await client.chat(Self.search).replies?.isEmpty == false)
            #expect(try await client.chat(["type": "search_any", "query": "x"]).status == 400)
            #expect(try await client.chat(["type": "search_projects", "query": "x"]).text.hasPrefix("Unknown type"))
            let document = try await client.get("/openapi.json").json
            #expect(document["components"]?["schemas"]?["Request.echo"]?["required"] == ["type", "message"])

            let routes = try await ChildProcess.run(
                .init(BuiltProduct.gateway.path, ["routes", "--config", site.configuration]))
            #expect(routes.output.contains("echo") && routes.output.contains("search_any"), "\(routes)")
            let check = try await ChildProcess.run(
                .init(BuiltProduct.gateway.path, ["check", "--config", site.configuration]))
            #expect(check.succeeded, "\(check.error)")
            #expect(check.output.contains("types from its tools: "), "\(check.output)")
            #expect(check.output.contains("upstream old: answers"), "\(check.output)")
            try await site.gateway.stop()
        }

        @Test func theExampleIsValid() async throws {
            let routes = try await ChildProcess.run(
                .init(BuiltProduct.gateway.path, ["routes", "--config", Checkout.path(Self.example)]))
            #expect(routes.succeeded, "\(routes.error)")
            for word in ["get_user_info", "10% tools", "100% compared", "any other"] {
                #expect(routes.output.contains(word), "\(routes.output)")
            }
        }
    }
}

extension EndToEnd {
    /// The first step of a migration changes nothing: every recorded request gets through the gateway what it gets from
    /// the backend itself.
    @Suite(.legacyStack(.legacy)) struct InFrontOfTheOldBackend {
        @Test func everyRecordedRequestIsAnsweredAsByTheBackendItself() async throws {
            let backend = try LegacyStack.current.gateway
            let directory = try TemporaryDirectory("front")
            let configuration: JSONValue = [
                "listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "errors": "legacy", "passthrough": ["enabled": false],
                "upstreams": ["old": ["kind": "chat", "trusted": true, "url": .string(backend.url + "/api/chat/")]],
                "chat": ["unknownTypes": ["upstream": "old"]],
            ]
            let front = try await RunningService.start(
                .gateway, ["--config", directory.write(configuration.text, to: "gateway.json")])
            try await front.ready()
            var compared = 0
            for recorded in ContractCase.all(upstream: "ok")
            where recorded.json["request"]?["path"]?.string?.hasPrefix("/api/chat") == true {
                let expected = try await recorded.send(to: backend)
                let found = try await recorded.send(to: front)
                #expect(found.status == expected.status, "\(recorded.id)")
                #expect(found.mediaType == expected.mediaType, "\(recorded.id)")
                #expect(found.text == expected.text, "\(recorded.id)")
                compared += 1
            }
            #expect(compared > 70)
            try await front.stop()
        }
    }
}
