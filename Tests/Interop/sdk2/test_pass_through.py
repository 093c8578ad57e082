"""The SDK 2.x through the gateway's pass-through to the fixture's server: what needs headers and streams to arrive."""
import asyncio
import time

import pytest
from mcp import Client

MODERN = "2026-07-28"


async def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def test_subscriptions_tell_and_end_with_the_client(passing):
    url, behind = passing

    async def main():
        async with Client(url, mode=MODERN) as client:
            async with client.listen(prompts_list_changed=True, tools_list_changed=True) as subscription:
                seen = []
                for trigger in ("test_trigger_tool_change", "test_trigger_prompt_change", "test_trigger_tool_change"):
                    await client.call_tool(trigger)
                    async with asyncio.timeout(10):
                        seen.append(type(await anext(subscription)).__name__)
                assert seen == ["ToolsListChanged", "PromptsListChanged", "ToolsListChanged"]
                # A stream that is open keeps no call from being made.
                for number in range(20):
                    assert not (await client.call_tool("test_simple_text")).is_error
                assert not behind.has_ended(b'"subscriptions/listen"')
            # The client has left, so the gateway must leave the server too.
            await until(lambda: behind.has_ended(b'"subscriptions/listen"'))
            assert not (await client.call_tool("test_trigger_tool_change")).is_error

    asyncio.run(main())


def test_many_listeners_hear_what_each_asked_for(passing):
    url, behind = passing

    async def listener(ready, count, **kinds):
        async with Client(url, mode=MODERN) as client, client.listen(**kinds) as subscription:
            ready.release()
            async with asyncio.timeout(20):
                return [type(await anext(subscription)).__name__ for _ in range(count)]

    async def main():
        ready = asyncio.Semaphore(0)
        tools = [asyncio.create_task(listener(ready, 1, tools_list_changed=True)) for _ in range(8)]
        prompts = [asyncio.create_task(listener(ready, 1, prompts_list_changed=True)) for _ in range(8)]
        for _ in range(16):
            async with asyncio.timeout(20):
                await ready.acquire()
        async with Client(url, mode=MODERN) as client:
            await client.call_tool("test_trigger_tool_change")
            await client.call_tool("test_trigger_prompt_change")
        assert await asyncio.gather(*tools) == [["ToolsListChanged"]] * 8
        assert await asyncio.gather(*prompts) == [["PromptsListChanged"]] * 8

    asyncio.run(main())


@pytest.mark.parametrize("region", ["Köln ", "", "=?base64?x?=", "us-west1"])
def test_a_mirrored_parameter_arrives(passing, region):
    url, _ = passing

    async def main():
        async with Client(url, mode=MODERN) as client:
            await client.list_tools()
            result = await client.call_tool("test_x_mcp_header", {"region": region})
            assert result.content[0].text == f"Region: {region}"

    asyncio.run(main())
