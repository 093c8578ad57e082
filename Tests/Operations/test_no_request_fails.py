"""Behind nginx and under load, everything is restarted, reloaded and rotated: not one request fails, as the client
counts them."""
import hashlib
import itertools
import json
import signal
import ssl
import threading
import http.client

import pytest

import services
from services import Nginx, eventually, listening_socket, request

pytestmark = pytest.mark.skipif(not Nginx.EXECUTABLE.exists(), reason="nginx is not installed")

# Two that may be repeated, one that must not be.
PAYLOADS = [
    {"type": "search_projects", "query": "urgent"},
    {"type": "search_any", "model": "projects", "query": "urgent"},
    {"message": "How do I get access outside my role?"},
]


class Load:
    """Clients that ask one question after another, each on a new connection, half of them over TLS."""

    def __init__(self, nginx, clients=4):
        self.nginx, self.failures, self.count = nginx, [], itertools.count()
        self.done = 0
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(number % 2 == 1,)) for number in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self, tls):
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        while not self.ended.is_set():
            number = next(self.count)
            payload = PAYLOADS[number % len(PAYLOADS)]
            connection = (http.client.HTTPSConnection("127.0.0.1", self.nginx.tls_port, timeout=30, context=trusting)
                          if tls else http.client.HTTPConnection("127.0.0.1", self.nginx.plain_port, timeout=30))
            try:
                connection.request("POST", "/api/chat/", json.dumps(payload))
                response = connection.getresponse()
                body = response.read().decode()
                if response.status != 200 or "replies" not in body:
                    self.failures.append((number, payload, response.status, dict(response.headers), body))
            except (OSError, http.client.HTTPException) as problem:
                self.failures.append((number, payload, repr(problem)))
            finally:
                connection.close()
            self.done += 1

    def more(self, requests=40):
        """Returns when that many requests more have been answered."""
        goal = self.done + requests
        eventually(lambda: self.done >= goal or self.failures, 60, f"{requests} more requests")
        assert not self.failures, self.failures[:3]

    def end(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(40)
        assert not self.failures, self.failures[:3]
        return self.done


def certificate(port):
    return hashlib.sha256(ssl.get_server_certificate(("127.0.0.1", port)).encode()).hexdigest()


def test_restarts_reloads_and_rotation_under_load(database, running, tmp_path):
    sockets = {name: {"main": listening_socket(), "admin": listening_socket()} for name in ("tools", "front")}
    address = {name: "127.0.0.1:%d" % held["main"].getsockname()[1] for name, held in sockets.items()}

    def start(name):
        service = (services.tool_server(database, sockets=sockets[name]) if name == "tools" else
                   services.gateway(address["tools"], sockets=sockets[name]))
        return running(service)

    serving = {name: start(name) for name in ("tools", "front")}
    for service in serving.values():
        service.ready()
    # TLS on one nginx, plain on another: with TLS the plain port only redirects.
    plain = running(Nginx(tmp_path / "plain", address["front"]))
    nginx = running(Nginx(tmp_path / "tls", address["front"], tls=True))
    nginx.plain_port = plain.port
    load = Load(nginx)
    load.more()

    def restart(name):
        """As systemd does: the socket stays, the new process comes when the old one has ended."""
        assert serving[name].stop(40) == 0, serving[name].lines[-5:]
        serving[name] = start(name).listening()

    for name in ("front", "tools", "front", "tools"):
        restart(name)
        load.more()
    for service in serving.values():
        service.signal(signal.SIGHUP)
        eventually(lambda: service.messages("reloaded"), what=f"{service.name} reloaded")
    load.more()
    for proxy in (plain, nginx):
        proxy.reload()
    load.more()
    before = certificate(nginx.tls_port)
    nginx.make_certificate()
    nginx.reload()
    eventually(lambda: certificate(nginx.tls_port) != before, what="the new certificate")
    load.more()
    assert load.end() > 200
    for name in ("front", "tools"):
        assert serving[name].stop() == 0
