import JSON
import Testing

@testable import APIImport

@Suite("A recording becomes chat types") struct HARImportTests {
    /// One exchange of a recording.
    static func entry(
        _ payload: JSONValue, _ answer: String, status: Int = 200, method: String = "POST",
        cookie: String = "s3cr3t-cookie"
    ) -> JSONValue {
        [
            "request": [
                "method": .string(method), "url": "https://old.example/api/chat/?user=personal-query",
                "cookies": [["name": "sessionid", "value": .string(cookie)]],
                "headers": [
                    ["name": "Authorization", "value": "Bearer s3cr3t-token"],
                    ["name": "Cookie", "value": .string("sessionid=\(cookie)")],
                ],
                "queryString": [["name": "user", "value": "personal-query"]],
                "postData": ["mimeType": "application/json", "text": .string(payload.text)],
            ],
            "response": [
                "status": .number(status), "headers": [["name": "Set-Cookie", "value": "sessionid=s3cr3t-set"]],
                "content": ["text": .string(answer)],
            ],
        ]
    }

    static func run(_ entries: [JSONValue]) throws -> (chat: JSONValue, text: String, notes: String) {
        let recording: JSONValue = ["log": ["version": "1.2", "entries": .array(entries)]]
        let imported = try HARImport.run(recording.serialized)
        return (
            try #require(JSONValue(parsing: imported.text)["chat"]), imported.text,
            imported.notes.joined(separator: "\n")
        )
    }

    @Test func fieldsAndShapesAreGuessed() throws {
        let (chat, _, notes) = try Self.run([
            Self.entry(["type": "search", "query": "a", "model": "m"], #"{"type":"search","replies":["x","y"]}"#),
            Self.entry(["type": "search", "query": "b", "model": ""], #"{"type":"search","replies":[]}"#),
            Self.entry(["message": "hi"], #"{"type":"chat","replies":["hello"]}"#),
            Self.entry(["type": "me"], #"{"type":"me","replies":[{"username":"u"}]}"#),
            Self.entry(
                ["type": "stream", "n": 1],
                "event: delta\ndata: {\"text\":\"a\"}\n\nevent: reply\ndata: {\"type\":\"stream\",\"replies\":[\"z\"]}\n\n"
            ),
        ])
        #expect(chat["defaultType"] == nil)
        #expect(
            chat["types"] == [
                "search": [
                    "tool": "search", "arguments": ["query": [:], "model": ["required": false]],
                    "reply": ["shape": "list"],
                ],
                "chat": ["tool": "chat", "arguments": ["message": [:]], "reply": ["shape": "wrapped"]],
                "me": ["tool": "me", "reply": ["shape": "wrapped", "text": "json"]],
                "stream": ["tool": "stream", "arguments": ["n": [:]], "reply": ["shape": "wrapped"]],
            ])
        #expect(notes.contains("model (string, not always there)"))
    }

    @Test func nothingOfARecordingButNamesComesOut() throws {
        let personal = "alice.example@mail.example"
        let (_, text, notes) = try Self.run([
            Self.entry(
                [
                    "type": "search", "query": .string(personal), "note": "my private words", "s3cr3t-cookie": 1,
                    "4111111111111111": 2,
                ],
                #"{"type":"search","replies":["Alice Example lives here"]}"#),
            Self.entry(["type": .string(personal), "query": "x"], #"{"type":"x","replies":[]}"#),
            Self.entry(["type": "s3cr3t-token", "query": "x"], #"{"replies":[]}"#),
            Self.entry(["type": "broken", "query": "s3cr3t-body"], "Traceback: s3cr3t-body", status: 500),
        ])
        for secret in [
            "s3cr3t", personal, "alice", "private", "Alice", "4111", "personal-query", "old.example", "Traceback",
        ] {
            #expect(!text.contains(secret) && !notes.contains(secret), "\(secret)")
        }
        #expect(text.contains("\"note\""))
        #expect(notes.contains("a field of type search whose name does not look like one is left out"))
    }

    @Test func whatIsNoPayloadIsPassedOver() throws {
        let (chat, _, _) = try Self.run([
            Self.entry(["type": "a"], "{}", method: "GET"), Self.entry("text", "{}"), Self.entry(["x": 1], "<html>"),
            1, [:], ["request": ["method": "POST"]], Self.entry(["type": 7], "{}"),
            Self.entry(["type": "only"], "<html>"),
        ])
        #expect(chat["types"]?.object?.keys == ["only"])
        #expect(chat["defaultType"] == "only")
    }

    @Test(arguments: [
        "", "[]", "{}", #"{"log":{"entries":{}}}"#, #"{"log":{"entries":[]}}"#, "\u{0}",
        #"{"log":{"entries":[1,null,"x"]}}"#,
    ])
    func whatIsNoRecordingIsAnError(text: String) {
        #expect(throws: ImportError.self) { try HARImport.run(Array(text.utf8)) }
    }
}
