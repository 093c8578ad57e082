#!/usr/bin/env python3
"""Measures the tool-server: calls per second beside a FastMCP server with the same tool, bytes per session, and memory
over a million calls. All in one run on one machine; the rounds of the two servers are interleaved.

    tool_server.py --tool-server PATH [--python PYTHON] [--rounds N] [--seconds S] [--sessions N] [--calls N]

PYTHON is an interpreter that has fastmcp; without it only the tool-server is measured. wrk must be installed.
"""
import argparse
import http.client
import json
import os
import re
import signal
import statistics
import subprocess
import tempfile
import time

from bench import cpu_seconds, free_port, resident_bytes

FASTMCP = '''
import sys
from fastmcp import FastMCP
server = FastMCP("bench")

@server.tool
def echo(message: str) -> dict:
    return {"Echo": message}

server.run(transport="http", host="127.0.0.1", port=int(sys.argv[1]), json_response=True, show_banner=False,
           uvicorn_config={"access_log": False, "log_level": "error"})
'''
MODERN = {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientCapabilities": {},
                    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"}}}
ACCEPT = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


class Server:
    def __init__(self, name, command, port):
        self.name, self.port = name, port
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                self.post({})
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"{name} did not start")

    def post(self, message, headers=None, connection=None):
        own = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        own.request("POST", "/mcp", json.dumps(message), {**ACCEPT, **(headers or {})})
        response = own.getresponse()
        body = response.read()
        if connection is None:
            own.close()
        return response, body

    def session(self, connection=None):
        """Opens a legacy session; gives back the headers of its requests."""
        response, body = self.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}},
            connection=connection)
        assert response.status == 200, body
        headers = {"Mcp-Session-Id": response.headers["Mcp-Session-Id"], "MCP-Protocol-Version": "2025-11-25"}
        response, body = self.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, headers, connection)
        assert response.status == 202, body
        return headers

    def call(self, era):
        """Message and headers of one call of echo."""
        params = {"name": "echo", "arguments": {"message": "Hello"}}
        if era == "modern":
            return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {**params, **MODERN}}, {
                "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "echo"}
        return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}, self.session()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def load(server, era, connections, seconds, directory):
    """Runs wrk; gives back (answers, calls per second, CPU seconds per call of the server)."""
    message, headers = server.call(era)
    response, body = server.post(message, headers)
    assert response.status == 200 and b'"Echo"' in body, body
    if era == "legacy":
        # Ids are unique in a session: each request of the load gets its own.
        request = 'request = function() number = number + 1; return wrk.format(nil, nil, nil, head .. number .. tail) end'
    else:
        request = ""
    text = json.dumps(message)
    head, tail = text.split('"id": 1', 1)
    script = os.path.join(directory, "load.lua")
    with open(script, "w") as file:
        file.write('wrk.method = "POST"\n')
        for name, value in {**ACCEPT, **headers}.items():
            file.write(f'wrk.headers["{name}"] = "{value}"\n')
        file.write(f"wrk.body = [==[{text}]==]\n")
        file.write(f'number = 0; head = [==[{head}"id": ]==]; tail = [==[{tail}]==]\n{request}\n')
    before = cpu_seconds(server.process.pid)
    out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script,
                          f"http://127.0.0.1:{server.port}/mcp"], capture_output=True, text=True, check=True).stdout
    spent = cpu_seconds(server.process.pid) - before
    if "Non-2xx" in out:
        raise SystemExit(f"{server.name}, {era}: {out}")
    answers = int(re.search(r"(\d+) requests in", out).group(1))
    return answers, float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)), spent / answers


def echo(servers, options, directory):
    print("tools/call echo over HTTP, medians of", options.rounds, "rounds")
    print(f"{'server':24}{'era':8}{'connections':>12}{'calls/s':>10}{'CPU µs/call':>13}")
    for era in ("legacy", "modern"):
        rates = {}
        for connections in (1, 32):
            figures = {server.name: [] for server in servers}
            for _ in range(options.rounds):
                for server in servers:
                    figures[server.name].append(load(server, era, connections, options.seconds, directory))
            for server in servers:
                rate = statistics.median(figure[1] for figure in figures[server.name])
                cpu = statistics.median(figure[2] for figure in figures[server.name])
                rates[server.name] = rate
                print(f"{server.name:24}{era:8}{connections:>12}{rate:>10.0f}{cpu * 1e6:>13.1f}", flush=True)
            if len(servers) > 1:
                print(f"{'':24}{era:8}{connections:>12}{rates[servers[0].name] / rates[servers[1].name]:>9.1f} times")


def sessions(server, options):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    # The first ones fill pools and caches that every process has once.
    for _ in range(options.sessions // 5):
        server.session(connection)
    before = resident_bytes(server.process.pid)
    for _ in range(options.sessions):
        server.session(connection)
    after = resident_bytes(server.process.pid)
    print(f"{options.sessions} sessions: {(after - before) / options.sessions:.0f} bytes each "
          f"(resident {before / 2**20:.1f} to {after / 2**20:.1f} MiB)", flush=True)


def soak(server, options, directory):
    made, marks = 0, []
    while made < options.calls:
        answers, _, _ = load(server, "legacy" if len(marks) % 2 else "modern", 32, options.seconds, directory)
        made += answers
        marks.append((made, resident_bytes(server.process.pid)))
    print("resident memory over calls:", ", ".join(f"{made}: {size / 2**20:.1f} MiB" for made, size in marks))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tool-server", required=True)
    parser.add_argument("--python")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--calls", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        port = free_port()
        command = [options.tool_server, "--transport", "http", "--port", str(port), "--database",
                   os.path.join(directory, "bench.sqlite")]
        servers = [Server("tool-server", command, port)]
        try:
            # Memory first, while it is fresh.
            sessions(servers[0], options)
            if options.python:
                script = os.path.join(directory, "server.py")
                with open(script, "w") as file:
                    file.write(FASTMCP)
                port = free_port()
                servers.append(Server("FastMCP", [options.python, script, str(port)], port))
            echo(servers, options, directory)
            soak(servers[0], options, directory)
        finally:
            for server in servers:
                server.stop()


if __name__ == "__main__":
    main()
