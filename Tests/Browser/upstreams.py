"""What stands behind the products in the tests: an AI provider, and a scripted MCP server for what no real one says."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Server:
    def __init__(self, handler, port=0):
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self._server.owner = self
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.port = self._server.server_address[1]

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")

    def whole(self, value, status=200, headers=()):
        data = json.dumps(value).encode() if value is not None else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, text in headers:
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def begin_events(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def event(self, data):
        self.wfile.write(f"data: {data}\n\n".encode())
        self.wfile.flush()


class Provider(_Server):
    """Chat completions: answers `Echo: <prompt>` word by word; `slowly` in the prompt makes it take its time, and
    `with tools` makes it look two things up first."""

    def __init__(self, port=0):
        self.aborted = 0
        super().__init__(_ProviderHandler, port)
        self.url = f"http://127.0.0.1:{self.port}/v1"


class _ProviderHandler(_Handler):
    def do_POST(self):
        request = self.body()
        prompt = request["messages"][-1]["content"]
        if request["messages"][-1]["role"] == "user" and "with tools" in prompt:
            return self.call(request, [("search_any", {"model": "projects", "query": "urgent"}), ("echo", {"message": "x"})])
        words = f"Echo: {prompt}".split(" ")
        if not request.get("stream"):
            message = {"role": "assistant", "content": " ".join(words)}
            return self.whole({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
        self.begin_events()
        pause = 0.15 if "slowly" in prompt else 0.005
        try:
            for index, word in enumerate(words * (20 if "slowly" in prompt else 1)):
                delta = {"content": word if index == 0 else " " + word}
                self.event(json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}))
                time.sleep(pause)
            self.event(json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
            self.event("[DONE]")
        except OSError:
            self.server.owner.aborted += 1


    def call(self, request, calls):
        calls = [{"index": index, "id": f"call-{index}", "type": "function",
                  "function": {"name": name, "arguments": json.dumps(arguments)}}
                 for index, (name, arguments) in enumerate(calls)]
        message = {"role": "assistant", "content": None, "tool_calls": calls}
        if not request.get("stream"):
            return self.whole({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]})
        self.begin_events()
        self.event(json.dumps({"choices": [{"index": 0, "delta": message, "finish_reason": None}]}))
        self.event(json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}))
        self.event("[DONE]")


class ScriptedMCP(_Server):
    """A legacy MCP server whose `search_any` and `chat` answer what the query or the message asks for."""

    def __init__(self, answers):
        self.answers = answers
        super().__init__(_MCPHandler)
        self.url = f"http://127.0.0.1:{self.port}/mcp/"


def _tool(name, *arguments):
    properties = {argument: {"type": "string"} for argument in arguments}
    schema = {"type": "object", "properties": properties, "required": list(arguments)}
    return {"name": name, "description": f"The tool {name}.", "inputSchema": schema,
            "annotations": {"readOnlyHint": name.startswith("search")}}


TOOLS = [
    _tool("search_projects", "query"), _tool("search_any", "model", "query"), _tool("get_user_info"),
    _tool("ai_prompt", "prompt"), _tool("chat", "message"), _tool("chat_history"),
]


class _MCPHandler(_Handler):
    def do_GET(self):
        self.whole(None, 405)

    def do_DELETE(self):
        self.whole(None, 204)

    def do_POST(self):
        message = self.body()
        method = message.get("method")
        if "id" not in message:
            return self.whole(None, 202)
        if method == "initialize":
            result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                      "serverInfo": {"name": "scripted", "version": "1"}}
            return self.answer(message, result, [("Mcp-Session-Id", "one")])
        if method == "tools/list":
            return self.answer(message, {"tools": TOOLS})
        if method != "tools/call":
            return self.answer(message, {})
        arguments = message["params"].get("arguments", {})
        text = arguments.get("query") or arguments.get("message") or arguments.get("prompt") or ""
        action = self.server.owner.answers.get(text)
        if action is None:
            result = {"isError": True, "content": [{"type": "text", "text": "Not authenticated"}]}
            return self.answer(message, result)
        return action(self, message)

    def answer(self, message, result, headers=()):
        self.whole({"jsonrpc": "2.0", "id": message["id"], "result": result}, headers=headers)

    def results(self, message, value):
        text = json.dumps({"results": value})
        self.answer(message, {"structuredContent": {"results": value}, "content": [{"type": "text", "text": text}]})

    def progress(self, call, **values):
        token = call["params"].get("_meta", {}).get("progressToken")
        params = {"progressToken": token, **values}
        self.event(json.dumps({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}))

    def finish_call(self, message, value):
        result = {"structuredContent": {"results": value}, "content": []}
        self.event(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}))


#: What `AskingMCP` asks, by the message; several questions are asked at once.
QUESTIONS = {
    "seats": [{"message": "How many seats, and where?", "requestedSchema": {
        "type": "object",
        "properties": {
            "seats": {"type": "integer", "title": "Seats", "minimum": 1, "maximum": 9, "description": "At most nine."},
            "row": {"type": "string", "title": "Row", "oneOf": [{"const": "f", "title": "Front"}, {"const": "b", "title": "Back"}]},
            "extras": {"type": "array", "title": "Extras", "items": {"enum": ["coat", "drink"]}},
            "day": {"type": "string", "title": "Day", "format": "date"},
            "name": {"type": "string", "title": "Name", "pattern": "^[A-Z]"},
            "insured": {"type": "boolean", "title": "Insured"},
        },
        "required": ["seats", "row", "name"]}}],
    "page": [{"mode": "url", "message": "Pay <b>here</b>.", "url": "https://pay.example/invoice/7"}],
    "two": [
        {"message": "First?", "requestedSchema": {"type": "object", "properties": {"a": {"type": "string"}}}},
        {"message": "Second?", "requestedSchema": {"type": "object", "properties": {"b": {"type": "boolean"}}}},
    ],
}


class AskingMCP(_Server):
    """An MCP server whose `chat` asks its user: in a result (2026-07-28), or on the stream of the call (before)."""

    def __init__(self, is_modern):
        self.is_modern = is_modern
        #: The answers of every call that has asked and come to its end.
        self.runs = []
        self.answers = {}
        self.arrived = threading.Condition()
        super().__init__(_AskingHandler)
        self.url = f"http://127.0.0.1:{self.port}/mcp/"


class _AskingHandler(_MCPHandler):
    def do_POST(self):
        owner = self.server.owner
        message = self.body()
        method = message.get("method")
        if method is None:
            with owner.arrived:
                owner.answers[message["id"]] = message.get("result")
                owner.arrived.notify_all()
            return self.whole(None, 202)
        if "id" not in message:
            return self.whole(None, 202)
        modern = {"resultType": "complete", "ttlMs": 1000, "cacheScope": "public"} if owner.is_modern else {}
        if method == "server/discover" and owner.is_modern:
            return self.answer(message, {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, **modern})
        if method == "initialize" and not owner.is_modern:
            return self.answer(message, {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                                         "serverInfo": {"name": "asking", "version": "1"}}, [("Mcp-Session-Id", "one")])
        if method == "tools/list":
            return self.answer(message, {"tools": TOOLS, **modern})
        if method != "tools/call":
            error = {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "unknown"}}
            return self.whole(error, 404 if owner.is_modern else 200)
        questions = QUESTIONS.get(message["params"].get("arguments", {}).get("message"), [])
        if owner.is_modern:
            return self.by_result(message, questions)
        return self.by_stream(message, questions)

    def by_result(self, message, questions):
        responses = message["params"].get("inputResponses")
        if questions and responses is None:
            requests = {str(n): {"method": "elicitation/create", "params": q} for n, q in enumerate(questions)}
            return self.answer(message, {"resultType": "input_required", "inputRequests": requests, "requestState": "s"})
        if questions:
            self.server.owner.runs.append([responses[str(n)] for n in range(len(questions))])
        self.answer(message, {"resultType": "complete", "content": [{"type": "text", "text": "It is done."}]})

    def by_stream(self, message, questions):
        owner = self.server.owner
        self.begin_events()
        given = []
        for number, question in enumerate(questions):
            name = f"{message['id']}-{number}"
            self.event(json.dumps({"jsonrpc": "2.0", "id": name, "method": "elicitation/create", "params": question}))
            with owner.arrived:
                owner.arrived.wait_for(lambda: name in owner.answers, 30)
            given.append(owner.answers[name])
        if questions:
            owner.runs.append(given)
        result = {"content": [{"type": "text", "text": "It is done."}]}
        self.event(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}))
