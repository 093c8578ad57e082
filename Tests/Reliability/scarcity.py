"""What the tests of scarcity share: a gateway in front of tools that can be held, and clients by the hundred."""
import asyncio
import collections
import json

import counting_server
import peers
import services
from stack import metrics, value


class HeldTools(counting_server.CountingServer):
    """A counting server in this process. Its answers wait while it is held; `pause` is what each takes, and `size` are
    the bytes that an answer has besides its token."""

    def __init__(self, directory, pause=0.0, size=0):
        super().__init__(directory / "effects", "modern")
        self.pause, self.size, self.most, self.active = pause, size, 0, 0

    async def _call(self, message, name, token):
        self.active += 1
        self.most = max(self.most, self.active)
        try:
            await asyncio.sleep(self.pause)
        finally:
            self.active -= 1
        text = token + "x" * self.size
        return self._result(message, {"content": [{"type": "text", "text": text}]})


class Door:
    """A gateway in front of held tools. `limits` and `upstream` are settings of the two sections."""

    def __init__(self, directory, *, limits=None, upstream=None, **tools):
        self.tools = HeldTools(directory, **tools)
        self.server = peers.InThread(self.tools)
        settings = json.loads((services.ROOT / "gateway.json").read_text())
        settings["chat"] = {"defaultType": "count", "types": {"count": {
            "tool": "count", "arguments": {"token": {}}, "timeout": "30s", "reply": {"shape": "wrapped"}}}}
        settings["limits"] = limits or {}
        settings["upstreams"]["tools"] |= {"probeInterval": "1h"} | (upstream or {})
        settings["accessLog"] = False
        config = directory / "gateway.json"
        config.write_text(json.dumps(settings))
        self.front = services.gateway(f"127.0.0.1:{self.server.port}", config=config)
        self.front.ready()
        self.address = self.front.addresses["main"]

    def gauge(self, name):
        return value(metrics(self.front), name)

    def answers(self, token):
        status, _, body = services.chat(self.address, {"token": token})
        return status == 200 and json.loads(body)["replies"][0].startswith(token)

    def comes_to_rest(self):
        """Returns when nobody is served and nothing is under way."""
        names = ("gateway_connections", "gateway_requests_in_flight", "gateway_upstream_calls_in_flight",
                 "gateway_upstream_queue_length")
        services.eventually(lambda: not any(self.gauge(name) for name in names), 20, "rest")

    def stop(self):
        assert self.front.stop() == 0
        self.server.stop()


def request(address, payload):
    body = json.dumps(payload).encode()
    return (f"POST /api/chat/ HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n"
            f"Accept: application/json, application/problem+json\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


async def response(reader):
    """Status, headers and body of one response with a length."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    headers = {name.lower(): text.strip() for name, _, text in (
        line.partition(":") for line in head.split("\r\n")[1:] if line)}
    return int(head.split(" ", 2)[1]), headers, await reader.readexactly(int(headers["content-length"]))


async def connect(address):
    host, port = address.rsplit(":", 1)
    return await asyncio.open_connection(host, int(port))


async def crowd(address, clients, rounds, payload=lambda name: {"token": name}):
    """`clients` clients post `rounds` times each without a pause; returns what they got, and what was wrong with it."""
    counts, wrong = collections.Counter(), []

    async def client(number):
        connection = None
        for place in range(rounds):
            token = f"t{number}-{place}"
            try:
                if connection is None:
                    connection = await connect(address)
                connection[1].write(request(address, payload(token)))
                status, headers, body = await asyncio.wait_for(response(connection[0]), 60)
            except (OSError, EOFError, asyncio.TimeoutError) as problem:
                counts["none"] += 1
                wrong.append(f"{token}: {problem!r}")
                connection = None
                continue
            counts[status] += 1
            if status == 200:
                if not json.loads(body)["replies"][0].startswith(token):
                    wrong.append(f"{token}: the answer to something else: {body[:80]}")
            elif status != 503 or headers.get("retry-after") != "1" or json.loads(body)["label"] != "overloaded" \
                    or json.loads(body)["executed"] != "no":
                wrong.append(f"{token}: {status} {headers} {body[:200]}")
            if headers.get("connection") == "close":
                connection[1].close()
                connection = None
        if connection:
            connection[1].close()

    await asyncio.gather(*(client(number) for number in range(clients)))
    return counts, wrong
