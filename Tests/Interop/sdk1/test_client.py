"""The official Python SDK 1.x (the era of initialize) against our tool-server."""
import asyncio

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client


async def exercise(session):
    await session.initialize()
    tools = {tool.name: tool for tool in (await session.list_tools()).tools}
    assert {"echo", "search_any", "search_projects", "get_user_info", "ai_prompt", "chat", "chat_history"} <= set(tools)
    assert tools["search_any"].outputSchema and tools["search_any"].annotations.readOnlyHint
    found = await session.call_tool("search_any", {"model": "projects", "query": "urgent"})
    assert not found.isError
    assert {"name": "Urgent Q2", "url": "/psm/project/123/"} in found.structuredContent["results"]
    echo = await session.call_tool("echo", {"message": "Zażółć 🚀"})
    assert echo.structuredContent == {"Echo": "Zażółć 🚀"}
    failed = await session.call_tool("search_any", {"model": "nope", "query": "x"})
    assert failed.isError and failed.content[0].text == "Unknown model"
    await session.send_ping()


def test_streamable_http(endpoint):
    async def main():
        async with streamablehttp_client(endpoint) as (read, write, session_id):
            async with ClientSession(read, write) as session:
                await exercise(session)
                assert session_id()

    asyncio.run(main())


def test_the_cookie_names_the_user(endpoint, alice):
    async def main():
        headers = {"Cookie": f"sessionid={alice}"}
        async with streamablehttp_client(endpoint, headers=headers) as (read, write, _):
            async with ClientSession(read, write) as session:
                await session.initialize()
                who = await session.call_tool("get_user_info", {})
                assert who.structuredContent["results"] == {"username": "alice", "alias": "Al"}

    asyncio.run(main())


def test_stdio(stdio_command):
    async def main():
        command, arguments = stdio_command
        async with stdio_client(StdioServerParameters(command=command, args=arguments)) as (read, write):
            async with ClientSession(read, write) as session:
                await exercise(session)

    asyncio.run(main())


def test_many_clients_with_the_same_ids_never_see_each_others_answers(endpoint):
    async def client(number):
        async with streamablehttp_client(endpoint) as (read, write, _):
            async with ClientSession(read, write) as session:
                await session.initialize()
                for turn in range(10):
                    text = f"{number}/{turn}"
                    answer = await session.call_tool("echo", {"message": text})
                    assert answer.structuredContent == {"Echo": text}

    async def main():
        await asyncio.gather(*(client(number) for number in range(8)))

    asyncio.run(main())
