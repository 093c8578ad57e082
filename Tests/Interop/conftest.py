"""Starts the built executables for the interoperability tests, on free ports, and stops what it started."""
import http.server
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "Operations")]
import schemas  # noqa: E402
import wire  # noqa: E402
from logged_process import LoggedProcess  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
PRODUCTS = pathlib.Path(os.environ.get("PRODUCTS", ROOT / ".build" / "debug"))


class Process(LoggedProcess):
    """One of our executables; its JSON log on standard error tells where it listens."""

    def __init__(self, name, *arguments, environment=None):
        super().__init__(name, [str(PRODUCTS / name), *arguments], env=dict(os.environ, **(environment or {})))

    def wait(self, *listeners, ready=True):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if all(listener in self.addresses for listener in listeners):
                if not ready or self.is_ready():
                    return self
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        pytest.fail(f"{self.name} did not start:\n{''.join(self.lines[-30:])}")

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://{self.addresses['admin']}/readyz", timeout=2) as response:
                return response.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def run(name, *arguments):
    """Runs a subcommand and gives back its standard output."""
    done = subprocess.run([str(PRODUCTS / name), *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="session")
def database(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("data") / "tool-server.sqlite")
    run("tool-server", "seed", "--database", path)
    return path


@pytest.fixture(scope="session")
def alice(database):
    """The value of a session cookie of alice."""
    return run("tool-server", "session", "new", "alice", "--database", database).splitlines()[-1]


@pytest.fixture(scope="session")
def tool_server(database):
    process = Process("tool-server", "--transport", "http", "--port", "0", "--admin", "127.0.0.1:0", "--database",
                      database)
    yield process.wait("main", "admin")
    assert process.stop() == 0


@pytest.fixture(scope="session")
def gateway(tool_server):
    process = start_gateway(f"http://{tool_server.addresses['main']}/mcp/")
    yield process.wait("main", "admin")
    assert process.stop() == 0


def start_gateway(upstream, era="auto"):
    return Process("gateway", "--config", str(ROOT / "gateway.json"), "--listen", "127.0.0.1:0", "--admin",
                   "127.0.0.1:0", "--upstream", upstream, environment={"GATEWAY_UPSTREAMS_TOOLS_ERA": era})


@pytest.fixture
def record(tmp_path):
    """Puts a recorder before an address; what our side said is checked when the test is over."""
    recorders = []

    def begin(address, ours="server"):
        recorders.append(wire.Recorder(address, ours))
        return recorders[-1].address

    def begin_stdio(command, arguments, ours="server"):
        recorders.append(wire.StdioRecorder(tmp_path / f"stdio-{len(recorders)}", ours))
        return recorders[-1].command(command, arguments)

    begin.stdio = begin_stdio
    begin.at = lambda address: next(found for found in recorders if getattr(found, "address", None) == address)
    yield begin
    violations, count = [], 0
    for recorder in recorders:
        if isinstance(recorder, wire.Recorder):
            recorder.close()
        if not schemas.missing():
            found, checked = wire.check(recorder)
            violations, count = violations + found, count + checked
    assert not violations, "\n".join(violations)
    assert schemas.missing() or count or not recorders, "nothing was recorded"


def pytest_report_header():
    missing = schemas.missing()
    return f"messages are not checked against the schemas: {missing}" if missing else "messages are checked"


@pytest.fixture(params=["direct", "through the gateway"])
def endpoint(request, tool_server, record):
    """The MCP endpoint's URL: of the tool-server, and of the gateway's pass-through."""
    process = tool_server if request.param == "direct" else request.getfixturevalue("gateway")
    return f"http://{record(process.addresses['main'])}/mcp/"


@pytest.fixture
def stdio_command(database, record):
    return record.stdio(str(PRODUCTS / "tool-server"), ["--transport", "stdio", "--database", database])


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="session")
def conformance_server():
    """Address of the fixture's server."""
    port = free_port()
    process = subprocess.Popen([str(PRODUCTS / "ConformanceServer"), "--port", str(port)], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(port, process)
    yield f"127.0.0.1:{port}"
    process.kill()
    process.wait()


@pytest.fixture(scope="session")
def conformance_endpoint(conformance_server, tmp_path_factory):
    """Address of a gateway that serves an MCP endpoint over the fixture's server."""
    process = start_endpoints(tmp_path_factory.mktemp("endpoint"), {"fixture": {"url": f"http://{conformance_server}/mcp"}},
                              {"/mcp/": {"upstreams": {"fixture": {}}}})
    yield process.addresses["main"]
    assert process.stop() == 0


def start_endpoints(folder, upstreams, endpoints, **more):
    """A gateway with MCP endpoints over upstreams."""
    for upstream in upstreams.values():
        upstream.setdefault("trusted", True)
    path = folder / "gateway.json"
    path.write_text(json.dumps({"upstreams": upstreams, "mcp": {"endpoints": endpoints}, "chat": {"types": {}}, **more}))
    process = Process("gateway", "--config", str(path), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
    return process.wait("main", "admin")


@pytest.fixture
def conformance_url(conformance_server, record):
    return f"http://{record(conformance_server)}/mcp"


@pytest.fixture
def endpoint_url(conformance_endpoint, record):
    """The fixture's server behind an MCP endpoint of the gateway."""
    return f"http://{record(conformance_endpoint)}/mcp"


@pytest.fixture
def passing(conformance_server, record):
    """The gateway before the fixture's server: the URL of its pass-through, and the recorder behind it."""
    behind = record(conformance_server)
    process = start_gateway(f"http://{behind}/mcp").wait("main", "admin")
    yield f"http://{record(process.addresses['main'])}/mcp/", record.at(behind)
    assert process.stop() == 0


class Provider:
    """A chat-completions endpoint: `turn(messages)` gives a text, or the (name, arguments) of a tool to call."""

    def __init__(self, turn):
        self.bodies, outer = [], self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.bodies.append(body)
                answer = turn(body["messages"])
                message = {"role": "assistant", "content": answer}
                if not isinstance(answer, str):
                    name, arguments = answer
                    message = {"role": "assistant", "content": None, "tool_calls": [{
                        "id": "call", "type": "function",
                        "function": {"name": name, "arguments": json.dumps(arguments)}}]}
                data = json.dumps({"choices": [{"index": 0, "message": message}]}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"


class Notes:
    """The tool-server with a tool that writes a note, and a model that wants to write one for everybody who asks."""

    def __init__(self, file):
        self.file = file
        file.touch()

        def turn(messages):
            if messages[-1]["role"] == "user":
                return "note", {"text": messages[-1]["content"]}
            return f"The tool said: {messages[-1]['content']}"

        self.provider = Provider(turn)
        self.process = Process("ConfirmingServer", environment={
            "NOTES": str(file), "AI_BASE_URL": self.provider.url, "AI_MODEL": "test", "AI_API_KEY": "test"})
        self.process.wait("main", ready=False)

    def written(self):
        return self.file.read_text().splitlines()

    def stop(self):
        self.provider.server.shutdown()
        assert self.process.stop() == 0


@pytest.fixture
def notes(tmp_path, record):
    notes = Notes(tmp_path / "notes")
    notes.url = f"http://{record(notes.process.addresses['main'])}/mcp/"
    yield notes
    notes.stop()


@pytest.fixture
def conformance_command(record):
    return record.stdio(str(PRODUCTS / "ConformanceServer"), [])


def wait_for(port, process, path="/mcp"):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2)
            return
        except urllib.error.HTTPError:
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    pytest.fail(f"nothing listens on port {port}")


class OurClient:
    """Our own client: does the steps one after the other, each with one line of JSON as answer."""

    def __init__(self, *target, version=None, steps=()):
        environment = dict(os.environ, MCP_CONFORMANCE_SCENARIO="steps",
                           MCP_CONFORMANCE_CONTEXT=json.dumps({"steps": list(steps)}))
        if version:
            environment["MCP_CONFORMANCE_PROTOCOL_VERSION"] = version
        self.process = subprocess.Popen(
            [str(PRODUCTS / "ConformanceClient"), *target], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env=environment)

    def line(self):
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        return json.loads(line)

    def resume(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def rest(self):
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, err
        return [json.loads(line) for line in out.splitlines()]

    @classmethod
    def answers(cls, *target, version=None, steps=()):
        return cls(*target, version=version, steps=steps).rest()


def tool(name, arguments=None, **more):
    """A step that calls a tool."""
    params = {"name": name}
    if arguments is not None:
        params["arguments"] = arguments
    return {"method": "tools/call", "params": params, **more}


def post(url, payload, headers=None):
    """Posts JSON; gives back the status and the decoded body."""
    request = urllib.request.Request(url, data=json.dumps(payload).encode(), headers=headers or {}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=40) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        body = error.read()
        try:
            return error.code, json.loads(body)
        except ValueError:
            return error.code, body.decode()


class PythonServer:
    """A server of the SDK or of FastMCP in one of its modes, on a port that survives a restart."""

    def __init__(self, script, *modes):
        self.port, self.script, self.modes = free_port(), script, modes
        self.start()

    def start(self):
        self.process = subprocess.Popen([sys.executable, str(self.script), str(self.port), *self.modes],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.port, self.process)

    def stop(self):
        self.process.kill()
        self.process.wait()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"
