"""An hour of everything: soak.py [SECONDS]

Two tool-servers on one PostgreSQL behind a gateway get calls of every kind, from clients that come, stay and leave. One
tool-server is stopped and killed again and again; the other and the gateway are reloaded and live through it all, and
have more callers than they keep sessions for. Memory, descriptors, threads, sessions and the tables' rows are sampled;
at the end a table is printed, and what has grown from the second quarter to the last fails.
"""
import asyncio
import collections
import json
import pathlib
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import conftest  # noqa: F401 (finds the folders that are shared)
import peers
import services
from postgresql import PostgreSQL
from scarcity import connect
from services import eventually, free_port
from stack import descriptors, metrics, status, value

SESSIONS = 40  # That the gateway keeps for each worker, and each tool-server for anonymous callers.
CLIENTS = 6
# What may be more at the end than after the first quarter: a share, and an amount.
ALLOWED = {"KiB": (0.10, 8192), "descriptors": (0.10, 12), "threads": (0, 4), "sessions": (0.10, SESSIONS),
           "rows": (0.10, 300)}


class Soak:
    def __init__(self, directory, seconds):
        self.seconds, self.random = seconds, random.Random(1)
        self.counts, self.samples, self.wrong = collections.Counter(), collections.defaultdict(list), []
        self.database = PostgreSQL()
        self.provider = peers.InThread(peers.Provider(words=5, pause=0.005))
        seeded = self._tool("seed")
        self.password = re.search(r"user alice with password (\S+)", seeded)[1]
        self.cookie = self._tool("session", "new", "alice").split()[-1]
        self.config, self.ports = directory / "gateway.json", [free_port(), free_port()]
        self.config.write_text(json.dumps(self._settings()))
        self.tools = [self._tool_server(port) for port in self.ports]
        self.front = services.Service(
            "gateway", "serve", "--config", str(self.config), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
        self._forgetful(self.front).ready()
        self.address = self.front.addresses["main"]

    def _tool(self, *arguments):
        done = subprocess.run([services.PRODUCTS / "tool-server", *arguments, "--database", self.database.url],
                              check=True, capture_output=True, text=True)
        return done.stdout + done.stderr

    def _tool_server(self, port):
        made = services.Service(
            "tool-server", "serve", "--config", str(self.config), "--transport", "http", "--port", str(port), "--admin",
            "127.0.0.1:0", "--database", self.database.url)
        return self._forgetful(made).listening()

    @staticmethod
    def _forgetful(service):
        """Keeps the last lines of the log alone."""
        service.lines = collections.deque(service.lines, maxlen=200)
        return service

    def _settings(self):
        settings = json.loads((services.ROOT / "gateway.json").read_text())
        urls = [f"http://127.0.0.1:{port}/mcp/" for port in self.ports]
        both = {"url": urls[0], "urls": urls[1:], "trusted": True, "probeInterval": "1s", "sessionLimit": SESSIONS}
        settings["upstreams"] = {"tools": both, "old": both | {"era": "legacy"}}
        settings["chat"]["types"]["search_old"] = settings["chat"]["types"]["search_any"] | {"upstream": "old"}
        settings |= {"sessionKey": "a-session-key-of-the-soak-test", "sessionLifetime": "1m"}
        settings["accessLog"] = False
        settings["toolServer"] = {
            "sessionKey": settings["sessionKey"], "sessionLifetime": "1m", "drain": "2s",
            "limits": {"maxAnonymousSessions": SESSIONS}, "history": {"retention": "1m", "sweep": "10s"},
            "login": {"lifetime": "1m"},
            "ai": {"baseURL": f"http://127.0.0.1:{self.provider.port}/v1", "model": "m", "apiKey": "key-of-the-test"}}
        return settings

    # Traffic.

    async def _client(self, number, end):
        chance, connection = random.Random(f"soak {number}"), None
        kinds = ("search", "search", "session", "session", "write", "stream", "history", "pass", "open", "bad", "leave")
        while time.monotonic() < end:
            # A password costs as much as a thousand searches.
            kind = "login" if chance.random() < 0.005 else chance.choice(kinds)
            try:
                if connection is None or chance.random() < 0.1:
                    if connection:
                        connection[1].transport.abort()
                    connection = await asyncio.wait_for(connect(self.address), 10)
                code, keeps = await asyncio.wait_for(self._ask(connection, kind, chance), 60)
            except (OSError, EOFError, asyncio.TimeoutError) as problem:
                code, keeps = type(problem).__name__, False
                self.wrong.append(f"{kind}: {problem!r}")
            self.counts[kind, code] += 1
            if not keeps and connection:
                connection[1].transport.abort()
                connection = None
            await asyncio.sleep(chance.random() * 0.05)
        if connection:
            connection[1].transport.abort()

    async def _ask(self, connection, kind, chance):
        reader, writer = connection
        path, headers, body = self._request(kind, chance)
        method = "GET" if body is None else "POST"
        body = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.address}\r\nContent-Length: {len(body)}\r\n" + "".join(
            f"{name}: {text}\r\n" for name, text in headers.items())
        writer.write(head.encode() + b"\r\n" + body)
        if kind == "leave":
            await asyncio.sleep(chance.choice((0, 0.005, 0.02)))
            return "left", False
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        code = int(head.split(" ", 2)[1])
        if "transfer-encoding: chunked" in head:
            while size := int(await reader.readline(), 16):
                await reader.readexactly(size + 2)
            await reader.readexactly(2)
        else:
            await reader.readexactly(int(re.search(r"content-length: (\d+)", head)[1]))
        # While one of two servers is killed, a call that was there may be lost.
        right = {"bad": (400, 404), "login": (200, 204, 401, 429)}.get(kind, (200, 502, 503))
        if code not in right:
            self.wrong.append(f"{kind}: {head[:300]}")
        return code, "connection: close" not in head

    def _request(self, kind, chance):
        search = {"type": "search_any", "model": "projects", "query": chance.choice(("urgent", "portal", "a", "zebra"))}
        member = {"Cookie": f"sessionid={self.cookie}"}
        message = {"type": "chat", "message": f"soak {chance.randrange(1 << 40)}"}
        match kind:
            case "search":
                return "/api/chat/", member, search
            case "session":
                # More callers than sessions are kept for.
                caller = {"Cookie": f"sessionid=nobody{chance.randrange(8 * SESSIONS)}"}
                return "/api/chat/", caller, search | {"type": "search_old"}
            case "write":
                return "/api/chat/", member, message
            case "stream" | "leave":
                return "/api/chat/", member | {"Accept": "text/event-stream"}, message
            case "history":
                return "/api/chat/", member, {"type": "history"}
            case "pass":
                return "/mcp/echo", member, {"message": "soak"}
            case "open":
                return "/mcp/session/new", {}, None
            case "login":
                password = self.password if chance.random() < 0.5 else "wrong"
                return "/auth/login", {}, {"username": "alice", "password": password}
            case "bad":
                return chance.choice((("/api/chat/", {}, b"{"), ("/none", {}, b""), ("/api/chat/", {}, {"type": "none"})))

    # Disturbances and samples.

    def _disturb(self, turn):
        match ("stop", "reload gateway", "kill", "reload tools", "stop", "reload gateway", "database")[turn % 7]:
            case "stop" | "kill" as how:
                self.tools[1].signal(signal.SIGTERM if how == "stop" else signal.SIGKILL)
                self.tools[1].process.wait(30)
                self.tools[1] = self._tool_server(self.ports[1])
            case "reload gateway":
                self._reload(self.front)
            case "reload tools":
                self._reload(self.tools[0])
            case "database":
                # Its sessions are ended; it is back at once.
                self.database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                    "WHERE datname = 'chat' AND pid <> pg_backend_pid()")

    @staticmethod
    def _reload(service):
        before = value(metrics(service), f"{service.name.replace('-', '_')}_configuration_reloads_total")
        service.signal(signal.SIGHUP)
        eventually(lambda: value(metrics(service), f"{service.name.replace('-', '_')}_configuration_reloads_total")
                   > before, 20, f"{service.name} reloaded")

    def _sample(self):
        for name, service in (("gateway", self.front), ("tool-server", self.tools[0])):
            memory, threads = status(service, "VmRSS", "Threads")
            self.samples[f"{name} memory, KiB"].append(memory)
            self.samples[f"{name} threads"].append(threads)
            self.samples[f"{name} descriptors"].append(descriptors(service))
            held = metrics(service)
            self.samples[f"{name} sessions"].append(
                value(held, "gateway_sessions") + value(held, "tool_server_mcp_sessions"))
        tables = [name for name, in self.database.query(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")]
        counts = " UNION ALL ".join(f"SELECT '{table}', count(*) FROM \"{table}\"" for table in tables)
        for table, rows in self.database.query(counts):
            self.samples[f"table {table}, rows"].append(int(rows))

    async def _watch(self, end):
        loop, turn, disturbed = asyncio.get_running_loop(), 0, time.monotonic()
        while time.monotonic() < end:
            await loop.run_in_executor(None, self._sample)
            if time.monotonic() - disturbed >= max(5, min(20, self.seconds / 30)):
                await loop.run_in_executor(None, self._disturb, turn)
                turn, disturbed = turn + 1, time.monotonic()
            await asyncio.sleep(max(1, min(5, self.seconds / 200)))
        self.disturbances = turn

    async def _run(self):
        end = time.monotonic() + self.seconds
        await asyncio.gather(self._watch(end), *(self._client(number, end) for number in range(CLIENTS)))

    def run(self):
        asyncio.run(self._run())
        return self._report()

    # The report.

    def _report(self):
        failures = []
        print(f"{'':34} {'first':>9} {'1/4':>9} {'1/2':>9} {'3/4':>9} {'last':>9} {'most':>9}")
        for name, values in self.samples.items():
            if not any(values):
                continue
            quarter = len(values) // 4
            second, last = (statistics.median(part) for part in (values[quarter:2 * quarter], values[-quarter:]))
            share, amount = next(bounds for key, bounds in ALLOWED.items() if key in name)
            grown = last > second * (1 + share) + amount
            marks = [values[0], values[quarter], values[2 * quarter], values[3 * quarter], values[-1], max(values)]
            print(f"{name:34} " + " ".join(f"{mark:9.0f}" for mark in marks) + (" GROWN" if grown else ""))
            if grown:
                failures.append(f"{name}: {second:.0f} in the second quarter, {last:.0f} in the last")
        print(f"{sum(self.counts.values())} calls in {self.seconds} s, {self.disturbances} disturbances, "
              f"{len(next(iter(self.samples.values())))} samples")
        kinds = sorted({kind for kind, _ in self.counts})
        for kind in kinds:
            print(f"  {kind:8} " + ", ".join(f"{code}: {times}" for (of, code), times in sorted(
                self.counts.items(), key=str) if of == kind))
        answered = sum(times for (_, code), times in self.counts.items() if code not in (502, 503))
        if answered < 0.97 * sum(self.counts.values()):
            failures.append("more than 3 % of the calls were lost to restarts")
        if self.wrong:
            failures += [f"{len(self.wrong)} answers that should not be", *self.wrong[:5]]
        return failures

    def stop(self):
        self.front.stop()
        for service in self.tools:
            service.stop()
        self.provider.stop()
        self.database.remove()


def main(seconds=3600):
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        soak = Soak(pathlib.Path(directory), float(seconds))
        try:
            failures = soak.run()
        finally:
            soak.stop()
    print("\n".join(["FAILED", *failures]) if failures else "passed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
