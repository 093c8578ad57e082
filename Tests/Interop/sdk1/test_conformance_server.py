"""The SDK 1.x against the fixture's server: everything that a legacy client can do."""
import asyncio
import contextlib

import pytest
from mcp import ClientSession, McpError, StdioServerParameters, types
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from pydantic import AnyUrl


class Peer:
    """What the client does when the server asks and tells."""

    def __init__(self):
        self.logs, self.changes = [], []

    async def sample(self, context, params):
        return types.CreateMessageResult(
            role="assistant", content=types.TextContent(type="text", text="Paris"), model="test")

    async def elicit(self, context, params):
        properties = params.requestedSchema["properties"]
        content = {name: body["default"] for name, body in properties.items() if "default" in body}
        for name in params.requestedSchema.get("required", []):
            content.setdefault(name, "al")
        return types.ElicitResult(action="accept", content=content)

    async def log(self, params):
        self.logs.append(params.data)

    async def message(self, message):
        if isinstance(message, types.ServerNotification):
            self.changes.append(message.root.method)

    def session(self, read, write):
        return ClientSession(read, write, sampling_callback=self.sample, elicitation_callback=self.elicit,
                             logging_callback=self.log, message_handler=self.message)


@contextlib.asynccontextmanager
async def over_http(url, command):
    async with streamable_http_client(url) as (read, write, _):
        yield read, write


@contextlib.asynccontextmanager
async def over_stdio(url, command):
    async with stdio_client(StdioServerParameters(command=command[0], args=command[1])) as (read, write):
        yield read, write


@pytest.mark.parametrize("place", ["conformance_url", "endpoint_url", "stdio"])
def test_everything(place, request):
    url = None if place == "stdio" else request.getfixturevalue(place)
    transport = over_stdio if place == "stdio" else over_http
    command = request.getfixturevalue("conformance_command") if transport is over_stdio else None

    async def main():
        peer = Peer()
        async with transport(url, command) as (read, write), peer.session(read, write) as session:
            await session.initialize()
            await contents(session)
            await resources_and_prompts(session, peer)
            await conversation(session, peer)
            await cancellation(session)

    asyncio.run(main())


async def contents(session):
    tools = [tool.name for tool in (await session.list_tools()).tools]
    assert tools[0] == "test_simple_text" and "test_audio_content" in tools
    text = await session.call_tool("test_simple_text")
    assert text.content[0].text == "This is a simple text response for testing."
    assert (await session.call_tool("test_image_content")).content[0].mimeType == "image/png"
    assert (await session.call_tool("test_audio_content")).content[0].mimeType == "audio/wav"
    embedded = await session.call_tool("test_embedded_resource")
    assert embedded.content[0].resource.text == "This is an embedded resource content."
    mixed = await session.call_tool("test_multiple_content_types")
    assert [block.type for block in mixed.content] == ["text", "image", "resource"]
    failed = await session.call_tool("test_error_handling")
    assert failed.isError and "intentionally" in failed.content[0].text
    with pytest.raises(McpError) as unknown:
        await session.call_tool("no_such_tool")
    assert unknown.value.error.code == -32602


async def resources_and_prompts(session, peer):
    uris = {str(resource.uri) for resource in (await session.list_resources()).resources}
    assert uris == {"test://static-text", "test://static-binary", "test://watched-resource"}
    templates = (await session.list_resource_templates()).resourceTemplates
    assert [template.uriTemplate for template in templates] == ["test://template/{id}/data"]
    data = await session.read_resource(AnyUrl("test://template/123/data"))
    assert data.contents[0].text == '{"id":"123","templateTest":true,"data":"Data for ID: 123"}'
    assert (await session.read_resource(AnyUrl("test://static-binary"))).contents[0].blob
    with pytest.raises(McpError) as unknown:
        await session.read_resource(AnyUrl("test://nothing"))
    assert unknown.value.error.code == -32002
    await session.subscribe_resource(AnyUrl("test://watched-resource"))
    await session.unsubscribe_resource(AnyUrl("test://watched-resource"))
    prompts = [prompt.name for prompt in (await session.list_prompts()).prompts]
    assert "test_simple_prompt" in prompts
    prompt = await session.get_prompt("test_prompt_with_arguments", {"arg1": "a", "arg2": "b"})
    assert prompt.messages[0].content.text == "Prompt with arguments: arg1='a', arg2='b'"
    completed = await session.complete(
        types.PromptReference(type="ref/prompt", name="test_prompt_with_arguments"), {"name": "arg1", "value": "par"})
    assert completed.completion.values == ["paris", "park", "party"]


async def conversation(session, peer):
    steps = []

    async def progressed(progress, total, message):
        steps.append((progress, total))

    await session.call_tool("test_tool_with_progress", progress_callback=progressed)
    assert steps == [(0, 100), (50, 100), (100, 100)]
    await session.set_logging_level("info")
    await session.call_tool("test_tool_with_logging")
    assert peer.logs == ["Tool execution started", "Tool processing data", "Tool execution completed"]
    sampled = await session.call_tool("test_sampling", {"prompt": "capital?"})
    assert sampled.content[0].text == "LLM response: Paris"
    elicited = await session.call_tool("test_elicitation", {"message": "who?"})
    assert "accept" in elicited.content[0].text and '"username":"al"' in elicited.content[0].text
    defaults = await session.call_tool("test_elicitation_sep1034_defaults")
    assert '"name":"John Doe"' in defaults.content[0].text


async def cancellation(session):
    call = asyncio.create_task(session.call_tool("test_tool_with_progress"))
    await asyncio.sleep(0.02)
    await session.send_notification(types.ClientNotification(types.CancelledNotification(
        params=types.CancelledNotificationParams(requestId=session._request_id - 1, reason="enough"))))
    await session.send_ping()
    call.cancel()


def test_reconnection_delivers_the_result_on_a_get(conformance_url):
    async def main():
        peer = Peer()
        async with streamable_http_client(conformance_url) as (read, write, _):
            async with peer.session(read, write) as session:
                await session.initialize()
                result = await session.call_tool("test_reconnection")
                assert result.content[0].text == "Reconnection test completed successfully"

    asyncio.run(main())
