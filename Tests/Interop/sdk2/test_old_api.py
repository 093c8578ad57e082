"""deploy/examples/first-day: a company that has nothing but an old chat API, as its front-end and as MCP clients see it."""
import asyncio
import json
import signal
import time
import urllib.error
import urllib.request

import pytest
from conftest import HERE, ROOT, Process, PythonServer
from mcp import Client

EXAMPLE = ROOT / "deploy/examples/first-day"
MODES = ["2026-07-28", "legacy"]
# What the front-end sends, with and without a login.
PAYLOADS = [
    b'{"type":"search_projects","query":"urgent"}', b'{"type":"search_projects","query":""}',
    b'{"type": "ai_prompt", "message": "Hello"}', b'{"type":"ai_prompt","message":"!fail"}', b'{"type":"get_user_info"}',
    b'{"type":"nothing"}', b'{"no":"type"}',
]


def exchange(url, body, cookie=None):
    """What a front-end sees of an answer."""
    request = urllib.request.Request(url, data=body, method="POST")
    if cookie:
        request.add_header("Cookie", cookie)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, response.headers["Content-Type"], response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read()


@pytest.fixture(scope="module")
def old():
    server = PythonServer(HERE / "old_api.py")
    yield server
    server.stop()


def configuration(name, old, tool_server):
    """The example with the addresses of this run."""
    text = (EXAMPLE / name).read_text()
    return text.replace("127.0.0.1:8000", old.address).replace("127.0.0.1:8001", tool_server.addresses["main"])


@pytest.fixture
def company(old, tool_server, tmp_path):
    path = tmp_path / "gateway.json"
    path.write_text(configuration("gateway.json", old, tool_server))
    process = Process("gateway", "--config", str(path), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
    process.path = path
    yield process.wait("main", "admin")
    assert process.stop() == 0


def endpoint(company):
    return f"http://{company.addresses['main']}/mcp/"


def chat(company):
    return f"http://{company.addresses['main']}/api/chat/"


def move(company, old, tool_server):
    """The edit and the reload of the second day."""
    company.path.write_text(configuration("moved.json", old, tool_server))
    company.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(f"http://{company.addresses['admin']}/readyz", timeout=5) as response:
                state = json.load(response)
        except urllib.error.HTTPError as error:
            state = json.load(error)
        if state["config_version"] == 2 and all(entry["reachable"] for entry in state["upstreams"].values()):
            return
        assert time.monotonic() < deadline, state
        time.sleep(0.02)


def test_the_front_end_notices_nothing(company, old):
    backend = f"http://{old.address}/api/chat/"
    for payload in PAYLOADS:
        for cookie in (None, "sessionid=alice"):
            assert exchange(chat(company), payload, cookie) == exchange(backend, payload, cookie), payload
    # What is no payload at all the gateway refuses itself, in the same words; no browser takes them for a page.
    ours, theirs = exchange(chat(company), b"no JSON"), exchange(backend, b"no JSON")
    assert (ours[0], ours[2]) == (theirs[0], theirs[2]) and ours[1] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("mode", MODES)
def test_its_types_are_tools(company, mode):
    async def main():
        async with Client(endpoint(company), mode=mode) as client:
            tools = (await client.list_tools()).tools
            assert [tool.name for tool in tools] == ["search_projects", "ask"]
            assert tools[0].input_schema["required"] == ["query"]
            found = await client.call_tool("search_projects", {"query": "urgent"})
            assert found.structured_content == {"results": ["Urgent Q2", "Urgent Payroll Fix"]}
            assert json.loads(found.content[0].text) == found.structured_content
            answer = await client.call_tool("ask", {"question": "Hello"})
            assert answer.structured_content == {"results": ["Echo: Hello"]}
            refused = await client.call_tool("search_projects", {"query": ""})
            assert refused.is_error and refused.content[0].text == "Missing query"

    asyncio.run(main())


@pytest.mark.parametrize("mode", MODES)
def test_one_type_moves(company, old, tool_server, mode):
    backend = f"http://{old.address}/api/chat/"
    move(company, old, tool_server)
    # The front-end has what the tool-server's database has; everything else is as it was.
    status, _, body = exchange(chat(company), PAYLOADS[0])
    replies = json.loads(body)["replies"]
    assert status == 200 and "Urgent Q2" in replies and "Urgent Certificate Renewal" in replies
    for payload in PAYLOADS[2:]:
        assert exchange(chat(company), payload) == exchange(backend, payload)

    async def main():
        async with Client(endpoint(company), mode=mode) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["search_projects", "ask"]
            found = await client.call_tool("search_projects", {"query": "urgent"})
            assert "Urgent Certificate Renewal" in found.structured_content["results"]
            answer = await client.call_tool("ask", {"question": "Hello"})
            assert answer.structured_content == {"results": ["Echo: Hello"]}

    asyncio.run(main())
