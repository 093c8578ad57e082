#!/usr/bin/env python3
"""Measures the gateway beside nginx, nginx with njs, Envoy and mcpo, in one run on one machine.

All stand in front of the same fixed upstream (Sources/FixedUpstream), one worker each, access log and tracing off. The
runs are interleaved: each round loads every proxy in turn, so that a noisy neighbour hits all of them. Figures are
medians over the rounds. CPU is user and system time of the proxy's process tree per request, from /proc: it is the
figure that survives noise.

Afterwards, of the gateway alone: what an idle keep-alive connection costs, how long it takes from start to ready, and,
with --soak, its memory over that many requests.

    bench.py --gateway PATH --upstream PATH [--envoy PATH] [--mcpo PATH] [--micro PATH] [--rounds N] [--seconds S]
             [--soak N] [--output FILE.md]
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
                    f"http://127.0.0.1:{self.port}{self.path}", data=self.body.encode(),
                    headers={"Content-Type": "application/json", "Cookie": COOKIE,
                             "Accept": "application/json, text/event-stream"})
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
            lua.write('wrk.headers["Content-Type"] = "application/json"\n')
            lua.write('wrk.headers["Accept"] = "application/json"\n')
            lua.write(f'wrk.headers["Cookie"] = "{COOKIE}"\n')
            lua.write('done = function(summary, latency, requests)\n'
                      '  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration,'
                      ' latency:percentile(50), latency:percentile(99),'
                      ' summary.errors.status + summary.errors.connect + summary.errors.read'
                      ' + summary.errors.write + summary.errors.timeout))\nend\n')
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
    access_log off;
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


def nginx(name, directory, upstream, path, body, modules="", http="", server=PROXY_PASS):
    port = free_port()
    configuration = os.path.join(directory, f"nginx-{port}.conf")
    with open(configuration, "w") as file:
        file.write(NGINX.format(directory=directory, port=port, upstream=upstream, modules=modules, http=http,
                                server=server))
    return Proxy(name, ["nginx", "-p", directory, "-c", configuration], port, path, body)


def gateway(options, directory, upstream):
    port, admin = free_port(), free_port()
    configuration = os.path.join(directory, "gateway.json")
    with open(os.path.join(HERE, "..", "gateway.json")) as file:
        settings = json.load(file)
    settings["accessLog"] = False
    settings["upstreams"]["tools"]["url"] = f"http://127.0.0.1:{upstream}/mcp"
    with open(configuration, "w") as file:
        json.dump(settings, file)
    return Proxy("gateway (translating)",
                 [options.gateway, "--config", configuration, "--listen", f"127.0.0.1:{port}", "--admin",
                  f"127.0.0.1:{admin}"],
                 port, "/api/chat/", PAYLOAD, {"GATEWAY_WORKERS": "1"}, admin=admin)


def proxies(options, directory, upstream):
    yield gateway(options, directory, upstream)
    if shutil.which("nginx"):
        yield nginx("nginx proxy_pass", directory, upstream, "/mcp", CALL)
        if os.path.exists("/usr/lib/nginx/modules/ngx_http_js_module.so"):
            with open(os.path.join(directory, "translate.js"), "w") as file:
                file.write(NJS)
            yield nginx("nginx + njs (translating)", directory, upstream, "/api/chat/", PAYLOAD,
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
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--micro", help="the executable Microbenchmarks")
    parser.add_argument("--output", help="a Markdown file to write the tables to")
    parser.add_argument("--soak", type=int, default=0, help="requests to send to the gateway at the end, for its memory")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        os.chmod(directory, 0o755)
        upstream_port = free_port()
        upstream = subprocess.Popen([options.upstream, str(upstream_port)], stdout=subprocess.DEVNULL)
        running = []
        try:
            for proxy in proxies(options, directory, upstream_port):
                running.append(proxy)
            text = report(measure(running, options, directory), running)
            text += "\n\n" + alone(options, directory, upstream_port)
            if options.soak:
                text += "\n" + soak(running[0], options.soak, directory)
            if options.micro:
                settings = os.path.join(HERE, "..", "gateway.json")
                text += "\n\n" + subprocess.run(
                    [options.micro, settings], capture_output=True, text=True, check=True).stdout.strip()
            print(text)
            if options.output:
                with open(options.output, "w") as file:
                    file.write(text + "\n")
        finally:
            for proxy in running:
                proxy.stop()
            upstream.terminate()


def measure(running, options, directory):
    figures = {}
    for proxy in running:
        proxy.load(32, 2, directory)
    for _ in range(options.rounds):
        for connections in (1, 32, 256):
            for proxy in running:
                figures.setdefault((proxy.name, connections), []).append(
                    proxy.load(connections, options.seconds, directory))
    return figures


def report(figures, running):
    def median(name, connections, key):
        return statistics.median(run[key] for run in figures[(name, connections)])

    lines = ["| | CPU µs/request c=32 | c=256 | requests/s c=32 | p50 µs c=1 | p99 ms c=256 | peak memory | errors |",
             "|---|---|---|---|---|---|---|---|"]
    for proxy in running:
        name = proxy.name
        errors = sum(run["errors"] for connections in (1, 32, 256) for run in figures[(name, connections)])
        lines.append(
            f"| {name} | {median(name, 32, 'cpu'):.1f} | {median(name, 256, 'cpu'):.1f} "
            f"| {median(name, 32, 'rps'):,.0f} | {median(name, 1, 'p50'):.0f} | {median(name, 256, 'p99') / 1000:.1f} "
            f"| {resident_bytes(proxy.process.pid, 'VmHWM') / 1e6:.0f} MB | {errors} |")
    ours = running[0].name
    lines += ["", "Ratios of the gateway to:", "", "| | CPU c=32 | CPU c=256 | requests/s c=32 | p50 c=1 | p99 c=256 |",
              "|---|---|---|---|---|---|"]
    for proxy in running[1:]:
        ratios = [median(ours, connections, key) / max(median(proxy.name, connections, key), 1e-9)
                  for connections, key in ((32, "cpu"), (256, "cpu"), (32, "rps"), (1, "p50"), (256, "p99"))]
        lines.append(f"| {proxy.name} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |")
    return "\n".join(lines)


def alone(options, directory, upstream):
    """What one gateway costs at rest: a fresh one, since memory that a load has left behind would hide it."""
    starts = []
    for _ in range(5):
        fresh = gateway(options, directory, upstream)
        starts.append(fresh.ready_milliseconds)
        if len(starts) < 5:
            fresh.stop()
    try:
        before = resident_bytes(fresh.process.pid)
        count = 2000
        connections = []
        request = (f"POST {fresh.path} HTTP/1.1\r\nHost: bench\r\nCookie: {COOKIE}\r\n"
                   f"Content-Length: {len(fresh.body)}\r\n\r\n{fresh.body}").encode()
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", fresh.port))
            # Each has served a request: connections that never spoke cost less.
            connection.sendall(request)
            connection.recv(65536)
            connections.append(connection)
        each = (resident_bytes(fresh.process.pid) - before) / count
        for connection in connections:
            connection.close()
    finally:
        fresh.stop()
    return (f"From start to ready: {statistics.median(starts):.0f} ms. An idle keep-alive connection that has served a "
            f"request: {each / 1024:.1f} KiB resident ({count} of them). At rest after start: {before / 1e6:.1f} MB.")


def soak(proxy, requests, directory):
    """Memory after half of the requests and after all of them."""
    sent, half = 0, None
    while sent < requests:
        sent += proxy.load(32, 10, directory)["requests"]
        if half is None and sent >= requests / 2:
            half = resident_bytes(proxy.process.pid)
    return (f"Memory of the gateway: {half / 1e6:.1f} MB resident after half of {sent:,} requests, "
            f"{resident_bytes(proxy.process.pid) / 1e6:.1f} MB after all.")


if __name__ == "__main__":
    main()
