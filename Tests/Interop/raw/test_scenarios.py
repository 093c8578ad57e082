"""The conformance client in the scenarios of the conformance suite, against servers that watch what it does."""
import base64
import http.server
import json
import os
import subprocess
import threading
import time
import types

import pytest
import schemas
from conftest import PRODUCTS

META = "io.modelcontextprotocol/"


class Server:
    """Answers with what `respond(method, message, headers)` gives: a result, (status, body), the bytes of an event
    stream, or a generator of its messages; and keeps every request. `asked` is what it asks the client in between."""

    def __init__(self, respond, get=None, asked=None):
        self.requests, self.asked, outer = [], asked, self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append((time.monotonic(), self.headers, message))
                answer = respond(message.get("method"), message, self.headers)
                if "id" not in message or "method" not in message:
                    return self.send(202, b"")
                if isinstance(answer, tuple):
                    return self.send(answer[0], json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer[1]}).encode())
                if isinstance(answer, bytes):
                    return self.send(200, answer, "text/event-stream")
                if isinstance(answer, types.GeneratorType):
                    return self.stream(answer)
                self.send(200, json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": answer}).encode())

            def do_GET(self):
                outer.requests.append((time.monotonic(), self.headers, None))
                answer = get(self.path, self.headers) if get else None
                self.send(200 if answer else 405, answer or b"", "text/event-stream")

            def do_DELETE(self):
                self.send(200, b"")

            def send(self, status, body, kind="application/json"):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def stream(self, events):
                self.close_connection = True
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                for event in events:
                    self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
                    self.wfile.flush()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/mcp"

    def run(self, scenario, version, context=None):
        environment = dict(os.environ, MCP_CONFORMANCE_SCENARIO=scenario, MCP_CONFORMANCE_PROTOCOL_VERSION=version)
        if context is not None:
            environment["MCP_CONFORMANCE_CONTEXT"] = json.dumps(context)
        done = subprocess.run([str(PRODUCTS / "ConformanceClient"), self.url], env=environment, timeout=30,
                              capture_output=True, text=True)
        self.server.shutdown()
        if not schemas.missing():
            for _, _, message in self.requests:
                assert message is None or schemas.revision(version).check(message, self.asked) == [], message
        return done.returncode

    def sent(self, method):
        return [(headers, message) for _, headers, message in self.requests if message and message.get("method") == method]


def modern(handlers, tools=()):
    """A server of 2026-07-28 without sessions."""

    def respond(method, message, headers):
        if method == "server/discover":
            return {"resultType": "complete", "supportedVersions": ["2026-07-28"], "ttlMs": 0, "cacheScope": "private",
                    "capabilities": {"tools": {}, "resources": {}, "prompts": {}}}
        if method == "tools/list":
            return {"resultType": "complete", "ttlMs": 0, "cacheScope": "private", "tools": list(tools)}
        return handlers(method, message, headers)

    return respond


def legacy(handlers, tools=()):
    """A legacy server without session ids."""

    def respond(method, message, headers):
        if method == "initialize":
            return {"protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {}},
                    "serverInfo": {"name": "watching", "version": "1"}}
        if method == "tools/list":
            return {"tools": list(tools)}
        return handlers(method, message, headers)

    return respond


def tool(name, properties=None, **more):
    return {"name": name, "description": name, "inputSchema": {"type": "object", "properties": properties or {}, **more}}


def text(words):
    return {"resultType": "complete", "content": [{"type": "text", "text": words}]}


@pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25"])
def test_initialize(version):
    server = Server(legacy(lambda *_: {}))
    assert server.run("initialize", version) == 0
    methods = [message["method"] for _, _, message in server.requests if message]
    assert methods == ["initialize", "notifications/initialized", "tools/list"]
    assert server.requests[0][2]["params"]["protocolVersion"] == version
    assert server.requests[2][1]["MCP-Protocol-Version"] == version


@pytest.mark.parametrize("make, version", [(legacy, "2025-06-18"), (modern, "2026-07-28")])
def test_tools_call(make, version):
    number = {"type": "number"}
    server = Server(make(lambda *_: text("8"), [tool("add_numbers", {"a": number, "b": number}, required=["a", "b"])]))
    assert server.run("tools_call", version) == 0
    (_, call), = server.sent("tools/call")
    assert all(isinstance(call["params"]["arguments"][name], (int, float)) for name in "ab")


def test_a_tool_that_is_not_listed_is_a_failure():
    assert Server(legacy(lambda *_: {})).run("tools_call", "2025-06-18") != 0


def test_request_metadata():
    """Every POST says everything; a refused revision is followed by a supported one."""
    refused = []

    def respond(method, message, headers):
        if not refused:
            refused.append(message)
            return 400, {"error": {"code": -32022, "message": "no", "data": {
                "supported": ["2026-07-28"], "requested": "2026-07-28"}}}
        return modern(lambda *_: {})(method, message, headers)

    server = Server(respond)
    assert server.run("request-metadata", "2026-07-28") == 0
    assert [message["method"] for _, _, message in server.requests] == [
        "server/discover", "server/discover", "tools/list"]
    for _, headers, message in server.requests:
        meta = message["params"]["_meta"]
        assert headers["MCP-Protocol-Version"] == meta[META + "protocolVersion"] == "2026-07-28"
        assert isinstance(meta[META + "clientCapabilities"], dict) and meta[META + "clientInfo"]["name"]


def test_sse_retry():
    """An event stream that ends early is taken up by GET, after the pause that the server asked for."""
    calls = []

    def handlers(method, message, headers):
        if method == "tools/call":
            calls.append(message["id"])
            return b"id: event-1\nretry: 500\ndata: \n\n"
        return {}

    def get(path, headers):
        result = {"jsonrpc": "2.0", "id": calls[0], "result": text("done")}
        return f"event: message\nid: event-2\ndata: {json.dumps(result)}\n\n".encode()

    server = Server(legacy(handlers, [tool("test_reconnection")]), get)
    assert server.run("sse-retry", "2025-11-25") == 0
    called = next(at for at, _, message in server.requests if message and message["method"] == "tools/call")
    (again, headers), = [(at, headers) for at, headers, message in server.requests if message is None]
    assert headers["Last-Event-ID"] == "event-1"
    assert 0.45 <= again - called < 1.0


def test_elicitation_defaults():
    """The question comes on the stream of the call here."""
    answered = threading.Event()
    answers = []

    def handlers(method, message, headers):
        if method is None:
            answers.append(message)
            answered.set()
            return {}
        if method != "tools/call":
            return {}
        properties = {"name": {"type": "string", "default": "John Doe"}, "age": {"type": "integer", "default": 30},
                      "score": {"type": "number", "default": 95.5}, "verified": {"type": "boolean", "default": True},
                      "status": {"type": "string", "enum": ["active", "inactive"], "default": "active"}}
        question = {"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": {
            "message": "defaults", "requestedSchema": {"type": "object", "properties": properties, "required": []}}}

        def conversation():
            yield question
            assert answered.wait(10)
            yield {"jsonrpc": "2.0", "id": message["id"], "result": text("done")}

        return conversation()

    server = Server(legacy(handlers, [tool("test_client_elicitation_defaults")]), asked="elicitation/create")
    assert server.run("elicitation-sep1034-client-defaults", "2025-11-25") == 0
    assert answers[0]["id"] == "q" and answers[0]["result"] == {"action": "accept", "content": {
        "name": "John Doe", "age": 30, "score": 95.5, "verified": True, "status": "active"}}


@pytest.mark.parametrize("make, version", [(legacy, "2025-11-25"), (modern, "2026-07-28")])
def test_schemas_are_preserved(make, version):
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
              "$defs": {"a": {"$anchor": "a", "type": "string"}}, "properties": {"x": {"$ref": "#a"}},
              "allOf": [{"anyOf": [{"required": ["x"]}]}], "if": {"const": 1.5}, "then": True,
              "else": False, "additionalProperties": False}
    server = Server(make(lambda *_: text("ok"), [
        {**tool("json_schema_2020_12_tool"), "inputSchema": schema}, tool("json_schema_echo", {"schema": {}})]))
    assert server.run("json-schema-2020-12-preservation", version) == 0
    (_, call), = server.sent("tools/call")
    assert call["params"]["arguments"]["schema"] == schema


def test_network_references_are_not_fetched():
    fetched = []
    canary = Server(lambda *_: {}, lambda path, headers: fetched.append(path))
    properties = {"id": {"$ref": "#/$defs/id"}, "far": {"$ref": canary.url}}
    server = Server(modern(lambda *_: {}, [tool("referring", properties, **{"$defs": {"id": {"type": "string"}}})]))
    assert server.run("json-schema-ref-no-deref", "2026-07-28") == 0
    assert server.sent("tools/list") and not fetched


def test_standard_headers():
    def handlers(method, message, headers):
        answers = {
            "tools/call": text("ok"),
            "resources/list": {"resources": [{"uri": "file:///a%20b", "name": "a"}, {"uri": "file:///ż", "name": "b"}]},
            "resources/read": {"contents": []}, "prompts/list": {"prompts": [{"name": "ask"}]},
            "prompts/get": {"messages": []}}
        return {"resultType": "complete", "ttlMs": 0, "cacheScope": "private", **answers[method]}

    server = Server(modern(handlers, [tool("plain"), tool("zażółć")]))
    assert server.run("http-standard-headers", "2026-07-28") == 0
    assert {message["method"] for _, _, message in server.requests} >= {
        "tools/call", "resources/read", "prompts/get"}
    for _, headers, message in server.requests:
        assert headers["Mcp-Method"] == message["method"]
        name = message["params"].get("uri") if message["method"] == "resources/read" else message["params"].get("name")
        assert unwrapped(headers["Mcp-Name"]) == name


def unwrapped(value):
    if value and value.startswith("=?base64?") and value.endswith("?="):
        return base64.b64decode(value[9:-2]).decode()
    return value


def test_custom_headers():
    values = {"plain": "us-west1", "empty": "", "umlaut": "Hello, 世界", "edges": " padded ", "inner": "us west 1",
              "lines": "line1\r\nline2", "tab": "\tindented", "wrapped": "=?base64?YQ==?=", "number": 42, "yes": True,
              "no": False, "nothing": None}
    kinds = {int: "integer", bool: "boolean"}
    properties = {name: {"type": kinds.get(type(value), "string"), "x-mcp-header": name.title()}
                  for name, value in values.items()}
    properties["query"] = {"type": "string"}
    server = Server(modern(lambda *_: text("ok"), [tool("mirrored", properties)]))
    calls = [{"name": "mirrored", "arguments": {**values, "query": "SELECT"}}]
    assert server.run("http-custom-headers", "2026-07-28", {"toolCalls": calls}) == 0
    (headers, call), = server.sent("tools/call")
    assert call["params"]["arguments"] == calls[0]["arguments"]
    for name, value in values.items():
        found = headers[f"Mcp-Param-{name.title()}"]
        if value is None:
            assert found is None
        elif isinstance(value, bool):
            assert found == str(value).lower()
        else:
            assert unwrapped(found) == str(value), name
            if str(value) in ("us-west1", "us west 1", "", "42"):
                assert found == str(value)
    assert headers["Mcp-Param-Query"] is None


def test_tools_with_invalid_headers_are_left_alone():
    def marked(kind, name):
        return {"type": kind, "x-mcp-header": name}

    tools = [tool("valid_tool", {"region": marked("string", "Region")})]
    for index, (kind, name) in enumerate([
            ("string", ""), ("object", "A"), ("array", "A"), ("null", "A"), ("number", "A"), ("string", "A B"),
            ("string", "A:B"), ("string", "Ż"), ("string", "A\n"), ("string", 5)]):
        tools.append(tool(f"invalid_{index}", {"value": marked(kind, name)}))
    tools.append(tool("invalid_twice", {"a": marked("string", "Same"), "b": marked("string", "sAME")}))
    tools.append(tool("invalid_items", {"a": {"type": "array", "items": marked("string", "Item")}}))
    server = Server(modern(lambda *_: text("ok"), tools))
    assert server.run("http-invalid-tool-headers", "2026-07-28") == 0
    assert [call["params"]["name"] for _, call in server.sent("tools/call")] == ["valid_tool"]


def test_multi_round_state():
    state = '{"nonce": "ż \\" 1"}'

    def handlers(method, message, headers):
        name, answers = message["params"]["name"], message["params"].get("inputResponses")
        if name.endswith(("echo_state", "no_state")) and not answers:
            question = {"method": "elicitation/create", "params": {"message": "?", "requestedSchema": {
                "type": "object", "properties": {"confirmed": {"type": "boolean"}}}}}
            result = {"resultType": "input_required", "inputRequests": {"confirm": question}}
            return {**result, "requestState": state} if name.endswith("echo_state") else result
        return {"content": []} if name.endswith("no_result_type") else text("ok")

    names = ["test_mrtr_echo_state", "test_mrtr_no_state", "test_mrtr_unrelated", "test_mrtr_no_result_type"]
    server = Server(modern(handlers, [tool(name) for name in names]))
    assert server.run("sep-2322-client-request-state", "2026-07-28") == 0
    calls = [call for _, call in server.sent("tools/call")]
    assert [call["params"]["name"] for call in calls] == [names[0], names[0], names[1], names[1], names[2], names[3]]
    assert len({call["id"] for call in calls}) == len(calls)
    assert calls[1]["params"]["requestState"] == state and "confirm" in calls[1]["params"]["inputResponses"]
    for call in (calls[0], *calls[2:]):
        assert "requestState" not in call["params"]
    for call in (calls[0], calls[2], calls[4], calls[5]):
        assert "inputResponses" not in call["params"]
