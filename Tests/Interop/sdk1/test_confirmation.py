"""A tool that changes something, in the hands of the model: the user of a legacy client is asked before it runs."""
import asyncio

import pytest
from mcp import ClientSession, types
from mcp.client.streamable_http import streamable_http_client


def ask(notes, prompt, answer, asked):
    """What `ai_prompt` answers a client whose user says `answer`; None: a client that cannot ask."""

    async def elicit(context, params):
        asked.append(params.message)
        assert params.requestedSchema["properties"]["confirm"]["type"] == "boolean"
        return answer

    async def main():
        async with streamable_http_client(notes.url) as (read, write, _):
            more = {} if answer is None else {"elicitation_callback": elicit}
            async with ClientSession(read, write, **more) as session:
                await session.initialize()
                result = await session.call_tool("ai_prompt", {"prompt": prompt})
                assert not result.isError
                return result.structuredContent["results"]

    return asyncio.run(main())


def accept(**content):
    return types.ElicitResult(action="accept", content=content)


def test_what_the_user_confirms_runs_once(notes):
    asked = []
    answer = ask(notes, "buy milk", accept(confirm=True), asked)
    assert notes.written() == ["buy milk"]
    assert len(asked) == 1 and "note" in asked[0] and "buy milk" in asked[0]
    assert "noted" in answer


@pytest.mark.parametrize("no", [
    accept(confirm=False), types.ElicitResult(action="decline"), types.ElicitResult(action="cancel")],
    ids=["unticked", "declined", "closed"])
def test_what_the_user_does_not_confirm_does_not_run(notes, no):
    asked = []
    answer = ask(notes, "buy milk", no, asked)
    assert len(asked) == 1
    assert notes.written() == []
    assert "the user did not allow it" in answer


def test_a_client_that_cannot_ask_gets_an_answer_and_nothing_runs(notes):
    answer = ask(notes, "buy milk", None, [])
    assert notes.written() == []
    assert "cannot be asked" in answer


def test_each_user_is_asked_for_the_own_call(notes):
    async def client(number):
        asked = []

        async def elicit(context, params):
            asked.append(params.message)
            await asyncio.sleep(0.05)
            return accept(confirm=number % 2 == 0)

        async with streamable_http_client(notes.url) as (read, write, _):
            async with ClientSession(read, write, elicitation_callback=elicit) as session:
                await session.initialize()
                await session.call_tool("ai_prompt", {"prompt": f"note {number} of many"})
        assert len(asked) == 1 and f"note {number} of many" in asked[0]

    async def main():
        await asyncio.gather(*(client(number) for number in range(6)))

    asyncio.run(main())
    assert sorted(notes.written()) == [f"note {number} of many" for number in (0, 2, 4)]
