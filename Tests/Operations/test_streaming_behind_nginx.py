"""Tokens pass nginx one by one, over HTTP/1.1 and HTTP/2."""
import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import services
from services import Nginx, eventually, request

pytestmark = pytest.mark.skipif(not Nginx.EXECUTABLE.exists(), reason="nginx is not installed")

TOKENS = ["One ", "by ", "one ", "they ", "pass."]


class SteppedProvider:
    """Sends the next token when it is told that the one before has arrived."""

    def __init__(self):
        arrived = self.arrived = threading.Semaphore(1)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                assert json.loads(self.rfile.read(int(self.headers["Content-Length"])))["stream"]
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                for token in TOKENS:
                    assert arrived.acquire(timeout=20), "the token before did not arrive"
                    part = json.dumps({"choices": [{"delta": {"content": token}}]})
                    self.wfile.write(f"data: {part}\n\n".encode())
                    self.wfile.flush()
                self.wfile.write(b"data: [DONE]\n\n")

            def log_message(self, *arguments):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d/v1" % server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()


@pytest.mark.parametrize("protocol", ["--http1.1", "--http2"])
def test_each_token_arrives_before_the_next_is_made(database, running, tmp_path, protocol):
    provider = SteppedProvider()
    tools = running(services.tool_server(database, environment={
        "AI_BASE_URL": provider.url, "AI_MODEL": "m", "AI_API_KEY": "key-of-the-test"})).listening()
    front = running(services.gateway(tools.addresses["main"]))
    front.ready()
    nginx = running(Nginx(tmp_path / "nginx", front.addresses["main"], tls=True))
    client = subprocess.Popen(
        ["curl", "-sSNk", "--max-time", "60", protocol, "-w", "%{http_version}", "-H", "Accept: text/event-stream",
         "-d", json.dumps({"type": "ai_prompt", "message": "Count"}),
         f"https://127.0.0.1:{nginx.tls_port}/api/chat/"], stdout=subprocess.PIPE, text=True)
    got, last = [], ""
    for line in client.stdout:
        last = line
        if not line.startswith("data: "):
            continue
        data = json.loads(line[6:])
        if "text" in data:
            got.append(data["text"])
            provider.arrived.release()
        else:
            assert data["replies"] == ["".join(TOKENS)]
    assert client.wait(10) == 0
    # As they were made: nothing on the way waited for more.
    assert got == TOKENS
    assert last == protocol.removeprefix("--http").removesuffix(".0")


def test_the_log_has_the_clients_own_address(pair, running, tmp_path):
    import http.client
    _, front = pair
    nginx = running(Nginx(tmp_path / "nginx", front.addresses["main"]))
    host, port = nginx.address.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=15, source_address=("127.0.0.9", 0))
    # What it says of itself does not count: nginx writes the header anew.
    connection.request("POST", "/api/chat/", "{}", {"X-Request-Id": "from-9", "X-Forwarded-For": "192.0.2.1"})
    assert connection.getresponse().status == 400
    line = eventually(lambda: [entry for entry in front.messages("request")
                               if entry["http.request_id"] == "from-9"], what="the line")[0]
    assert line["client.address"] == "127.0.0.9"
    # Without a proxy in between it is the connection's.
    assert request(front.addresses["main"], "GET", "/nothing", headers={"X-Request-Id": "direct"})[0] == 404
    line = eventually(lambda: [entry for entry in front.messages("request")
                               if entry["http.request_id"] == "direct"], what="the line")[0]
    assert line["client.address"] == "127.0.0.1"
