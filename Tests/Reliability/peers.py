"""Servers that the two processes speak to in these tests: an AI provider that streams, and the little HTTP/1.1 server
under it and under counting_server.py."""
import asyncio
import dataclasses
import json
import threading


@dataclasses.dataclass
class Request:
    method: str
    path: str
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


class HTTPPeer:
    """Answers each request with what `answer` returns: status, headers, and the body or an iterator of its chunks."""

    def __init__(self):
        self.requests = 0

    async def answer(self, request):
        raise NotImplementedError

    async def serve(self, **place):
        self._server = await asyncio.start_server(self._connection, backlog=1024, **place)
        return self._server

    async def _connection(self, reader, writer):
        try:
            while request := await self._read(reader):
                self.requests += 1
                status, headers, body = await self.answer(request)
                head = f"HTTP/1.1 {status} Status\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                if isinstance(body, bytes):
                    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                else:
                    writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
                    async for piece in body:
                        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                        await writer.drain()
                    writer.write(b"0\r\n\r\n")
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, ValueError):
            pass  # The other side has gone, or is broken.
        finally:
            writer.transport.abort()

    @staticmethod
    async def _read(reader):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        line, *fields = head.decode("latin-1").split("\r\n")
        method, path, _ = line.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields if field)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Request(method, path, headers, body)


class InThread:
    """An HTTPPeer on a thread of its own."""

    def __init__(self, peer):
        self.peer, self._loop = peer, asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        server = asyncio.run_coroutine_threadsafe(peer.serve(host="127.0.0.1", port=0), self._loop).result(10)
        self.port = server.sockets[0].getsockname()[1]

    def stop(self):
        self._loop.call_soon_threadsafe(self._loop.stop)


class Provider(HTTPPeer):
    """An OpenAI-compatible provider. Its answer is the prompt's last word, after `words` words, `pause` seconds apart."""

    def __init__(self, words=8, pause=0.0):
        super().__init__()
        self.words, self.pause = words, pause

    async def answer(self, request):
        body = request.json()
        text = body["messages"][-1]["content"].split()[-1]
        words = [f"word{number} " for number in range(self.words)] + [text]
        usage = {"prompt_tokens": 3, "completion_tokens": len(words), "total_tokens": 3 + len(words)}
        if body.get("stream"):
            return 200, {"Content-Type": "text/event-stream"}, self._events(words, usage)
        await asyncio.sleep(self.pause * self.words)
        choice = {"index": 0, "message": {"role": "assistant", "content": "".join(words)}, "finish_reason": "stop"}
        return 200, {"Content-Type": "application/json"}, json.dumps({"choices": [choice], "usage": usage}).encode()

    async def _events(self, words, usage):
        for word in words:
            yield self._event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": word}}]})
            await asyncio.sleep(self.pause)
        yield self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage})
        yield b"data: [DONE]\n\n"

    @staticmethod
    def _event(value):
        return b"data: " + json.dumps(value).encode() + b"\n\n"
