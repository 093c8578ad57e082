"""The official Python SDK 2.x, in both eras, against our tool-server."""
import asyncio
import json

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import PromptReference

MODES = ["auto", "legacy", "2026-07-28"]


async def exercise(client):
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert {"echo", "search_any", "search_projects", "get_user_info", "ai_prompt", "chat", "chat_history"} <= set(tools)
    found = await client.call_tool("search_any", {"model": "projects", "query": "urgent"})
    assert not found.is_error
    assert {"name": "Urgent Q2", "url": "/psm/project/123/"} in found.structured_content["results"]
    echo = await client.call_tool("echo", {"message": "Zażółć 🚀"})
    assert echo.structured_content == {"Echo": "Zażółć 🚀"}
    failed = await client.call_tool("search_any", {"model": "nope", "query": "x"})
    assert failed.is_error and failed.content[0].text == "Unknown model"


@pytest.mark.parametrize("mode", MODES)
def test_streamable_http(endpoint, mode):
    async def main():
        async with Client(endpoint, mode=mode) as client:
            await exercise(client)
            expected = "2026-07-28" if mode != "legacy" else "2025-11-25"
            assert client.protocol_version == expected

    asyncio.run(main())


@pytest.mark.parametrize("mode", MODES)
def test_stdio(stdio_command, mode):
    async def main():
        command, arguments = stdio_command
        async with Client(StdioServerParameters(command=command, args=arguments), mode=mode) as client:
            await exercise(client)

    asyncio.run(main())


@pytest.mark.parametrize("mode", MODES)
def test_the_cookie_names_the_user(endpoint, alice, mode):
    async def main():
        async with httpx2.AsyncClient(headers={"Cookie": f"sessionid={alice}"}) as http:
            async with Client(streamable_http_client(endpoint, http_client=http), mode=mode) as client:
                who = await client.call_tool("get_user_info", {})
                assert who.structured_content["results"] == {"username": "alice", "alias": "Al"}

    asyncio.run(main())


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
def test_documents_records_and_prompts(endpoint, mode):
    async def main():
        async with Client(endpoint, mode=mode) as client:
            documents = (await client.list_resources()).resources
            assert documents and all(document.title and document.mime_type for document in documents)
            read = await client.read_resource(documents[0].uri)
            assert read.contents[0].text.startswith(f"# {documents[0].title}\n")
            templates = {item.uri_template for item in (await client.list_resource_templates()).resource_templates}
            assert templates == {"company://documents/{id}", "company://records/{model}/{query}"}
            found = await client.read_resource("company://records/projects/urgent")
            assert {"name": "Urgent Q2", "url": "/psm/project/123/"} in json.loads(found.contents[0].text)
            prompts = {prompt.name: prompt for prompt in (await client.list_prompts()).prompts}
            assert set(prompts) == {"summarize_document", "ask_documents", "find_records"}
            assert all(prompt.title and prompt.description for prompt in prompts.values())
            summary = await client.get_prompt("summarize_document", {"document": documents[0].title})
            assert summary.messages[0].content.resource.uri == documents[0].uri
            models = await client.complete(PromptReference(name="find_records"), {"name": "model", "value": "pro"})
            assert "projects" in models.completion.values

    asyncio.run(main())


def test_every_tool_is_described(endpoint):
    async def main():
        async with Client(endpoint) as client:
            for tool in (await client.list_tools()).tools:
                assert tool.title and tool.description and tool.annotations and tool.output_schema, tool.name
                assert tool.input_schema["type"] == "object"

    asyncio.run(main())
