"""What the real tool-server says to bad input over HTTP; the next request is always served."""
import http.client
import json
import socket
import threading

import pytest

MODERN_META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
               "io.modelcontextprotocol/clientCapabilities": {},
               "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"}}
ACCEPT = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


class Peer:
    def __init__(self, address):
        self.host, port = address.rsplit(":", 1)
        self.port = int(port)

    def send(self, body, headers=None, method="POST", path="/mcp"):
        """Gives back status, headers and the decoded body (None when it is empty)."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        try:
            data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            connection.request(method, path, data, {**ACCEPT, **(headers or {})})
            response = connection.getresponse()
            return response.status, response.headers, decoded(response.read())
        finally:
            connection.close()

    def raw(self, data):
        """The status of the answer to these bytes."""
        with socket.create_connection((self.host, self.port), timeout=30) as peer:
            try:
                peer.sendall(data)
            except OSError:
                pass
            answer = b""
            while b"\r\n" not in answer:
                part = peer.recv(4096)
                if not part:
                    break
                answer += part
            return int(answer.split()[1]) if answer else None

    def modern(self, method="tools/call", params=None, id=1, headers=None, meta=None):
        params = {"name": "echo", "arguments": {"message": "hello"}} if params is None else params
        body = {"jsonrpc": "2.0", "id": id, "method": method,
                "params": {**params, "_meta": MODERN_META if meta is None else meta}}
        standard = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
        if "name" in params:
            standard["Mcp-Name"] = params["name"]
        standard.update(headers or {})
        return self.send(body, {name: value for name, value in standard.items() if value is not None})

    def session(self, version="2025-11-25", headers=None):
        body = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}}
        status, head, answer = self.send(body, headers)
        assert status == 200, answer
        session = {"Mcp-Session-Id": head["Mcp-Session-Id"], "MCP-Protocol-Version": version, **(headers or {})}
        assert self.send({"jsonrpc": "2.0", "method": "notifications/initialized"}, session)[0] == 202
        return session

    def is_served(self):
        status, _, answer = self.modern(id="next")
        assert status == 200 and answer["result"]["structuredContent"] == {"Echo": "hello"}


def decoded(body):
    if not body:
        return None
    text = body.decode()
    if "data:" in text and not text.startswith("{"):
        return json.loads([line[5:] for line in text.splitlines() if line.startswith("data:") and len(line) > 6][-1])
    try:
        return json.loads(text)
    except ValueError:
        return text


@pytest.fixture
def peer(tool_server, record):
    recorded = Peer(record(tool_server.addresses["main"]))
    yield recorded
    recorded.is_served()


@pytest.fixture(params=["direct", "through the gateway"])
def either(request, tool_server, record):
    """The tool-server itself, and the gateway's pass-through, which must not stand between it and its headers."""
    process = tool_server if request.param == "direct" else request.getfixturevalue("gateway")
    recorded = Peer(record(process.addresses["main"]))
    yield recorded
    recorded.is_served()


def nested(depth):
    return b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":' + b"[" * depth + b"]" * depth + b"}}"


@pytest.mark.parametrize("body, status, code, id", [
    (b"not json", 400, -32700, None),
    (b"", 400, -32700, None),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping"', 400, -32700, None),
    (b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"ping"}', 400, -32700, None),
    (b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', 400, -32700, None),
    (b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}', 400, -32600, 1),
    (nested(64), 400, -32700, None),
    (nested(100_000), 400, -32700, None),
    (b"1", 400, -32600, None), (b"null", 400, -32600, None), (b"[]", 400, -32600, None),
    (b'{"jsonrpc":"1.0","id":7,"method":"ping"}', 400, -32600, 7),
    (b'{"jsonrpc":"2.0","id":7,"method":1}', 400, -32600, 7),
    (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', 400, -32600, None),
    (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', 400, -32600, None),
    (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', 400, -32600, None),
    (b'{"jsonrpc":"2.0","id":{},"method":"ping"}', 400, -32600, None),
    (b'{"jsonrpc":"2.0","id":7,"method":"ping","params":[]}', 400, -32602, 7),
    (b'{"jsonrpc":"2.0","id":7,"result":{},"error":{"code":1,"message":""}}', 400, -32600, 7),
])
def test_malformed_messages(peer, body, status, code, id):
    answer = peer.send(body, {"MCP-Protocol-Version": "2025-11-25"})
    assert answer[0] == status
    assert answer[2]["error"]["code"] == code and answer[2].get("id") == id


def test_ten_mebibytes_are_too_much(peer):
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "echo", "arguments": {"message": "x" * (10 << 20)}, "_meta": MODERN_META}}
    try:
        status = peer.send(body, {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call",
                                  "Mcp-Name": "echo"})[0]
    except OSError:
        status = 413  # The server need not read what it refuses.
    assert status == 413


def test_an_endless_body_is_cut_off(peer):
    head = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    assert peer.raw(head + chunk * 160) in (413, None)


@pytest.mark.parametrize("line", [
    b"Mcp-Name: ec\x00ho", b"Mcp-Name: ec\x01ho", b"Mcp-Name: echo\x7f", b"Mcp-Name: ec\rho", b"Mcp Name: echo",
    b"Mcp-Session-Id: \x02", b" folded", b": nothing"])
def test_control_characters_in_headers(peer, line):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "echo", "arguments": {"message": "x"}, "_meta": MODERN_META}}).encode()
    assert peer.raw(
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n"
        b"Mcp-Method: tools/call\r\n" + line + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body) == 400


@pytest.mark.parametrize("headers, status, code", [
    ({"MCP-Protocol-Version": None}, 400, -32020), ({"MCP-Protocol-Version": "2025-11-25"}, 400, -32020),
    ({"Mcp-Method": None}, 400, -32020), ({"Mcp-Method": "tools/list"}, 400, -32020),
    ({"Mcp-Method": "TOOLS/CALL"}, 400, -32020), ({"Mcp-Name": None}, 400, -32020),
    ({"Mcp-Name": "other"}, 400, -32020), ({"Mcp-Name": "=?base64?!!!?="}, 400, -32020),
    ({"Mcp-Name": "=?base64?ZWNobw==?="}, 200, None), ({"Mcp-Name": " echo "}, 200, None),
    ({"Mcp-Session-Id": "no such session"}, 200, None),
])
def test_modern_headers(either, headers, status, code):
    answer = either.modern(id=9, headers=headers)
    assert answer[0] == status and answer[2]["id"] == 9
    assert answer[2].get("error", {}).get("code") == code


@pytest.mark.parametrize("meta, code", [
    ({}, -32602),
    ({**MODERN_META, "io.modelcontextprotocol/clientCapabilities": None}, -32602),
    ({**MODERN_META, "io.modelcontextprotocol/clientCapabilities": []}, -32602),
])
def test_modern_metadata(peer, meta, code):
    status, _, answer = peer.modern(id=9, meta=meta)
    assert (status, answer["error"]["code"], answer["id"]) == (400, code, 9)


def test_an_unknown_revision(peer):
    meta = {**MODERN_META, "io.modelcontextprotocol/protocolVersion": "2099-01-01"}
    status, _, answer = peer.modern(id="a", meta=meta, headers={"MCP-Protocol-Version": "2099-01-01"})
    assert (status, answer["error"]["code"], answer["id"]) == (400, -32022, "a")
    assert answer["error"]["data"]["requested"] == "2099-01-01"
    assert "2026-07-28" in answer["error"]["data"]["supported"]


@pytest.mark.parametrize("method", ["no/such", "initialize", "ping", "logging/setLevel", "resources/subscribe", ""])
def test_unknown_modern_methods(peer, method):
    status, _, answer = peer.modern(method, params={})
    assert (status, answer["error"]["code"]) == (404, -32601)


@pytest.mark.parametrize("session", [None, "unknown", "x" * 5000, "../..", "=?base64?AA==?="])
def test_legacy_session_ids(peer, session):
    headers = {"MCP-Protocol-Version": "2025-11-25"}
    if session is not None:
        headers["Mcp-Session-Id"] = session
    status, _, answer = peer.send({"jsonrpc": "2.0", "id": 3, "method": "tools/list"}, headers)
    assert status == (400 if session is None else 404)
    if session is None:
        assert answer == {"jsonrpc": "2.0", "id": 3,
                          "error": {"code": -32600, "message": "Bad Request: Missing session ID"}}


def test_a_session_belongs_to_its_user(peer, alice):
    cookie = {"Cookie": f"sessionid={alice}"}
    hers = peer.session(headers=cookie)
    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    assert peer.send(listing, hers)[0] == 200
    stolen = {name: value for name, value in hers.items() if name != "Cookie"}
    assert peer.send(listing, stolen)[0] == 404
    assert peer.send(None, stolen, method="DELETE")[0] == 404
    assert peer.send(None, {**stolen, "Accept": "text/event-stream"}, method="GET")[0] == 404
    # The theft has not ended it.
    assert peer.send(listing, hers)[0] == 200
    assert peer.send(None, hers, method="DELETE")[0] in (200, 204)
    assert peer.send(listing, hers)[0] == 404


def test_an_unsupported_version_header(peer):
    session = peer.session()
    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    assert peer.send(listing, {**session, "MCP-Protocol-Version": "1999-01-01"})[0] == 400
    assert peer.send(listing, {**session, "MCP-Protocol-Version": "2025-06-18"})[0] == 200


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Origin": "null"},
                                     {"Origin": "http://evil.example", "Host": "evil.example"}])
def test_foreign_origins(peer, headers):
    """The last is DNS rebinding: the page and the request have the same, foreign, name."""
    assert peer.modern(headers=headers)[0] == 403


def test_bad_arguments_by_revision(peer):
    for version, is_result in [("2025-06-18", False), ("2025-11-25", True)]:
        session = peer.session(version)
        for arguments in ({}, {"message": 5}):
            status, _, answer = peer.send({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
                "name": "echo", "arguments": arguments}}, session)
            assert status == 200
            if is_result:
                assert answer["result"]["isError"] and "message" in answer["result"]["content"][0]["text"]
            else:
                assert answer["error"]["code"] == -32602 and "message" in answer["error"]["message"]
    status, _, answer = peer.modern(params={"name": "no_such", "arguments": {}})
    assert answer["error"]["code"] == -32602
    status, _, answer = peer.modern(params={"name": "echo", "arguments": []})
    assert answer["error"]["code"] == -32602


def test_cursors_are_not_guessed(peer):
    for cursor in ("", "x", "AAAA", 5, {}):
        status, _, answer = peer.modern("tools/list", params={"cursor": cursor})
        assert answer["error"]["code"] == -32602, cursor


def test_a_duplicate_id_in_flight_is_refused(conformance_url):
    """In one legacy session; with the fixture's server, which has a call that takes its time."""
    peer = Peer(conformance_url.split("/")[2])
    session = peer.session()
    answers = []
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "test_tool_with_progress"}}
    threads = [threading.Thread(target=lambda: answers.append(peer.send(body, session))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused, answered = sorted(answers, key=lambda answer: "result" in answer[2])
    assert refused[2]["error"]["code"] == -32600 and refused[2]["id"] == 1
    assert answered[2]["result"]


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_clients_with_the_same_ids_never_see_each_others_answers(peer, era):
    """Every client uses the ids 0…24, at the same time as the others."""
    failures = []

    def client(name):
        session = peer.session() if era == "legacy" else None
        for id in range(25):
            text = f"{name}/{id}"
            params = {"name": "echo", "arguments": {"message": text}}
            if session:
                body = {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}
                status, _, answer = peer.send(body, session)
            else:
                status, _, answer = peer.modern(params=params, id=id)
            if status != 200 or answer["id"] != id or answer["result"]["structuredContent"] != {"Echo": text}:
                failures.append((text, status, answer))

    threads = [threading.Thread(target=client, args=(name,)) for name in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
