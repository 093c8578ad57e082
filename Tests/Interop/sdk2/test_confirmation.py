"""The same in both eras with the SDK 2.x: legacy questions on the stream, modern ones in results."""
import asyncio

import mcp_types as types
import pytest
from mcp import Client


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
@pytest.mark.parametrize("confirmed", [True, False, None], ids=["confirmed", "refused", "cannot ask"])
def test_the_user_decides(notes, mode, confirmed):
    asked = []

    async def elicit(context, params):
        asked.append(params.message)
        return types.ElicitResult(action="accept", content={"confirm": confirmed})

    async def main():
        more = {} if confirmed is None else {"elicitation_callback": elicit}
        async with Client(notes.url, mode=mode, **more) as client:
            result = await client.call_tool("ai_prompt", {"prompt": "buy milk"})
            assert not result.is_error
            return result.structured_content["results"]

    answer = asyncio.run(main())
    assert notes.written() == (["buy milk"] if confirmed else [])
    assert len(asked) == (0 if confirmed is None else 1)
    expected = {True: "noted", False: "did not allow it", None: "cannot be asked"}[confirmed]
    assert expected in answer
