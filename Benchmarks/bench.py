#!/usr/bin/env python3
"""Measures the gateway beside nginx, nginx with njs, Envoy and mcpo, in one run on one machine.

All stand in front of the same fixed upstream (Sources/FixedUpstream), one worker each, access log and tracing off. The
runs are interleaved: each round loads every proxy in turn, so that a noisy neighbour hits all of them. Figures are
medians over the rounds. CPU is user and system time of the proxy's process tree per request, from /proc: it is the
figure that survives noise.

Afterwards, of the gateway alone: from start to ready, what an idle keep-alive connection costs, allocations per request,
and its memory over --soak requests. Last come the micro-benchmarks.

    bench.py --gateway PATH --upstream PATH [--envoy PATH] [--mcpo PATH] [--micro PATH] [--malloc-count PATH.so]
             [--rounds N] [--seconds S] [--soak N] [--output FILE.md]
"""
import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

PAYLOAD = '{"type":"search_any","model":"projects","query":"urgent"}'
CALL = ('{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"search_any",'
        '"arguments":{"model":"projects","query":"urgent"}}}')
COOKIE = "sessionid=alice0session0cookie0000000000000"
TICKS = os.sysconf("SC_CLK_TCK")
HERE = os.path.dirname(os.path.abspath(__file__))


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def process_tree(pid):
    """The process and everything below it."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as stat:
                    parent = int(stat.read().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry))
    found, queue = [], [pid]
    while queue:
        current = queue.pop()
        found.append(current)
        queue += children.get(current, [])
    return found


def cpu_seconds(pid):
    total = 0
    for member in process_tree(pid):
        try:
            with open(f"/proc/{member}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def resident_bytes(pid, key="VmRSS"):
    total = 0
    for member in process_tree(pid):
        try:
            with open(f"/proc/{member}/status") as status:
                match = re.search(key + r":\s+(\d+) kB", status.read())
        except OSError:
            continue
        total += int(match.group(1)) * 1024 if match else 0
    return total


class Proxy:
    """One proxy under test: how it is started, and where and what is posted to it."""

    headers = {"Content-Type": "application/json", "Accept": "application/json", "Cookie": COOKIE}
    # What of the answers counts as an error beside wrk's own, in Lua.
    script = "function wrong() return 0 end\n"

    def __init__(self, name, command, port, path, body, environment=None, directory=None, admin=None):
        self.name, self.port, self.path, self.body, self.admin = name, port, path, body, admin
        self.log = tempfile.TemporaryFile()
        started = time.monotonic()
        self.process = subprocess.Popen(
            command, stdout=self.log, stderr=self.log, cwd=directory, env=dict(os.environ, **(environment or {})))
        self.wait(started)

    def wait(self, started):
        deadline = started + 60
        if self.admin:
            self.ready_milliseconds = self.until_ready(started, deadline)
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                request = urllib.request.Request(
                    f"http://127.0.0.1:{self.port}{self.path}", data=self.body.encode(), headers=self.headers)
                with urllib.request.urlopen(request, timeout=5) as response:
                    answer = response.read().decode()
                if "Urgent Migration Q2" in answer:
                    return
            except OSError:
                pass
            time.sleep(0.005)
        self.log.seek(0)
        sys.exit(f"{self.name} did not start:\n{self.log.read().decode()[-3000:]}")

    def until_ready(self, started, deadline):
        """Milliseconds from the start of the process to the first 200 of /readyz."""
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/readyz", timeout=5):
                    return (time.monotonic() - started) * 1000
            except OSError:
                time.sleep(0.001)
        return float("inf")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def load(self, connections, seconds, directory):
        """One run of wrk; requests per second, p50 and p99 in microseconds, CPU microseconds per request."""
        script = os.path.join(directory, "post.lua")
        with open(script, "w") as lua:
            lua.write('wrk.method = "POST"\n')
            lua.write(f"wrk.body = {json.dumps(self.body)}\n")
            for name, value in self.headers.items():
                lua.write(f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}\n")
            lua.write(self.script)
            lua.write('done = function(summary, latency, requests)\n'
                      '  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration,'
                      ' latency:percentile(50), latency:percentile(99),'
                      ' summary.errors.status + summary.errors.connect + summary.errors.read'
                      ' + summary.errors.write + summary.errors.timeout + wrong()))\nend\n')
        before = cpu_seconds(self.process.pid)
        run = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script,
             f"http://127.0.0.1:{self.port}{self.path}"], capture_output=True, text=True)
        cpu = cpu_seconds(self.process.pid) - before
        match = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", run.stdout)
        if not match:
            sys.exit(f"wrk against {self.name} failed:\n{run.stdout}\n{run.stderr}")
        requests, duration, p50, p99, errors = map(int, match.groups())
        return {"rps": requests / (duration / 1e6), "p50": p50, "p99": p99, "cpu": cpu * 1e6 / max(requests, 1),
                "errors": errors, "requests": requests}


NGINX = """
worker_processes 1;
daemon off;
pid {directory}/nginx-{port}.pid;
error_log stderr warn;
{modules}
events {{ worker_connections 4096; }}
http {{
    access_log {log};
    client_body_temp_path {directory}/body-{port};
    proxy_temp_path {directory}/proxy-{port};
    fastcgi_temp_path {directory}/fastcgi-{port};
    uwsgi_temp_path {directory}/uwsgi-{port};
    scgi_temp_path {directory}/scgi-{port};
    keepalive_requests 100000000;
    upstream fixed {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 100000000; }}
    {http}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        {server}
    }}
}}
"""

PROXY_PASS = """
        location / {
            proxy_pass http://fixed;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
"""

NJS_SERVER = """
        client_body_buffer_size 64k;
        subrequest_output_buffer_size 64k;
        location /api/chat/ { js_content translate.chat; }
        location = /upstream {
            internal;
            proxy_pass http://fixed/mcp;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Mcp-Session-Id fixed-session;
        }
"""

NJS = """
let id = 0;
async function chat(r) {
    let payload;
    try { payload = JSON.parse(r.requestText); } catch (e) { r.return(400, "Invalid JSON"); return; }
    if (payload.type !== "search_any") { r.return(400, "Unknown type: " + payload.type); return; }
    if (!payload.model || !payload.query) { r.return(400, "Missing model or query"); return; }
    const call = {jsonrpc: "2.0", id: ++id, method: "tools/call",
                  params: {name: "search_any", arguments: {model: payload.model, query: payload.query}}};
    const reply = await r.subrequest("/upstream", {method: "POST", body: JSON.stringify(call)});
    if (reply.status !== 200) { r.return(502, '{"error": "MCP error"}'); return; }
    const message = JSON.parse(reply.responseText);
    if (message.id !== call.id || !message.result) { r.return(502, '{"error": "MCP error"}'); return; }
    r.headersOut["Content-Type"] = "application/json";
    r.return(200, JSON.stringify({type: "search_any", replies: message.result.structuredContent.results}));
}
export default {chat};
"""

ENVOY = """
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{match: {{prefix: "/"}}, route: {{cluster: fixed}}}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: fixed
    type: STATIC
    circuit_breakers: {{thresholds: [{{max_connections: 4096, max_pending_requests: 4096, max_requests: 4096}}]}}
    load_assignment:
      cluster_name: fixed
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {upstream}}}}}}}
"""


def nginx(name, options, directory, upstream, path, body, modules="", http="", server=PROXY_PASS):
    port = free_port()
    configuration = os.path.join(directory, f"nginx-{port}.conf")
    with open(configuration, "w") as file:
        file.write(NGINX.format(directory=directory, port=port, upstream=upstream, modules=modules, http=http,
                                server=server, log=f"{directory}/access-{port}.log" if options.log else "off"))
    return Proxy(name, ["nginx", "-p", directory, "-c", configuration], port, path, body)


def gateway(options, directory, upstream, environment=None):
    port, admin = free_port(), free_port()
    configuration = os.path.join(directory, "gateway.json")
    with open(os.path.join(HERE, "..", "gateway.json")) as file:
        settings = json.load(file)
    settings["accessLog"] = options.log
    settings["upstreams"]["tools"]["url"] = f"http://127.0.0.1:{upstream}/mcp"
    with open(configuration, "w") as file:
        json.dump(settings, file)
    return Proxy("gateway (translating)",
                 [options.gateway, "--config", configuration, "--listen", f"127.0.0.1:{port}", "--admin",
                  f"127.0.0.1:{admin}"],
                 port, "/api/chat/", PAYLOAD, dict(environment or {}, GATEWAY_WORKERS="1"), admin=admin)


def proxies(options, directory, upstream):
    yield gateway(options, directory, upstream)
    if shutil.which("nginx"):
        yield nginx("nginx proxy_pass", options, directory, upstream, "/mcp", CALL)
        if os.path.exists("/usr/lib/nginx/modules/ngx_http_js_module.so"):
            with open(os.path.join(directory, "translate.js"), "w") as file:
                file.write(NJS)
            yield nginx("nginx + njs (translating)", options, directory, upstream, "/api/chat/", PAYLOAD,
                        "load_module /usr/lib/nginx/modules/ngx_http_js_module.so;",
                        f"js_path {directory}; js_import translate from translate.js;", NJS_SERVER)
    if options.envoy:
        port = free_port()
        configuration = os.path.join(directory, "envoy.yaml")
        with open(configuration, "w") as file:
            file.write(ENVOY.format(port=port, upstream=upstream))
        yield Proxy("Envoy (plain)", [options.envoy, "-c", configuration, "--concurrency", "1", "-l", "error",
                                      "--disable-hot-restart"], port, "/mcp", CALL)
    if options.mcpo:
        port = free_port()
        yield Proxy("mcpo 0.0.20 (translating)",
                    [options.mcpo, "--port", str(port), "--host", "127.0.0.1", "--server-type", "streamable-http",
                     "--", f"http://127.0.0.1:{upstream}/mcp"],
                    port, "/search_any", '{"model":"projects","query":"urgent"}')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gateway", required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--envoy")
    parser.add_argument("--mcpo")
    parser.add_argument("--log", action="store_true", help="with access logs, of the gateway and of nginx")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="length of each run")
    parser.add_argument("--soak", type=int, default=1_000_000, help="requests for the gateway's memory; 0: none")
    parser.add_argument("--micro", help="the executable Microbenchmarks")
    parser.add_argument("--malloc-count", help="libMallocCount.so")
    parser.add_argument("--output", help="a Markdown file to write the tables to")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        os.chmod(directory, 0o755)
        upstream_port = free_port()
        upstream = subprocess.Popen([options.upstream, str(upstream_port)], stdout=subprocess.DEVNULL)
        running = []
        try:
            for proxy in proxies(options, directory, upstream_port):
                running.append(proxy)
            figures = measure(running, options, directory, LEVELS)
            sections = [machine(options), report(figures, running), ratios(figures, running)]
            for proxy in running:
                proxy.stop()
            running = []
            sections += [alone(options, directory, upstream_port), micro(options)]
        finally:
            for proxy in running:
                proxy.stop()
            upstream.terminate()
        text = "\n\n".join(section for section in sections if section)
        print(text)
        if options.output:
            with open(options.output, "w") as file:
                file.write("# Results\n\nWritten by `make bench`.\n\n" + text + "\n")


def machine(options):
    with open("/proc/cpuinfo") as file:
        model = re.search(r"model name\s*:\s*(.*)", file.read())
    return (f"{os.cpu_count()} cores ({model.group(1) if model else 'unknown'}) that the proxy, the upstream and wrk "
            f"share, Linux {os.uname().release.split('-')[0]}. Medians of {options.rounds} interleaved rounds of "
            f"{options.seconds} s.")


def measure(running, options, directory, levels):
    """The runs of each proxy at each level of connections, after one run to warm up."""
    figures = {}
    for proxy in running:
        proxy.load(32, 2, directory)
    for _ in range(options.rounds):
        for connections in levels:
            for proxy in running:
                figures.setdefault((proxy.name, connections), []).append(
                    proxy.load(connections, options.seconds, directory))
    return figures


LEVELS = (1, 32, 256)


def median(figures, name, connections, key):
    return statistics.median(run[key] for run in figures[(name, connections)])


def report(figures, running):
    lines = ["| | CPU µs/request c=32 | c=256 | requests/s c=32 | p50 µs c=1 | p99 ms c=256 | peak memory | errors |",
             "|---|---|---|---|---|---|---|---|"]
    for proxy in running:
        name = proxy.name
        errors = sum(run["errors"] for connections in LEVELS for run in figures[(name, connections)])
        lines.append(
            f"| {name} | {median(figures, name, 32, 'cpu'):.1f} | {median(figures, name, 256, 'cpu'):.1f} "
            f"| {median(figures, name, 32, 'rps'):,.0f} | {median(figures, name, 1, 'p50'):.0f} "
            f"| {median(figures, name, 256, 'p99') / 1000:.1f} "
            f"| {resident_bytes(proxy.process.pid, 'VmHWM') / 1e6:.0f} MB | {errors} |")
    return "\n".join(lines)


def ratios(figures, running):
    """The gateway to each of the others: the medians of the rounds' own ratios, which drift of the machine leaves alone."""
    lines = ["The gateway's figures divided by each peer's:", "",
             "| | CPU c=32 | CPU c=256 | requests/s c=32 | p50 c=1 | p99 c=256 |", "|---|---|---|---|---|---|"]
    ours = running[0].name
    for proxy in running[1:]:
        cells = []
        for connections, key in ((32, "cpu"), (256, "cpu"), (32, "rps"), (1, "p50"), (256, "p99")):
            pairs = zip(figures[(ours, connections)], figures[(proxy.name, connections)])
            ratio = statistics.median(mine[key] / max(theirs[key], 1e-9) for mine, theirs in pairs)
            cells.append(f"{ratio:.2f}" if ratio < 20 else f"{ratio:.0f}")
        lines.append(f"| {proxy.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def alone(options, directory, upstream):
    """What one gateway costs by itself. A fresh one for each figure: what a load has left behind would hide others."""
    lines = ["Of the gateway alone:", "", "| | |", "|---|---|"]
    starts = []
    for _ in range(5):
        fresh = gateway(options, directory, upstream)
        starts.append(fresh.ready_milliseconds)
        if len(starts) < 5:
            fresh.stop()
    lines.append(f"| from start to ready | {statistics.median(starts):.0f} ms |")
    try:
        before = resident_bytes(fresh.process.pid)
        lines.append(f"| memory at rest after start | {before / 1e6:.1f} MB |")
        each = idle_connection(fresh, before)
        lines.append(f"| an idle keep-alive connection that has served a request | {each / 1024:.1f} KiB |")
    finally:
        fresh.stop()
    if options.soak:
        lines += soak(options, directory, upstream)
    if options.malloc_count:
        lines.append(f"| allocations per request | {allocations(options, directory, upstream):.1f} |")
    return "\n".join(lines)


def idle_connection(proxy, before, count=2000):
    request = (f"POST {proxy.path} HTTP/1.1\r\nHost: localhost\r\nCookie: {COOKIE}\r\n"
               f"Content-Length: {len(proxy.body)}\r\n\r\n{proxy.body}").encode()
    connections = []
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", proxy.port))
        # Each has served a request: connections that never spoke cost less.
        connection.sendall(request)
        connection.recv(65536)
        connections.append(connection)
    each = (resident_bytes(proxy.process.pid) - before) / count
    for connection in connections:
        connection.close()
    return each


def soak(options, directory, upstream):
    """Memory after half of the requests and after all of them."""
    proxy = gateway(options, directory, upstream)
    try:
        sent, errors, half = 0, 0, None
        while sent < options.soak:
            run = proxy.load(32, 5, directory)
            sent += run["requests"]
            errors += run["errors"]
            if half is None and sent >= options.soak / 2:
                half = resident_bytes(proxy.process.pid)
        whole, peak = resident_bytes(proxy.process.pid), resident_bytes(proxy.process.pid, "VmHWM")
    finally:
        proxy.stop()
    return [f"| memory after half of {sent:,} requests, after all, at most | {half / 1e6:.1f}, {whole / 1e6:.1f}, "
            f"{peak / 1e6:.1f} MB |",
            f"| errors among them | {errors} |"]


def allocations(options, directory, upstream):
    """Counted in a gateway of its own, since counting takes time."""
    path = os.path.join(directory, "malloc-count")
    proxy = gateway(options, directory, upstream,
                    {"LD_PRELOAD": os.path.abspath(options.malloc_count), "MALLOC_COUNT_FILE": path})

    def count():
        with open(path, "rb") as file:
            return int.from_bytes(file.read(8), sys.byteorder)

    try:
        proxy.load(32, 1, directory)
        before = count()
        run = proxy.load(32, 2, directory)
        return (count() - before) / run["requests"]
    finally:
        proxy.stop()


def micro(options):
    if not options.micro:
        return ""
    environment = dict(os.environ)
    if options.malloc_count:
        environment["LD_PRELOAD"] = os.path.abspath(options.malloc_count)
    run = subprocess.run([options.micro, os.path.join(HERE, "..", "gateway.json")], capture_output=True, text=True,
                         env=environment)
    if run.returncode != 0:
        sys.exit(f"the micro-benchmarks failed:\n{run.stdout}{run.stderr}")
    return "The parts of the hot path that read and write text, one turn of each:\n\n" + run.stdout.strip()


if __name__ == "__main__":
    main()
