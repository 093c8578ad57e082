"""What a page takes for granted beside our executables: an old backend, a Django site, an AI provider. Each is a function
of the page's directory that prepares it and returns the commands of servers to start."""
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]


def old_backend(_):
    return [[sys.executable, TESTS / "Interop/old_api.py", "8000"]]


def provider(_):
    """An AI provider at the address of Ollama."""
    program = ("import sys, threading; sys.path.insert(0, sys.argv[1]); import upstreams; upstreams.Provider(11434); "
               "threading.Event().wait()")
    return [[sys.executable, "-c", program, TESTS / "Browser"]]


def django_site(directory):
    """The database of a Django site, with its sessions."""
    shutil.copy(TESTS / "Fixtures/legacy/legacy.sqlite3", directory / "db.sqlite3")
    (directory / "db.sqlite3").chmod(0o600)
    return []


def nginx(directory):
    """Debian's nginx, whose directories are the page's own."""
    if os.environ.get("ISOLATED") != "root":
        pytest.skip("needs root and namespaces: the page writes to /etc/nginx and listens on port 80")
    if not shutil.which("nginx"):
        pytest.skip("nginx is not installed")
    for place in ("/etc/nginx", "/var/lib/nginx", "/var/log/nginx", "/run"):
        own = directory.parent / place.strip("/").replace("/", "-")
        if place == "/etc/nginx":
            shutil.copytree(place, own, symlinks=True)
        own.mkdir(exist_ok=True)
        pathlib.Path(place).mkdir(exist_ok=True)
        subprocess.run(["mount", "--bind", own, place], check=True)
    return []


OF_PAGE = {
    "docs/nginx.md": nginx,
    "docs/old-api.md": old_backend,
    "docs/migration.md": old_backend,
    "docs/django.md": django_site,
    "docs/ai.md": provider,
}
