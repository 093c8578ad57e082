"""The SDK 2.x against the fixture's server, in both eras."""
import asyncio

import mcp_types as types
import pytest
from mcp import Client, MCPError, StdioServerParameters

ERAS = ["legacy", "2026-07-28"]


def peer(target, mode, **more):
    async def elicit(context, params):
        schema = params.requested_schema
        content = {name: body["default"] for name, body in schema["properties"].items() if "default" in body}
        for name in schema.get("required", []):
            kind = schema["properties"][name]["type"]
            content.setdefault(name, True if kind == "boolean" else "al")
        return types.ElicitResult(action="accept", content=content)

    async def sample(context, params):
        return types.CreateMessageResult(
            role="assistant", content=types.TextContent(type="text", text="Paris"), model="test")

    async def roots(context):
        return types.ListRootsResult(roots=[types.Root(uri="file:///workspace")])

    return Client(target, mode=mode, elicitation_callback=elicit, sampling_callback=sample, list_roots_callback=roots,
                  **more)


@pytest.fixture(params=["http", "endpoint", "stdio"])
def target(request):
    if request.param == "http":
        return request.getfixturevalue("conformance_url")
    if request.param == "endpoint":
        return request.getfixturevalue("endpoint_url")
    command, arguments = request.getfixturevalue("conformance_command")
    return StdioServerParameters(command=command, args=arguments)


@pytest.mark.parametrize("mode", ERAS)
def test_what_both_eras_have(target, mode):
    async def main():
        async with peer(target, mode) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            assert tools[0] == "test_simple_text"
            text = await client.call_tool("test_simple_text")
            assert text.content[0].text == "This is a simple text response for testing."
            assert (await client.call_tool("test_image_content")).content[0].mime_type == "image/png"
            assert (await client.call_tool("test_audio_content")).content[0].mime_type == "audio/wav"
            mixed = await client.call_tool("test_multiple_content_types")
            assert [block.type for block in mixed.content] == ["text", "image", "resource"]
            assert (await client.call_tool("test_error_handling")).is_error
            steps = []

            async def progressed(progress, total, message):
                steps.append(progress)

            await client.call_tool("test_tool_with_progress", progress_callback=progressed)
            assert steps == [0, 50, 100]
            assert len((await client.list_resources()).resources) == 3
            assert len((await client.list_resource_templates()).resource_templates) == 1
            data = await client.read_resource("test://template/123/data")
            assert data.contents[0].text == '{"id":"123","templateTest":true,"data":"Data for ID: 123"}'
            with pytest.raises(MCPError) as unknown:
                await client.read_resource("test://nothing")
            assert unknown.value.error.code == (-32002 if mode == "legacy" else -32602)
            prompt = await client.get_prompt("test_prompt_with_arguments", {"arg1": "a", "arg2": "b"})
            assert prompt.messages[0].content.text == "Prompt with arguments: arg1='a', arg2='b'"
            completed = await client.complete(
                types.PromptReference(name="test_prompt_with_arguments"), {"name": "arg1", "value": "par"})
            assert completed.completion.values == ["paris", "park", "party"]

    asyncio.run(main())


def test_legacy_questions(target):
    async def main():
        async with peer(target, "legacy") as client:
            sampled = await client.call_tool("test_sampling", {"prompt": "capital?"})
            assert sampled.content[0].text == "LLM response: Paris"
            elicited = await client.call_tool("test_elicitation", {"message": "who?"})
            assert '"username":"al"' in elicited.content[0].text
            enums = await client.call_tool("test_elicitation_sep1330_enums")
            assert "action=accept" in enums.content[0].text

    asyncio.run(main())


ROUNDS = {
    "elicitation": "Hello, al!", "sampling": "Paris", "list_roots": "Roots: file:///workspace",
    "request_state": "state-ok", "multiple_inputs": "Received: capital_question, client_roots, user_name",
    "multi_round": "al likes al", "tampered_state": "state-ok",
    "capabilities": "Received: capital_question, client_roots, user_name",
}


@pytest.mark.parametrize("tool", ROUNDS)
def test_modern_questions(target, tool):
    async def main():
        async with peer(target, "2026-07-28") as client:
            result = await client.call_tool(f"test_input_required_result_{tool}")
            assert result.content[0].text == ROUNDS[tool]

    asyncio.run(main())


def test_modern_prompt_asks_too(target):
    async def main():
        async with peer(target, "2026-07-28") as client:
            prompt = await client.get_prompt("test_input_required_result_prompt")
            assert prompt.messages[0].content.text == "Use this context: al"

    asyncio.run(main())


def test_tampered_state_is_refused(target):
    async def main():
        async with peer(target, "2026-07-28") as client:
            name = "test_input_required_result_tampered_state"
            first = await client.session.call_tool(name, allow_input_required=True)
            state = first.request_state
            for bad in (state[:-2] + ("AA" if state[-2:] != "AA" else "BB"), "", "x", state + "A"):
                with pytest.raises(MCPError) as refused:
                    await client.session.call_tool(
                        name, input_responses={"confirm": types.ElicitResult(action="accept", content={"ok": True})},
                        request_state=bad, allow_input_required=True)
                assert refused.value.error.code == -32602

    asyncio.run(main())


def test_missing_capability_is_named(target):
    async def main():
        async with Client(target, mode="2026-07-28") as client:
            with pytest.raises(MCPError) as refused:
                await client.call_tool("test_missing_capability")
            assert refused.value.error.code == -32021
            assert refused.value.error.data["requiredCapabilities"] == {"sampling": {}}

    asyncio.run(main())


def test_logs_come_when_asked_for(target):
    async def main():
        logs = []

        async def log(params):
            logs.append(params.data)

        async with peer(target, "2026-07-28", logging_callback=log) as client:
            await client.call_tool("test_logging_tool")
        assert logs == []
        async with peer(target, "2026-07-28", logging_callback=log, log_level="info") as client:
            await client.call_tool("test_logging_tool")
        assert logs == ["Tool execution started", "Tool execution completed"]

    asyncio.run(main())


def test_subscriptions_tell_what_was_asked_for(target):
    async def main():
        async with peer(target, "2026-07-28") as client:
            async with client.listen(prompts_list_changed=True) as subscription:
                await client.call_tool("test_trigger_tool_change")
                await client.call_tool("test_trigger_prompt_change")
                async with asyncio.timeout(5):
                    event = await anext(subscription)
                assert type(event).__name__ == "PromptsListChanged"

    asyncio.run(main())


def test_a_mirrored_parameter(target):
    async def main():
        async with peer(target, "2026-07-28") as client:
            await client.list_tools()
            result = await client.call_tool("test_x_mcp_header", {"region": "Köln "})
            assert result.content[0].text == "Region: Köln "

    asyncio.run(main())


@pytest.mark.parametrize("mode", ERAS)
def test_a_cancelled_call_leaves_the_connection_usable(target, mode):
    async def main():
        async with peer(target, mode) as client:
            call = asyncio.create_task(client.call_tool("test_tool_with_progress"))
            await asyncio.sleep(0.03)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            text = await client.call_tool("test_simple_text")
            assert not text.is_error

    asyncio.run(main())
