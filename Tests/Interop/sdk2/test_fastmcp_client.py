"""FastMCP's own client against our tool-server."""
import asyncio

from fastmcp import Client


def test_tools_through_fastmcp(endpoint):
    async def main():
        async with Client(endpoint) as client:
            names = {tool.name for tool in await client.list_tools()}
            assert "search_any" in names
            answer = await client.call_tool("echo", {"message": "hello"})
            assert answer.structured_content == {"Echo": "hello"}

    asyncio.run(main())
