"""What a service manager and an operator see of the two processes."""
import base64
import json
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

import services
from services import NotifySocket, ROOT, chat, eventually, listening_socket, request

SEARCH = {"type": "search_projects", "query": "urgent"}


@pytest.fixture(params=["tool-server", "gateway"])
def start(request, database, pair):
    """Starts one of the two; the gateway in front of a tool-server that stays."""
    def begin(**options):
        if request.param == "tool-server":
            options.pop("config", None)
            return services.tool_server(database, **options)
        return services.gateway(pair[0].addresses["main"], **options)
    begin.name = request.param
    return begin


def test_systemd_hears_of_readiness_reload_and_the_end(start, running):
    notify = NotifySocket()
    service = running(start(notify=notify)).listening()
    notify.wait("READY")
    service.signal(signal.SIGHUP)
    notify.wait("READY", times=2)
    assert service.stop() == 0
    notify.wait("STOPPING")
    assert notify.states() == ["READY", "RELOADING", "READY", "STOPPING"]
    reloading = next(message for message in notify.messages if message.startswith("RELOADING"))
    assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=[1-9]\d*", reloading)


def test_the_watchdog_is_fed_while_the_process_lives(start, running):
    notify = NotifySocket()
    service = running(start(notify=notify, environment={"WATCHDOG_USEC": "1500000"})).listening()
    notify.wait("WATCHDOG", times=3)
    # Stopped, it cannot turn its loops, and says nothing.
    service.signal(signal.SIGSTOP)
    time.sleep(0.2)
    count = notify.states(without=()).count("WATCHDOG")
    time.sleep(1.5)
    assert notify.states(without=()).count("WATCHDOG") == count
    service.signal(signal.SIGCONT)
    notify.wait("WATCHDOG", times=count + 1)
    assert service.stop() == 0


def test_inherited_sockets_are_served_and_left_open(start, running):
    main, admin = listening_socket(), listening_socket()
    address = "127.0.0.1:%d" % main.getsockname()[1]
    for _ in range(2):
        service = running(start(sockets={"main": main, "admin": admin})).listening()
        assert service.addresses["main"] == address
        assert service.addresses["admin"] == "127.0.0.1:%d" % admin.getsockname()[1]
        assert request(address, "GET", "/nothing")[0] == 404
        assert service.stop() == 0
    # Nobody serves, but nobody is refused either: the next process would answer.
    waiting = socket.create_connection(main.getsockname())
    waiting.sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    running(start(sockets={"main": main, "admin": admin})).listening()
    waiting.settimeout(20)
    assert waiting.recv(4096).startswith(b"HTTP/1.1 404")


def test_an_endpoint_answers_from_the_first_request_on(running, tmp_path):
    settings = json.loads((ROOT / "gateway.json").read_text())
    settings["mcp"] = {"endpoints": {"/mcp/": {"upstreams": {"tools": {}}}}}
    config = tmp_path / "gateway.json"
    config.write_text(json.dumps(settings))
    main = listening_socket()
    body = {"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}}}
    text = json.dumps(body)
    waiting = [socket.create_connection(main.getsockname()) for _ in range(64)]
    for connection in waiting:
        connection.sendall(
            b"POST /mcp/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
            b"Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n"
            b"Mcp-Method: server/discover\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text.encode()))
    # Passed through, the requests would fail: nobody listens there.
    running(services.gateway(f"127.0.0.1:{services.free_port()}", config=config, sockets={"main": main})).listening()
    for connection in waiting:
        connection.settimeout(60)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        connection.close()


def test_a_second_signal_ends_the_process_at_once(start, running, database):
    service = running(start(environment={"GATEWAY_DRAIN_DELAY": "60s", "TOOL_SERVER_DRAIN_DELAY": "60s"})).listening()
    service.signal(signal.SIGTERM)
    eventually(lambda: service.admin("GET", "/readyz")[0] == 503, what="drain begun")
    assert "draining" in service.admin("GET", "/readyz")[2]
    # Still served: whoever balances the load has not looked yet.
    assert request(service.addresses["main"], "GET", "/nothing")[0] == 404
    service.signal(signal.SIGTERM)
    assert service.process.wait(10) == 1


def test_readiness_turns_false_first(start, running):
    service = running(start(environment={"GATEWAY_DRAIN_DELAY": "1s", "TOOL_SERVER_DRAIN_DELAY": "1s"})).listening()
    service.signal(signal.SIGTERM)
    eventually(lambda: service.admin("GET", "/readyz")[0] == 503, what="drain begun")
    assert request(service.addresses["main"], "GET", "/nothing")[0] == 404
    assert service.process.wait(20) == 0


def test_what_does_not_end_within_the_limit_is_ended(database, running):
    asked, ended = threading.Event(), threading.Event()
    provider = FakeProvider(before=lambda: (asked.set(), ended.wait(60)))
    limits = {"GATEWAY_DRAIN_TIMEOUT": "500ms", "TOOL_SERVER_DRAIN": "500ms"}
    tools = running(services.tool_server(database, environment=limits | {
        "AI_BASE_URL": provider.url, "AI_MODEL": "m", "AI_API_KEY": "key-of-the-test"})).listening()
    front = running(services.gateway(tools.addresses["main"], environment=limits))
    front.ready()
    answers = []
    client = threading.Thread(target=lambda: answers.append(
        chat(front.addresses["main"], {"type": "ai_prompt", "message": "Hello"})))
    client.start()
    try:
        assert asked.wait(20)
        # The type's own limit is 30 s.
        assert front.stop() == 0
        client.join(10)
        assert not client.is_alive() and answers[0][0] != 200
        assert tools.stop() == 0
    finally:
        ended.set()


def test_the_log_level_changes_while_serving(start, running):
    service = running(start()).listening()
    assert json.loads(service.admin("GET", "/loglevel")[2]) == {"level": "info"}
    assert service.admin("PUT", "/loglevel", "debug")[0] == 200
    assert json.loads(service.admin("GET", "/loglevel")[2]) == {"level": "debug"}
    eventually(lambda: service.messages("log level changed"), what="the change in the log")
    assert service.admin("PUT", "/loglevel", "loud")[0] == 400
    assert service.admin("DELETE", "/loglevel")[0] == 405
    # A reload puts the configured one back.
    service.signal(signal.SIGHUP)
    eventually(lambda: json.loads(service.admin("GET", "/loglevel")[2]) == {"level": "info"}, what="reload")
    assert service.stop() == 0


def test_both_say_the_same_version_and_commit(pair):
    tools, front = pair
    versions = {}
    for service in pair:
        printed = subprocess.run([services.PRODUCTS / service.name, "--version"], capture_output=True, text=True)
        name, number, commit = re.fullmatch(r"(\S+) (\S+) \((\w+)\)\n", printed.stdout).groups()
        answer = json.loads(service.admin("GET", "/version")[2])
        assert answer == {"name": name, "version": number, "commit": commit}
        assert f'_build_info{{version="{number}",commit="{commit}"}} 1\n' in service.metrics()
        versions[service.name] = (number, commit)
    assert versions["gateway"] == versions["tool-server"]
    commit = versions["gateway"][1]
    if (ROOT / ".git/logs/HEAD").is_file():
        assert re.fullmatch("[0-9a-f]{40}([0-9a-f]{24})?", commit)
        # The build may be older than the checkout's last commit, never of another history.
        known = subprocess.run(["git", "-C", ROOT, "cat-file", "-e", commit + "^{commit}"], capture_output=True)
        assert known.returncode == 0


def test_the_tool_server_reloads_its_level_and_provider(database, running, tmp_path):
    config, key = tmp_path / "gateway.json", tmp_path / "key"
    answers = FakeProvider()

    def write(level, model, **more):
        config.write_text(json.dumps({"toolServer": {
            "logLevel": level, "ai": {"baseURL": answers.url, "model": model, "apiKeyFile": str(key)}, **more}}))

    key.write_text("first-secret-key")
    write("info", "one")
    service = running(services.tool_server(database, arguments=["--config", str(config)])).listening()
    ask = lambda: request(service.addresses["main"], "POST", "/mcp/ai_prompt", '{"prompt":"Hello"}')
    assert ask()[0] == 200
    assert answers.seen[-1] == ("one", "Bearer first-secret-key")
    # A bad file changes nothing.
    config.write_text("{")
    service.signal(signal.SIGHUP)
    eventually(lambda: service.messages("reload failed"), what="refusal")
    assert "tool_server_configuration_last_reload_successful 0\n" in service.metrics()
    assert ask()[0] == 200
    assert answers.seen[-1] == ("one", "Bearer first-secret-key")
    key.write_text("second-secret-key")
    write("debug", "two", drain="3s")
    service.signal(signal.SIGHUP)
    eventually(lambda: service.messages("reloaded"), what="reload")
    assert ask()[0] == 200
    assert answers.seen[-1] == ("two", "Bearer second-secret-key")
    assert json.loads(service.admin("GET", "/loglevel")[2]) == {"level": "debug"}
    assert [entry["config.key"] for entry in service.messages("change needs a restart")] == ["toolServer.drain"]
    assert "tool_server_configuration_last_reload_successful 1\n" in service.metrics()
    assert 'tool_server_configuration_reloads_total{result="succeeded"} 1\n' in service.metrics()
    assert service.stop() == 0
    assert "secret-key" not in "".join(service.lines)


def test_a_reload_reads_the_keys_of_tokens_again(database, running, tmp_path):
    config, keys = tmp_path / "gateway.json", tmp_path / "keys.json"
    key = subprocess.run("openssl ecparam -name prime256v1 -genkey -noout | openssl ec -pubout -outform DER",
                         shell=True, check=True, capture_output=True).stdout[-64:]
    x, y = (base64.urlsafe_b64encode(half).decode().rstrip("=") for half in (key[:32], key[32:]))
    keys.write_text(json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "alg": "ES256", "x": x, "y": y}]}))
    config.write_text(json.dumps({"toolServer": {
        "logLevel": "debug", "identity": ["jwt"], "publicURL": "https://chat.example/mcp/",
        "jwt": {"issuer": "https://issuer.example", "audience": ["us"], "jwksFile": str(keys)}}}))
    service = running(services.tool_server(database, arguments=["--config", str(config)])).listening()
    before = len(service.messages("keys read"))
    service.signal(signal.SIGHUP)
    eventually(lambda: len(service.messages("keys read")) > before, what="the keys read")
    keys.write_text("{")
    service.signal(signal.SIGHUP)
    eventually(lambda: service.messages("verification keys could not be read; those read before are still used"), what="the warning")
    assert service.stop() == 0


def test_the_gateways_probe_is_not_in_the_log(database, running):
    tools = running(services.tool_server(database)).listening()
    front = running(services.gateway(tools.addresses["main"],
                                     environment={"GATEWAY_UPSTREAMS_TOOLS_PROBE_INTERVAL": "20ms"}))
    front.ready()

    def probes():
        found = re.search(r'tool_server_http_requests_total\{route="mcp",status="200"\} (\d+)', tools.metrics())
        return int(found[1]) if found else 0

    eventually(lambda: probes() >= 5, what="probes")
    # At most the gateway's first question, which version it speaks.
    assert len(tools.messages("request")) <= 1
    assert tools.admin("PUT", "/loglevel", "debug")[0] == 200
    eventually(lambda: [entry for entry in tools.messages("request") if entry["level"] == "debug"], what="at debug")
    # What people ask is there at any level.
    assert tools.admin("PUT", "/loglevel", "info")[0] == 200
    assert chat(front.addresses["main"], SEARCH)[0] == 200
    eventually(lambda: [entry for entry in tools.messages("request") if entry["level"] == "info"], what="the call")
    assert front.stop() == 0
    assert tools.stop() == 0


def test_the_access_log_has_the_phases(pair):
    _, front = pair
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    status, headers, _ = chat(front.addresses["main"], SEARCH, {"traceparent": trace, "X-Request-Id": "access-1"})
    assert status == 200
    line = eventually(lambda: [entry for entry in front.messages("request")
                               if entry["http.request_id"] == "access-1"], what="the line")[0]
    assert line["trace.id"] == "0af7651916cd43dd8448eb211c80319c"
    assert line["upstream"] == "tools" and line["upstream.era"] == "modern" and line["upstream.replays"] == 0
    assert line["type"] == line["tool"] == "search_projects"
    for key in ("queue.ms", "session.ms", "connect.ms", "first_byte.ms", "upstream.ms", "duration_ms"):
        assert isinstance(line[key], (int, float)) and line[key] >= 0, key
    assert line["session.reused"] is True
    assert re.fullmatch(r"session;dur=[\d.]+, upstream;dur=[\d.]+, total;dur=[\d.]+(, connect;dur=[\d.]+)?",
                        headers["Server-Timing"])


def test_a_call_that_waits_for_a_place_says_how_long(database, running):
    asked, ended = threading.Event(), threading.Event()
    provider = FakeProvider(before=lambda: (asked.set(), ended.wait(60)))
    tools = running(services.tool_server(database, environment={
        "AI_BASE_URL": provider.url, "AI_MODEL": "m", "AI_API_KEY": "key-of-the-test"})).listening()
    front = running(services.gateway(tools.addresses["main"], environment={
        "GATEWAY_WORKERS": "1", "GATEWAY_UPSTREAMS_TOOLS_CONCURRENCY": "1",
        "GATEWAY_UPSTREAMS_TOOLS_QUEUE_TIMEOUT": "20s"}))
    front.ready()
    answers = {}

    def ask(name):
        answers[name] = chat(
            front.addresses["main"], {"type": "ai_prompt", "message": "Hello"}, {"X-Request-Id": name})

    clients = [threading.Thread(target=ask, args=(name,)) for name in ("first", "second")]
    clients[0].start()
    assert asked.wait(20)
    clients[1].start()
    eventually(lambda: 'gateway_upstream_queue_length{upstream="tools"} 1\n' in front.metrics(), what="the queue")
    ended.set()
    for client in clients:
        client.join(20)
    lines = {entry["http.request_id"]: entry for entry in eventually(
        lambda: [entry for entry in front.messages("request")] if len(front.messages("request")) == 2 else None)}
    for name, waited in (("first", False), ("second", True)):
        status, headers, _ = answers[name]
        assert status == 200
        assert ("queue;dur=" in headers["Server-Timing"]) == waited == (lines[name]["queue.ms"] > 0)


class FakeProvider:
    """An OpenAI-compatible provider that notes model and key."""

    def __init__(self, before=lambda: None):
        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
        seen = self.seen = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                seen.append((body["model"], self.headers["Authorization"]))
                before()
                usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
                stream = body.get("stream", False)
                part = {"role": "assistant", "content": "Hi"}
                if body["messages"][-1]["content"] == "Search first":
                    function = {"name": "search_projects", "arguments": '{"query": "urgent"}'}
                    part = {"role": "assistant", "content": None,
                            "tool_calls": [{"index": 0, "id": "1", "type": "function", "function": function}]}
                answer = json.dumps({"choices": [{"delta" if stream else "message": part}], "usage": usage}).encode()
                if stream:
                    answer = b"data: " + answer + b"\n\ndata: [DONE]\n\n"
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream" if stream else "application/json")
                self.send_header("Content-Length", str(len(answer)))
                try:
                    self.end_headers()
                    self.wfile.write(answer)
                except OSError:
                    pass  # Nobody waits any more.

            def log_message(self, *arguments):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d/v1" % server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
