"""A machine as deploy/README.md wants one, in namespaces of its own: /etc, /run, /var/lib and the network belong to the
sandbox, so the commands run literally, with the real ports. In systemd's place stands this process: it reads the
installed units and does what the two services need of it.

    unshare -m -n python3 sandbox.py DIRECTORY < COMMANDS

DIRECTORY is where the commands run. Prints what they print; ends with the status of the first that fails.
"""
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading

import services
from services import NotifySocket, Service

# The administrator's units win over a package's.
UNITS = [pathlib.Path("/etc/systemd/system"), pathlib.Path("/usr/lib/systemd/system")]
CONTROL = "/run/sandbox.socket"

# What the commands call; everything else of them is the machine's own.
STUBS = {
    "systemctl": f"""#!{sys.executable}
import json, socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect({CONTROL!r})
client.sendall(json.dumps(sys.argv[1:]).encode())
client.shutdown(socket.SHUT_WR)
answer = json.loads(client.makefile().read())
sys.stderr.write(answer["text"])
sys.exit(answer["status"])
""",
    # Runs the command with the state directory; the users of these namespaces are all one.
    "systemd-run": """#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in
    -p) shift 2 ;;
    --*) shift ;;
    *) break ;;
    esac
done
exec "$@"
""",
    # nginx is installed already, or the test would not run.
    "apt-get": "#!/bin/sh\nexec true\n",
}


def mount_own():
    """Copies of what the commands write to, over the originals."""
    for place in ("/etc", "/usr/local/bin"):
        copy = pathlib.Path(os.environ["SANDBOX"], place.replace("/", "_"))
        shutil.copytree(place, copy, symlinks=True)
        subprocess.run(["mount", "--bind", copy, place], check=True)
    for place in ("/run", "/var/lib", "/var/log/nginx"):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
    pathlib.Path("/var/lib/nginx").mkdir()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for name, text in STUBS.items():
        path = pathlib.Path("/usr/local/bin", name)
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o755)


class Unit(dict):
    """Section → key → list of values, drop-ins included."""

    def __init__(self, name):
        super().__init__()
        self.name = name
        file = next(place / name for place in UNITS if (place / name).exists())
        for path in [file, *sorted(drop for place in UNITS for drop in (place / f"{name}.d").glob("*.conf"))]:
            section = None
            for line in path.read_text().splitlines():
                if match := re.fullmatch(r"\[(\w+)\]", line):
                    section = self.setdefault(match[1], {})
                elif line and not line.startswith("#"):
                    key, value = line.split("=", 1)
                    section.setdefault(key, []).append(value)

    def values(self, section, key):
        return self.get(section, {}).get(key, [])


class Manager:
    """systemctl's other end."""

    def __init__(self):
        self.sockets, self.running, self.nginx = {}, {}, None

    def serve(self):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(CONTROL)
        listener.listen()

        def loop():
            while True:
                client, _ = listener.accept()
                try:
                    self.command(*json.loads(client.makefile().read()))
                    answer = {"status": 0, "text": ""}
                except Exception as problem:  # Whatever it is, the command failed.
                    answer = {"status": 1, "text": f"systemctl: {problem!r}\n"}
                client.sendall(json.dumps(answer).encode())
                client.close()

        threading.Thread(target=loop, daemon=True).start()

    def command(self, verb, *units):
        units = [unit for unit in units if not unit.startswith("-")]
        if verb == "daemon-reload":
            return
        for unit in units:
            if unit == "nginx":
                self.reload_nginx()
                continue
            name = unit if "." in unit else unit + ".service"
            {"enable": self.start, "start": self.start, "restart": self.restart, "reload": self.reload,
             "disable": self.end, "stop": self.end, "try-restart": self.try_restart}[verb](name)

    def end(self, name):
        if name.endswith(".socket"):
            for held in self.sockets.pop(name.removesuffix(".socket"), {}).values():
                held.close()
        elif name in self.running:
            unit, service, _ = self.running.pop(name)
            assert service.stop(int(unit.values("Service", "TimeoutStopSec")[0])) == 0

    def try_restart(self, name):
        if name in self.running:
            self.restart(name)

    def start(self, name):
        if name.endswith(".socket"):
            unit = Unit(name)
            host, port = unit.values("Socket", "ListenStream")[0].rsplit(":", 1)
            held = socket.socket()
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind((host, int(port)))
            held.listen(int(unit.values("Socket", "Backlog")[0]))
            self.sockets[name.removesuffix(".socket")] = {unit.values("Socket", "FileDescriptorName")[0]: held}
            return
        unit, stem = Unit(name), name.removesuffix(".service")
        user = next(iter(unit.values("Service", "User")), None)
        state = pathlib.Path("/var/lib", *unit.values("Service", "StateDirectory")[:1])
        state.mkdir(exist_ok=True)
        if user and unit.values("Service", "StateDirectory"):
            shutil.chown(state, user, user)
        credentials = pathlib.Path("/run/credentials", name)
        credentials.mkdir(parents=True, exist_ok=True)
        for entry in unit.values("Service", "LoadCredential"):
            label, source = entry.split(":", 1)
            shutil.copy(source, credentials / label)
        environment = {"STATE_DIRECTORY": str(state), "CREDENTIALS_DIRECTORY": str(credentials)}
        for file in unit.values("Service", "EnvironmentFile"):
            path = pathlib.Path(file.removeprefix("-"))
            if path.exists() or not file.startswith("-"):
                lines = path.read_text().splitlines()
                environment |= dict(line.split("=", 1) for line in lines if "=" in line)
        for entry in unit.values("Service", "Environment"):
            key, value = shlex.split(entry)[0].replace("%d", str(credentials)).split("=", 1)
            environment[key] = value
        seconds = int(unit.values("Service", "WatchdogSec")[0])
        environment["WATCHDOG_USEC"] = str(seconds * 1_000_000)
        assert unit.values("Service", "Type") == ["notify"], name
        command = [re.sub(r"\$\{(\w+)\}", lambda match: environment[match[1]], word)
                   for word in shlex.split(unit.values("Service", "ExecStart")[0])]
        notify = NotifySocket()
        service = Service(stem, *command[1:], executable=command[0], sockets=self.sockets.get(stem), notify=notify,
                          environment=environment, user=user)
        self.running[name] = (unit, service, notify)
        try:
            notify.wait("READY", limit=20)
        except AssertionError:
            raise RuntimeError("".join(service.lines[-5:]))

    def restart(self, name):
        unit, service, notify = self.running[name]
        assert service.stop(int(unit.values("Service", "TimeoutStopSec")[0])) == 0
        assert notify.states()[-1] == "STOPPING"
        self.start(name)

    def reload(self, name):
        unit, service, notify = self.running[name]
        count = notify.states().count("READY")
        line = unit.values("Service", "ExecReload")[0].replace("$MAINPID", str(service.process.pid))
        subprocess.run(shlex.split(line), check=True)
        notify.wait("READY", times=count + 1)

    def reload_nginx(self):
        """Debian starts nginx when it is installed."""
        if self.nginx:
            self.nginx.send_signal(signal.SIGHUP)
            return
        self.nginx = subprocess.Popen(["/usr/sbin/nginx", "-g", "daemon off;"], stdin=subprocess.DEVNULL)
        services.eventually(lambda: services.request("127.0.0.1:80", "GET", "/")[0], what="nginx")

    def stop(self):
        for _, service, _ in self.running.values():
            service.stop()
        if self.nginx:
            self.nginx.terminate()
            self.nginx.wait(10)


def main():
    commands = sys.stdin.read()
    mount_own()
    manager = Manager()
    manager.serve()
    try:
        done = subprocess.run(["bash", "-e", "-o", "pipefail", "-s"], input=commands, text=True, cwd=sys.argv[1])
    finally:
        manager.stop()
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
