"""Our client against our server: every revision, over HTTP and stdio."""
import pytest
from conftest import OurClient, tool
from schemas import REVISIONS

LEGACY = REVISIONS[:-1]
COMMON = [
    tool("test_simple_text"), tool("test_error_handling"), tool("test_tool_with_progress"),
    {"method": "resources/read", "params": {"uri": "test://template/123/data"}},
    {"method": "prompts/get", "params": {"name": "test_simple_prompt"}},
    {"method": "completion/complete", "params": {
        "ref": {"type": "ref/prompt", "name": "test_prompt_with_arguments"},
        "argument": {"name": "arg1", "value": "par"}}},
    {"parallel": [{"method": "prompts/get", "params": {
        "name": "test_prompt_with_arguments", "arguments": {"arg1": str(number), "arg2": "x"}}}
        for number in range(20)]},
    tool("test_tool_with_progress", cancelAfter=30),
    tool("test_simple_text"),
]


@pytest.fixture(params=["http", "endpoint", "stdio"])
def target(request):
    if request.param == "http":
        return [request.getfixturevalue("conformance_url")]
    if request.param == "endpoint":
        return [request.getfixturevalue("endpoint_url")]
    command, arguments = request.getfixturevalue("conformance_command")
    return ["--stdio", command, *arguments]


@pytest.mark.parametrize("version", [*REVISIONS, None])
def test_common(target, version, request):
    first, *answers = OurClient.answers(*target, version=version, steps=COMMON)
    name = "chat-gateway" if "endpoint" in request.node.name else "conformance-server"
    assert first == {"version": version or "2026-07-28", "server": name}
    text, failed, progress, resource, prompt, completed, parallel, cancelled, last = answers
    assert text["result"]["content"][0]["text"] == "This is a simple text response for testing."
    assert failed["result"]["isError"]
    assert [step["progress"] for step in progress["progress"]] == [0, 50, 100]
    assert resource["result"]["contents"][0]["text"] == '{"id":"123","templateTest":true,"data":"Data for ID: 123"}'
    assert prompt["result"]["messages"][0]["content"]["text"] == "This is a simple prompt for testing."
    assert completed["result"]["completion"]["values"] == ["paris", "park", "party"]
    for number, answer in enumerate(parallel):
        text = answer["result"]["messages"][0]["content"]["text"]
        assert text == f"Prompt with arguments: arg1='{number}', arg2='x'"
    assert cancelled["failure"] == "cancelled"
    assert not last["result"].get("isError")


@pytest.mark.parametrize("version", LEGACY)
def test_legacy(target, version):
    steps = [tool("test_tool_with_logging"), tool("test_sampling", {"prompt": "capital?"})]
    if version >= "2025-06-18":
        steps.append(tool("test_elicitation", {"message": "who?"}))
    if version == "2025-11-25":
        steps += [tool("test_elicitation_sep1034_defaults"), tool("test_elicitation_sep1330_enums"),
                  tool("test_reconnection")]
    _, logged, sampled, *rest = OurClient.answers(*target, version=version, steps=steps)
    assert [note["params"]["data"] for note in logged["notifications"]] == [
        "Tool execution started", "Tool processing data", "Tool execution completed"]
    assert sampled["result"]["content"][0]["text"] == "LLM response: Paris"
    if rest:
        assert '"username":"text"' in rest[0]["result"]["content"][0]["text"]
    if len(rest) > 1:
        assert '"score":95.5' in rest[1]["result"]["content"][0]["text"]
        assert "action=accept" in rest[2]["result"]["content"][0]["text"]
        assert rest[3]["result"]["content"][0]["text"] == "Reconnection test completed successfully"


def test_modern(target):
    rounds = ["elicitation", "sampling", "list_roots", "request_state", "multiple_inputs", "multi_round",
              "tampered_state", "capabilities"]
    steps = [tool(f"test_input_required_result_{name}") for name in rounds] + [
        tool("test_streaming_elicitation"), tool("test_missing_capability"),
        tool("test_x_mcp_header", {"region": " Köln"}),
        {"method": "prompts/get", "params": {"name": "test_input_required_result_prompt"}},
        {"listen": {"toolsListChanged": True}, "during": tool("test_trigger_tool_change"), "until": 2},
    ]
    _, *answers = OurClient.answers(*target, version="2026-07-28", steps=steps)
    texts = [answer["result"]["content"][0]["text"] for answer in answers[:11]]
    assert texts == [
        "Hello, text!", "Paris", "Roots: file:///workspace", "state-ok",
        "Received: capital_question, client_roots, user_name", "text likes text", "state-ok",
        "Received: capital_question, client_roots, user_name", "Answered: 1", "The client can sample",
        "Region:  Köln"]
    assert answers[11]["result"]["messages"][0]["content"]["text"] == "Use this context: text"
    assert [note["method"] for note in answers[12]["notifications"]] == [
        "notifications/subscriptions/acknowledged", "notifications/tools/list_changed"]
