"""Tools of FastMCP's server and of our fixture, pinned: the same to clients of every revision as without a lock file."""
import json
import subprocess

import pytest
from conftest import HERE, PRODUCTS, OurClient, PythonServer, start_endpoints
from schemas import REVISIONS


@pytest.fixture(scope="module")
def fastmcp():
    server = PythonServer(HERE / "fastmcp_server.py")
    yield server
    server.stop()


def pin(folder, *arguments):
    return subprocess.run([str(PRODUCTS / "gateway"), "pin", "--config", str(folder / "gateway.json"), *arguments],
                          capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def pinned(fastmcp, conformance_server, tmp_path_factory):
    """A gateway before both servers, whose tools are all pinned."""
    folder = tmp_path_factory.mktemp("pinned")
    upstreams = {"fast": {"url": f"http://{fastmcp.address}/mcp", "trusted": False},
                 "fixture": {"url": f"http://{conformance_server}/mcp", "trusted": False},
                 "local": {"command": str(PRODUCTS / "ConformanceServer"), "trusted": False}}
    endpoints = {f"/{name}": {"upstreams": {name: {}}} for name in upstreams}
    (folder / "gateway.json").write_text(json.dumps({"upstreams": upstreams, "mcp": {"endpoints": endpoints},
                                                     "chat": {"types": {}}, "lock": "tools.lock"}))
    done = pin(folder)
    assert done.returncode == 0, done.stderr
    process = start_endpoints(folder, upstreams, endpoints, lock="tools.lock")
    process.folder = folder
    yield process
    assert process.stop() == 0


def names(address, path, version):
    _, tools = OurClient.answers(f"http://{address}{path}", version=version, steps=[{"method": "tools/list"}])
    return [tool["name"] for tool in tools["result"]["tools"]]


@pytest.mark.parametrize("version", REVISIONS)
def test_a_client_of_every_revision_sees_what_was_pinned(pinned, fastmcp, conformance_server, version):
    gateway = pinned.addresses["main"]
    assert names(gateway, "/fast", version) == names(fastmcp.address, "/mcp", version)
    expected = names(conformance_server, "/mcp", version)
    assert names(gateway, "/fixture", version) == expected and "test_simple_text" in expected
    assert "test_simple_text" in names(gateway, "/local", version)


def test_nothing_differs_afterwards(pinned):
    done = pin(pinned.folder, "--diff")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    lock = json.loads((pinned.folder / "tools.lock").read_text())
    assert {"fast", "fixture", "local"} == set(lock["upstreams"])
