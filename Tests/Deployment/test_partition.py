"""A tool-server on a host of its own, a network namespace, that is cut off under load."""

import json
import os
import shutil
import subprocess
import time

import pytest

from load import Load, searches
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
            assert failure.status == 504 and failure.problem()["executed"] == "unknown", str(failure)
            assert failure.began < noticed, f"although it is known to be away: {failure}"
    finally:
        for service in reversed(services):
            service.stop()
