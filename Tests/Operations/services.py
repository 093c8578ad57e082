"""What systemd does for the two processes, done by the tests: listening sockets that outlive a process, and the other
end of NOTIFY_SOCKET. Besides nginx with the files of deploy/nginx."""
import http.client
import json
import os
import pathlib
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time

from logged_process import LoggedProcess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PRODUCTS = pathlib.Path(os.environ.get("PRODUCTS", ROOT / ".build" / "debug"))

# LISTEN_PID names the process that is started, so that process has to write it itself.
ACTIVATE = """
import os, pwd, sys
descriptors = [int(number) for number in sys.argv[1].split(",") if number]
for place, descriptor in enumerate(descriptors):
    os.dup2(descriptor, 3 + place)
if descriptors:
    os.environ["LISTEN_PID"] = os.environ["WATCHDOG_PID"] = str(os.getpid())
if sys.argv[2]:
    user = pwd.getpwnam(sys.argv[2])
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
os.execv(sys.argv[3], sys.argv[3:])
"""


def eventually(condition, limit=20, what="it"):
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {limit} s")


def listening_socket():
    """A socket as a .socket unit would hold it; high descriptors, so that 3 and 4 are free in the child."""
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen(1024)
    return made


class NotifySocket:
    """Systemd's end of the notifications, on an abstract socket."""

    def __init__(self):
        self.name = "@operations-" + secrets.token_hex(8)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + self.name[1:])
        self.messages = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while True:
            try:
                self.messages.append(self.socket.recv(4096).decode())
            except OSError:
                return

    def states(self, *, without=("WATCHDOG",)):
        """The first word of each message, in order."""
        words = [message.split("=", 1)[0] for message in list(self.messages)]
        return [word for word in words if word not in without]

    def wait(self, word, times=1, limit=20):
        eventually(lambda: self.states(without=()).count(word) >= times, limit, f"{word} ({self.messages})")


class Service(LoggedProcess):
    """One of our executables. `sockets` are its listening sockets by name, in the order of the descriptors; `user` is who
    runs it, None: who runs the tests."""

    def __init__(self, name, *arguments, sockets=None, notify=None, environment=None, executable=None, user=None):
        sockets = sockets or {}
        variables = {key: value for key, value in os.environ.items()
                     if not key.startswith(("GATEWAY_", "TOOL_SERVER_", "AI_", "OTEL_", "LISTEN_", "NOTIFY_"))}
        if sockets:
            variables |= {"LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": ":".join(sockets)}
        if notify:
            variables |= {"NOTIFY_SOCKET": notify.name}
        variables |= environment or {}
        numbers = [held.fileno() for held in sockets.values()]
        super().__init__(
            name,
            [sys.executable, "-S", "-c", ACTIVATE, ",".join(map(str, numbers)), user or "",
             str(executable or PRODUCTS / name), *arguments],
            env=variables, pass_fds=numbers)

    @property
    def log(self):
        return [json.loads(line) for line in list(self.lines) if line.startswith("{")]

    def messages(self, text):
        return [entry for entry in self.log if entry["message"] == text]

    def listening(self, *listeners):
        def come():
            assert self.process.poll() is None, "".join(self.lines)
            return all(listener in self.addresses for listener in listeners or ("main", "admin"))
        eventually(come, 30, f"{self.name} listening")
        return self

    def ready(self):
        self.listening()
        eventually(lambda: self.admin("GET", "/readyz")[0] == 200, 30, f"{self.name} ready")
        return self

    def admin(self, method, path, body=None):
        """Status, headers and text of an answer on the admin port."""
        return request(self.addresses["admin"], method, path, body)

    def metrics(self):
        return self.admin("GET", "/metrics")[2]

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, limit=20):
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            code = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"{self.name} does not stop:\n" + "".join(self.lines[-30:]))
        self.reader.join(5)
        return code

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def request(address, method, path, body=None, headers=None, timeout=15):
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()
    except OSError as problem:
        return 0, {}, str(problem)
    finally:
        connection.close()


def chat(address, payload, headers=None):
    return request(address, "POST", "/api/chat/", json.dumps(payload), headers)


def tool_server(database, *, sockets=None, notify=None, environment=None, arguments=()):
    return Service("tool-server", "serve", "--transport", "http", "--port", "0", "--admin", "127.0.0.1:0", "--database",
                   str(database), *arguments, sockets=sockets, notify=notify, environment=environment)


def gateway(upstream, *, config=None, sockets=None, notify=None, environment=None):
    return Service("gateway", "serve", "--config", str(config or ROOT / "gateway.json"), "--listen", "127.0.0.1:0",
                   "--admin", "127.0.0.1:0", "--upstream", f"http://{upstream}/mcp/", sockets=sockets, notify=notify,
                   environment=environment)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Nginx:
    """Debian's nginx with the files of deploy/nginx; only ports and absolute paths are replaced."""

    EXECUTABLE = pathlib.Path("/usr/sbin/nginx")

    def __init__(self, directory, gateway_address, tls=False):
        self.directory = pathlib.Path(directory)
        self.port, self.tls_port = free_port(), free_port() if tls else None
        self.address = f"127.0.0.1:{self.port}"
        companions = self.directory / "chat-gateway"
        companions.mkdir(parents=True)
        (self.directory / "log").mkdir()
        self.gateway_address, self.found = gateway_address, 0
        for file in (ROOT / "deploy/nginx").glob("*.conf"):
            if file.name != "chat-gateway.conf":
                self.write(companions / file.name, file.read_text())
        site = self.replaced((ROOT / "deploy/nginx/chat-gateway.conf").read_text(), {
            "listen 80;": f"listen {self.address};"})
        if tls:
            line = "include /etc/nginx/chat-gateway/tls.conf"
            site = self.replaced(site, {"#" + line: line})
            self.make_certificate()
        self.write(self.directory / "site.conf", site)
        assert self.found, "deploy/nginx no longer names 127.0.0.1:8080"
        temporary = " ".join(f"{kind}_temp_path {self.directory}/{kind};"
                             for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        # Its workers would become nobody, who may not look into the test's directory.
        user = "user root; " if os.geteuid() == 0 else ""
        (self.directory / "nginx.conf").write_text(f"""
            {user}daemon off; worker_processes 2; pid {self.directory}/nginx.pid; error_log {self.directory}/log/error info;
            events {{ worker_connections 1024; }}
            http {{ {temporary} include {self.directory}/site.conf; }}""")
        self.process = subprocess.Popen(
            [self.EXECUTABLE, "-p", self.directory, "-c", self.directory / "nginx.conf", "-e", "stderr"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(lambda: request(self.address, "GET", "/")[0], 20, "nginx listening")

    def write(self, path, text):
        text = text.replace("/etc/nginx/chat-gateway", str(self.directory / "chat-gateway"))
        text = text.replace("/var/log/nginx", str(self.directory / "log"))
        self.found += text.count("server 127.0.0.1:8080 ")
        text = text.replace("server 127.0.0.1:8080 ", f"server {self.gateway_address} ")
        if self.tls_port:
            text = text.replace("listen 443 ", f"listen 127.0.0.1:{self.tls_port} ")
        path.write_text(text)

    @staticmethod
    def replaced(text, replacements):
        for old, new in replacements.items():
            assert old in text, f"deploy/nginx no longer contains: {old}"
            text = text.replace(old, new)
        return text

    def make_certificate(self):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout",
             self.directory / "chat-gateway/privkey.pem", "-out", self.directory / "chat-gateway/fullchain.pem"],
            check=True, capture_output=True)

    def workers(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return set(children.read_text().split())

    def reload(self):
        """Returns when the new workers serve."""
        before = self.workers()
        self.process.send_signal(signal.SIGHUP)
        eventually(lambda: len(self.workers() - before) == 2, 20, "nginx reloaded")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)
