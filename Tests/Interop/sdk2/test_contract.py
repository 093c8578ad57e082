"""Every strict case of the recorded contract, asked of the gateway in front of a FastMCP server on the old data."""
import base64
import http.client
import json
import pathlib
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
import schemas
import wire
from conftest import ROOT, Process

FIXTURES = ROOT / "Tests" / "Fixtures"
CONTRACT = json.loads((FIXTURES / "contract.json").read_text())
STRICT = [case for case in CONTRACT["cases"] if case["strict"] and case["upstream"] == "ok"]
# The states of a broken tool server are scripted in the end-to-end tests; what they need of a server is the same.


class Stack:
    """A FastMCP server and a gateway on a copy of the database."""

    def __init__(self, directory, errors, modes):
        self.database, self.calls = directory / "legacy.sqlite3", directory / "calls"
        shutil.copyfile(FIXTURES / "legacy" / "legacy.sqlite3", self.database)
        self.calls.touch()
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        script = pathlib.Path(__file__).parent / "contract_server.py"
        self.server = subprocess.Popen(
            [sys.executable, str(script), str(port), str(self.database), str(self.calls), *modes],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not self.listens(port):
            assert self.server.poll() is None and time.monotonic() < deadline, "the FastMCP server did not start"
            time.sleep(0.05)
        configuration = json.loads((ROOT / "deploy" / "examples" / "django" / "gateway.json").read_text())
        configuration["errors"] = errors
        self.recorder = wire.Recorder(f"127.0.0.1:{port}", "client")
        path = directory / "gateway.json"
        path.write_text(json.dumps(configuration))
        self.gateway = Process("gateway", "--config", str(path), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
                               "--upstream", f"http://{self.recorder.address}/mcp").wait("main", "admin")

    @staticmethod
    def listens(port):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/mcp", timeout=2)
        except urllib.error.HTTPError:
            return True
        except (urllib.error.URLError, OSError):
            return False
        return True

    def saved(self):
        with sqlite3.connect(self.database) as connection:
            rows = connection.execute("SELECT username, message, response FROM ai_chatmessage "
                                      "JOIN ai_user ON ai_user.id = user_id ORDER BY ai_chatmessage.id").fetchall()
        connection.close()
        return [dict(zip(("user", "message", "response"), row)) for row in rows]

    def stop(self):
        try:
            assert self.gateway.stop() == 0
        finally:
            self.server.kill()
            self.server.wait()
            self.recorder.close()
        if not schemas.missing():
            violations, count = wire.check(self.recorder)
            assert count and not violations, "\n".join(violations)


@pytest.fixture(scope="module",
                params=[("legacy", ()), ("standard", ("stateless", "json"))],
                ids=["legacy errors, session and SSE", "our errors, stateless and JSON"])
def stack(request, tmp_path_factory):
    stack = Stack(tmp_path_factory.mktemp("contract"), *request.param)
    yield stack
    stack.stop()


def filled(case, text):
    if "fill" not in case["request"] and "fill" not in case:
        return text
    piece, count = case["request"].get("fill") or case["fill"]
    return text.replace("@FILL@", piece * count)


def ask(address, case):
    request = case["request"]
    body = None
    if "body" in request:
        body = filled(case, request["body"]).encode()
    elif "body_b64" in request:
        body = base64.b64decode(request["body_b64"])
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        chunked = request.get("chunked", False)
        connection.request(request["method"], request["path"], iter([body]) if chunked else body,
                           request["headers"], encode_chunked=chunked)
        response = connection.getresponse()
        return response.status, dict((name.lower(), value) for name, value in response.getheaders()), response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("case", STRICT, ids=lambda case: case["id"])
def test_a_recorded_request_is_answered_as_before(stack, case):
    saved, calls = len(stack.saved()), len(stack.calls.read_text().splitlines())
    status, headers, body = ask(stack.gateway.addresses["main"], case)
    expect = case["expect"]
    assert status == expect["status"]
    for name, value in expect.get("headers", {}).items():
        assert headers[name] == value
    media_type = headers["content-type"].split(";")[0]
    if "json" in expect:
        assert media_type == "application/json"
        assert json.loads(body) == json.loads(filled(case, json.dumps(expect["json"])))
    elif "text" in expect:
        assert media_type in ("text/plain", "text/html")
        assert not expect["text"] or body.decode() == expect["text"]
    assert stack.saved()[saved:] == case["saved"]
    made = [json.loads(line) for line in stack.calls.read_text().splitlines()[calls:]]
    if case["upstream_call"]:
        assert made == [json.loads(filled(case, json.dumps(case["upstream_call"])))]
    elif status != 200:
        assert made == []


def test_the_recording_is_there():
    assert len(STRICT) > 60
