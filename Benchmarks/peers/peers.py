#!/usr/bin/env python3
"""Measures MCP gateways beside one another: the same calls of the same tool of the same upstream, in one run.

Each is started as its own documentation says, with one worker, its log at the level that it starts with. The load is
`tools/call` of the revision 2025-06-18 over one session and kept-alive connections (mcpo has no MCP side and gets its own
form of the call). The rounds are interleaved, figures are medians. CPU is user and system time of the process tree per
call. Every answer is looked at: one without the result is an error.

    peers.py --gateway PATH --upstream PATH --environments DIRECTORY [--rounds N] [--seconds S] [--output FILE.md]
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from bench import HERE, PAYLOAD, Proxy, free_port, machine, measure, median, resident_bytes  # noqa: E402

ARGUMENTS = {"model": "projects", "query": "urgent"}
RESULT = "Urgent Migration Q2"
LEVELS = (1, 32)
KEY = "a-key-for-this-run-only-0123456789-0123456789"


def call(name="search_any"):
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/call",
                       "params": {"name": name, "arguments": ARGUMENTS}})


class Peer(Proxy):
    script = f"""
local threads = {{}}
bad = 0
function setup(thread) table.insert(threads, thread) end
function response(status, headers, body)
  if status == 200 and not body:find({json.dumps(RESULT)}, 1, true) then bad = bad + 1 end
end
function wrong()
  local sum = 0
  for _, thread in ipairs(threads) do sum = sum + thread:get("bad") end
  return sum
end
"""

    def __init__(self, *arguments, prepare=None, **named):
        self.headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        self.prepare = prepare
        super().__init__(*arguments, **named)

    def wait(self, started):
        """Until the peer is prepared and a call of the tool succeeds."""
        deadline = started + 240
        problem = None
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.prepare:
                    self.prepare(self)
                    self.prepare = None
                if RESULT in self.post(self.path, self.body)[0]:
                    return
            except (OSError, LookupError, ValueError) as error:
                problem = error
            time.sleep(0.2)
        self.log.seek(0)
        sys.exit(f"{self.name} did not start: {problem}\n{self.log.read().decode()[-3000:]}")

    def post(self, path, body):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=body.encode(), headers=self.headers)
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.read().decode(), response.headers

    def open_session(self):
        """The handshake of a legacy revision; the session's identifier goes with every call."""
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "wrk", "version": "1"}}
        _, headers = self.post(self.path, json.dumps(
            {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}))
        if headers["Mcp-Session-Id"]:
            self.headers["Mcp-Session-Id"] = headers["Mcp-Session-Id"]
        self.headers["MCP-Protocol-Version"] = "2025-06-18"
        self.post(self.path, json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}))


def ours(options, directory, upstream, name, path, body, prepare=None, **settings):
    """Our gateway as shipped, but for where the upstream is."""
    document = json.loads((pathlib.Path(HERE).parent / "gateway.json").read_text())
    document["upstreams"]["tools"]["url"] = f"http://127.0.0.1:{upstream}/mcp"
    document |= settings
    configuration = os.path.join(directory, f"{len(os.listdir(directory))}.json")
    with open(configuration, "w") as file:
        json.dump(document, file)
    port = free_port()
    return Peer(name, [options.gateway, "--config", configuration, "--listen", f"127.0.0.1:{port}", "--admin", "off"],
                port, path, body, {"GATEWAY_WORKERS": "1"}, prepare=prepare)


def contextforge(options, directory, upstream):
    """https://ibm.github.io/mcp-context-forge: the package, SQLite, the upstream registered over its API."""
    binaries = os.path.join(options.environments, "contextforge", "bin")
    home = os.path.join(directory, "contextforge")
    os.mkdir(home)
    environment = {
        "JWT_SECRET_KEY": KEY, "BASIC_AUTH_PASSWORD": KEY, "PLATFORM_ADMIN_EMAIL": "admin@example.com",
        "PLATFORM_ADMIN_PASSWORD": "Only-for-this-run-0", "DATABASE_URL": f"sqlite:///{home}/mcp.db",
        "SSRF_ALLOW_LOCALHOST": "true"}
    token = subprocess.run(
        [os.path.join(binaries, "python"), "-m", "mcpgateway.utils.create_jwt_token", "--username",
         "admin@example.com", "--exp", "600", "--secret", KEY],
        env=dict(os.environ, **environment), cwd=home, capture_output=True, text=True, check=True,
    ).stdout.strip().splitlines()[-1]

    def register(peer):
        peer.headers["Authorization"] = f"Bearer {token}"
        try:
            peer.post("/gateways", json.dumps(
                {"name": "fixed", "url": f"http://127.0.0.1:{upstream}/mcp", "transport": "STREAMABLEHTTP"}))
        except urllib.error.HTTPError as error:
            if error.code != 409:
                raise

    port = free_port()
    return Peer("ContextForge 1.0.7", [os.path.join(binaries, "mcpgateway"), "--host", "127.0.0.1", "--port", str(port)],
                port, "/mcp/", call("fixed-search-any"), environment, home, prepare=register)


def peers(options, directory, upstream):
    endpoint = {"mcp": {"endpoints": {"/mcp/": {"upstreams": {"tools": {}}}}}}
    yield ours(options, directory, upstream, "gateway, MCP endpoint", "/mcp/", call(), Peer.open_session, **endpoint)
    yield ours(options, directory, upstream, "gateway, chat API", "/api/chat/", PAYLOAD)
    port = free_port()
    yield Peer("FastMCP 4.2.3 proxy",
               [os.path.join(options.environments, "fastmcp", "bin", "fastmcp"), "run",
                f"http://127.0.0.1:{upstream}/mcp", "--transport", "http", "--host", "127.0.0.1", "--port", str(port)],
               port, "/mcp", call(), prepare=Peer.open_session)
    yield contextforge(options, directory, upstream)
    port = free_port()
    yield Peer("mcpo 0.0.20 (OpenAPI)",
               [os.path.join(options.environments, "mcpo", "bin", "mcpo"), "--port", str(port), "--host", "127.0.0.1",
                "--server-type", "streamable-http", "--", f"http://127.0.0.1:{upstream}/mcp"],
               port, "/search_any", json.dumps(ARGUMENTS))


def report(figures, running):
    lines = ["| | CPU µs/call c=1 | c=32 | calls/s c=32 | p50 ms c=1 | p99 ms c=32 | peak memory | errors |",
             "|---|---|---|---|---|---|---|---|"]
    for peer in running:
        name = peer.name
        errors = sum(run["errors"] for level in LEVELS for run in figures[(name, level)])
        calls = sum(run["requests"] for level in LEVELS for run in figures[(name, level)])
        lines.append(
            f"| {name} | {median(figures, name, 1, 'cpu'):,.0f} | {median(figures, name, 32, 'cpu'):,.0f} "
            f"| {median(figures, name, 32, 'rps'):,.0f} | {median(figures, name, 1, 'p50') / 1000:.2f} "
            f"| {median(figures, name, 32, 'p99') / 1000:,.1f} | {resident_bytes(peer.process.pid, 'VmHWM') / 1e6:,.0f} MB "
            f"| {errors} of {calls:,} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gateway", required=True)
    parser.add_argument("--upstream", required=True, help="the executable FixedUpstream")
    parser.add_argument("--environments", required=True, help="virtual environments fastmcp, contextforge and mcpo")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="length of each run")
    parser.add_argument("--output", help="a Markdown file to write the table to")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="peers-") as directory:
        port = free_port()
        upstream = subprocess.Popen([options.upstream, str(port)], stdout=subprocess.DEVNULL)
        running = []
        try:
            for peer in peers(options, directory, port):
                running.append(peer)
            figures = measure(running, options, directory, LEVELS)
            text = machine(options) + "\n\n" + report(figures, running)
        finally:
            for peer in running:
                peer.stop()
            upstream.terminate()
    print(text)
    if options.output:
        with open(options.output, "w") as file:
            file.write("# MCP gateways\n\nWritten by `make bench-peers`.\n\n" + text + "\n")


if __name__ == "__main__":
    main()
