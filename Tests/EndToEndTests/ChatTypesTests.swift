import Foundation
import JSON
import TestSupport
import Testing

extension EndToEnd {
    /// Every type of the shipped configuration, anonymous and logged in.
    @Suite struct ChatTypes {
        let stack: RunningStack
        let client: HTTPTestClient

        init() throws {
            stack = try RunningStack.current
            client = stack.gateway.client
        }

        @Test(arguments: ["anonymous", "logged in"])
        func searchProjectsAnswersAtMostFiveNames(_ caller: String) async throws {
            let cookie = caller == "logged in" ? try await stack.session(of: "alice") : nil
            let answer = try await client.chat(["type": "search_projects", "query": "urgent"], cookie: cookie)
            #expect(answer.status == 200)
            #expect(answer.mediaType == "application/json")
            #expect(try answer.json["type"] == "search_projects")
            let names = try #require(answer.replies).compactMap(\.string)
            #expect((1...5).contains(names.count))
            #expect(names.contains("Urgent Q2"))
        }

        @Test(arguments: ["anonymous", "logged in"])
        func searchAnyAnswersNamesWithURLs(_ caller: String) async throws {
            let cookie = caller == "logged in" ? try await stack.session(of: "bob") : nil
            let payload: JSONValue = ["type": "search_any", "model": "projects", "query": "urgent"]
            let answer = try await client.chat(payload, cookie: cookie)
            #expect(answer.status == 200)
            let replies = try #require(answer.replies)
            #expect(replies.count == 5)
            #expect(replies.contains(["name": "Urgent Q2", "url": "/psm/project/123/"]))
        }

        @Test func searchWithoutAMatchAnswersAnEmptyList() async throws {
            let answer = try await client.chat(["type": "search_projects", "query": "no such thing anywhere"])
            #expect(answer.status == 200)
            #expect(answer.replies == [])
        }

        @Test func userInfoNamesTheUserOfTheCookie() async throws {
            let alice = try await client.chat(["type": "get_user_info"], cookie: stack.session(of: "alice"))
            #expect(alice.status == 200)
            #expect(alice.replies == [["username": "alice", "alias": "Al"]])
            let bob = try await client.chat(["type": "get_user_info"], cookie: stack.session(of: "bob"))
            #expect(bob.replies?.first?["username"] == "bob")
        }

        @Test(arguments: [nil, "no-such-session"])
        func userInfoWithoutALoginIsRefused(_ cookie: String?) async throws {
            let answer = try await client.chat(["type": "get_user_info"], cookie: cookie)
            #expect(answer.status == 400)
            #expect(answer.errorText == "Not authenticated")
        }

        @Test(arguments: ["ai_prompt", "chat"])
        func promptsAreAnsweredFromTheDocumentsWithoutAProvider(_ type: String) async throws {
            let payload: JSONValue = ["type": .string(type), "message": "What do we know about the urgent projects?"]
            let answer = try await client.chat(payload)
            #expect(answer.status == 200)
            #expect(try answer.json["type"]?.string == type)
            let replies = try #require(answer.replies)
            #expect(replies.count == 1)
            #expect(try #require(replies.first?.string).isEmpty == false)
        }

        @Test func aPayloadWithoutTypeIsChat() async throws {
            let answer = try await client.chat(["message": "Hello"])
            #expect(answer.status == 200)
            #expect(try answer.json["type"] == "chat")
        }

        @Test func historyGivesTheUsersOwnMessagesNewestFirst() async throws {
            let name = "historian\(UInt32.random(in: 0 ... .max))"
            try await stack.addUser(name, password: "a long enough password")
            let cookie = try await stack.session(of: name)
            for message in ["first", "  second  "] {
                let answer = try await client.chat(["type": "chat", "message": .string(message)], cookie: cookie)
                #expect(answer.status == 200)
            }
            let prompt = try await client.chat(["type": "ai_prompt", "message": "third"], cookie: cookie)
            let history = try await client.chat(["type": "history"], cookie: cookie)
            #expect(history.status == 200)
            let entries = try #require(history.replies)
            #expect(entries.map { $0["message"]?.string } == ["third", "second", "first"])
            #expect(entries.first?["response"] == prompt.replies?.first)
            for entry in entries {
                let at = try #require(entry["at"]?.string)
                #expect(at.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/) != nil)
            }
            let other = try await client.chat(["type": "history"], cookie: stack.session(of: "bob"))
            #expect(try #require(other.replies).contains { $0["message"] == "second" } == false)
        }

        @Test func anonymousHistoryIsRefused() async throws {
            let answer = try await client.chat(["type": "history"])
            #expect(answer.status == 400)
            #expect(answer.errorText == "Not authenticated")
        }

        @Test func thePathWorksWithoutItsSlash() async throws {
            let answer = try await client.post("/api/chat", #"{"type":"search_projects","query":"urgent"}"#)
            #expect(answer.status == 200)
        }

        @Test func aToolErrorKeepsTheToolsText() async throws {
            let answer = try await client.chat(["type": "search_any", "model": "planets", "query": "x"])
            #expect(answer.status == 400)
            #expect(answer.errorText == "Unknown model")
        }

        @Test func anEventStreamEndsWithTheSameReply() async throws {
            let payload: JSONValue = ["type": "search_projects", "query": "urgent"]
            let plain = try await client.chat(payload)
            let events = try await client.chat(payload, headers: [("Accept", "text/event-stream")])
            #expect(events.status == 200)
            #expect(events.mediaType == "text/event-stream")
            let reply = try #require(ServerSentEvents(events.text).last)
            #expect(reply.name == "reply")
            #expect(try JSONValue(parsing: Array(reply.data.utf8)) == plain.json)
        }

        @Test func everyAnswerCarriesARequestIdAndItsTiming() async throws {
            let payload: JSONValue = ["type": "search_projects", "query": "urgent"]
            let kept = try await client.chat(payload, headers: [("X-Request-Id", "caller-0123456789")])
            #expect(kept.header("X-Request-Id") == "caller-0123456789")
            let replaced = try await client.chat(payload, headers: [("X-Request-Id", "no \"good\" id")])
            let identifier = try #require(replaced.header("X-Request-Id"))
            #expect(!identifier.isEmpty && !identifier.contains("good"))
            let timing = try #require(replaced.header("Server-Timing"))
            for phase in ["session", "upstream", "total"] { #expect(timing.contains("\(phase);dur=")) }
            let failure = try await client.get("/nothing/here")
            #expect(failure.header("X-Request-Id") != nil)
        }
    }
}

/// The events of a stream that ended.
struct ServerSentEvents: RandomAccessCollection {
    struct Event { var name = "message", data = "", id: String? }
    private var events: [Event] = []

    init(_ text: String) {
        for block in text.replacing("\r\n", with: "\n").split(separator: "\n\n") {
            var event = Event()
            var data: [Substring] = []
            for line in block.split(separator: "\n") where !line.hasPrefix(":") {
                let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                let value = parts.count > 1 ? parts[1].trimmingPrefix(" ") : ""
                switch parts[0] {
                case "event": event.name = String(value)
                case "data": data.append(value)
                case "id": event.id = String(value)
                default: break
                }
            }
            event.data = data.joined(separator: "\n")
            if !event.data.isEmpty { events.append(event) }
        }
    }

    var startIndex: Int { events.startIndex }
    var endIndex: Int { events.endIndex }
    subscript(_ index: Int) -> Event { events[index] }
}
