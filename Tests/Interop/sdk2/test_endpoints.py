"""One MCP endpoint over several servers: ours, FastMCP's and one over stdio, as the SDK 2.x sees it."""
import asyncio
import json
import urllib.error
import urllib.request

import pytest
from conftest import HERE, PRODUCTS, PythonServer, post, start_endpoints
from mcp import Client

MODES = ["2026-07-28", "legacy"]


@pytest.fixture(scope="module")
def fastmcp():
    server = PythonServer(HERE / "fastmcp_server.py")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def mixed(tool_server, fastmcp, tmp_path_factory):
    """The URL of an endpoint over three servers."""
    process = start_endpoints(
        tmp_path_factory.mktemp("mixed"),
        {"tools": {"url": f"http://{tool_server.addresses['main']}/mcp/"},
         "fast": {"url": f"http://{fastmcp.address}/mcp", "trusted": False},
         "local": {"command": str(PRODUCTS / "ConformanceServer")}},
        {"/mcp/": {"upstreams": {"tools": {}, "fast": {"prefix": "fast_", "deny": ["slow"]},
                                 "local": {"prefix": "local_", "allow": ["test_simple_text"]}}},
         "/mcp-only-fast": {"upstreams": {"fast": {}}}})
    yield process
    assert process.stop() == 0


def url(process, path="/mcp/"):
    return f"http://{process.addresses['main']}{path}"


@pytest.mark.parametrize("mode", MODES)
def test_three_servers_are_listed_and_called(mixed, mode):
    async def main():
        async with Client(url(mixed), mode=mode) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            assert "search_any" in names and "fast_search_any" in names and "local_test_simple_text" in names
            assert names.index("search_any") < names.index("fast_search_any") < names.index("local_test_simple_text")
            assert "fast_slow" not in names
            assert [name for name in names if name.startswith("local_")] == ["local_test_simple_text"]
            ours = await client.call_tool("search_any", {"model": "projects", "query": "urgent"})
            assert ours.structured_content["results"][0]["url"].startswith("/psm/project/")
            fast = await client.call_tool("fast_search_any", {"model": "projects", "query": "urgent"})
            assert fast.structured_content == {"results": [{"name": "Urgent Q2", "url": "/psm/project/123/"}]}
            local = await client.call_tool("local_test_simple_text", {})
            assert local.content[0].text == "This is a simple text response for testing."
            assert (await client.read_resource("test://text")).contents[0].text == "a text"
            prompt = await client.get_prompt("fast_greet", {"name": "Ann"})
            assert prompt.messages[0].content.text == "Greet Ann"

    asyncio.run(main())


@pytest.mark.parametrize("mode", MODES)
def test_endpoints_have_their_own_audiences(mixed, mode):
    async def main():
        async with Client(url(mixed, "/mcp-only-fast"), mode=mode) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            assert "search_any" in names and "echo" not in names
            steps = []

            async def progress(value, total, message):
                steps.append(message)

            answer = await client.call_tool("ai_prompt", {"prompt": "Hello"}, progress_callback=progress)
            assert answer.content[0].text == "Echo: Hello"
            assert steps == ["thinking"]

    asyncio.run(main())


def test_the_plain_dialects_work_on_an_endpoint(mixed):
    assert post(url(mixed, "/mcp/echo"), {"message": "Hello"}) == (200, {"Echo": "Hello"})
    status, body = post(url(mixed), {"command": "fast_search_projects", "arguments": {"query": "urgent"}})
    assert (status, body["results"]) == (200, ["Urgent Q2"])
    for hidden in ("fast_slow", "local_test_error_handling", "nothing"):
        assert post(url(mixed, f"/mcp/{hidden}"), {})[0] == 404
        assert post(url(mixed), {"command": hidden, "arguments": {}})[0] == 404
    with urllib.request.urlopen(url(mixed, "/mcp/session/new"), timeout=20) as response:
        session = response.headers["Mcp-Session-Id"]
    call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "fast_slow", "arguments": {"seconds": 0}}}
    headers = {"Mcp-Session-Id": session, "Accept": "application/json, text/event-stream",
               "Content-Type": "application/json"}
    status, body = post(url(mixed), call, headers)
    assert (status, body["error"]["code"], body["error"]["message"]) == (200, -32602, "Unknown tool: fast_slow")


def test_a_server_that_is_away_leaves_the_others_alone(mixed, fastmcp):
    fastmcp.stop()
    try:
        status, body = post(url(mixed, "/mcp/echo"), {"message": "Hello"})
        assert (status, body) == (200, {"Echo": "Hello"})
        status, body = post(url(mixed, "/mcp/fast_chat"), {"message": "Hello"})
        assert status == 502, body
    finally:
        fastmcp.start()


def test_a_session_belongs_to_the_credentials_that_opened_it(mixed, alice):
    initialize = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}}
    headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json",
               "Cookie": f"sessionid={alice}"}
    request = urllib.request.Request(url(mixed), data=json.dumps(initialize).encode(), headers=headers, method="POST")
    with urllib.request.urlopen(request, timeout=20) as response:
        session = response.headers["Mcp-Session-Id"]
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "get_user_info", "arguments": {}}}
    status, body = post(url(mixed), call, dict(headers, **{"Mcp-Session-Id": session}))
    assert body["result"]["structuredContent"] == {"results": {"username": "alice", "alias": "Al"}}
    del headers["Cookie"]
    assert post(url(mixed), call, dict(headers, **{"Mcp-Session-Id": session}))[0] == 404
