"""The gateway as an OAuth client of a server of the official SDK 2.x, whose authorization server it learns from the
server's own refusal."""
import json
import threading
import time

import pytest
import uvicorn
from authorization import AuthorizationServer
from conftest import ROOT, Process, free_port, post
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer


class Protected:
    """A server whose tools need a token of an authorization server with the scope `crm`, for itself alone."""

    def __init__(self, authorization):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/mcp"
        outer = self
        self.authorization, self.seen = authorization, []

        class Verifier:
            async def verify_token(self, token):
                scopes = authorization.tokens.get(token)
                outer.seen.append(token)
                if scopes is None:
                    return None
                return AccessToken(token=token, client_id="gateway", scopes=scopes,
                                   resource=authorization.resources.get(token))

        server = MCPServer("crm", token_verifier=Verifier(), auth=AuthSettings(
            issuer_url=authorization.url, resource_server_url=self.url, required_scopes=["crm"],
            validate_token_resource=True))

        @server.tool()
        def chat(message: str) -> str:
            return f"Echo: {message}"

        self.server = uvicorn.Server(uvicorn.Config(
            server.streamable_http_app(), host="127.0.0.1", port=port, log_level="error"))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        deadline = time.monotonic() + 30
        while not self.server.started and time.monotonic() < deadline:
            time.sleep(0.02)

    def stop(self):
        self.server.should_exit = True
        self.thread.join(10)


@pytest.fixture(params=["client_secret_basic", "client_secret_post"])
def authorization(request):
    server = AuthorizationServer(grant_types_supported=["client_credentials"],
                                 token_endpoint_auth_methods_supported=[request.param])
    server.method = request.param
    yield server
    server.stop()


@pytest.fixture
def protected(authorization):
    server = Protected(authorization)
    yield server
    server.stop()


def gateway(tmp_path, url):
    document = json.loads((ROOT / "gateway.json").read_text())
    document["upstreams"]["tools"] = {
        "url": url, "token": {"clientCredentials": {"clientID": "gateway", "secret": "the secret"}}}
    path = tmp_path / "gateway.json"
    path.write_text(json.dumps(document))
    return Process("gateway", "--config", str(path), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
def test_the_gateway_gets_its_own_token(tmp_path, authorization, protected, path):
    process = gateway(tmp_path, protected.url.removesuffix("/mcp") + path)
    try:
        process.wait("main", "admin")
        url = f"http://{process.addresses['main']}/api/chat/"
        assert post(url, {"message": "hello"}) == (200, {"type": "chat", "replies": ["Echo: hello"]})
        form, = authorization.requests
        assert form["grant_type"] == "client_credentials"
        assert form["scope"] == "crm" and form["resource"] == protected.url
        if authorization.method == "client_secret_basic":
            assert authorization.basics == ["gateway:the%20secret"]
        else:
            assert authorization.basics == [None] and form["client_secret"] == "the secret"
        # A token that is revoked is replaced within the call.
        authorization.tokens.clear()
        assert post(url, {"message": "again"}) == (200, {"type": "chat", "replies": ["Echo: again"]})
        assert len(authorization.requests) == 2
    finally:
        assert process.stop() == 0
