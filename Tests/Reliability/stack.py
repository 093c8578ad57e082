"""Client, gateway, tool-server, PostgreSQL and AI provider, with a fault proxy between each two."""
import http.client
import json
import os
import pathlib
import re
import subprocess
import time
from dataclasses import dataclass

import peers
import services
from fault_proxy import FaultProxy
from postgresql import PostgreSQL
from services import eventually

def pace():
    """How many times longer than usual things take here, with all else that the machine does: 1 to 6."""
    began = time.monotonic()
    for _ in range(5):
        subprocess.run([services.PRODUCTS / "gateway", "--version"], check=True, capture_output=True)
    # On an idle machine, a tenth of a second each.
    return min(6.0, max(1.0, (time.monotonic() - began) / 5 / 0.15))


PACE = pace()
# Seconds. What a call may take, and what the tests allow for it besides.
CALL, STREAM, SLACK = 2.0 * PACE, 3.0 * PACE, 6.0 * PACE


def paced(seconds):
    """A duration of the configuration."""
    return f"{round(seconds * PACE * 1000)}ms"


@dataclass
class Answer:
    """What a client got; status None: no whole answer, and `problem` says why."""

    status: int | None = None
    label: str = ""
    executed: str = ""
    problem: str = ""
    body: str = ""
    headers: dict | None = None
    seconds: float = 0.0

    def __str__(self):
        return f"{self.status} {self.label or self.problem} executed={self.executed or '-'} {self.seconds:.2f} s {self.body[:160]}"


def call(address, payload, cookie=None, stream=False, timeout=STREAM + SLACK):
    """Posts a payload; the errors come as problem documents, those of streams as events."""
    host, port = address.rsplit(":", 1)
    headers = {"Content-Type": "application/json",
               "Accept": "text/event-stream" if stream else "application/json, application/problem+json"}
    if cookie:
        headers["Cookie"] = f"sessionid={cookie}"
    answer, began = Answer(), time.monotonic()
    connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
    try:
        connection.connect()
        # Head and body in one piece, so that places in them mean the same each time.
        body = json.dumps(payload).encode()
        head = f"POST /api/chat/ HTTP/1.1\r\nHost: {address}\r\nContent-Length: {len(body)}\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
        connection.sock.sendall(head.encode() + body)
        response = http.client.HTTPResponse(connection.sock, method="POST")
        response.begin()
        status, text = response.status, response.read().decode(errors="replace")
        answer.headers = {name.lower(): value for name, value in response.getheaders()}
        read_answer(answer, status, text)
    except TimeoutError:
        answer.problem = "silence"
    except (OSError, http.client.HTTPException, ValueError) as problem:
        answer.problem = type(problem).__name__
    finally:
        connection.close()
    answer.seconds = time.monotonic() - began
    return answer


def read_answer(answer, status, text):
    answer.body = text
    if not answer.headers.get("content-type", "").startswith("text/event-stream"):
        answer.status = status
        if status != 200 and text.startswith("{"):
            problem = json.loads(text)
            answer.label, answer.executed = problem.get("label", ""), problem.get("executed", "")
        return
    events = re.findall(r"^event: (\w+)\r?\ndata: (.*)$", text, re.M)
    if events and events[-1][0] in ("reply", "error"):
        last = json.loads(events[-1][1])
        answer.status, answer.label = last.get("status", 200), last.get("label", "")
    else:
        answer.problem = "no end of the stream"


class Stack:
    """All five. `words` and `pause` are the provider's."""

    def __init__(self, directory, words=8, pause=0.02):
        directory = pathlib.Path(directory)
        self.database = PostgreSQL()
        self.to_database = FaultProxy(self.database.port)
        self.provider = peers.InThread(peers.Provider(words, pause))
        self.to_provider = FaultProxy(self.provider.port)
        seeding = [services.PRODUCTS / "tool-server", "seed", "--database", self.database.url]
        subprocess.run(seeding, capture_output=True, check=True)
        self.cookie = subprocess.run(
            [services.PRODUCTS / "tool-server", "session", "new", "alice", "--database", self.database.url],
            capture_output=True, text=True, check=True).stdout.split()[-1]
        config = directory / "gateway.json"
        config.write_text(json.dumps(self.settings()))
        url = self.database.url.replace(str(self.database.port), str(self.to_database.port))
        self.tools = services.tool_server(url, arguments=("--config", str(config)))
        self.tools.listening()
        self.to_tools = FaultProxy(int(self.tools.addresses["main"].rsplit(":", 1)[1]))
        self.front = services.gateway(self.to_tools.address, config=config)
        self.front.ready()
        self.to_front = FaultProxy(int(self.front.addresses["main"].rsplit(":", 1)[1]))
        self.lines = {"client": self.to_front, "tools": self.to_tools, "database": self.to_database,
                      "provider": self.to_provider}
        for stream in (False, True):
            for payload in ({"type": "search_any", "model": "projects", "query": "urgent"}, {"message": "warm"}):
                answer = self.call(payload, stream=stream)
                assert answer.status == 200, answer
        self.rest = self.descriptors(self.settle())

    def settings(self):
        settings = json.loads((services.ROOT / "gateway.json").read_text())
        for kind in settings["chat"]["types"].values():
            kind |= {"timeout": paced(2), "streamTimeout": paced(3)}
        limits = {"headerTimeout": paced(1), "bodyTimeout": paced(1), "bodyTotal": paced(2)}
        # Checks of health would open connections of their own; the breaker would answer in the upstream's place.
        settings["upstreams"]["tools"] |= {
            "probeInterval": "1h", "connectTimeout": paced(0.5), "retryWindow": paced(0.5), "breaker": {"failures": 0}}
        settings["limits"] = dict(limits)
        settings["toolServer"] = {
            "limits": limits,
            "postgres": {"wait": paced(1), "connectTimeout": paced(2), "statementTimeout": paced(1)},
            "ai": {"baseURL": f"http://{self.to_provider.address}/v1", "model": "m", "apiKey": "key-of-the-test",
                   "connectTimeout": paced(0.4), "firstTokenTimeout": paced(0.8), "idleTimeout": paced(0.8),
                   "timeout": paced(0.9), "streamTimeout": paced(1.6), "coolDown": "0s",
                   "tools": {"timeout": paced(1.1), "streamTimeout": paced(1.8)}},
        }
        return settings

    def call(self, payload, **options):
        return call(self.to_front.address, payload, self.cookie, **options)

    def processes(self):
        return {"gateway": self.front, "tool-server": self.tools}

    def gauges(self):
        """What must be zero while nothing is asked, and the number of calls that each tool has had."""
        front, tools = metrics(self.front), metrics(self.tools)
        busy = {name: value(metrics_of, name, **labels) for metrics_of, name, labels in (
            (front, "gateway_requests_in_flight", {}), (front, "gateway_upstream_calls_in_flight", {}),
            (front, "gateway_upstream_queue_length", {}), (front, "gateway_connections", {}),
            (tools, "tool_server_requests_in_flight", {}), (tools, "tool_server_connections", {}),
            (tools, "tool_server_provider_requests_active", {}), (tools, "tool_server_database_calls_waiting", {}),
            (tools, "tool_server_database_connections", {"state": "busy"}))}
        return busy

    def runs(self, tool):
        """How often the tool was run, whatever came of it."""
        return value(metrics(self.tools), "tool_server_tool_calls_total", tool=tool)

    def stored(self, token):
        return int(self.database.query(
            f"SELECT count(*) FROM message WHERE position('{token}' in convert_from(message, 'UTF8')) > 0")[0][0])

    def settle(self, within=15 * PACE):
        """Cuts all lines; returns when nothing is under way any more."""
        for line in self.lines.values():
            line.clear()
        last = {}

        def rests():
            last.clear()
            last.update({name: number for name, number in self.gauges().items() if number})
            return not last
        try:
            eventually(rests, within, "rest")
        except AssertionError:
            raise AssertionError(f"not at rest: {last}") from None
        return self

    @staticmethod
    def descriptors(stack):
        return {name: descriptors(service) for name, service in stack.processes().items()}

    def stop(self):
        assert self.front.stop() == 0
        assert self.tools.stop() == 0
        for line in self.lines.values():
            line.stop()
        self.provider.stop()
        self.database.remove()


def metrics(service):
    """Name and labels → value."""
    found = {}
    for line in service.metrics().splitlines():
        if match := re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line):
            labels = frozenset(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
            found[match[1], labels] = float(match[3])
    return found


def value(found, metric, **labels):
    """The sum of a metric's values with these labels."""
    return sum(number for (name, with_labels), number in found.items()
               if name == metric and set(labels.items()) <= with_labels)


def descriptors(service):
    return len(os.listdir(f"/proc/{service.process.pid}/fd"))


def status(service, *keys):
    """Numbers of /proc/PID/status: VmRSS and VmHWM in KiB, Threads."""
    text = pathlib.Path(f"/proc/{service.process.pid}/status").read_text()
    return [int(re.search(rf"^{key}:\s+(\d+)", text, re.M)[1]) for key in keys]
