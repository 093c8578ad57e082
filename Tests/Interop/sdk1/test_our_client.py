"""Our client against servers of the SDK 1.x, which know nothing of 2026-07-28."""
import pathlib
import sys

import pytest
from conftest import OurClient, PythonServer, tool

SCRIPT = pathlib.Path(__file__).with_name("server.py")
PLAIN = [
    tool("add", {"a": 2, "b": 3}),
    tool("fail"),
    {"method": "resources/read", "params": {"uri": "test://a/text"}},
    {"method": "prompts/get", "params": {"name": "ask", "arguments": {"topic": "Swift"}}},
    {"parallel": [tool("add", {"a": number, "b": 1}) for number in range(10)]},
]
TALKING = [tool("work", {"steps": 3}), tool("greet"), tool("think"), tool("slow", cancelAfter=200), tool("add", {"a": 1, "b": 1})]


def plain_is_right(answers):
    added, failed, resource, prompt, parallel = answers
    assert added["result"]["structuredContent"] == {"result": 5}
    assert failed["result"]["isError"] and "on purpose" in failed["result"]["content"][0]["text"]
    assert resource["result"]["contents"][0]["text"] == "text of a"
    assert prompt["result"]["messages"][0]["content"]["text"] == "Ask about Swift"
    assert [answer["result"]["structuredContent"]["result"] for answer in parallel] == list(range(1, 11))


def talking_is_right(answers):
    worked, greeted, thought, cancelled, after = answers
    assert [step["message"] for step in worked["progress"]] == ["step 1", "step 2", "step 3"]
    assert [note["params"]["data"] for note in worked["notifications"]] == ["worked"]
    assert greeted["result"]["content"][0]["text"] == "Hello, text!"
    assert thought["result"]["content"][0]["text"] == "The model says Paris"
    assert cancelled["failure"] == "cancelled"
    assert after["result"]["structuredContent"] == {"result": 2}


@pytest.mark.parametrize("modes", [(), ("json",), ("stateless",), ("stateless", "json")],
                         ids=lambda modes: "+".join(modes) or "session+sse")
def test_our_client_over_a_restart(modes, record):
    server = PythonServer(SCRIPT, *modes)
    # Asking needs a stream to ask on, and a session to answer in.
    steps = PLAIN if modes else PLAIN + TALKING
    try:
        client = OurClient(f"http://{record(server.address, ours='client')}/mcp",
                           steps=steps + [{"pause": True}] + PLAIN)
        assert client.line() == {"version": "2025-11-25", "server": "sdk1"}
        plain_is_right([client.line() for _ in PLAIN])
        if not modes:
            talking_is_right([client.line() for _ in TALKING])
        assert client.line() == {"paused": True}
        server.stop()
        server.start()
        client.resume()
        assert client.line() == {"resumed": True}
        plain_is_right(client.rest())
    finally:
        server.stop()


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", None])
def test_revisions_over_stdio(version, record):
    command, arguments = record.stdio(sys.executable, [str(SCRIPT)], ours="client")
    steps = TALKING if version in ("2025-06-18", None) else [tool("work", {"steps": 3})]
    first, *answers = OurClient.answers("--stdio", command, *arguments, version=version, steps=steps)
    assert first == {"version": version or "2025-11-25", "server": "sdk1"}
    if len(answers) > 1:
        talking_is_right(answers)
