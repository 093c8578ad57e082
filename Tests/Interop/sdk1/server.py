"""A server of the SDK 1.x: server.py [PORT [stateless] [json]]; stdio without a port."""
import asyncio
import sys

from mcp.server.fastmcp import Context, FastMCP
from mcp.types import SamplingMessage, TextContent
from pydantic import BaseModel

ARGUMENTS = sys.argv[1:]
server = FastMCP("sdk1", host="127.0.0.1", port=int(ARGUMENTS[0]) if ARGUMENTS else 0, log_level="ERROR",
                 stateless_http="stateless" in ARGUMENTS, json_response="json" in ARGUMENTS)


class Name(BaseModel):
    name: str


@server.tool()
def add(a: int, b: int) -> int:
    return a + b


@server.tool()
async def work(steps: int, context: Context) -> str:
    for step in range(steps):
        await context.report_progress(step + 1, steps, f"step {step + 1}")
    await context.info("worked")
    return "done"


@server.tool()
async def greet(context: Context) -> str:
    answer = await context.elicit("Who are you?", Name)
    return f"Hello, {answer.data.name}!"


@server.tool()
async def think(context: Context) -> str:
    question = SamplingMessage(role="user", content=TextContent(type="text", text="Capital of France?"))
    answer = await context.session.create_message([question], max_tokens=10, related_request_id=context.request_id)
    return f"The model says {answer.content.text}"


@server.tool()
async def slow() -> str:
    await asyncio.sleep(30)
    return "late"


@server.tool()
def fail() -> str:
    raise ValueError("on purpose")


@server.resource("test://{name}/text")
def text(name: str) -> str:
    return f"text of {name}"


@server.prompt()
def ask(topic: str) -> str:
    return f"Ask about {topic}"


if __name__ == "__main__":
    server.run("streamable-http" if ARGUMENTS else "stdio")
