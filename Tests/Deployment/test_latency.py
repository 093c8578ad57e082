"""Gateway, tool-server and database far from one another: nothing fails for that, and what takes too long is a 504."""

import http.client
import json
import re
import subprocess
import threading

import pytest

from load import Load, searches
from postgresql import PostgreSQL
from services import BIN, ROOT, Service, eventually, get, is_ready
from slow_line import SlowLine

# One way. What a type may take is far above what a call takes on these lines, and far below TOO_LONG.
FAR, TOO_LONG = 0.05, 4.0
CONCURRENCY = 8


class Spread:
    """The three with a slow line between each two."""

    def __init__(self, directory):
        self.database = PostgreSQL()
        subprocess.run([BIN / "tool-server", "seed", "--database", self.database.url], capture_output=True, check=True)
        self.cookie = subprocess.run(
            [BIN / "tool-server", "session", "new", "alice", "--database", self.database.url], capture_output=True,
            text=True, check=True).stdout.strip()
        self.to_database = SlowLine(self.database.port, FAR)
        config = directory / "gateway.json"
        settings = json.loads((ROOT / "gateway.json").read_text())
        settings["chat"]["types"]["search_any"]["timeout"] = "3s"
        settings["upstreams"]["tools"] |= {"probeInterval": "200ms", "concurrency": CONCURRENCY, "queueTimeout": "3s"}
        config.write_text(json.dumps(settings))
        url = self.database.url.replace(str(self.database.port), str(self.to_database.port))
        self.tool_server = Service(
            [BIN / "tool-server", "serve", "--transport", "http", "--port", 0, "--admin", "127.0.0.1:0",
             "--config", config, "--database", url])
        self.to_tool_server = SlowLine(int(self.tool_server.address("main").rsplit(":", 1)[1]), FAR)
        self.gateway = Service(
            [BIN / "gateway", "--config", config, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--upstream",
             f"http://127.0.0.1:{self.to_tool_server.port}/mcp/"])
        self.address = self.gateway.address("main")
        self.admin = f"http://{self.gateway.address('admin')}"
        self.tools_admin = f"http://{self.tool_server.address('admin')}"
        eventually(lambda: is_ready(f"{self.admin}/readyz"), "the gateway is not ready", self.gateway.log)

    def value(self, metric):
        text = get(f"{self.admin}/metrics")[2].decode()
        return sum(float(value) for value in re.findall(rf"^{metric}(?:\{{[^}}]*\}})? (\S+)$", text, re.M))

    def stop(self):
        self.gateway.stop()
        self.tool_server.stop()
        self.to_tool_server.stop()
        self.to_database.stop()
        self.database.remove()


@pytest.fixture(scope="module")
def spread(tmp_path_factory):
    spread = Spread(tmp_path_factory.mktemp("spread"))
    yield spread
    spread.stop()


class Watch:
    """Asks both processes again and again whether they are ready, and the gateway for what it has under way."""

    def __init__(self, spread):
        self._spread, self.not_ready, self.most, self._end = spread, [], 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self):
        while not self._end.wait(0.05):
            for url in (f"{self._spread.admin}/readyz", f"{self._spread.tools_admin}/readyz"):
                status, _, body = get(url)
                if status != 200:
                    self.not_ready.append(body)
            self.most = max(self.most, self._spread.value("gateway_upstream_calls_in_flight"))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join(30)


def test_distance_alone_fails_nothing(spread):
    opened = spread.value("gateway_upstream_connections_opened_total")
    # More clients than calls may be under way: the others wait in the gateway.
    with Watch(spread) as watch, Load(spread.address, searches(), 2 * CONCURRENCY, spread.cookie) as load:
        load.progress(200, within=60)
    assert not load.failures(), str(load.failures()[0])
    assert not watch.not_ready, watch.not_ready[0]
    assert 1 < watch.most <= CONCURRENCY
    assert spread.value("gateway_upstream_reachable") == 1 and spread.value("gateway_upstream_breaker_state") == 0
    # Connections are kept, however long the line: calls, checks and what opens while the first ones are being opened.
    assert spread.value("gateway_upstream_connections_opened_total") - opened <= 2 * CONCURRENCY
    assert spread.value("gateway_upstream_replays_total") == 0


@pytest.mark.parametrize("line", ["to_tool_server", "to_database"])
def test_what_takes_too_long_is_a_504_and_passes(spread, line):
    line = getattr(spread, line)
    with Load(spread.address, searches(), 4, spread.cookie) as load:
        load.progress(20)
        line.delay = TOO_LONG
        eventually(lambda: len(load.failures()) >= 4, "no request noticed", within=40)
        line.delay = FAR
        load.progress(40, within=60)
    for failure in load.failures():
        problem = failure.problem()
        assert failure.is_ours and failure.status == problem["status"], str(failure)
        # A check of the upstream's health may have given up meanwhile; then nothing is sent to it.
        if (failure.status, problem["label"]) != (502, "upstream_unreachable"):
            assert (failure.status, problem["label"], problem["executed"]) == (504, "upstream_timeout", "unknown"), \
                str(failure)
    assert [failure.status for failure in load.failures()].count(504) >= 4
    assert all(answer.succeeded for answer in load.answers[-20:]), "it fails on after the line is fast again"
    eventually(lambda: is_ready(f"{spread.admin}/readyz"), "the gateway is not ready", spread.gateway.log)
    eventually(lambda: is_ready(f"{spread.tools_admin}/readyz"), "the tool-server is not ready", spread.tool_server.log)


def test_the_answer_is_the_documented_one(spread):
    spread.to_tool_server.delay = TOO_LONG
    try:
        connection = http.client.HTTPConnection(spread.address, timeout=30)
        connection.request("POST", "/api/chat/", json.dumps(next(searches())))
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())) == (504, {"error": "MCP error"})
    finally:
        spread.to_tool_server.delay = FAR
