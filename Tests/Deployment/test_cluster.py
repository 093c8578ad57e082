"""Two gateways, two tool-servers and PostgreSQL behind nginx, while processes are killed under load."""

import json
import re
import signal
import subprocess
from collections import Counter

import pytest

from load import Load, Messages, searches
from postgresql import PostgreSQL
from services import BIN, ROOT, Nginx, Service, eventually, free_port, get, is_ready


class ToolServer:
    def __init__(self, database, config):
        self.port, self._arguments = free_port(), ["--config", config, "--database", database]
        self.start()

    def start(self):
        self.service = Service(
            [BIN / "tool-server", "serve", "--transport", "http", "--port", self.port, "--admin", "127.0.0.1:0",
             *self._arguments])
        self.admin = f"http://{self.service.address('admin')}"
        eventually(lambda: is_ready(f"{self.admin}/readyz"), "the tool-server is not ready", self.service.log)


class Gateway:
    def __init__(self, config):
        self.port, self._config = free_port(), config
        self.start()

    def start(self):
        self.service = Service(
            [BIN / "gateway", "--config", self._config, "--listen", f"127.0.0.1:{self.port}", "--admin", "127.0.0.1:0"])
        self.admin = f"http://{self.service.address('admin')}"
        eventually(lambda: is_ready(f"{self.admin}/readyz"), "the gateway is not ready", self.service.log)

    def serves(self):
        """Whether nginx sends it requests."""
        metrics = get(f"{self.admin}/metrics")[2].decode()
        return re.search(r'^gateway_requests_total\{[^}]*type="search_any"[^}]*\} [1-9]', metrics, re.M)


class Cluster:
    def __init__(self, directory):
        self.database = PostgreSQL()
        seeded = self._tool("seed")
        self.cookie = self._tool("session", "new", "alice").split()[-1]
        assert re.search("alice", seeded)
        config = directory / "gateway.json"
        settings = json.loads((ROOT / "gateway.json").read_text())
        config.write_text(json.dumps(settings))
        self.tool_servers = [ToolServer(self.database.url, config) for _ in range(2)]
        urls = [f"http://127.0.0.1:{server.port}/mcp/" for server in self.tool_servers]
        settings["upstreams"]["tools"] |= {"url": urls[0], "urls": urls[1:]}
        config.write_text(json.dumps(settings))
        self.gateways = [Gateway(config) for _ in range(2)]
        self.nginx = Nginx(directory / "nginx", [f"127.0.0.1:{gateway.port}" for gateway in self.gateways])
        self.address = f"127.0.0.1:{self.nginx.port}"

    def _tool(self, *arguments):
        return subprocess.run(
            [BIN / "tool-server", *arguments, "--database", self.database.url], capture_output=True, text=True,
            check=True).stdout

    def stored(self):
        """How often each message is stored."""
        return Counter(row[0] for row in self.database.query("SELECT convert_from(message, 'UTF8') FROM message"))

    def remove(self):
        for part in [self.nginx, *self.gateways, *self.tool_servers]:
            (part.service if hasattr(part, "service") else part).stop()
        self.database.remove()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.remove()


def check_messages(cluster, load, may_be_unknown):
    """Every answered message is stored once, no message twice, and a failure says truthfully whether it ran."""
    stored = cluster.stored()
    for answer in load.answers:
        times = stored[answer.payload["message"]]
        assert times <= 1, f"ran twice: {answer}"
        if answer.succeeded:
            assert times == 1, f"answered but not stored: {answer}"
        else:
            assert may_be_unknown(answer), str(answer)
            if answer.is_ours and answer.problem()["executed"] == "no":
                assert times == 0, f"said not to have run: {answer}"


def killed_under_load(cluster, process, name, is_back=lambda: True):
    """The reads and the writes of clients that went on while a process was killed and started again."""
    with (Load(cluster.address, searches(), 4, cluster.cookie) as reads,
          Load(cluster.address, Messages(name), 2, cluster.cookie) as writes):
        reads.progress(50), writes.progress(10)
        process.service.stop(signal.SIGKILL)
        reads.progress(50), writes.progress(10)
        process.start()
        eventually(is_back, f"{name} is not asked again", process.service.log)
        reads.progress(50), writes.progress(10)
    return reads, writes


@pytest.mark.parametrize("which", [0, 1])
def test_a_killed_tool_server_fails_no_read_and_runs_no_write_twice(cluster, which):
    reads, writes = killed_under_load(cluster, cluster.tool_servers[which], f"tool-server {which}")
    assert not reads.failures(), str(reads.failures()[0])
    # What was in flight on it when it died, or was sent on a connection before its end was known there: at most one call
    # of each client at each gateway.
    assert len(writes.failures()) <= 4, [str(failure) for failure in writes.failures()]
    check_messages(
        cluster, writes, lambda answer: answer.status in (502, 504) and answer.problem()["executed"] == "unknown")


@pytest.mark.parametrize("which", [0, 1])
def test_a_killed_gateway_fails_only_what_it_was_doing(cluster, which):
    gateway = cluster.gateways[which]
    # nginx leaves out for a while what failed.
    reads, writes = killed_under_load(cluster, gateway, f"gateway {which}", gateway.serves)
    # nginx answers 502 for a gateway that is gone: each client had at most one request there, and at most one more was
    # sent on a connection before nginx knew its end.
    failures = reads.failures() + writes.failures()
    assert len(failures) <= 12, [str(failure) for failure in failures]
    for failure in failures:
        assert failure.status == 502 and not failure.is_ours, str(failure)
    check_messages(cluster, writes, lambda answer: not answer.is_ours)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "killed"])
def test_all_is_well_again_after_a_restart_of_postgresql(cluster, how):
    with (Load(cluster.address, searches(), 2, cluster.cookie) as members,
          Load(cluster.address, searches(), 2) as visitors,
          Load(cluster.address, Messages(f"database {how.name}"), 1, cluster.cookie) as writes):
        loads = [members, visitors, writes]
        for load in loads:
            load.progress(10)
        cluster.database.stop(how)
        for server in cluster.tool_servers:
            eventually(lambda: not is_ready(f"{server.admin}/readyz"), "ready without a database", server.service.log)
        for load in loads:
            eventually(load.failures, "no request noticed")
        for gateway in cluster.gateways:
            assert is_ready(f"{gateway.admin}/readyz"), "the tool-servers answer all the same"
        cluster.database.start()
        for server in cluster.tool_servers:
            eventually(lambda: is_ready(f"{server.admin}/readyz"), "not ready again", server.service.log)
        for load in loads:
            load.progress(20)
    for load in loads:
        for failure in load.failures():
            assert failure.is_ours and failure.status == 503, str(failure)
            assert failure.headers["retry-after"] == "1"
            problem = failure.problem()
            assert (problem["label"], problem["detail"]) == ("tool_error", "The database is unavailable"), str(failure)
        succeeded = [answer.succeeded for answer in load.answers]
        assert all(succeeded[-10:]), "it fails on after the database came back"
    # An answer that could not be stored goes out all the same, so a message may be missing; none is there twice.
    assert max(cluster.stored().values()) == 1
