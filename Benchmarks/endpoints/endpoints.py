#!/usr/bin/env python3
"""Measures MCP endpoints of the gateway beside its own chat API, its page, and FastMCP's proxy.

One gateway with one worker stands in front of three fixed servers of the era of `initialize` with 100 tools together, and
in front of an HTTP API (Sources/FixedUpstream is all four). Every kind of request goes to this one process, in
interleaved rounds, so that whatever else the machine does hits all of them; each request has an id of its own. CPU is user
and system time of the process per request, from /proc. Instructions are those of all its threads outside the kernel, from
valgrind, which is left out where it is not installed. Every response is looked at.

    endpoints.py --gateway PATH --upstream PATH [--fastmcp PYTHON] [--rounds N] [--seconds S] [--soak N] [--clients N]
                 [--instructions SECONDS] [--log] [--output FILE.md]
"""
import argparse
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from bench import HERE, cpu_seconds, free_port, machine, resident_bytes  # noqa: E402

FOUND = "Urgent Migration Q2"
FILE = "/assets/mcp-chat.js"
ARGUMENTS = {"model": "projects", "query": "urgent"}
TOOLS = 100
MEMBERS = 3
COOKIE = "sessionid=alice0session0cookie0000000000000"
MODERN = {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
          "io.modelcontextprotocol/clientCapabilities": {},
          "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"}}
JSON = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
LEVELS = (32, 256)


class Kind:
    """A kind of request: where it goes, and the text before and after its id. Without a body it is a GET."""

    def __init__(self, name, path, body=None, headers=None, result=FOUND):
        self.name, self.path, self.result = name, path, result
        self.headers = {"Cookie": COOKIE, **(headers or {})}
        text = json.dumps(body, separators=(",", ":")) if body else None
        self.parts = text.split('"ID"') if text else None

    def body(self, number):
        return str(number).join(self.parts).encode() if self.parts else None


class Process:
    def __init__(self, name, command, port, environment=None):
        self.name, self.port = name, port
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command, stdout=self.log, stderr=self.log, env=dict(os.environ, **(environment or {})))

    def fail(self, text):
        self.log.seek(0)
        sys.exit(f"{self.name}: {text}\n{self.log.read().decode(errors='replace')[-3000:]}")

    def request(self, kind, number=1, connection=None):
        own = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        own.request("POST" if kind.parts else "GET", kind.path, kind.body(number), kind.headers)
        response = own.getresponse()
        text = response.read().decode()
        if connection is None:
            own.close()
        return response, text

    def wait(self, kind, seconds=120):
        """Until a request of the kind is answered as it should be."""
        deadline = time.monotonic() + seconds
        problem = None
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                response, problem = self.request(kind)
                if response.status == 200 and kind.result in problem:
                    return problem
            except OSError as error:
                problem = error
            time.sleep(0.05)
        self.fail(f"{kind.name}: {problem}")

    def open_session(self, path, cookie=COOKIE, connection=None):
        """The handshake of a legacy revision; gives back the headers of the session's requests."""
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
        headers = {**JSON, "Cookie": cookie}
        opening = Kind("initialize", path, {"jsonrpc": "2.0", "id": "ID", "method": "initialize", "params": params},
                       headers)
        response, text = self.request(opening, connection=connection)
        if response.status != 200:
            self.fail(text)
        headers |= {"Mcp-Session-Id": response.headers["Mcp-Session-Id"], "MCP-Protocol-Version": "2025-11-25"}
        note = Kind("initialized", path, {"jsonrpc": "2.0", "method": "notifications/initialized"}, headers)
        self.request(note, connection=connection)
        return headers

    def load(self, kind, connections, seconds, directory):
        """One run of wrk; requests, requests per second, p99 in microseconds, CPU microseconds per request."""
        script = os.path.join(directory, "load.lua")
        with open(script, "w") as lua:
            lua.write(f'wrk.method = "{"POST" if kind.parts else "GET"}"\n')
            for name, value in kind.headers.items():
                lua.write(f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}\n")
            if kind.parts:
                lua.write("number = 1000\nparts = {" + ", ".join(f"[==[{part}]==]" for part in kind.parts) + "}\n"
                          "request = function() number = number + 1\n"
                          "  return wrk.format(nil, nil, nil, table.concat(parts, tostring(number))) end\n")
            lua.write(CHECK % json.dumps(kind.result))
        before = cpu_seconds(self.process.pid)
        run = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s", "--latency", "-s", script,
             f"http://127.0.0.1:{self.port}{kind.path}"], capture_output=True, text=True)
        cpu = cpu_seconds(self.process.pid) - before
        match = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+)", run.stdout)
        if not match:
            sys.exit(f"wrk against {self.name}, {kind.name}, failed:\n{run.stdout}\n{run.stderr}")
        requests, duration, p99, errors = map(int, match.groups())
        if errors:
            self.fail(f"{kind.name}: {errors} errors in {requests} requests")
        return {"requests": requests, "rps": requests / (duration / 1e6), "p99": p99,
                "cpu": cpu * 1e6 / max(requests, 1)}

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


# Responses of each connection are counted as wrong where they lack what is looked for.
CHECK = """
local threads = {}
bad = 0
function setup(thread) table.insert(threads, thread) end
function response(status, headers, body)
  if status ~= 200 or not body:find(%s, 1, true) then bad = bad + 1 end
end
function done(summary, latency, requests)
  local wrong = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  for _, thread in ipairs(threads) do wrong = wrong + thread:get("bad") end
  io.write(string.format("RESULT %%d %%d %%d %%d\\n", summary.requests, summary.duration, latency:percentile(99), wrong))
end
"""


class Upstreams:
    """Three servers with 100 tools together; the first is the HTTP API as well."""

    def __init__(self, options, description=0):
        self.ports = [free_port() for _ in range(MEMBERS)]
        shares = [TOOLS // MEMBERS + (1 if index < TOOLS % MEMBERS else 0) for index in range(MEMBERS)]
        self.processes = [
            subprocess.Popen([options.upstream, str(port), str(share - 1), str(description)],
                             stdout=subprocess.DEVNULL) for port, share in zip(self.ports, shares)]

    def stop(self):
        for process in self.processes:
            process.terminate()
            process.wait()


def gateway(options, directory, upstreams, prefix=()):
    document = json.loads((pathlib.Path(HERE).parent / "gateway.json").read_text())
    document["accessLog"] = options.log
    document["upstreams"] = {
        f"m{index}" if index else "tools": {"url": f"http://127.0.0.1:{port}/mcp", "trusted": True}
        for index, port in enumerate(upstreams.ports)}
    properties = {name: {"type": "string"} for name in ARGUMENTS}
    document["upstreams"]["api"] = {
        "kind": "http", "url": f"http://127.0.0.1:{upstreams.ports[0]}/api", "trusted": True,
        "tools": {"search_api": {
            "method": "GET", "path": "/{model}", "query": {"query": "{query}"}, "description": "Search",
            "inputSchema": {"type": "object", "properties": properties, "required": list(properties)},
            "annotations": {"readOnlyHint": True}}}}
    members = {f"m{index}" if index else "tools": {"prefix": f"m{index}_" if index else ""}
               for index in range(MEMBERS)}
    document["mcp"] = {"endpoints": {"/mcp/": {"upstreams": members}, "/mcp-api/": {"upstreams": {"api": {}}}}}
    path = os.path.join(directory, f"gateway-{free_port()}.json")
    with open(path, "w") as file:
        json.dump(document, file)
    port = free_port()
    return Process("gateway", [*prefix, options.gateway, "--config", path, "--listen", f"127.0.0.1:{port}",
                               "--admin", "off"], port, {"GATEWAY_WORKERS": "1"})


def call(tool, meta=None):
    params = {"name": tool, "arguments": ARGUMENTS}
    if meta:
        params["_meta"] = meta
    return {"jsonrpc": "2.0", "id": "ID", "method": "tools/call", "params": params}


def modern(name, path, tool):
    return Kind(name, path, call(tool, MODERN), {
        **JSON, "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool})


def kinds(process):
    """The kinds of request, the one that the others are compared with first."""
    chat = Kind("chat API", "/api/chat/", {"type": "search_any", **ARGUMENTS},
                {"Content-Type": "application/json", "Accept": "application/json"})
    process.wait(chat)
    listing = Kind("tools/list, 100 tools", "/mcp/", {
        "jsonrpc": "2.0", "id": "ID", "method": "tools/list", "params": {"_meta": MODERN}},
        {**JSON, "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list"}, result="m2_tool_30")
    process.wait(listing)
    found = [chat, modern("tools/call, modern client", "/mcp/", "search_any"),
             Kind("tools/call, legacy client", "/mcp/", call("search_any"), process.open_session("/mcp/")),
             modern("tools/call, HTTP API's tool", "/mcp-api/", "search_api"), listing,
             Kind("page's file", FILE, result="mcp-chat")]
    for kind in found:
        process.wait(kind)
    return found


# What is compared with what, and how many times as much it may cost.
PAIRS = ((1, 0, 1.3), (2, 0, 1.3), (3, 1, 1.3), (4, 5, 1.5))


def cpu_table(process, options, directory):
    found = kinds(process)
    for kind in found:
        process.load(kind, 32, 1, directory)
    figures = {}
    for _ in range(options.rounds):
        for connections in LEVELS:
            for kind in found:
                figures.setdefault((kind.name, connections), []).append(
                    process.load(kind, connections, options.seconds, directory))
    lines = ["| | CPU µs c=32 | c=256 | requests/s c=32 | p99 ms c=256 |", "|---|---|---|---|---|"]
    median = lambda name, connections, key: statistics.median(run[key] for run in figures[(name, connections)])
    for kind in found:
        lines.append(f"| {kind.name} | {median(kind.name, 32, 'cpu'):.1f} | {median(kind.name, 256, 'cpu'):.1f} "
                     f"| {median(kind.name, 32, 'rps'):,.0f} | {median(kind.name, 256, 'p99') / 1000:.1f} |")
    lines += ["", "Medians of the rounds' own ratios:", "", "| | goal | CPU c=32 | c=256 |", "|---|---|---|---|"]
    for mine, other, goal in PAIRS:
        cells = []
        for connections in LEVELS:
            pairs = zip(figures[(found[mine].name, connections)], figures[(found[other].name, connections)])
            cells.append(f"{statistics.median(a['cpu'] / b['cpu'] for a, b in pairs):.2f}")
        lines.append(f"| {found[mine].name} / {found[other].name} | {goal} | " + " | ".join(cells) + " |")
    return "\n".join(lines), found


def instructions(options, directory, upstreams):
    """Instructions of each kind of request, and their ratios."""
    if not (options.instructions and shutil.which("valgrind")):
        return ""
    # valgrind cannot read Swift's debugging information.
    stripped = argparse.Namespace(**vars(options))
    stripped.gateway = os.path.join(directory, "gateway")
    subprocess.run(["objcopy", "--strip-debug", options.gateway, stripped.gateway], check=True)
    output = os.path.join(directory, "callgrind.out")
    process = gateway(stripped, directory, upstreams,
                      ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={output}"])
    control = lambda *arguments: subprocess.run(
        ["callgrind_control", *arguments, str(process.process.pid)], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, check=True)
    counts, dumps = {}, 0
    try:
        found = kinds(process)
        for kind in found:
            process.load(kind, 32, 2, directory)
            control("--instr=on")
            # Translates the code, which is thrown away when the counting begins.
            process.load(kind, 32, 1, directory)
            control("--zero")
            requests = process.load(kind, 32, options.instructions, directory)["requests"]
            control("--dump=" + str(dumps))
            control("--instr=off")
            dumps += 1
            with open(f"{output}.{dumps}") as file:
                text = file.read()
            counts[kind.name] = int(re.search(r"^(?:totals|summary): (\d+)", text, re.M).group(1)) / requests
            if options.keep:
                shutil.copy(f"{output}.{dumps}", os.path.join(
                    options.keep, "callgrind.out." + re.sub(r"[^a-z]+", "-", kind.name.lower())))
    finally:
        process.stop()
    lines = ["| | instructions | goal | times |", "|---|---|---|---|"]
    ratios = {mine: (other, goal) for mine, other, goal in PAIRS}
    for index, kind in enumerate(found):
        other, goal = ratios.get(index, (None, ""))
        times = f"{counts[kind.name] / counts[found[other].name]:.2f}" if other is not None else ""
        lines.append(f"| {kind.name} | {counts[kind.name]:,.0f} | {goal} | {times} |")
    return "\n".join(lines)


FASTMCP = """
import sys
from fastmcp import FastMCP
ports = sys.argv[2:]
config = {"mcpServers": {f"m{index}": {"url": f"http://127.0.0.1:{port}/mcp", "transport": "http"}
                         for index, port in enumerate(ports)}}
try:
    from fastmcp.server import create_proxy
    proxy = create_proxy(config, name="proxy")
except ImportError:
    proxy = FastMCP.as_proxy(config, name="proxy")
proxy.run(transport="http", host="127.0.0.1", port=int(sys.argv[1]), json_response=True, show_banner=False,
          uvicorn_config={"access_log": False, "log_level": "error"})
"""


def fastmcp(options, directory, upstreams, process, kind):
    """Calls per second of FastMCP's proxy over the same servers, and the gateway's beside it."""
    if not options.fastmcp:
        return ""
    script = os.path.join(directory, "proxy.py")
    with open(script, "w") as file:
        file.write(FASTMCP)
    port = free_port()
    proxy = Process("FastMCP's proxy", [options.fastmcp, script, str(port), *map(str, upstreams.ports)], port)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                headers = proxy.open_session("/mcp")
                break
            except OSError:
                if time.monotonic() > deadline or proxy.process.poll() is not None:
                    proxy.fail("did not start")
                time.sleep(0.2)
        theirs = Kind("tools/call", "/mcp", call("m0_search_any"), headers)
        proxy.wait(theirs)
        runs = []
        # Long enough for the proxy to answer more than a few calls.
        seconds = max(10, options.seconds)
        for _ in range(options.rounds):
            runs.append((process.load(kind, 32, options.seconds, directory),
                         proxy.load(theirs, 32, seconds, directory)))
        if not all(other["requests"] for _, other in runs):
            return f"FastMCP's proxy answered no call within {seconds} s."
    finally:
        proxy.stop()
    rate = lambda side: statistics.median(run[side]["rps"] for run in runs)
    cpu = lambda side: statistics.median(run[side]["cpu"] for run in runs)
    times = statistics.median(ours["rps"] / other["rps"] for ours, other in runs)
    return "\n".join([
        "| over the same three servers, legacy client, c=32 | calls/s | CPU µs/call |", "|---|---|---|",
        f"| gateway's endpoint | {rate(0):,.0f} | {cpu(0):,.1f} |",
        f"| FastMCP's proxy | {rate(1):,.0f} | {cpu(1):,.0f} |", f"| times (goal 40) | {times:.0f} | |"])


SOAK = """
local number = 1000
local sessions = {}
for line in io.lines(%s) do
  local cookie, session = line:match("(%%S+) (%%S+)")
  table.insert(sessions, {cookie, session})
end
local legacy, modern = {%s}, {%s}
function request()
  number = number + 1
  local client = sessions[number %% #sessions + 1]
  local headers = {["Content-Type"] = "application/json", ["Accept"] = "application/json, text/event-stream",
                   ["Cookie"] = client[1]}
  local parts = legacy
  if number %% 2 == 0 then
    headers["Mcp-Session-Id"] = client[2]
    headers["MCP-Protocol-Version"] = "2025-11-25"
  else
    parts = modern
    headers["MCP-Protocol-Version"] = "2026-07-28"
    headers["Mcp-Method"] = "tools/call"
    headers["Mcp-Name"] = "search_any"
  end
  return wrk.format("POST", nil, headers, table.concat(parts, tostring(number)))
end
"""


def soak(options, directory, upstreams):
    """Memory of a fresh gateway over the calls of many clients, each with credentials and a session of its own."""
    if not options.soak:
        return ""
    process = gateway(options, directory, upstreams)
    try:
        kinds(process)
        clients = os.path.join(directory, "clients")
        connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=60)
        # An odd number, so that every client makes calls of both eras.
        with open(clients, "w") as file:
            for number in range(options.clients | 1):
                cookie = f"sessionid=client{number:06}0session0cookie00"
                file.write(f"{cookie} {process.open_session('/mcp/', cookie, connection)['Mcp-Session-Id']}\n")
        connection.close()
        text = lambda body: ", ".join(
            f"[==[{part}]==]" for part in json.dumps(body, separators=(",", ":")).split('"ID"'))
        script = os.path.join(directory, "soak.lua")
        with open(script, "w") as lua:
            lua.write(SOAK % (json.dumps(clients), text(call("search_any")), text(call("search_any", MODERN))))
            lua.write(CHECK % json.dumps(FOUND))
        made, marks = 0, []
        while made < options.soak:
            run = subprocess.run(
                ["wrk", "-t1", "-c64", "-d10s", "--timeout", "60s", "-s", script,
                 f"http://127.0.0.1:{process.port}/mcp/"], capture_output=True, text=True)
            match = re.search(r"RESULT (\d+) \d+ \d+ (\d+)", run.stdout)
            if not match or int(match.group(2)):
                process.fail(f"soak: {run.stdout}{run.stderr}")
            made += int(match.group(1))
            marks.append((made, resident_bytes(process.process.pid)))
    finally:
        process.stop()
    half = next(size for count, size in marks if count >= options.soak / 2)
    return "\n".join([
        "| memory over the calls of many clients | |", "|---|---|", f"| clients | {options.clients | 1:,} |",
        f"| after {marks[0][0]:,} calls | {marks[0][1] / 1e6:.1f} MB |",
        f"| after half of {made:,} | {half / 1e6:.1f} MB |", f"| after all | {marks[-1][1] / 1e6:.1f} MB |"])


def importing(options, directory, megabytes=3):
    """Time of `gateway import openapi` for a document of that size, always the same."""
    dice = random.Random(17)
    words = ("order invoice customer item status total amount address shipment payment product account region note line "
             "discount currency contact project ticket").split()
    phrase = lambda count: " ".join(dice.choice(words) for _ in range(count))

    def schema(depth):
        roll = dice.random()
        if depth == 0 or roll < 0.5:
            return {"type": dice.choice(["string", "integer", "number", "boolean"]), "description": phrase(6)}
        if roll < 0.65:
            return {"type": "array", "items": schema(depth - 1)}
        if roll < 0.75:
            return {"$ref": f"#/components/schemas/S{dice.randrange(200)}"}
        names = dice.sample(words, dice.randrange(2, 7))
        return {"type": "object", "properties": {name: schema(depth - 1) for name in names}, "required": names[:2]}

    document = {"openapi": "3.0.3", "info": {"title": "Large", "version": "1"}, "paths": {},
                "servers": [{"url": "https://api.example.com/v1"}],
                "components": {"schemas": {f"S{index}": {"type": "object", "properties": {
                    name: schema(2) for name in dice.sample(words, 5)}} for index in range(200)}}}
    size = 0
    while size < megabytes * 1_000_000:
        number = len(document["paths"])
        path = {"get": {"operationId": f"get_{number}", "summary": phrase(8), "description": phrase(40),
                        "parameters": [{"name": name, "in": "query", "schema": schema(0), "description": phrase(10)}
                                       for name in dice.sample(words, 4)],
                        "responses": {"200": {"description": "ok", "content": {"application/json": {
                            "schema": schema(3)}}}}},
                "post": {"operationId": f"post_{number}", "summary": phrase(8), "description": phrase(40),
                         "requestBody": {"content": {"application/json": {"schema": schema(3)}}},
                         "responses": {"200": {"description": "ok", "content": {"application/json": {
                             "schema": schema(3)}}}}}}
        document["paths"][f"/{dice.choice(words)}/{number}"] = path
        size += len(json.dumps(path))
    path = os.path.join(directory, "large.json")
    with open(path, "w") as file:
        json.dump(document, file)
    times = []
    for _ in range(3):
        started = time.monotonic()
        run = subprocess.run([options.gateway, "import", "openapi", path, "--upstream", "crm"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        times.append(time.monotonic() - started)
        tools = len(json.loads(run.stdout)["upstreams"]["crm"]["tools"])
        if run.returncode or tools < len(document["paths"]):
            sys.exit(f"import: {run.stderr.decode()[-2000:]}")
    return "\n".join([
        "| `gateway import openapi` | |", "|---|---|", f"| document | {os.path.getsize(path) / 1e6:.1f} MB |",
        f"| tools made of it | {tools:,} |", f"| seconds (goal 2) | {statistics.median(times):.2f} |"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gateway", required=True)
    parser.add_argument("--upstream", required=True, help="the executable FixedUpstream")
    parser.add_argument("--fastmcp", help="a Python that has fastmcp; without it the proxy is left out")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="length of each run")
    parser.add_argument("--soak", type=int, default=100_000, help="calls for the gateway's memory; 0: none")
    parser.add_argument("--clients", type=int, default=1000, help="clients that make them")
    parser.add_argument("--instructions", type=int, default=4, help="seconds of counting for each kind; 0: none")
    parser.add_argument("--keep", help="a directory for valgrind's profiles")
    parser.add_argument("--log", action="store_true", help="with the access log")
    parser.add_argument("--output", help="a Markdown file to write the tables to")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="endpoints-") as directory:
        # The list is as large as the page's file with which it is compared.
        plain = Upstreams(options)
        probe = gateway(options, directory, plain)
        found = kinds(probe)
        length = lambda kind: len(probe.request(kind)[1])
        missing = max(0, length(found[5]) - length(found[4])) // (TOOLS - MEMBERS)
        probe.stop()
        plain.stop()
        upstreams = Upstreams(options, missing)
        process = gateway(options, directory, upstreams)
        try:
            sections = []

            def add(section):
                if section:
                    print(section + "\n", flush=True)
                    sections.append(section)

            add(machine(options))
            table, found = cpu_table(process, options, directory)
            add(table)
            add(f"The list has {len(process.request(found[4])[1]):,} bytes, the page's file "
                f"{len(process.request(found[5])[1]):,}.")
            add(instructions(options, directory, upstreams))
            add(importing(options, directory))
            add(soak(options, directory, upstreams))
            add(fastmcp(options, directory, upstreams, process, found[2]))
        finally:
            process.stop()
            upstreams.stop()
    text = "\n\n".join(sections)
    if options.output:
        with open(options.output, "w") as file:
            file.write("# MCP endpoints\n\nWritten by `make bench-endpoints`.\n\n" + text + "\n")


if __name__ == "__main__":
    main()
