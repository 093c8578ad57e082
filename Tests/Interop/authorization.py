"""An authorization server of the tests' own, which keeps what its clients do."""
import base64
import hashlib
import http.server
import itertools
import json
import threading
import urllib.parse


class Listener:
    """An HTTP server on a free port; `self.answer(method, path, headers, body)` gives status, headers and JSON."""

    def __init__(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.handle_with(b"")

            def do_POST(self):
                self.handle_with(self.rfile.read(int(self.headers["Content-Length"])))

            def do_DELETE(self):
                self.handle_with(b"")

            def handle_with(self, body):
                with outer.lock:
                    status, headers, document = outer.answer(self.command, self.path, self.headers, body)
                body = b"" if document is None else json.dumps(document).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if document is not None:
                    self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.lock = threading.Lock()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://localhost:{self.server.server_address[1]}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class AuthorizationServer(Listener):
    """Keeps the metadata's paths, the registrations, authorizations and token requests that it got."""

    numbers = itertools.count(1)

    def __init__(self, path="/.well-known/oauth-authorization-server", prefix="", issuer=None, redirect_issuer="correct",
                 registers=True, client=None, refresh=False, base=None, lifetime=3600, **metadata):
        super().__init__()
        self.path, self.prefix, self.registers, self.client = path, prefix, registers, client
        self.base = base or self.url
        self.issuer, self.redirect_issuer = issuer or self.base + prefix, redirect_issuer
        self.metadata = {"token_endpoint_auth_methods_supported": ["none"],
                         "authorization_response_iss_parameter_supported": True,
                         "code_challenge_methods_supported": ["S256"], **metadata}
        self.refresh, self.lifetime = refresh, lifetime
        self.asked, self.registrations, self.authorizations, self.requests = [], [], [], []
        self.codes, self.tokens, self.resources, self.basics = {}, {}, {}, []

    def document(self):
        document = {"issuer": self.issuer, "authorization_endpoint": f"{self.base}{self.prefix}/authorize",
                    "token_endpoint": f"{self.base}{self.prefix}/token", "response_types_supported": ["code"],
                    **self.metadata}
        if self.registers:
            document["registration_endpoint"] = f"{self.base}{self.prefix}/register"
        return {name: value for name, value in document.items() if value is not None}

    def answer(self, method, path, headers, body):
        path, _, query = path.partition("?")
        if method == "GET" and path.startswith(self.prefix + "/authorize"):
            return self.authorize(dict(urllib.parse.parse_qsl(query)))
        if method == "POST" and path == self.prefix + "/register" and self.registers:
            return self.register(json.loads(body))
        if method == "POST" and path == self.prefix + "/token":
            return self.token(dict(urllib.parse.parse_qsl(body.decode())), headers.get("Authorization"))
        self.asked.append(path)
        return (200, {}, self.document()) if path == self.path else (404, {}, {"error": "not_found"})

    def register(self, document):
        self.registrations.append(document)
        answer = {"client_id": f"client-{next(self.numbers)}", "redirect_uris": document["redirect_uris"],
                  **(self.client or {"client_secret": "registered-secret"})}
        return 201, {}, answer

    def authorize(self, query):
        self.authorizations.append(query)
        code = f"code-{next(self.numbers)}"
        self.codes[code] = query
        answer = {"code": code, "state": query.get("state", "")}
        answer |= {"correct": {"iss": self.issuer}, "wrong": {"iss": "https://evil.example.com"},
                   "normalized": {"iss": self.issuer + "/"}, "omit": {}}[self.redirect_issuer]
        return 302, {"Location": query["redirect_uri"] + "?" + urllib.parse.urlencode(answer)}, None

    def token(self, form, basic):
        self.requests.append(form)
        self.basics.append(basic and base64.b64decode(basic.removeprefix("Basic ")).decode())
        scopes = form.get("scope", "").split()
        if form["grant_type"] == "authorization_code":
            asked = self.codes.pop(form["code"])
            challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest())
            if challenge.rstrip(b"=").decode() != asked["code_challenge"]:
                return 400, {}, {"error": "invalid_grant"}
            assert asked["code_challenge_method"] == "S256" and asked["response_type"] == "code"
            assert asked["redirect_uri"] == form["redirect_uri"] and asked["state"]
            assert asked.get("resource") == form.get("resource")
            scopes = asked.get("scope", "").split()
        token = f"token-{next(self.numbers)}"
        self.tokens[token], self.resources[token] = scopes, form.get("resource")
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime}
        if self.refresh:
            answer["refresh_token"] = f"refresh-{next(self.numbers)}"
        return 200, {}, answer
