"""A server over stdio that remembers what it was told: remembering_server.py. It knows nothing of its callers."""
import os

from fastmcp import FastMCP

server = FastMCP("remembering")
told = []


@server.tool
def remember(text: str) -> list[str]:
    told.append(text)
    return told


@server.tool
def process() -> int:
    return os.getpid()


if __name__ == "__main__":
    server.run(show_banner=False)
