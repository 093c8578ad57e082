"""An old chat API: old_api.py PORT. Its types, texts and statuses are those of the API that the gateway replaces."""
import http.server
import json
import sys

PROJECTS = ["Urgent Q2", "Quiet Audit", "Urgent Payroll Fix"]


def answer(payload, cookie):
    """Status and body, an object or a text, of a payload."""
    kind = payload.get("type", "chat")
    if kind == "search_projects":
        if not payload.get("query"):
            return 400, "Missing query"
        found = [name for name in PROJECTS if payload["query"].lower() in name.lower()]
        return 200, {"type": kind, "replies": found}
    if kind == "ai_prompt":
        if not payload.get("message"):
            return 400, "Empty prompt"
        if payload["message"] == "!fail":
            return 500, {"error": "model unavailable"}
        return 200, {"type": kind, "replies": [f"Echo: {payload['message']}"]}
    if kind == "get_user_info":
        if "sessionid=alice" not in cookie:
            return 400, {"error": "Not authenticated"}
        return 200, {"type": kind, "replies": [{"username": "alice", "alias": "Al"}]}
    return 400, f"Unknown type: {kind}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            status, content = answer(json.loads(body), self.headers.get("Cookie", ""))
        except ValueError:
            status, content = 400, "Invalid JSON"
        if isinstance(content, str):
            kind, data = "text/html; charset=utf-8", content.encode()
        else:
            kind, data = "application/json", json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.send_error(405)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
