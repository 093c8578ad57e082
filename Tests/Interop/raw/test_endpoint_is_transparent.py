"""The fixture's server behind an MCP endpoint shows what it shows without one: the same lists, results and errors, in each
revision."""
import pytest
from conftest import OurClient, tool
from schemas import REVISIONS

LISTS = ["tools/list", "prompts/list", "resources/list", "resources/templates/list"]
TOOLS = ["test_simple_text", "test_image_content", "test_audio_content", "test_embedded_resource",
         "test_multiple_content_types", "test_error_handling", "test_tool_with_progress"]
STEPS = [
    *({"method": method} for method in LISTS), *(tool(name) for name in TOOLS), tool("test_simple_text", {}),
    tool("no_such_tool"),
    {"method": "prompts/get", "params": {"name": "test_simple_prompt"}},
    {"method": "prompts/get", "params": {"name": "test_prompt_with_arguments", "arguments": {"arg1": "a", "arg2": "b"}}},
    {"method": "prompts/get", "params": {"name": "test_prompt_with_embedded_resource",
                                         "arguments": {"resourceUri": "test://static-text"}}},
    {"method": "prompts/get", "params": {"name": "test_prompt_with_image"}},
    {"method": "prompts/get", "params": {"name": "no_such_prompt"}},
    *({"method": "resources/read", "params": {"uri": uri}} for uri in (
        "test://static-text", "test://static-binary", "test://watched-resource", "test://template/7/data",
        "test://no-such-resource")),
    {"method": "completion/complete", "params": {
        "ref": {"type": "ref/prompt", "name": "test_prompt_with_arguments"},
        "argument": {"name": "arg1", "value": "par"}}},
]


def answers(address, version):
    first, *rest = OurClient.answers(f"http://{address}/mcp", version=version, steps=STEPS)
    assert first["version"] == version
    return [plain(answer) for answer in rest]


def plain(value):
    """Without what names the server that answers."""
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    left = {name: plain(entry) for name, entry in value.items() if name != "io.modelcontextprotocol/serverInfo"}
    return {name: entry for name, entry in left.items() if name != "_meta" or entry}


@pytest.mark.parametrize("version", REVISIONS)
def test_the_endpoint_shows_what_the_server_shows(conformance_server, conformance_endpoint, version):
    direct, through = answers(conformance_server, version), answers(conformance_endpoint, version)
    assert direct[0]["result"]["tools"][0]["name"] == "test_simple_text"
    assert len(direct) == len(through) == len(STEPS)
    for step, expected, found in zip(STEPS, direct, through):
        assert found == expected, step
