"""A FastMCP server with the tools that gateway.json expects: fastmcp_server.py [PORT [stateless] [json]]; stdio
without a port."""
import asyncio
import sys
from typing import Annotated

from fastmcp import Context, FastMCP
from pydantic import Field

server = FastMCP("fastmcp")
PROJECTS = [("Urgent Q2", "/psm/project/123/"), ("Quiet Audit", "/psm/project/7/")]


@server.tool(annotations={"readOnlyHint": True})
def search_projects(query: str) -> list[str]:
    return [name for name, _ in PROJECTS if query.lower() in name.lower()]


@server.tool(annotations={"readOnlyHint": True})
def search_any(model: str, query: str) -> dict:
    """A literal port of the old handler: its errors are ordinary results."""
    if model != "projects":
        return {"error": "Unknown model"}
    return {"results": [{"name": name, "url": url} for name, url in PROJECTS if query.lower() in name.lower()]}


@server.tool
def get_user_info() -> dict:
    return {"error": "Not authenticated"}


@server.tool
async def ai_prompt(prompt: Annotated[str, Field(min_length=1)], context: Context) -> str:
    await context.report_progress(1, 2, "thinking")
    return f"Echo: {prompt}"


@server.tool
def chat(message: str) -> str:
    if message == "!fail":
        raise ValueError("model unavailable")
    return f"Echo: {message}"


@server.tool
def chat_history() -> dict:
    return {"error": "Not authenticated"}


@server.tool
async def slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "late"


@server.resource("test://text", mime_type="text/plain")
def text() -> str:
    return "a text"


@server.prompt
def greet(name: str) -> str:
    return f"Greet {name}"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run(transport="http", host="127.0.0.1", port=int(sys.argv[1]), stateless_http="stateless" in sys.argv,
                   json_response="json" in sys.argv, show_banner=False)
    else:
        server.run(show_banner=False)
