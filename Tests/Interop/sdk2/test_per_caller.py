"""A stdio server that remembers its caller, behind an endpoint and the chat API: each caller has a process of its own."""
import os
import sys
import time

import pytest
from conftest import HERE, post, start_endpoints


def start(folder, **more):
    server = {"command": sys.executable, "args": [str(HERE / "remembering_server.py")], "trusted": False,
              "perCaller": True, **more}
    return start_endpoints(folder, {"memory": server}, {"/mcp/": {"upstreams": {"memory": {}}}},
                           chat={"types": {"remember": {"tool": "remember", "arguments": {"text": {}}}}})


@pytest.fixture
def gateway(tmp_path):
    process = start(tmp_path)
    yield process
    assert process.stop() == 0


def call(gateway, tool, arguments, caller=None, path=None):
    headers = {"Cookie": f"sessionid={caller}"} if caller else {}
    status, body = post(f"http://{gateway.addresses['main']}{path or '/mcp/' + tool}", arguments, headers)
    return status, body


def remember(gateway, text, caller):
    status, body = call(gateway, "remember", {"text": text}, caller)
    assert status == 200, body
    return body["result"]


def process(gateway, caller):
    status, body = call(gateway, "process", {}, caller)
    assert status == 200, body
    return body["result"]


def test_nothing_of_one_caller_reaches_another(gateway):
    for turn in range(3):
        for caller in ("ann", "bob", None):
            assert remember(gateway, f"{caller} {turn}", caller) == [f"{caller} {past}" for past in range(turn + 1)]
    processes = {caller: process(gateway, caller) for caller in ("ann", "bob", None)}
    assert len(set(processes.values())) == 3
    # The chat API meets the same process.
    status, body = call(gateway, None, {"type": "remember", "text": "more"}, "ann", "/api/chat/")
    assert (status, body["replies"]) == (200, ["ann 0", "ann 1", "ann 2", "more"])
    # Another spelling of the same login is the same caller, another login is not.
    assert process(gateway, "ann") == processes["ann"] and process(gateway, "ann2") not in processes.values()


def test_processes_end_with_the_gateway_and_when_nobody_uses_them(tmp_path):
    # Longer than the gateway takes from one request of a call to the next: a process that has ended in between is
    # started again, which takes a busy machine many seconds.
    gateway = start(tmp_path, processes=2, processIdle="2s")
    first = process(gateway, "ann")
    deadline = time.monotonic() + 60
    while alive(first):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    second = process(gateway, "ann")
    assert second != first
    assert gateway.stop() == 0
    assert not alive(second)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as state:
        return state.read().rsplit(")", 1)[1].split()[0] != "Z"
