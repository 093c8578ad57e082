"""The real tool-server over stdio, byte by byte."""
import json
import subprocess
import threading

import pytest
import schemas
from conftest import PRODUCTS

MODERN = {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientCapabilities": {}}}


class Checked:
    """Holds what the server says against the schemas; until a handshake it speaks the modern revision."""

    def __init__(self):
        self.version, self.methods = "2026-07-28", {}

    def sent(self, message):
        for element in message if isinstance(message, list) else [message]:
            if isinstance(element, dict) and isinstance(element.get("method"), str):
                self.methods[json.dumps(element.get("id"))] = element["method"]

    def said(self, line):
        message = json.loads(line)
        if schemas.missing():
            return message
        for element in message if isinstance(message, list) else [message]:
            method = self.methods.get(json.dumps(element.get("id")))
            result = element.get("result", {})
            if method == "initialize" and "protocolVersion" in result:
                self.version = result["protocolVersion"]
            # Older schemas want an id even where there was none to read; the specification has since said to omit it.
            is_modern = "resultType" in result or "error" in element and "id" not in element
            version = "2026-07-28" if is_modern else self.version
            assert schemas.revision(version).check(element, method) == [], element
        return message


class Stdio:
    def __init__(self, database):
        self.checked = Checked()
        self.process = subprocess.Popen(
            [str(PRODUCTS / "tool-server"), "--transport", "stdio", "--database", database], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.stderr = []
        threading.Thread(target=lambda: self.stderr.extend(self.process.stderr), daemon=True).start()

    def send(self, *lines):
        for line in lines:
            self.checked.sent(line)
            self.process.stdin.write(line if isinstance(line, bytes) else json.dumps(line).encode())
            self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def receive(self):
        line = self.process.stdout.readline()
        assert line, b"".join(self.stderr).decode()
        return self.checked.said(line)

    def end(self):
        """Everything that still comes after the end of input."""
        self.process.stdin.close()
        rest = [self.checked.said(line) for line in self.process.stdout.read().splitlines()]
        assert self.process.wait(10) == 0, b"".join(self.stderr).decode()
        return rest


@pytest.fixture
def stdio(database):
    server = Stdio(database)
    yield server
    server.process.kill()
    server.process.wait()


@pytest.fixture(scope="module")
def shared(database):
    """One process for all that must not end it."""
    server = Stdio(database)
    yield server
    assert server.end() == []


def call(id, tool, arguments, **params):
    return {"jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments, **params}}


def echo(id, text="hello"):
    return call(id, "echo", {"message": text}, **MODERN)


def initialize(stdio, version="2025-11-25"):
    stdio.send({"jsonrpc": "2.0", "id": "init", "method": "initialize", "params": {
        "protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}})
    answer = stdio.receive()
    assert answer["result"]["protocolVersion"] == version
    stdio.send({"jsonrpc": "2.0", "method": "notifications/initialized"})


def test_concurrent_requests_are_all_answered_once(stdio):
    stdio.send(*(echo(number, f"text {number}") for number in range(200)))
    answers = [stdio.receive() for _ in range(200)]
    assert sorted(answer["id"] for answer in answers) == list(range(200))
    for answer in answers:
        assert answer["result"]["structuredContent"] == {"Echo": f"text {answer['id']}"}
    assert stdio.end() == []


def test_what_is_in_flight_at_the_end_of_input_is_answered(stdio):
    stdio.send(*(echo(number) for number in range(50)))
    assert sorted(answer["id"] for answer in stdio.end()) == list(range(50))


def test_the_last_line_needs_no_end(stdio):
    stdio.process.stdin.write(json.dumps(echo(1)).encode())
    assert [answer["id"] for answer in stdio.end()] == [1]


def test_both_eras_in_one_process(stdio):
    initialize(stdio)
    stdio.send(call(1, "echo", {"message": "legacy"}))
    assert "resultType" not in stdio.receive()["result"]
    stdio.send(echo(2))
    assert stdio.receive()["result"]["resultType"] == "complete"


@pytest.mark.parametrize("bad, code, id", [
    (b"not json", -32700, None),
    (b'{"jsonrpc":"2.0","id":1', -32700, None),
    (b'\xff\xfe{"jsonrpc":"2.0"}', -32700, None),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping"}}', -32700, None),
    (b"[" * 200 + b"]" * 200, -32700, None),
    (b"x" * (5 << 20), -32600, None),
    (b"[]", -32600, None), (b"1", -32600, None), (b'"text"', -32600, None), (b"null", -32600, None),
    (b'{"jsonrpc":"1.0","id":3,"method":"ping"}', -32600, 3),
    (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600, None),
    (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600, None),
    (b'{"jsonrpc":"2.0","id":[1],"method":"ping"}', -32600, None),
    (b'{"jsonrpc":"2.0","id":4,"method":5}', -32600, 4),
    (b'{"jsonrpc":"2.0","id":5,"method":"ping","params":[1]}', -32602, 5),
    (b'{"jsonrpc":"2.0","id":6,"method":"no/such"}', -32601, 6),
    (b'{"jsonrpc":"2.0","id":7,"method":"tools/list"}', -32600, 7),
])
def test_a_bad_line_is_answered_and_the_next_served(shared, bad, code, id):
    shared.send(bad)
    answer = shared.receive()
    assert answer["error"]["code"] == code
    assert answer.get("id") == id and ("id" in answer) == (id is not None)
    shared.send(echo("next"))
    assert shared.receive()["id"] == "next"


def test_empty_lines_and_carriage_returns_are_no_messages(stdio):
    stdio.send(b"", b"\r", b"  ", json.dumps(echo(1)).encode() + b"\r")
    assert stdio.receive()["id"] == 1
    assert stdio.end() == []


def test_ids_keep_their_type(shared):
    shared.send(echo(31, "integer"), echo("31", "string"))
    answers = {(type(answer["id"]), answer["id"]): answer for answer in (shared.receive(), shared.receive())}
    assert answers[(int, 31)]["result"]["structuredContent"] == {"Echo": "integer"}
    assert answers[(str, "31")]["result"]["structuredContent"] == {"Echo": "string"}


def test_nothing_but_messages_on_standard_output(stdio):
    stdio.send(b"bad", echo(1))
    for answer in [stdio.receive(), stdio.receive(), *stdio.end()]:
        assert answer["jsonrpc"] == "2.0"


def test_batches_belong_to_one_revision(stdio):
    initialize(stdio, "2025-03-26")
    stdio.send([call(1, "echo", {"message": "a"}), {"jsonrpc": "2.0", "method": "notifications/cancelled",
                                                    "params": {"requestId": 99}}, call(2, "echo", {"message": "b"})])
    assert sorted(answer["id"] for answer in stdio.receive()) == [1, 2]
    stdio.send([{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 99}}], echo(3))
    assert stdio.receive()["id"] == 3


def test_a_later_revision_refuses_batches(stdio):
    initialize(stdio, "2025-06-18")
    stdio.send([call(1, "echo", {"message": "a"})])
    assert stdio.receive()["error"]["code"] == -32600


def all_answers(process, lines):
    checked = Checked()
    for line in lines:
        checked.sent(line)
    out, _ = process.communicate(b"".join(json.dumps(line).encode() + b"\n" for line in lines), timeout=20)
    return [checked.said(line) for line in out.splitlines()]


def test_a_cancelled_call_is_not_answered():
    """The fixture's server, since it has a call that takes its time."""
    process = subprocess.Popen([str(PRODUCTS / "ConformanceServer")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    lines = [call("slow", "test_tool_with_progress", {}, **MODERN),
             {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "slow"}},
             call("quick", "test_simple_text", {}, **MODERN)]
    assert [answer["id"] for answer in all_answers(process, lines)] == ["quick"]
    assert process.returncode == 0


def test_a_duplicate_id_in_flight_is_refused():
    process = subprocess.Popen([str(PRODUCTS / "ConformanceServer")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    lines = [call(1, "test_tool_with_progress", {}, **MODERN), call(1, "test_simple_text", {}, **MODERN)]
    refused, answered = all_answers(process, lines)
    assert refused["id"] == 1 and refused["error"]["code"] == -32600
    assert answered["id"] == 1 and "result" in answered
