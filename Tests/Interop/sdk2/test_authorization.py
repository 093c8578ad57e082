"""Bearer tokens and keys with the official client, directly and through the gateway."""
import asyncio
import base64
import json
import time
import urllib.error
import urllib.request

import httpx2
import pytest
from conftest import ROOT, Process, run, start_gateway
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

ISSUER, RESOURCE = "https://id.example", "https://chat.example/mcp"


def text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value):
    return text(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Issuer:
    """Signs as an authorization server does."""

    def __init__(self):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def keys(self):
        public = self.key.public_key().public_numbers()
        return {"keys": [{"kty": "RSA", "kid": "k1", "use": "sig", "alg": "RS256", "n": number(public.n),
                          "e": number(public.e)}]}

    def token(self, header=None, **changes):
        claims = {"iss": ISSUER, "aud": RESOURCE, "sub": "ada", "scope": "records:read", "exp": time.time() + 600}
        claims.update(changes)
        parts = [dict({"alg": "RS256", "kid": "k1", "typ": "at+jwt"}, **(header or {})), claims]
        signed = ".".join(text(json.dumps(part).encode()) for part in parts)
        signature = self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{text(signature)}"


@pytest.fixture(scope="module")
def issuer():
    return Issuer()


@pytest.fixture(scope="module")
def configuration(issuer, tmp_path_factory):
    directory = tmp_path_factory.mktemp("oauth")
    (directory / "keys.json").write_text(json.dumps(issuer.keys()))
    document = json.loads((ROOT / "gateway.json").read_text())
    document["toolServer"] = {
        "database": str(directory / "tool-server.sqlite"), "identity": ["jwt", "apiKey"], "publicURL": RESOURCE,
        "jwt": {"issuer": ISSUER, "audience": [RESOURCE], "jwksFile": str(directory / "keys.json")},
        "tools": {"search_projects": {"scopes": ["records:read"]}},
    }
    path = directory / "gateway.json"
    path.write_text(json.dumps(document))
    run("tool-server", "seed", "--config", str(path))
    return path


@pytest.fixture(scope="module")
def server(configuration):
    process = Process("tool-server", "--config", str(configuration), "--transport", "http", "--port", "0", "--admin",
                      "127.0.0.1:0")
    yield process.wait("main", "admin")
    assert process.stop() == 0


@pytest.fixture(scope="module")
def front(server):
    process = start_gateway(f"http://{server.addresses['main']}/mcp/")
    yield process.wait("main", "admin")
    assert process.stop() == 0


@pytest.fixture(params=["direct", "through the gateway"])
def address(request, server):
    process = server if request.param == "direct" else request.getfixturevalue("front")
    return process.addresses["main"]


@pytest.fixture
def url(address, record):
    """The endpoint behind a recorder, which checks that what passes is MCP."""
    return f"http://{record(address)}/mcp/"


@pytest.fixture
def bare(address):
    """The endpoint itself, for answers that are HTTP's and not MCP's."""
    return f"http://{address}/mcp/"


def with_token(url, token, mode, body):
    async def main():
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http:
            async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
                await body(client)

    asyncio.run(main())


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
def test_a_token_names_the_user_and_its_rights(url, issuer, mode):
    async def body(client):
        who = await client.call_tool("get_user_info", {})
        assert who.structured_content["results"]["username"] == "ada"
        found = await client.call_tool("search_projects", {"query": "urgent"})
        assert "Urgent Q2" in found.structured_content["results"]
        assert "search_projects" in {tool.name for tool in (await client.list_tools()).tools}

    with_token(url, issuer.token(), mode, body)


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
def test_two_users_of_one_gateway_stay_apart(url, issuer, mode):
    async def body(name, client):
        who = await client.call_tool("get_user_info", {})
        assert who.structured_content["results"]["username"] == name

    for name in ["ada", "eve", "ada"]:
        with_token(url, issuer.token(sub=name), mode, lambda client, name=name: body(name, client))


def test_a_token_without_the_scope_does_not_see_the_tool(url, issuer):
    async def body(client):
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert "echo" in names and "search_projects" not in names

    with_token(url, issuer.token(scope="other"), "2026-07-28", body)


def test_an_api_key_is_a_bearer_token_too(url, configuration):
    name = f"interop-{time.time_ns()}"
    key = run("tool-server", "key", "create", name, "--scope", "records:read", "--config", str(configuration))

    async def body(client):
        found = await client.call_tool("search_projects", {"query": "urgent"})
        assert "Urgent Q2" in found.structured_content["results"]

    with_token(url, key, "2026-07-28", body)


def refusal(url, token, tool="get_user_info"):
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": tool, "arguments": {"query": "x"} if tool == "search_projects" else {},
        "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                  "io.modelcontextprotocol/clientCapabilities": {}}}}
    request = urllib.request.Request(url, json.dumps(body).encode(), {
        "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool,
        "Authorization": f"Bearer {token}"})
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(request, timeout=10)
    return raised.value.code, raised.value.headers["WWW-Authenticate"]


@pytest.mark.parametrize("changes", [
    {"aud": "https://other.example"}, {"iss": "https://evil.example"}, {"exp": 1}, {"exp": None},
    {"nbf": time.time() + 3600}, {"header": {"alg": "none"}}, {"header": {"alg": "HS256"}}, {"header": {"kid": "k2"}},
], ids=str)
def test_a_wrong_token_is_refused_with_where_to_get_a_right_one(bare, issuer, changes):
    code, challenge = refusal(bare, issuer.token(**changes))
    assert code == 401
    assert 'error="invalid_token"' in challenge
    assert 'resource_metadata="https://chat.example/.well-known/oauth-protected-resource/mcp"' in challenge


def test_a_missing_scope_is_named(bare, issuer):
    code, challenge = refusal(bare, issuer.token(scope=""), "search_projects")
    assert code == 403
    assert 'error="insufficient_scope"' in challenge and 'scope="records:read"' in challenge


def test_the_metadata_is_found_beside_the_endpoint(bare):
    base = bare.removesuffix("/mcp/")
    for path in ["", "/mcp"]:
        with urllib.request.urlopen(f"{base}/.well-known/oauth-protected-resource{path}", timeout=10) as answer:
            metadata = json.load(answer)
        assert metadata["resource"] == RESOURCE and metadata["authorization_servers"] == [ISSUER]
