"""The conformance client in the authorization scenarios of the conformance suite (`auth/*`), against a protected MCP
server and authorization servers that keep what it does. Each scenario has the name that it has in the suite, the same
servers, and what the suite asserts."""
import base64
import hashlib
import itertools
import json
import os
import subprocess
import time
import urllib.parse

import jwt
import pytest
from authorization import AuthorizationServer, Listener
from conftest import PRODUCTS
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

KNOWN = "/.well-known/oauth-protected-resource"
BEARER_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_TYPE = "urn:ietf:params:oauth:token-type:"
VERSIONS = ["2025-11-25", "2026-07-28"]


class Resource(Listener):
    """An MCP server of both eras with one tool. `guard(method, scopes)` gives a refusal's status, its challenge's
    parameters, or None; `scopes` are those of the token, None without one."""

    def __init__(self, *servers, path=KNOWN + "/mcp", named=True, identifier=None, scopes=None, guard=None):
        super().__init__()
        self.servers, self.path, self.named, self.scopes = list(servers), path, named, scopes
        self.identifier = identifier or self.url + ("" if path == KNOWN else "/mcp")
        self.guard = guard or (lambda method, scopes: (401, {}) if scopes is None else None)
        self.asked, self.methods = [], []

    def scopes_of(self, headers):
        token = (headers.get("Authorization") or "").removeprefix("Bearer ")
        return next((server.tokens[token] for server in self.servers if token in server.tokens), None)

    def answer(self, method, path, headers, body):
        if method == "GET" and path == self.path:
            self.asked.append(path)
            document = {"resource": self.identifier, "authorization_servers": [
                server if isinstance(server, str) else server.base + server.prefix for server in self.servers[:1]]}
            return 200, {}, document | ({"scopes_supported": self.scopes} if self.scopes is not None else {})
        if method != "POST" or path != "/mcp":
            self.asked.append(path)
            return 404, {}, {"error": "not_found"}
        message = json.loads(body)
        refusal = self.guard(message["method"], self.scopes_of(headers))
        if refusal:
            status, parameters = refusal
            if self.path and self.named:
                parameters = parameters | {"resource_metadata": self.url + self.path}
            challenge = "Bearer " + ", ".join(f'{name}="{value}"' for name, value in parameters.items())
            return status, {"WWW-Authenticate": challenge.strip()}, {"error": "refused"}
        self.methods.append(message["method"])
        if "id" not in message:
            return 202, {}, None
        modern = "_meta" in message.get("params", {})
        return 200, {}, {"jsonrpc": "2.0", "id": message["id"], "result": self.result(message, modern)}

    @staticmethod
    def result(message, modern):
        cache = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"} if modern else {}
        return {
            "initialize": lambda: {"protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {}},
                                   "serverInfo": {"name": "protected", "version": "1"}},
            "server/discover": lambda: cache | {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}},
            "tools/list": lambda: cache | {"tools": [{"name": "test-tool", "inputSchema": {"type": "object"}}]},
            "tools/call": lambda: ({"resultType": "complete"} if modern else {}) | {
                "content": [{"type": "text", "text": "test"}]},
        }[message["method"]]()


def client(scenario, resource, version, **context):
    """Runs the client as the suite's runner does; gives back its exit status and what it wrote about an error."""
    environment = dict(os.environ, MCP_CONFORMANCE_SCENARIO=scenario, MCP_CONFORMANCE_PROTOCOL_VERSION=version)
    environment.pop("MCP_CONFORMANCE_CONTEXT", None)
    if context:
        environment["MCP_CONFORMANCE_CONTEXT"] = json.dumps({"name": scenario, **context})
    done = subprocess.run([str(PRODUCTS / "ConformanceClient"), f"{resource.url}/mcp"], env=environment, timeout=30,
                          capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.fixture
def serve():
    made = []

    def make(kind, *arguments, **options):
        made.append(kind(*arguments, **options))
        return made[-1]

    yield make
    for listener in made:
        listener.stop()


def scopes(query):
    return query.get("scope", "").split()


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


# Discovery


@pytest.mark.parametrize("name, path, named, metadata, prefix", [
    ("metadata-default", KNOWN + "/mcp", True, "/.well-known/oauth-authorization-server", ""),
    ("metadata-var1", KNOWN + "/mcp", False, "/.well-known/openid-configuration", ""),
    ("metadata-var2", KNOWN, False, "/.well-known/oauth-authorization-server/tenant1", "/tenant1"),
    ("metadata-var3", "/custom/metadata/location.json", True, "/tenant1/.well-known/openid-configuration", "/tenant1"),
])
def test_metadata(serve, version, name, path, named, metadata, prefix):
    server = serve(AuthorizationServer, path=metadata, prefix=prefix)
    resource = serve(Resource, server, path=path, named=named)
    status, errors = client("auth/" + name, resource, version)
    assert status == 0, errors
    assert len(server.registrations) == len(server.authorizations) == len(server.requests) == 1
    assert server.asked[-1] == metadata
    if prefix:
        assert "/.well-known/oauth-authorization-server" not in server.asked
    if path == KNOWN + "/mcp":
        assert resource.asked == [path]
    assert server.authorizations[0]["resource"] == server.requests[0]["resource"] == resource.identifier
    assert server.registrations[0]["application_type"] in ("native", "web")
    assert resource.methods[-1] == "tools/call"


def test_resource_mismatch(serve, version):
    server = serve(AuthorizationServer)
    resource = serve(Resource, server, identifier="https://evil.example.com/mcp")
    status, errors = client("auth/resource-mismatch", resource, version)
    assert status == 1 and "another resource" in errors
    assert not server.asked and not server.authorizations and not server.requests


def test_metadata_issuer_mismatch(serve, version):
    server = serve(AuthorizationServer, issuer="https://attacker.example.com")
    resource = serve(Resource, server)
    status, errors = client("auth/metadata-issuer-mismatch", resource, version)
    assert status == 1 and "another issuer" in errors
    assert server.asked and not server.registrations and not server.authorizations and not server.requests


def test_metadata_of_2025_03_26(serve):
    resource = serve(Resource, path=None)
    server = serve(AuthorizationServer, prefix="/oauth", base=resource.url, issuer=resource.url)
    resource.servers = [server]
    own = resource.answer
    resource.answer = lambda method, path, *rest: (
        own if path == "/mcp" or path.startswith(KNOWN) else server.answer)(method, path, *rest)
    status, errors = client("auth/2025-03-26-oauth-metadata-backcompat", resource, "2025-03-26")
    assert status == 0, errors
    assert server.asked[0] == "/.well-known/oauth-authorization-server"
    assert len(server.registrations) == len(server.authorizations) == len(server.requests) == 1


def test_endpoints_of_2025_03_26(serve):
    resource = serve(Resource, path=None)
    server = serve(AuthorizationServer, path="/nowhere", base=resource.url, redirect_issuer="omit")
    resource.servers = [server]
    own = resource.answer
    resource.answer = lambda method, path, *rest: (
        own if path == "/mcp" or path.startswith(KNOWN) else server.answer)(method, path, *rest)
    status, errors = client("auth/2025-03-26-oauth-endpoint-fallback", resource, "2025-03-26")
    assert status == 0, errors
    assert len(server.registrations) == len(server.authorizations) == len(server.requests) == 1


# Clients


def test_basic_cimd(serve, version):
    server = serve(AuthorizationServer, client_id_metadata_document_supported=True)
    resource = serve(Resource, server)
    status, errors = client("auth/basic-cimd", resource, version)
    assert status == 0, errors
    assert [query["client_id"] for query in server.authorizations] == [
        "https://conformance-test.local/client-metadata.json"]
    assert not server.registrations


def test_pre_registration(serve, version):
    server = serve(AuthorizationServer, registers=False,
                   token_endpoint_auth_methods_supported=["client_secret_basic"])
    resource = serve(Resource, server)
    status, errors = client("auth/pre-registration", resource, version, client_id="pre-registered-client",
                            client_secret="pre-registered-secret")
    assert status == 0, errors
    assert server.authorizations[0]["client_id"] == "pre-registered-client"
    assert server.basics == ["pre-registered-client:pre-registered-secret"]


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "none"])
def test_token_endpoint_auth(serve, version, method):
    registered = {"token_endpoint_auth_method": method}
    if method != "none":
        registered["client_secret"] = "registered"
    server = serve(AuthorizationServer, client=registered, token_endpoint_auth_methods_supported=[method])
    resource = serve(Resource, server)
    name = method.removeprefix("client_secret_")
    status, errors = client(f"auth/token-endpoint-auth-{name}", resource, version)
    assert status == 0, errors
    form = server.requests[0]
    sent = "basic" if server.basics[0] else "post" if "client_secret" in form else "none"
    assert sent == name
    assert form["resource"] == server.authorizations[0]["resource"] == f"{resource.url}/mcp"
    assert server.registrations[0]["token_endpoint_auth_method"] == method


def test_client_credentials_basic(serve, version):
    server = serve(AuthorizationServer, grant_types_supported=["client_credentials"],
                   token_endpoint_auth_methods_supported=["client_secret_basic"])
    resource = serve(Resource, server)
    status, errors = client("auth/client-credentials-basic", resource, version, client_id="conformance-test-client",
                            client_secret="conformance-test-secret")
    assert status == 0, errors
    assert [form["grant_type"] for form in server.requests] == ["client_credentials"]
    assert server.basics == ["conformance-test-client:conformance-test-secret"]
    assert not server.authorizations and not server.registrations


def test_client_credentials_jwt(serve, version):
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                            serialization.NoEncryption()).decode()
    server = serve(AuthorizationServer, grant_types_supported=["client_credentials"],
                   token_endpoint_auth_methods_supported=["private_key_jwt"],
                   token_endpoint_auth_signing_alg_values_supported=["ES256"])
    resource = serve(Resource, server)
    status, errors = client("auth/client-credentials-jwt", resource, version, client_id="conformance-test-client",
                            private_key_pem=pem, signing_algorithm="ES256")
    assert status == 0, errors
    form, = server.requests
    assert form["grant_type"] == "client_credentials"
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    claims = jwt.decode(form["client_assertion"], key.public_key(), algorithms=["ES256"], audience=server.url)
    assert claims["iss"] == claims["sub"] == "conformance-test-client" and claims["jti"]


def test_authorization_server_migration(serve, version):
    first = serve(AuthorizationServer, client={"client_secret": "as1-client-secret"})
    second = serve(AuthorizationServer, client={"client_secret": "as2-client-secret"})

    def guard(method, scopes):
        if method == "initialize" or method.startswith("notifications/"):
            return None
        if scopes is None:
            return 401, {"scope": "mcp:basic"}
        if resource.servers[0] is first:
            # From the next request on, tokens of the second server alone are accepted.
            resource.servers[:] = [second]
        return None

    resource = serve(Resource, first, guard=guard)
    status, errors = client("auth/authorization-server-migration", resource, version)
    assert status == 0, errors
    assert len(first.registrations) == len(second.registrations) == 1
    known = {query["client_id"] for query in first.authorizations}
    assert known.isdisjoint(query["client_id"] for query in second.authorizations)
    assert known.isdisjoint(form["client_id"] for form in second.requests)


# Scopes


def test_scope_from_www_authenticate(serve, version):
    server = serve(AuthorizationServer)
    resource = serve(Resource, server, scopes=["mcp:other"],
                     guard=lambda method, scopes: (401, {"scope": "mcp:basic"}) if scopes is None else None)
    status, errors = client("auth/scope-from-www-authenticate", resource, version)
    assert status == 0, errors
    assert [scopes(query) for query in server.authorizations] == [["mcp:basic"]]


def test_scope_from_scopes_supported(serve, version):
    server = serve(AuthorizationServer)
    resource = serve(Resource, server, scopes=["mcp:basic", "mcp:read", "mcp:write"])
    status, errors = client("auth/scope-from-scopes-supported", resource, version)
    assert status == 0, errors
    assert [scopes(query) for query in server.authorizations] == [["mcp:basic", "mcp:read", "mcp:write"]]


def test_scope_omitted_when_undefined(serve, version):
    server = serve(AuthorizationServer)
    resource = serve(Resource, server)
    status, errors = client("auth/scope-omitted-when-undefined", resource, version)
    assert status == 0, errors
    assert ["scope" in query for query in server.authorizations] == [False]


def test_scope_step_up(serve, version):
    server = serve(AuthorizationServer)

    def guard(method, scopes):
        if method == "initialize" or method.startswith("notifications/"):
            return None
        if scopes is None:
            return 401, {"scope": "mcp:basic"}
        needed = "mcp:write" if method == "tools/call" else "mcp:basic"
        return None if needed in scopes else (403, {"scope": needed, "error": "insufficient_scope"})

    resource = serve(Resource, server, scopes=["mcp:profile"], guard=guard)
    status, errors = client("auth/scope-step-up", resource, version)
    assert status == 0, errors
    # The second has what was granted before, too (SEP-2350), and nothing that only the metadata names.
    assert [scopes(query) for query in server.authorizations] == [["mcp:basic"], ["mcp:basic", "mcp:write"]]


def test_scope_retry_limit(serve, version):
    server = serve(AuthorizationServer)
    tries = []

    def guard(method, scopes):
        if method == "initialize" or method.startswith("notifications/"):
            return None
        if scopes is None:
            return 401, {"scope": "mcp:admin"}
        tries.append(method)
        return 403, {"error": "insufficient_scope", "scope": "mcp:admin"}

    resource = serve(Resource, server, scopes=["mcp:admin"], guard=guard)
    status, _ = client("auth/scope-retry-limit", resource, version)
    assert status == 1
    assert 1 <= len(server.authorizations) <= 3 and len(tries) <= 3


def test_scopes_that_grow_without_end(serve, version):
    """A server that wants another scope each time is given up."""
    server = serve(AuthorizationServer)
    number = itertools.count(1)

    def guard(method, scopes):
        if scopes is None:
            return 401, {"scope": "s0"}
        return 403, {"error": "insufficient_scope", "scope": f"s{next(number)}"}

    resource = serve(Resource, server, guard=guard)
    status, _ = client("auth/scope-retry-limit", resource, version)
    assert status == 1 and len(server.authorizations) <= 3


def test_offline_access_scope(serve, version):
    # The suite's server accepts metadata documents too; here the client registers, so that its grant types show.
    server = serve(AuthorizationServer, scopes_supported=["mcp:basic", "offline_access"])
    resource = serve(Resource, server, scopes=["mcp:basic"])
    status, errors = client("auth/offline-access-scope", resource, version)
    assert status == 0, errors
    assert "refresh_token" in server.registrations[0]["grant_types"]
    assert "offline_access" in scopes(server.authorizations[0])


def test_offline_access_not_supported(serve, version):
    server = serve(AuthorizationServer, scopes_supported=["mcp:basic", "mcp:read"])
    resource = serve(Resource, server, scopes=["mcp:basic", "mcp:read"])
    status, errors = client("auth/offline-access-not-supported", resource, version)
    assert status == 0, errors
    assert "offline_access" not in scopes(server.authorizations[0])


def test_refresh(serve, version):
    """A token that is refused later is refreshed, without the person; not in the suite."""
    server = serve(AuthorizationServer, refresh=True)
    refused = []

    def guard(method, scopes):
        if scopes is None:
            return 401, {}
        if method == "tools/call" and not refused:
            refused.append(method)
            server.tokens.clear()
            return 401, {"error": "invalid_token"}
        return None

    resource = serve(Resource, server, guard=guard)
    status, errors = client("auth/offline-access-scope", resource, version)
    assert status == 0, errors
    assert [form["grant_type"] for form in server.requests] == ["authorization_code", "refresh_token"]
    assert len(server.authorizations) == 1


# The issuer in the authorization response (RFC 9207)


@pytest.mark.parametrize("name, announced, sent, accepted", [
    ("iss-supported", True, "correct", True), ("iss-not-advertised", None, "omit", True),
    ("iss-supported-missing", True, "omit", False), ("iss-wrong-issuer", True, "wrong", False),
    ("iss-unexpected", None, "wrong", False), ("iss-normalized", True, "normalized", False),
])
def test_issuer(serve, version, name, announced, sent, accepted):
    server = serve(AuthorizationServer, redirect_issuer=sent,
                   authorization_response_iss_parameter_supported=announced)
    resource = serve(Resource, server)
    status, errors = client("auth/" + name, resource, version)
    assert (status == 0) == accepted, errors
    assert len(server.authorizations) == 1
    assert len(server.requests) == (1 if accepted else 0)


@pytest.mark.parametrize("methods", [None, ["plain"]])
def test_a_server_without_pkce(serve, version, methods):
    """Refused, as the MCP specification demands; not in the suite."""
    server = serve(AuthorizationServer, code_challenge_methods_supported=methods)
    resource = serve(Resource, server)
    status, errors = client("auth/metadata-default", resource, version)
    assert status == 1 and "PKCE" in errors
    assert not server.authorizations


# Tokens that are bound to a key (SEP-1932)


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def read_proof(headers, url, token=None):
    """The claims of a request's proof and the thumbprint of its key, once both are what RFC 9449 demands."""
    text = headers["DPoP"]
    header = jwt.get_unverified_header(text)
    assert header["typ"] == "dpop+jwt" and set(header["jwk"]) == {"kty", "crv", "x", "y"}
    claims = jwt.decode(text, jwt.PyJWK(header["jwk"], algorithm="ES256").key, algorithms=["ES256"])
    assert claims["htm"] == "POST" and claims["htu"] == url and abs(claims["iat"] - time.time()) < 300
    assert claims.get("ath") == (encoded(hashlib.sha256(token.encode()).digest()) if token else None)
    canonical = json.dumps(dict(sorted(header["jwk"].items())), separators=(",", ":"))
    return claims, encoded(hashlib.sha256(canonical.encode()).digest())


class BindingServer(AuthorizationServer):
    """Binds its tokens to the key of the token request, and may want a nonce in the proof."""

    def __init__(self, nonce=None, issues="DPoP", algorithms=("ES256", "RS256"), **options):
        super().__init__(dpop_signing_alg_values_supported=algorithms and list(algorithms), **options)
        self.nonce, self.issues, self.keys, self.challenges, self.seen = nonce, issues, {}, 0, []

    def answer(self, method, path, headers, body):
        if path != "/token":
            return super().answer(method, path, headers, body)
        claims, key = read_proof(headers, self.url + "/token")
        self.seen.append(claims["jti"])
        if claims.get("nonce") != self.nonce:
            self.challenges += 1
            return 400, {"DPoP-Nonce": self.nonce}, {"error": "use_dpop_nonce"}
        status, more, document = super().answer(method, path, headers, body)
        self.keys[document["access_token"]] = key
        return status, more, document | {"token_type": self.issues}


class BindingResource(Resource):
    """Accepts tokens with a proof by the key that they are bound to, and nothing else."""

    def __init__(self, server, nonce=None):
        super().__init__(server)
        self.nonce, self.challenges, self.seen, self.schemes = nonce, 0, [], set()

    def answer(self, method, path, headers, body):
        if method != "POST" or path != "/mcp":
            return super().answer(method, path, headers, body)
        challenge = f'DPoP resource_metadata="{self.url}{self.path}"'
        if "Authorization" not in headers:
            return 401, {"WWW-Authenticate": challenge}, {"error": "unauthorized"}
        scheme, token = headers["Authorization"].split(" ")
        self.schemes.add(scheme)
        claims, key = read_proof(headers, self.url + "/mcp", token)
        self.seen.append(claims["jti"])
        assert key == self.servers[0].keys[token]
        if claims.get("nonce") != self.nonce:
            self.challenges += 1
            return 401, {"WWW-Authenticate": challenge + ', error="use_dpop_nonce"', "DPoP-Nonce": self.nonce}, {}
        return super().answer(method, path, {"Authorization": f"Bearer {token}"}, body)


@pytest.mark.parametrize("nonces", [(None, None), ("as-nonce", "rs-nonce"), (None, "rs-nonce")])
def test_dpop(serve, version, nonces):
    server = serve(BindingServer, nonces[0])
    resource = serve(BindingResource, server, nonces[1])
    status, errors = client("auth/dpop" + ("-nonce" if any(nonces) else ""), resource, version)
    assert status == 0, errors
    assert resource.methods[-1] == "tools/call" and resource.schemes == {"DPoP"}
    assert len(server.authorizations) == len(server.requests) == 1
    for side, nonce in ((server, nonces[0]), (resource, nonces[1])):
        # Asked for once; what it is, is kept.
        assert side.challenges == (1 if nonce else 0)
        assert len(side.seen) == len(set(side.seen)) > 0


def test_dpop_is_not_given_up(serve, version):
    """A bearer token in place of a bound one is not used, and not shown to the MCP server; not in the suite."""
    server = serve(BindingServer, issues="Bearer")
    resource = serve(BindingResource, server)
    status, errors = client("auth/dpop", resource, version)
    assert status == 1 and "another type than DPoP" in errors
    assert not resource.schemes


@pytest.mark.parametrize("algorithms", [None, [], ["RS256"]])
def test_dpop_that_a_server_does_not_know(serve, version, algorithms):
    server = serve(BindingServer, algorithms=algorithms)
    resource = serve(BindingResource, server)
    status, errors = client("auth/dpop", resource, version)
    assert status == 1 and "takes no proof" in errors
    assert not server.authorizations and not server.requests


def test_nonces_without_end(serve, version):
    """A server that wants another nonce each time is given up."""
    numbers = itertools.count(1)
    server = serve(BindingServer)
    resource = serve(BindingResource, server, "0")
    own = resource.answer

    def answer(*request):
        resource.nonce = str(next(numbers))
        return own(*request)

    resource.answer = answer
    status, _ = client("auth/dpop-nonce", resource, version)
    assert status == 1 and 1 <= resource.challenges <= 5


# Workloads (SEP-1933)


def assertion_of(issuer, **claims):
    key = ec.generate_private_key(ec.SECP256R1())
    return jwt.encode({"iss": "https://idp.example", "sub": "w", "aud": issuer, **claims}, key, algorithm="ES256")


def test_wif_jwt_bearer(serve, version):
    server = serve(AuthorizationServer, grant_types_supported=[BEARER_GRANT], registers=False)
    resource = serve(Resource, server, scopes=["mcp:basic"])
    assertion = assertion_of(server.url)
    status, errors = client("auth/wif-jwt-bearer", resource, version, client_id="workload", valid_jwt=assertion,
                            wrong_audience_jwt="x", expired_jwt="y")
    assert status == 0, errors
    form, = server.requests
    assert form == {"grant_type": BEARER_GRANT, "assertion": assertion, "client_id": "workload", "scope": "mcp:basic",
                    "resource": f"{resource.url}/mcp"}
    assert not server.authorizations and resource.methods[-1] == "tools/call"


@pytest.mark.parametrize("error", ["invalid_grant", "invalid_scope", "unauthorized_client", "unsupported_grant_type"])
def test_a_refused_assertion_is_not_sent_again(serve, version, error):
    server = serve(AuthorizationServer, grant_types_supported=[BEARER_GRANT])
    server.token = lambda form, basic: server.requests.append(form) or (400, {}, {"error": error})
    resource = serve(Resource, server)
    status, errors = client("auth/wif-jwt-bearer", resource, version, client_id="workload",
                            valid_jwt=assertion_of(server.url))
    assert status == 1 and error in errors
    assert [form["grant_type"] for form in server.requests] == [BEARER_GRANT]
    assert not server.authorizations and not server.registrations


# Enterprises (SEP-990)


class Provider(Listener):
    """An enterprise's identity provider, which issues assertions for authorization servers."""

    def __init__(self, **answer):
        super().__init__()
        self.requests, self.authorizations = [], []
        self.document = {"access_token": "id.jag.sig", "issued_token_type": TOKEN_TYPE + "id-jag",
                         "token_type": "N_A", **answer}

    def answer(self, method, path, headers, body):
        assert (method, path) == ("POST", "/token")
        self.requests.append(dict(urllib.parse.parse_qsl(body.decode())))
        self.authorizations.append(headers.get("Authorization"))
        return 200, {}, self.document

    def context(self):
        return {"client_id": "client", "client_secret": "secret", "idp_client_id": "client-at-idp",
                "idp_id_token": "id.to.ken", "idp_issuer": self.url, "idp_token_endpoint": self.url + "/token"}


def test_enterprise_managed_authorization(serve, version):
    provider = serve(Provider)
    server = serve(AuthorizationServer, grant_types_supported=[BEARER_GRANT], registers=False,
                   token_endpoint_auth_methods_supported=["client_secret_basic"])
    resource = serve(Resource, server)
    status, errors = client("auth/enterprise-managed-authorization", resource, version, **provider.context())
    assert status == 0, errors
    assert provider.requests == [{
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "client_id": "client-at-idp",
        "requested_token_type": TOKEN_TYPE + "id-jag", "subject_token": "id.to.ken",
        "subject_token_type": TOKEN_TYPE + "id_token", "audience": server.url, "resource": f"{resource.url}/mcp"}]
    # The secret is the authorization server's; the provider does not see it.
    assert provider.authorizations == [None] and server.basics == ["client:secret"]
    form, = server.requests
    assert form == {"grant_type": BEARER_GRANT, "assertion": "id.jag.sig", "resource": f"{resource.url}/mcp"}
    assert not server.authorizations and resource.methods[-1] == "tools/call"


@pytest.mark.parametrize("answer", [{"token_type": "Bearer"}, {"issued_token_type": TOKEN_TYPE + "access_token"}])
def test_what_is_no_assertion_goes_no_further(serve, version, answer):
    provider = serve(Provider, **answer)
    server = serve(AuthorizationServer, grant_types_supported=[BEARER_GRANT],
                   token_endpoint_auth_methods_supported=["client_secret_basic"])
    resource = serve(Resource, server)
    status, errors = client("auth/enterprise-managed-authorization", resource, version, **provider.context())
    assert status == 1 and "another type" in errors
    assert len(provider.requests) == 1 and not server.requests
