"""Two tool-servers that issue tokens from one database, to which the line breaks now and then: a code, and a refresh
token, presented at both at the same moment is good for one of them at most, and the grant ends."""
import base64
import hashlib
import json
import re
import secrets
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

import services
from fault_proxy import FaultProxy
from person import Browser
from postgresql import PostgreSQL

ROUNDS = 12
CALLBACK = "http://127.0.0.1:1/callback"


class Issuers:
    def __init__(self, directory):
        self.database = PostgreSQL()
        self.line = FaultProxy(self.database.port)
        self.ports = [services.free_port(), services.free_port()]
        self.origin = f"http://127.0.0.1:{self.ports[0]}"
        config = directory / "gateway.json"
        config.write_text(json.dumps(json.loads((services.ROOT / "gateway.json").read_text()) | {"toolServer": {
            "identity": ["builtin"], "publicURL": f"{self.origin}/mcp",
            "oauth": {"clients": {"known": {"name": "Known", "redirectURIs": ["http://127.0.0.1/callback"]}}}}}))
        seed = [services.PRODUCTS / "tool-server", "seed", "--config", config, "--database", self.database.url]
        done = subprocess.run(seed, check=True, capture_output=True, text=True)
        self.password = re.search(r"user alice with password (\S+)", done.stdout + done.stderr)[1]
        # The first has a line to the database that nothing happens to: the person signs in there.
        urls = [self.database.url, self.database.url.replace(str(self.database.port), str(self.line.port))]
        self.servers = [services.Service(
            "tool-server", "serve", "--config", str(config), "--transport", "http", "--port", str(port), "--admin",
            "127.0.0.1:0", "--database", url) for port, url in zip(self.ports, urls)]
        for server in self.servers:
            server.ready()

    def stop(self):
        for server in self.servers:
            assert server.stop() == 0
        self.line.stop()
        self.database.remove()


@pytest.fixture(scope="module")
def issuers(tmp_path_factory):
    made = Issuers(tmp_path_factory.mktemp("issuers"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def person(issuers):
    return Browser(issuers)


def code(issuers, person):
    """A code, and what else its client knows."""
    verifier = secrets.token_urlsafe(40)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    query = urllib.parse.urlencode({
        "response_type": "code", "client_id": "known", "redirect_uri": CALLBACK, "state": "s",
        "code_challenge": challenge, "code_challenge_method": "S256", "resource": f"{issuers.origin}/mcp"})
    answer = person.allow(f"{issuers.origin}/oauth/authorize?{query}")
    return {"grant_type": "authorization_code", "code": answer["code"][0], "redirect_uri": CALLBACK,
            "client_id": "known", "code_verifier": verifier}


def token(port, fields):
    """Status and document of a request to a token endpoint."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/oauth/token",
                                    urllib.parse.urlencode(fields).encode(), timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def renewing(tokens):
    return {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": "known"}


def at_once(issuers, fields):
    """Presents the same at both servers, twice each, at the same moment."""
    answers, barrier = [], threading.Barrier(4)

    def present(port):
        barrier.wait()
        answers.append(token(port, fields))

    threads = [threading.Thread(target=present, args=(port,)) for port in issuers.ports * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 4
    return answers


@pytest.mark.parametrize("rate", [0, 0.03], ids=["whole line", "breaking line"])
@pytest.mark.parametrize("what", ["code", "refresh token"])
def test_good_for_one(issuers, person, what, rate):
    issuers.line.chaos(rate, ("reset", "truncate", "delay"), seed=1)
    won = 0
    try:
        for _ in range(ROUNDS):
            fields = code(issuers, person)
            if what == "refresh token":
                status, tokens = token(issuers.ports[0], fields)
                assert status == 200, tokens
                fields = renewing(tokens)
            answers = at_once(issuers, fields)
            winners = [document for status, document in answers if status == 200]
            others = {(status, document.get("error")) for status, document in answers if status != 200}
            assert len(winners) <= 1, answers
            # A server that cannot ask the database says so; it does not guess.
            allowed = {(400, "invalid_grant")}
            if rate:
                allowed |= {(503, "temporarily_unavailable"), (500, "server_error")}
            assert others <= allowed, others
            won += len(winners)
            if winners and not rate:
                # It was presented again, by whoever: the grant has ended for all, perhaps before the first had its answer.
                status, document = token(issuers.ports[1], renewing(winners[0]))
                assert (status, document["error"]) == (400, "invalid_grant"), document
    finally:
        issuers.line.chaos(0)
        # Calls fail for 200 ms after a connection could not be opened; then the line counts as whole.
        time.sleep(0.3)
    print(f"\n{what}: {won} of {ROUNDS} good for one, {issuers.line.count} faults so far")
    # Presented once it is good, at the server with the whole line or the other.
    for port in issuers.ports:
        assert token(port, code(issuers, person))[0] == 200
