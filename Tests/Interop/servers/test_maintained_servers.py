"""Maintained servers for git, time, the web and SQL, behind a bridge from stdio to HTTP, as upstreams of the gateway.

Every tool is called through a type of `/api/chat/` and through the pass-through.
"""
import http.server
import itertools
import json
import pathlib
import subprocess
import sys
import threading
import urllib.request

import pytest
from conftest import Process, free_port, post, wait_for

BIN = pathlib.Path(sys.executable).parent


@pytest.fixture(scope="module")
def site():
    """A page to fetch."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = b"<html><body><h1>Urgent Q2</h1><p>A page.</p></body></html>"
            self.send_response(200 if self.path == "/" else 404)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()


@pytest.fixture
def repository(tmp_path_factory):
    path = tmp_path_factory.mktemp("repository")

    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=Al", "-c", "user.email=al@example.com", *arguments], cwd=path,
                       check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("config", "user.name", "Al")
    git("config", "user.email", "al@example.com")
    (path / "note.txt").write_text("one\n")
    git("add", "note.txt")
    git("commit", "-qm", "first")
    return path


class Stack:
    """A stdio server behind the bridge, and a gateway before it whose types are the server's tools."""

    def __init__(self, folder, command, stateless):
        port = free_port()
        modes = ["--stateless"] if stateless else []
        self.bridge = subprocess.Popen(
            [str(BIN / "mcp-proxy"), "--host", "127.0.0.1", "--port", str(port), *modes, "--",
             str(BIN / command[0]), *command[1:]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(port, self.bridge)
        configuration = {
            "listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "workers": 1, "page": False,
            "upstreams": {"tools": {"url": f"http://127.0.0.1:{port}/mcp"}},
            "chat": {"tools": {"allow": ["*"], "timeout": "30s", "reply": {"shape": "wrapped"}}},
        }
        path = folder / "gateway.json"
        path.write_text(json.dumps(configuration))
        self.gateway = Process("gateway", "--config", str(path)).wait("main", "admin")
        self.session = None

    @property
    def url(self):
        return f"http://{self.gateway.addresses['main']}"

    def stop(self):
        self.gateway.stop()
        self.bridge.kill()
        self.bridge.wait()

    def request(self, message):
        """Sends a message through the pass-through as a client of 2025-11-25 does; gives back the response."""
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        if self.session:
            headers["Mcp-Session-Id"] = self.session
        request = urllib.request.Request(f"{self.url}/mcp/", json.dumps(message).encode(), headers, method="POST")
        with urllib.request.urlopen(request, timeout=40) as response:
            self.session = self.session or response.headers["Mcp-Session-Id"]
            body = response.read().decode()
        if not body:
            return None
        data = [line[5:] for line in body.splitlines() if line.startswith("data:")]
        messages = [json.loads(text) for text in data or [body]]
        return next(found for found in messages if found.get("id") == message.get("id"))

    def connect(self):
        self.session = None
        result = self.request({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}})
        assert "protocolVersion" in result["result"]
        self.request({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return {tool["name"] for tool in
                self.request({"jsonrpc": "2.0", "id": 2, "method": "tools/list"})["result"]["tools"]}

    def check(self, calls, prepare=lambda: None):
        """Calls tools in both ways; `calls` holds name, arguments and a part of the answer's text."""
        assert self.connect() == {name for name, _, _ in calls}, "every tool is called"
        prepare()
        for name, arguments, part in calls:
            status, body = post(f"{self.url}/api/chat/", {"type": name, **arguments})
            assert status == 200, (name, body)
            assert part in json.dumps(body["replies"]), (name, body)
        prepare()
        for number, (name, arguments, part) in enumerate(calls):
            answer = self.request({"jsonrpc": "2.0", "id": 10 + number, "method": "tools/call",
                                   "params": {"name": name, "arguments": arguments}})
            assert part in json.dumps(answer["result"]), (name, answer)
        lines = [json.loads(line) for line in self.gateway.lines if line.startswith("{")]
        assert not [line for line in lines if line.get("level") in ("error", "critical")], lines


@pytest.fixture(params=[False, True], ids=["sessions", "stateless"])
def start(request, tmp_path):
    stacks = []

    def begin(*command):
        stacks.append(Stack(tmp_path, command, request.param))
        return stacks[-1]

    yield begin
    for stack in stacks:
        stack.stop()


def test_time(start):
    stack = start("mcp-server-time")
    stack.check([
        ("get_current_time", {"timezone": "Europe/Warsaw"}, "Europe/Warsaw"),
        ("convert_time", {"source_timezone": "Europe/Warsaw", "time": "12:00", "target_timezone": "Asia/Tokyo"},
         "Asia/Tokyo"),
    ])
    status, body = post(f"{stack.url}/api/chat/", {"type": "get_current_time", "timezone": "Nowhere/At_All"})
    assert status == 400 and "timezone" in body["error"].lower(), body


def test_git(start, repository):
    path = {"repo_path": str(repository)}
    versions = itertools.count(2)
    start("mcp-server-git", "--repository", str(repository)).check([
        ("git_status", path, "note.txt"),
        ("git_diff_unstaged", path, "version"),
        ("git_add", {**path, "files": ["note.txt"]}, "staged"),
        ("git_diff_staged", path, ""),
        ("git_commit", {**path, "message": "second"}, ""),
        ("git_reset", path, "reset"),
        ("git_log", {**path, "max_count": 1}, "Al"),
        ("git_create_branch", {**path, "branch_name": "other"}, "other"),
        ("git_checkout", {**path, "branch_name": "main"}, "main"),
        ("git_show", {**path, "revision": "HEAD"}, "note.txt"),
        ("git_diff", {**path, "target": "HEAD"}, ""),
        ("git_branch", {**path, "branch_type": "local"}, "main"),
    ], prepare=lambda: (repository / "note.txt").write_text(f"version {next(versions)}\n"))


def test_fetch(start, site):
    start("mcp-server-fetch", "--ignore-robots-txt", "--allow-private-ips").check(
        [("fetch", {"url": site, "raw": True}, "Urgent Q2")])


def test_sqlite(start, tmp_path):
    start("mcp-server-sqlite", "--db-path", str(tmp_path / "data.sqlite")).check([
        ("create_table", {"query": "CREATE TABLE IF NOT EXISTS project (name TEXT)"}, ""),
        ("list_tables", {}, ""),
        ("describe_table", {"table_name": "project"}, "name"),
        ("write_query", {"query": "INSERT INTO project VALUES ('Urgent Q2 – ✓')"}, "affected_rows"),
        ("read_query", {"query": "SELECT name FROM project"}, "Urgent Q2"),
        ("append_insight", {"insight": "All is urgent"}, ""),
    ])
