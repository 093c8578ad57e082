"""An MCP server over HTTP whose tool has an effect that can be counted: counting_server.py PORT FILE ERA

The tool `count` appends its token to FILE in one write, which outlives the process, and only then answers, for some
tokens after a pause or as an event stream. ERA is modern or legacy; sessions of the latter end with the process.
"""
import asyncio
import json
import os
import secrets
import signal
import sys
import zlib

from peers import HTTPPeer

SCHEMA = {"type": "object", "properties": {"token": {"type": "string"}}, "required": ["token"]}
TOOLS = [
    {"name": "count", "description": "Counts a token.", "inputSchema": SCHEMA, "annotations": {"readOnlyHint": False}},
    {"name": "look", "description": "Gives a token back.", "inputSchema": SCHEMA, "annotations": {"readOnlyHint": True}},
]
LISTED = {"ttlMs": 3_600_000, "cacheScope": "public"}


class CountingServer(HTTPPeer):
    def __init__(self, file, era):
        super().__init__()
        self.file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.is_modern, self.sessions = era == "modern", set()

    async def answer(self, request):
        if request.method != "POST":
            return (200 if request.method == "DELETE" else 405), {}, b""
        message = request.json()
        method, session = message.get("method"), request.headers.get("mcp-session-id")
        if not self.is_modern:
            if method == "initialize":
                session = secrets.token_hex(16)
                self.sessions.add(session)
                return self._result(message, {
                    "protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                    "serverInfo": {"name": "counting", "version": "1"}}, {"Mcp-Session-Id": session})
            if method != "server/discover" and session not in self.sessions:
                return 404, {}, b""
        if "id" not in message:
            return 202, {}, b""
        if method == "server/discover" and self.is_modern:
            return self._result(message, {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}} | LISTED)
        if method == "tools/list":
            return self._result(message, {"tools": TOOLS} | LISTED)
        if method == "tools/call":
            return await self._call(message, message["params"]["name"], message["params"]["arguments"]["token"])
        return 404, {"Content-Type": "application/json"}, json.dumps(
            {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "Method not found"}}).encode()

    async def _call(self, message, name, token):
        if name == "count":
            os.write(self.file, f"{token}\n".encode())
        way = zlib.crc32(token.encode()) % 10
        await asyncio.sleep((0, 0, 0, 0, 0, 0.002, 0.005, 0.02, 0.05, 0)[way])
        result = {"content": [{"type": "text", "text": token}], "structuredContent": {"results": [token]}}
        if way == 9:
            return 200, {"Content-Type": "text/event-stream"}, self._stream(message, result)
        return self._result(message, result)

    async def _stream(self, message, result):
        yield b": a comment\n\n"
        await asyncio.sleep(0.003)
        yield b"event: message\ndata: " + self._bytes(message, result) + b"\n\n"

    def _bytes(self, message, result):
        if self.is_modern:
            result = {"resultType": "complete"} | result
        return json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()

    def _result(self, message, result, headers=None):
        return 200, {"Content-Type": "application/json"} | (headers or {}), self._bytes(message, result)


async def main(port, file, era):
    # It does not wait for what is under way, as many a server.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, os._exit, 0)
    server = await CountingServer(file, era).serve(host="127.0.0.1", port=int(port), reuse_address=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
