"""What the gateway refuses reaches the client in the gateway's own words, not in nginx's."""
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import services
from services import Nginx, ROOT, request

pytestmark = pytest.mark.skipif(not Nginx.EXECUTABLE.exists(), reason="nginx is not installed")


class Upstream:
    """An MCP server of the old era whose `search_projects` is refused with 429 and whose `chat` takes its time."""

    def __init__(self):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                method, name = message.get("method"), message.get("params", {}).get("name")
                if method == "initialize":
                    self.answer(message, {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                                          "serverInfo": {"name": "fake", "version": "1"}}, [("Mcp-Session-Id", "s")])
                elif method == "tools/list":
                    self.answer(message, {"tools": []})
                elif name == "search_projects":
                    self.send(429, b"{}", [("Retry-After", "7")])
                elif name == "chat":
                    time.sleep(3)
                    self.answer(message, {"content": []})
                else:
                    self.send(202 if "id" not in message else 400, b"", [])

            def do_DELETE(self):
                self.send(200, b"", [])

            def answer(self, message, result, headers=()):
                body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()
                self.send(200, body, headers)

            def send(self, status, body, headers):
                try:
                    self.send_response(status)
                    for name, value in [("Content-Type", "application/json"), ("Content-Length", str(len(body))),
                                        *headers]:
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # The gateway has given the slow call up.

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = "127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def proxied(tmp_path_factory):
    directory = tmp_path_factory.mktemp("limits")
    document = json.loads((ROOT / "gateway.json").read_text())
    document["chat"]["types"]["chat"]["timeout"] = "300ms"
    document["rateLimits"] = {"types": {"get_user_info": {"requests": 1, "per": "1h"}}}
    (directory / "gateway.json").write_text(json.dumps(document))
    front = services.gateway(Upstream().address, config=directory / "gateway.json",
                             environment={"GATEWAY_UPSTREAMS_TOOLS_ERA": "legacy"})
    front.ready()
    nginx = Nginx(directory / "nginx", front.addresses["main"])
    yield nginx
    nginx.stop()
    assert front.stop() == 0


@pytest.mark.parametrize("status, payload, headers", [
    (413, {"message": "x" * 2_700_000}, {}),
    (431, {"message": "x"}, {"X-Large": "x" * 36_000}),
    (429, {"type": "search_projects", "query": "x"}, {}),
    (504, {"message": "x"}, {}),
])
def test_the_gateways_own_answer_arrives(proxied, status, payload, headers):
    answer, fields, body = request(proxied.address, "POST", "/api/chat/", json.dumps(payload),
                                   {"X-Request-Id": f"limit-{status}"} | headers)
    assert answer == status, body
    assert set(json.loads(body)) == {"error"}
    assert fields["X-Request-Id"], fields
    if status == 429:
        assert fields["Retry-After"] == "7"


def test_our_own_rate_limit_arrives(proxied):
    # The first may, whatever becomes of it.
    request(proxied.address, "POST", "/api/chat/", '{"type": "get_user_info"}')
    status, fields, body = request(proxied.address, "POST", "/api/chat/", '{"type": "get_user_info"}')
    assert status == 429, body
    assert set(json.loads(body)) == {"error"}
    assert int(fields["Retry-After"]) > 0 and fields["X-Request-Id"]
