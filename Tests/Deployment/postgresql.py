"""A private PostgreSQL cluster on a port of its own."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=lambda path: int(path.parent.name))


class PostgreSQL:
    """The cluster; it can be stopped, killed and started again on the same port."""

    def __init__(self, host="127.0.0.1", prefix=()):
        """`prefix` is put before the server's command: a namespace to run in, where `host` is an address."""
        assert PROGRAMS, "PostgreSQL's server is not installed (deploy/local/packages test)"
        self._directory = Path(tempfile.mkdtemp(prefix="chat-postgresql-"))
        # The server refuses to run as root.
        self._user = "postgres" if os.getuid() == 0 else None
        if self._user:
            shutil.chown(self._directory, self._user)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.host, self._prefix = host, prefix
        self._run("initdb", "--pgdata", self._data, "--username", "chat", "--auth", "trust", "--encoding", "UTF8",
                  "--no-locale", "--no-sync")
        with open(self._data / "pg_hba.conf", "a") as access:
            access.write("host all chat samenet trust\n")
        self.start()
        self.query("CREATE DATABASE chat", database="postgres")

    @property
    def url(self):
        return f"postgres://chat@{self.host}:{self.port}/chat"

    @property
    def _data(self):
        return self._directory / "data"

    def start(self):
        # Only root may enter a namespace; the server wants somebody else.
        identity = {} if self._prefix else self._identity()
        become = ["setpriv", "--reuid", self._user, "--regid", self._user, "--clear-groups"] if self._prefix else []
        self._server = subprocess.Popen(
            [*self._prefix, *become, PROGRAMS / "postgres", "-D", self._data, "-p", str(self.port),
             "-c", f"listen_addresses={self.host}",
             "-c", f"unix_socket_directories={self._directory}", "-c", "fsync=off", "-c", "max_connections=50"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **identity)

        asking, end = [PROGRAMS / "pg_isready", "-q", "-h", self.host, "-p", str(self.port)], time.monotonic() + 30
        while subprocess.run(asking).returncode != 0:
            assert self._server.poll() is None, "PostgreSQL ended"
            assert time.monotonic() < end, "PostgreSQL does not start"
            time.sleep(0.02)

    def stop(self, how=signal.SIGINT):
        """SIGINT ends the sessions and shuts down; SIGQUIT ends without a checkpoint."""
        self._server.send_signal(how)
        self._server.wait(20)

    def remove(self):
        if self._server.poll() is None:
            self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def query(self, statement, database="chat"):
        """The rows, each a list of texts."""
        result = subprocess.run(
            ["psql", "-X", "-A", "-t", "-F", "\x1f", "-h", self.host, "-p", str(self.port), "-U", "chat", "-d", database,
             "-v", "ON_ERROR_STOP=1", "-c", statement], capture_output=True, text=True, check=True)
        return [line.split("\x1f") for line in result.stdout.splitlines()]

    def _run(self, program, *arguments):
        result = subprocess.run(
            [PROGRAMS / program, *map(str, arguments)], capture_output=True, text=True, **self._identity())
        assert result.returncode == 0, result.stderr

    def _identity(self):
        if not self._user:
            return {"cwd": self._directory}
        account = pwd.getpwnam(self._user)
        return {"cwd": self._directory, "user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
