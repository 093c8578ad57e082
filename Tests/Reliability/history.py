"""A history of calls that write, under everything that can befall them, and the account of it.

Each call has a token of its own, which the tool's effect keeps. Meanwhile faults befall both lines, clients leave, and
both processes are stopped, killed and reloaded. Afterwards every call is accounted for: what was answered was run once,
what was said not to have run was not, what is unknown was run at most once.
"""
import asyncio
import collections
import contextlib
import json
import pathlib
import random
import signal
import sqlite3
import subprocess
import sys
import time

import services
from fault_proxy import FaultProxy
from services import ROOT, eventually, free_port, listening_socket
from stack import PACE, metrics, paced, value

# Bytes that are lost or garbled could make any answer of any other, so nothing could be concluded from one.
FAULTS = ("delay", "reset", "half_close", "truncate", "throttle", "blackhole", "never_answer")
TIMEOUT = PACE  # Of a call, in seconds.
MODERN = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call",
          "Accept": "application/json, text/event-stream"}


class CountingUpstream:
    """counting_server.py, with its effects in a file."""

    tool, argument, look = "count", "token", "look"

    def __init__(self, directory, era):
        self.port, self.file, self.era = free_port(), directory / "effects", era
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, pathlib.Path(__file__).with_name("counting_server.py"), str(self.port), self.file, self.era],
            stdin=subprocess.DEVNULL)
        eventually(lambda: services.request(f"127.0.0.1:{self.port}", "GET", "/mcp/")[0], 20, "the counting server")

    def end(self, how):
        self.process.send_signal(how)
        self.process.wait(20)

    def effects(self):
        return collections.Counter(self.file.read_text().split())


class OwnUpstream:
    """Our tool-server, whose `chat` stores the message of a user who is logged in."""

    tool, argument, look = "chat", "message", "echo"

    def __init__(self, directory):
        self.database, self.port = directory / "chat.sqlite", free_port()
        seed = [services.PRODUCTS / "tool-server", "seed", "--database", self.database]
        subprocess.run(seed, check=True, capture_output=True)
        self.cookie = subprocess.run(
            [services.PRODUCTS / "tool-server", "session", "new", "alice", "--database", self.database], check=True,
            capture_output=True, text=True).stdout.split()[-1]
        self.start()

    def start(self):
        self.service = services.Service(
            "tool-server", "serve", "--transport", "http", "--port", str(self.port), "--database", str(self.database),
            environment={"TOOL_SERVER_DRAIN": "2s", "TOOL_SERVER_DRAIN_IDLE_GRACE": "50ms"}).listening("main")

    def end(self, how):
        self.service.signal(how)
        self.service.process.wait(20)

    def effects(self):
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            return collections.Counter(
                text.decode() if isinstance(text, bytes) else text
                for text, in connection.execute("SELECT message FROM message"))


class History:
    """`total` calls of `clients` clients; `pause` calls lie between two disturbances."""

    def __init__(self, directory, upstream, *, total, pause, seed, clients=16, rate=0.02):
        self.upstream, self.total, self.pause, self.clients, self.seed = upstream, total, pause, clients, seed
        self.random, self.outcomes, self.began, self.ended = random.Random(seed), {}, 0, 0
        self.disturbances = collections.Counter()
        self.to_upstream = FaultProxy(upstream.port)
        self.config = directory / "gateway.json"
        self.config.write_text(json.dumps(self._settings()))
        self.sockets = {"main": listening_socket(), "admin": listening_socket()}
        self.front = self._gateway()
        self.front.ready()
        self.address = "127.0.0.1:%d" % self.sockets["main"].getsockname()[1]
        self.to_front = FaultProxy(self.sockets["main"].getsockname()[1])
        for place, line in enumerate((self.to_upstream, self.to_front)):
            line.chaos(rate, FAULTS, seed * 2 + place)

    def _settings(self):
        settings = json.loads((ROOT / "gateway.json").read_text())
        kinds = {"write": self.upstream.tool, "look": self.upstream.look}
        arguments = {"write": self.upstream.argument,
                     "look": "message" if self.upstream.look == "echo" else self.upstream.argument}
        settings["chat"] = {"defaultType": "write", "types": {name: {
            "tool": tool, "arguments": {arguments[name]: {"from": "token"}}, "timeout": paced(1),
            "reply": {"shape": "wrapped"}} for name, tool in kinds.items()}}
        settings["upstreams"]["tools"] |= {
            "connectTimeout": paced(0.3), "probeInterval": "500ms", "retryWindow": paced(0.5)}
        settings["mcp"] = {"endpoints": {"/mcp/": {"upstreams": {"tools": {}}, "timeout": paced(1)}}}
        settings["drain"] = {"timeout": "3s", "idleGrace": "50ms"}
        settings["accessLog"] = False
        return settings

    def _gateway(self):
        return services.gateway(self.to_upstream.address, config=self.config, sockets=self.sockets)

    # The clients.

    async def _client(self, number):
        chance = random.Random(f"{self.seed} {number}")
        connection = None
        while self.began < self.total:
            self.began += 1
            token = f"{self.seed}-{self.began}"
            address = self.to_front.address if chance.random() < 0.3 else self.address
            way = chance.choice(("chat", "chat", "chat", "endpoint", "endpoint", "look"))
            leaves = chance.random() < 0.05
            if connection and (connection[2] != address or chance.random() < 0.1):
                connection[1].transport.abort()
                connection = None
            try:
                if connection is None:
                    host, port = address.rsplit(":", 1)
                    connection = (*await asyncio.wait_for(asyncio.open_connection(host, int(port)), 10), address)
                outcome = await asyncio.wait_for(self._call(connection, way, token, leaves, chance), 4 * TIMEOUT)
            except (OSError, EOFError, ValueError, asyncio.TimeoutError) as problem:
                outcome = ("silence", type(problem).__name__)
            if outcome[0] in ("silence", "left") or outcome[-1] == "close":
                if connection:
                    connection[1].transport.abort()
                connection = None
            if way != "look":
                self.outcomes[token] = outcome
            self.ended += 1
            if outcome[0] in ("no", "refused"):
                # As it is told to; without a pause the refusals of one restart would be most of the history.
                await asyncio.sleep(0.2)

    async def _call(self, connection, way, token, leaves, chance):
        reader, writer, address = connection
        if way == "endpoint":
            path, headers = "/mcp/", MODERN | {"Mcp-Name": self.upstream.tool}
            body = {"jsonrpc": "2.0", "id": token, "method": "tools/call", "params": {
                "name": self.upstream.tool, "arguments": {self.upstream.argument: token},
                "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                          "io.modelcontextprotocol/clientCapabilities": {}}}}
        else:
            path, headers = "/api/chat/", {"Accept": "application/json, application/problem+json"}
            body = {"type": "look" if way == "look" else "write", "token": token}
        if cookie := getattr(self.upstream, "cookie", None):
            headers = headers | {"Cookie": f"sessionid={cookie}"}
        body = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in headers.items()) + f"Content-Length: {len(body)}\r\n\r\n"
        request = head.encode() + body
        if leaves:
            # In the middle of the request, or at some time after it.
            whole = chance.random() < 0.7
            writer.write(request if whole else request[:chance.randrange(1, len(request))])
            await asyncio.sleep(chance.choice((0, 0.001, 0.003, 0.01)))
            return ("left",)
        writer.write(request)
        return await self._read(reader, way)

    async def _read(self, reader, way):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status = int(head.split(" ", 2)[1])
        headers = {name.lower(): text.strip() for name, _, text in (
            line.partition(":") for line in head.split("\r\n")[1:] if line)}
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(await reader.readline(), 16):
                body += await reader.readexactly(size)
                await reader.readexactly(2)
            await reader.readexactly(2)
        else:
            body = await reader.readexactly(int(headers["content-length"]))
        close = "close" if headers.get("connection", "").lower() == "close" else ""
        if headers.get("content-type", "").startswith("text/event-stream"):
            data = [line[6:] for line in body.split(b"\n") if line.startswith(b"data: {")]
            body = data[-1] if data else b"{}"
        return (*self._outcome(status, json.loads(body), way), close)

    @staticmethod
    def _outcome(status, value, way):
        if way == "endpoint":
            if "result" in value:
                return ("tool error" if value["result"].get("isError") else "answered", status)
            data = value.get("error", {}).get("data") or {}
            if "executed" in data:
                return (data["executed"], data["label"])
        elif status == 200:
            return ("answered", status)
        # An MCP endpoint's own refusals are HTTP errors, of requests that were not looked at.
        return (value.get("executed", "refused"), value.get("label", status))

    # What befalls both processes.

    def _disturb(self):
        kind = self.random.choice(("kill upstream", "stop upstream", "kill gateway", "stop gateway", "reload gateway"))
        self.disturbances[kind] += 1
        match kind.split():
            case [how, "upstream"]:
                self.upstream.end(signal.SIGKILL if how == "kill" else signal.SIGTERM)
                self.upstream.start()
            case ["reload", _]:
                before = len(self.front.messages("reloaded"))
                self.front.signal(signal.SIGHUP)
                eventually(lambda: len(self.front.messages("reloaded")) > before, 20, "reloaded")
            case [how, _]:
                self.front.signal(signal.SIGKILL if how == "kill" else signal.SIGTERM)
                code = self.front.process.wait(20)
                assert code == (-signal.SIGKILL if how == "kill" else 0), "".join(self.front.lines[-20:])
                self.front = self._gateway()
                self.front.listening()

    async def _run(self):
        clients = [asyncio.create_task(self._client(number)) for number in range(self.clients)]
        following, loop = self.pause, asyncio.get_running_loop()
        while not all(client.done() for client in clients):
            if self.ended >= following and self.ended < self.total - self.pause // 2:
                await loop.run_in_executor(None, self._disturb)
                following = self.ended + self.pause
            await asyncio.sleep(0.01)
        await asyncio.gather(*clients)

    def run(self):
        began = time.monotonic()
        asyncio.run(self._run())
        self.seconds = time.monotonic() - began
        for line in (self.to_upstream, self.to_front):
            line.chaos(0)
            line.clear()
        names = ("gateway_requests_in_flight", "gateway_upstream_calls_in_flight", "gateway_upstream_queue_length")
        eventually(lambda: not sum(value(metrics(self.front), name) for name in names), 20, "rest")
        # What was under way at the upstream has ended when it is stopped.
        self.upstream.end(signal.SIGTERM)
        return self.account()

    # The account.

    def account(self):
        """Outcome → number of calls, and what is wrong."""
        effects, counts, wrong = self.upstream.effects(), collections.Counter(), []
        allowed = {"answered": (1,), "yes": (1,), "tool error": (0, 1), "no": (0,), "refused": (0,), "unknown": (0, 1),
                   "silence": (0, 1), "left": (0, 1)}
        for token, outcome in self.outcomes.items():
            counts[outcome[0], min(effects[token], 2)] += 1
            if effects[token] not in allowed[outcome[0]]:
                wrong.append(f"{token}: {outcome}, run {effects[token]} times")
        wrong += [f"{token}: run {times} times, never called" for token, times in effects.items()
                  if token not in self.outcomes and self._is_ours(token)]
        return counts, wrong

    def _is_ours(self, token):
        return token.startswith(f"{self.seed}-")

    def table(self, counts):
        labels = collections.Counter(outcome[1] for outcome in self.outcomes.values() if outcome[0] in ("no", "unknown"))
        rows = [f"{'outcome':12} {'not run':>9} {'run once':>9} {'twice':>6}"]
        for outcome in sorted({outcome for outcome, _ in counts}):
            rows.append(f"{outcome:12} {counts[outcome, 0]:9} {counts[outcome, 1]:9} {counts[outcome, 2]:6}")
        rows.append(f"{len(self.outcomes)} writing calls of {self.total} in {self.seconds:.0f} s, seed {self.seed}")
        rows.append("labels: " + ", ".join(f"{label} {times}" for label, times in labels.most_common()))
        rows.append("disturbances: " + ", ".join(f"{kind} {times}" for kind, times in sorted(self.disturbances.items())))
        faults = self.to_upstream.kinds + self.to_front.kinds
        rows.append("faults: " + ", ".join(f"{kind} {times}" for kind, times in sorted(faults.items())))
        return "\n".join(rows)

    def stop(self):
        self.front.kill()
        for line in (self.to_upstream, self.to_front):
            line.stop()
        for held in self.sockets.values():
            held.close()
