"""Pages, and the machine that they take for granted."""
import os
import pathlib
import shutil
import socket
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import surroundings  # noqa: E402
from terminal import Terminal, eventually, listens  # noqa: E402

ROOT = HERE.parents[1]
BIN = pathlib.Path(os.environ.get("BIN", ROOT / ".build/debug")).resolve()
# Ports that the pages name.
PORTS = (8000, 8001, 8002, 8080, 9090, 9091)


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.fixture
def terminal(tmp_path):
    """Opens a terminal for a page: in a fresh directory, with both executables on the PATH."""
    opened, beside = [], []

    def open_for(page):
        busy = [port for port in PORTS if not is_free(port)]
        assert not busy, f"ports of the pages are in use here: {busy}"
        directory = tmp_path / "here"
        directory.mkdir()
        variables = {
            "PATH": os.pathsep.join([str(HERE / "stand-ins"), str(BIN), str(pathlib.Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": str(directory), "LANG": "C.UTF-8", "TMPDIR": str(tmp_path),
        }
        if page in ("README.md", "docs/nginx.md"):
            checkout(directory)
        for command in surroundings.OF_PAGE.get(page, lambda _: [])(directory):
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, start_new_session=True)
            beside.append(process)
            eventually(lambda: listens(process.pid), 240, lambda: f"listening: {command}")
        opened.append(Terminal(directory, variables, tmp_path / "records"))
        return opened[-1]

    yield open_for
    for terminal in opened:
        terminal.close()
    for process in beside:
        process.kill()
        process.wait()


def checkout(directory):
    """A clone after `make run` has built everything."""
    for name in ("Makefile", "deploy", "docs"):
        (directory / name).symlink_to(ROOT / name)
    # A page may change it.
    shutil.copy(ROOT / "gateway.json", directory)
    (directory / ".build").mkdir()
    (directory / ".build/release").symlink_to(BIN)
