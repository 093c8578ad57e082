"""The two products and nginx, started on free ports and stopped again."""

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = (ROOT / os.environ.get("BIN", ".build/debug")).resolve()
NGINX = "/usr/sbin/nginx"


class Service:
    """One child process whose log is kept, and printed when something goes wrong."""

    def __init__(self, arguments, environment=None):
        self.log = []
        self._process = subprocess.Popen(
            [str(argument) for argument in arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **(environment or {})},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stderr:
            self.log.append(line.rstrip("\n"))

    def address(self, listener):
        """`HOST:PORT`, from the line that the process logs once it listens."""

        def find():
            for line in self.log:
                if '"listening"' not in line:
                    continue
                entry = json.loads(line)
                if entry.get("message") == "listening" and entry.get("listener") == listener:
                    return entry["address"]
            assert self._process.poll() is None, "\n".join(["it ended:"] + self.log)
            return None

        return eventually(find, f"no listener {listener}", self.log)

    def stop(self, how=signal.SIGTERM):
        if self._process.poll() is None:
            self._process.send_signal(how)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(5)


def eventually(probe, complaint, log=(), within=20.0):
    end = time.monotonic() + within
    while time.monotonic() < end:
        if result := probe():
            return result
        time.sleep(0.02)
    raise AssertionError("\n".join([complaint, *log]))


def get(url, headers=None, method="GET"):
    """Status, headers (lower case) and body, whatever the status."""
    request = urllib.request.Request(url, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, {k.lower(): v for k, v in response.headers.items()}, response.read()
    except urllib.error.HTTPError as error:
        return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


def is_ready(url):
    try:
        return get(url)[0] == 200
    except OSError:
        return False


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ToolServer:
    """The tool-server on demo data, with its passwords; it can be restarted on the same port."""

    def __init__(self, directory, provider):
        self.database = directory / "chat.sqlite"
        self.provider = provider
        seeded = subprocess.run(
            [BIN / "tool-server", "seed", "--database", self.database], capture_output=True, text=True, check=True
        )
        self.passwords = dict(re.findall(r"user (\w+) with password (\S+)", seeded.stdout + seeded.stderr))
        self.port = free_port()
        self.start()

    def start(self):
        environment = {"AI_BASE_URL": self.provider, "AI_MODEL": "test", "AI_API_KEY": "test"}
        self.service = Service(
            [BIN / "tool-server", "serve", "--transport", "http", "--port", self.port, "--database", self.database],
            environment,
        )
        self.service.address("main")

    def stop(self):
        self.service.stop()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/mcp/"


class Gateway:
    def __init__(self, directory, upstream, changes=None):
        configuration = json.loads((ROOT / "gateway.json").read_text())
        configuration.update(changes or {})
        path = directory / "gateway.json"
        path.write_text(json.dumps(configuration))
        self.service = Service(
            [BIN / "gateway", "--config", path, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
             "--upstream", upstream]
        )
        self.address = self.service.address("main")
        self.url = f"http://{self.address}"
        self.admin = f"http://{self.service.address('admin')}"
        eventually(lambda: is_ready(f"{self.admin}/readyz"), "the gateway is not ready", self.service.log)

    def stop(self):
        self.service.stop()


class Nginx:
    """Debian's nginx with the files of deploy/nginx, changing only ports and paths.

    `gateway` is an address, or a list of the addresses of several. `static` adds files of an existing site: a map from
    the path to a directory or a file; `sites` adds other servers: a map from the path to an address.
    """

    def __init__(self, directory, gateway, static=None, sites=None, port=None):
        self.port = port or free_port()
        (directory / "log").mkdir(parents=True)
        for name in ("proxy.conf", "tls.conf"):
            (directory / name).write_text((ROOT / "deploy/nginx" / name).read_text())
        (directory / "upstream.conf").write_text(self._upstream(gateway))
        site = (ROOT / "deploy/nginx/chat-gateway.conf").read_text()
        for old, new in [
            ("listen 80;", f"listen 127.0.0.1:{self.port};"),
            ("/etc/nginx/chat-gateway", str(directory)),
            ("/var/log/nginx", str(directory / "log")),
        ]:
            assert old in site, f"deploy/nginx no longer contains: {old}"
            site = site.replace(old, new)
        for path, place in (static or {}).items():
            site = site.replace("    location / {", f"    location {path} {{ alias {place}; }}\n    location / {{", 1)
        for path, address in (sites or {}).items():
            site = site.replace(
                "    location / {",
                f"    location {path} {{ proxy_pass http://{address}; proxy_set_header Host $http_host; }}\n"
                "    location / {", 1)
        temporary = " ".join(
            f"{name}_temp_path {directory}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (directory / "site.conf").write_text(site)
        (directory / "nginx.conf").write_text(
            f"{'user root;' if os.getuid() == 0 else ''}\n"
            f"daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log stderr info;\n"
            f"events {{ worker_connections 1024; }}\n"
            f"http {{ include /etc/nginx/mime.types; {temporary} include {directory}/site.conf; }}\n"
        )
        self.service = Service([NGINX, "-p", directory, "-c", directory / "nginx.conf", "-e", "stderr"])
        self.url = f"http://127.0.0.1:{self.port}"
        eventually(lambda: is_ready(f"{self.url}/openapi.json"), "nginx does not answer", self.service.log)

    @staticmethod
    def _upstream(gateway):
        if isinstance(gateway, str):
            shipped, addresses = "upstream.conf", {"127.0.0.1:8080": gateway}
        else:
            shipped = "several-upstreams.conf"
            addresses = dict(zip(("10.0.0.11:8080", "10.0.0.12:8080"), gateway, strict=True))
        text = (ROOT / "deploy/nginx" / shipped).read_text()
        for old, new in addresses.items():
            assert f"server {old} " in text, f"{shipped} no longer contains: {old}"
            text = text.replace(f"server {old} ", f"server {new} ")
        return text

    def stop(self):
        self.service.stop()


class Stack:
    """nginx in front of a gateway in front of `upstream`."""

    def __init__(self, upstream, changes=None, static=None):
        self._directory = tempfile.TemporaryDirectory(prefix="chat-browser-")
        directory = Path(self._directory.name)
        self.upstream = upstream(directory) if callable(upstream) else upstream
        self.gateway = Gateway(directory, self.upstream.url, changes)
        self.nginx = Nginx(directory / "nginx", self.gateway.address, static)
        self.url = self.nginx.url

    def stop(self):
        for part in (self.nginx, self.gateway, self.upstream):
            part.stop()
        self._directory.cleanup()
