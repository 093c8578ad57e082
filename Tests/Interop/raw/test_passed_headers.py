"""Headers that contradict the body, through the gateway's pass-through: the server behind it must see and refuse them."""
import base64

import pytest
from test_bad_input import Peer


def wrapped(text):
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


@pytest.mark.parametrize("region, header, code", [
    ("eu", "eu", None), ("Köln", wrapped("Köln"), None), ("eu", wrapped("eu"), None), ("", "", None),
    ("eu", "us", -32020), ("eu", None, -32020), ("eu", "EU", -32020), ("eu", wrapped("us"), -32020),
    ("eu", "=?base64?!!!?=", -32020), (None, "eu", -32020), (None, None, None),
])
def test_a_mirrored_parameter(passing, region, header, code):
    url, _ = passing
    peer = Peer(url.split("/")[2])
    arguments = {} if region is None else {"region": region}
    status, _, answer = peer.modern(params={"name": "test_x_mcp_header", "arguments": arguments}, id=3,
                                    headers={"Mcp-Param-Region": header})
    assert (status, answer.get("error", {}).get("code"), answer["id"]) == (400 if code else 200, code, 3)
    if not code:
        assert answer["result"]["content"][0]["text"] == f"Region: {region if region is not None else 'none'}"


@pytest.mark.parametrize("method, params, headers", [
    ("resources/read", {"uri": "test://static-text"}, {"Mcp-Name": "test://static-binary"}),
    ("prompts/get", {"name": "test_simple_prompt"}, {"Mcp-Name": "test_prompt_with_image"}),
    ("tools/list", {}, {"Mcp-Method": "prompts/list"}),
    ("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, {"Mcp-Method": "tools/list"}),
    ("server/discover", {}, {"MCP-Protocol-Version": "2025-06-18"}),
])
def test_other_methods(passing, method, params, headers):
    url, _ = passing
    peer = Peer(url.split("/")[2])
    status, _, answer = peer.modern(method, params, headers=headers)
    assert (status, answer["error"]["code"]) == (400, -32020)
