"""Both processes with every part in use that has metrics of its own, and requests of every kind."""
import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import services
from postgresql import PostgreSQL
from services import ROOT, chat, request
from test_processes import FakeProvider
from test_tracing import Collector


class OldBackend:
    """The API that types are moved away from; it fails when it is asked to."""

    def __init__(self):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                body = json.dumps({"type": payload["type"], "replies": ["as it was"]}).encode()
                self.send_response(500 if payload["query"] == "fail" else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d/api/chat/" % server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()


class Observed:
    def __init__(self, directory):
        certificate = directory / "certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "30", "-subj", "/CN=x", "-keyout", directory / "key.pem", "-out", certificate],
                       check=True, capture_output=True)
        document = json.loads((ROOT / "gateway.json").read_text())
        document["certificates"] = [str(certificate)]
        document["rateLimits"] = {"types": {"history": {"requests": 1, "per": "1h"}},
                                  "login": {"requests": 2, "per": "1h"}}
        document["upstreams"]["old"] = {"kind": "chat", "url": OldBackend().url, "trusted": True}
        types = document["chat"]["types"]
        types["canaried"] = types["search_projects"] | {"canary": {"upstream": "old", "percent": 50}}
        types["shadowed"] = types["search_projects"] | {"shadow": {"upstream": "old"}}
        types["members_only"] = types["get_user_info"] | {"access": "authenticated"}
        (directory / "gateway.json").write_text(json.dumps(document))
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": Collector().url,
                       "OTEL_EXPORTER_OTLP_HEADERS": "api-key=s3cret-of-the-collector"}
        self.database = PostgreSQL()
        subprocess.run([services.PRODUCTS / "tool-server", "seed", "--database", self.database.url], check=True,
                       capture_output=True)
        self.tools = services.tool_server(self.database.url, environment=environment | {
            "AI_BASE_URL": FakeProvider().url, "AI_MODEL": "m", "AI_API_KEY": "key-of-the-test"})
        self.tools.listening()
        self.front = services.gateway(
            self.tools.addresses["main"], config=directory / "gateway.json", environment=environment)
        self.front.ready()

    def ask(self):
        """One round of everything."""
        address = self.front.addresses["main"]
        assert chat(address, {"type": "search_any", "model": "projects", "query": "urgent"})[0] == 200
        assert chat(address, {"type": "search_any", "model": "planets", "query": "x"})[0] == 400
        assert chat(address, {"message": "Hello"})[0] == 200
        assert chat(address, {"message": "Hello"}, {"Accept": "text/event-stream"})[0] == 200
        assert chat(address, {"message": "Search first"})[0] == 200
        assert request(address, "GET", "/mcp/session/new")[0] == 200
        assert chat(address, {"type": "history"})[0] in (400, 429)
        assert chat(address, {"type": "members_only"})[0] == 401
        # Two attempts, then no more.
        assert request(address, "POST", "/auth/login", '{"username":"alice","password":"no"}')[0] in (401, 429)
        assert chat(address, {"type": "shadowed", "query": "urgent"})[0] == 200
        assert chat(address, {"type": "shadowed", "query": "fail"})[0] == 500
        # Half of the callers are sent to the old backend; each stays where it is.
        for caller in range(8):
            assert chat(address, {"type": "canaried", "query": "urgent"}, {"Cookie": f"sessionid={caller}"})[0] == 200

    def stop(self):
        assert self.front.stop() == 0
        assert self.tools.stop() == 0
        self.database.remove()
