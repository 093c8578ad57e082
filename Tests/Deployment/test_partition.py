"""A tool-server, and a database, on a host of its own, a network namespace, that is cut off under load."""

import json
import os
import shutil
import subprocess
import time

import pytest

from load import Load, searches
from postgresql import PostgreSQL
from services import BIN, ROOT, Service, eventually, free_port, get, is_ready

NAMESPACE, LINK = f"chat{os.getpid()}", f"chat{os.getpid() % 10000}"
HERE, THERE = "10.213.77.1", "10.213.77.2"


def ip(*arguments, check=True):
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=check).returncode == 0


@pytest.fixture
def host():
    """The other host: a namespace with one link to here."""
    if os.getuid() != 0 or not shutil.which("ip") or not ip("netns", "add", NAMESPACE, check=False):
        pytest.skip("this machine lets nobody make network namespaces")
    try:
        ip("link", "add", LINK, "type", "veth", "peer", "name", "eth0", "netns", NAMESPACE)
        ip("address", "add", f"{HERE}/30", "dev", LINK)
        ip("link", "set", LINK, "up")
        ip("-n", NAMESPACE, "address", "add", f"{THERE}/30", "dev", "eth0")
        ip("-n", NAMESPACE, "link", "set", "eth0", "up")
        yield ["ip", "netns", "exec", NAMESPACE]
    finally:
        ip("link", "delete", LINK, check=False)
        ip("netns", "delete", NAMESPACE, check=False)


def cut(is_cut):
    """No packet passes, and nobody is told so."""
    ip("-n", NAMESPACE, "link", "set", "eth0", "down" if is_cut else "up")


def calls(admin):
    """The server's own count of tool calls; zero while it cannot be asked."""
    try:
        text = get(f"{admin}/metrics")[2].decode()
    except OSError:
        return 0
    lines = [line for line in text.splitlines() if line.startswith("tool_server_tool_calls_total")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def test_a_server_that_is_cut_off_costs_only_what_was_on_its_way(host, tmp_path):
    database = tmp_path / "chat.sqlite"
    subprocess.run([BIN / "tool-server", "seed", "--database", database], capture_output=True, check=True)

    def tool_server(prefix, address, port):
        return Service(
            [*prefix, BIN / "tool-server", "serve", "--transport", "http", "--host", address, "--port", port,
             "--admin", f"{address}:0", "--database", database])

    near_port, far_port = free_port(), 8001
    services = [tool_server([], "127.0.0.1", near_port), tool_server(host, THERE, far_port)]
    try:
        for service in services:
            service.address("main")
        far_admin = f"http://{services[1].address('admin')}"
        settings = json.loads((ROOT / "gateway.json").read_text())
        settings["upstreams"]["tools"] |= {
            "url": f"http://127.0.0.1:{near_port}/mcp/", "urls": [f"http://{THERE}:{far_port}/mcp/"],
            "probeInterval": "500ms", "connectTimeout": "500ms",
        }
        settings["chat"]["types"]["search_any"]["timeout"] = "1s"
        config = tmp_path / "gateway.json"
        config.write_text(json.dumps(settings))
        gateway = Service([BIN / "gateway", "--config", config, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        services.append(gateway)
        admin = f"http://{gateway.address('admin')}"
        eventually(lambda: is_ready(f"{admin}/readyz"), "the gateway is not ready", gateway.log)

        with Load(gateway.address("main"), searches(), 4) as load:
            load.progress(100)
            eventually(lambda: calls(far_admin) > 0, "the far server is not asked")
            cut(True)
            # A check takes five seconds to find out that nobody answers.
            time.sleep(8)
            noticed = time.monotonic()
            load.progress(200)
            cut(False)
            before = eventually(lambda: calls(far_admin), "it cannot be asked")
            eventually(lambda: calls(far_admin) > before, "it is not asked again")
            load.progress(100)
        for failure in load.failures():
            # Or its time was over before there was a connection to send it on.
            assert failure.status == 504 and failure.problem()["executed"] in ("unknown", "no"), str(failure)
            assert failure.began < noticed, f"although it is known to be away: {failure}"
    finally:
        for service in reversed(services):
            service.stop()


def test_a_database_that_is_cut_off_is_used_again_by_itself(host, tmp_path):
    database = PostgreSQL(THERE, host)
    services = []
    try:
        subprocess.run([BIN / "tool-server", "seed", "--database", database.url], capture_output=True, check=True)
        settings = json.loads((ROOT / "gateway.json").read_text())
        settings["chat"]["types"]["search_any"]["timeout"] = "1s"
        settings["toolServer"] = {"postgres": {"connectTimeout": "500ms", "wait": "500ms"}}
        config = tmp_path / "gateway.json"
        config.write_text(json.dumps(settings))
        tools = Service(
            [BIN / "tool-server", "serve", "--transport", "http", "--port", 0, "--admin", "127.0.0.1:0", "--config",
             config, "--database", database.url])
        services.append(tools)
        gateway = Service([BIN / "gateway", "--config", config, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
                           "--upstream", f"http://{tools.address('main')}/mcp/"])
        services.append(gateway)
        admin, tools_admin = f"http://{gateway.address('admin')}", f"http://{tools.address('admin')}"
        eventually(lambda: is_ready(f"{admin}/readyz"), "the gateway is not ready", gateway.log)
        with Load(gateway.address("main"), searches(), 4) as load:
            load.progress(100)
            cut(True)
            eventually(lambda: len(load.failures()) >= 8, "nobody noticed")
            eventually(lambda: not is_ready(f"{tools_admin}/readyz"), "ready without a database", tools.log)
            # The tool-server can be reached all the same.
            assert is_ready(f"{admin}/readyz")
            cut(False)
            load.progress(100, within=60)
        for failure in load.failures():
            problem = failure.problem()
            assert (failure.status, problem["label"]) in {(503, "tool_error"), (504, "upstream_timeout")}, str(failure)
        assert all(answer.succeeded for answer in load.answers[-50:]), "it fails on after the line is whole again"
        eventually(lambda: is_ready(f"{tools_admin}/readyz"), "the tool-server is not ready again", tools.log)
    finally:
        for service in reversed(services):
            service.stop()
        cut(False)
        database.remove()
