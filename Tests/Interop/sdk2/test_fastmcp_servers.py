"""The gateway and our own client before FastMCP servers, in all four of their modes, with a restart in between."""
import pathlib
import sys

import pytest
from conftest import OurClient, PythonServer, post, start_gateway, tool

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "fastmcp_server.py"
MODES = [(), ("json",), ("stateless",), ("stateless", "json")]
ERAS = ["auto", "legacy"]


@pytest.fixture(scope="module", params=MODES, ids=lambda modes: "+".join(modes) or "session+sse")
def fastmcp(request):
    server = PythonServer(SCRIPT, *request.param)
    yield server
    server.stop()


def everything(gateway):
    url = f"http://{gateway.addresses['main']}/api/chat/"
    assert post(url, {"type": "search_any", "model": "projects", "query": "urgent"}) == (
        200, {"type": "search_any", "replies": [{"name": "Urgent Q2", "url": "/psm/project/123/"}]})
    assert post(url, {"type": "search_projects", "query": "u"}) == (
        200, {"type": "search_projects", "replies": ["Urgent Q2", "Quiet Audit"]})
    assert post(url, {"type": "ai_prompt", "message": " hello "}) == (
        200, {"type": "ai_prompt", "replies": ["Echo: hello"]})
    assert post(url, {"message": "hello"}) == (200, {"type": "chat", "replies": ["Echo: hello"]})
    # A structured error with isError false, as a literal port of the old handlers gives it.
    assert post(url, {"type": "search_any", "model": "nope", "query": "x"}) == (400, {"error": "Unknown model"})
    status, body = post(url, {"message": "!fail"})
    assert status == 400 and "model unavailable" in body["error"]


STEPS = [
    tool("search_projects", {"query": "u"}),
    tool("ai_prompt", {"prompt": "hello"}),
    {"method": "resources/read", "params": {"uri": "test://text"}},
    {"method": "prompts/get", "params": {"name": "greet", "arguments": {"name": "Al"}}},
    tool("slow", {"seconds": 30}, cancelAfter=200),
    {"parallel": [tool("chat", {"message": str(number)}) for number in range(10)]},
]


def are_right(answers, streams=True):
    found, echo, resource, prompt, cancelled, parallel = answers
    assert found["result"]["structuredContent"] == {"result": ["Urgent Q2", "Quiet Audit"]}
    assert echo["result"]["structuredContent"] == {"result": "Echo: hello"}
    # A server that answers in plain JSON has nowhere to report progress.
    assert [step["message"] for step in echo.get("progress", [])] == ["thinking"] or not streams
    assert resource["result"]["contents"][0]["text"] == "a text"
    assert prompt["result"]["messages"][0]["content"]["text"] == "Greet Al"
    assert cancelled["failure"] == "cancelled"
    assert [answer["result"]["structuredContent"]["result"] for answer in parallel] == [
        f"Echo: {number}" for number in range(10)]


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
def test_everything_over_a_restart(fastmcp, path, record):
    """`/mcp/` is answered with 307 there."""
    gateways = [start_gateway(f"http://{record(fastmcp.address, ours='client')}{path}", era) for era in ERAS]
    clients = []
    try:
        for gateway in gateways:
            gateway.wait("main", "admin")
            everything(gateway)
        for version, expected in [("2025-11-25", "2025-11-25"), ("2026-07-28", "2026-07-28"), (None, "2026-07-28")]:
            client = OurClient(f"http://{record(fastmcp.address, ours='client')}{path}", version=version,
                               steps=STEPS + [{"pause": True}] + STEPS)
            clients.append(client)
            assert client.line() == {"version": expected, "server": "fastmcp"}
            are_right([client.line() for _ in STEPS], streams="json" not in fastmcp.modes)
            assert client.line() == {"paused": True}
        fastmcp.stop()
        for gateway in gateways:
            assert post(f"http://{gateway.addresses['main']}/api/chat/",
                        {"type": "search_any", "model": "projects", "query": "urgent"}) == (
                502, {"error": "MCP error"})
        fastmcp.start()
        for gateway in gateways:
            everything(gateway)
        for client in clients:
            client.resume()
            assert client.line() == {"resumed": True}
            are_right(client.rest(), streams="json" not in fastmcp.modes)
    finally:
        for client in clients:
            client.process.kill()
        codes = [gateway.stop() for gateway in gateways]
    assert codes == [0] * len(gateways)


@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28", None])
def test_our_client_over_stdio(version, record):
    command, arguments = record.stdio(sys.executable, [str(SCRIPT)], ours="client")
    first, *answers = OurClient.answers("--stdio", command, *arguments, version=version, steps=STEPS)
    assert first["server"] == "fastmcp" and first["version"] == (version or "2026-07-28")
    are_right(answers)
