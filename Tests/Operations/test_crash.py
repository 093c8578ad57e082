"""A crash tells where."""
import ctypes
import pathlib
import platform
import re
import shutil
import signal

import pytest

import services
from services import ROOT, eventually

SWIFT = shutil.which("swift")
TOOL = pathlib.Path(SWIFT).resolve().parents[1] / "libexec/swift/linux/swift-backtrace" if SWIFT else None


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the number of a system call is x86-64's")
@pytest.mark.skipif(not TOOL or not TOOL.exists(), reason="swift-backtrace is not installed")
def test_the_units_have_a_symbolised_backtrace_written(running):
    settings = {re.search("^Environment=SWIFT_BACKTRACE=(.+)$", unit.read_text(), re.MULTILINE)[1]
                for unit in (ROOT / "deploy/systemd").glob("*.service")}
    assert len(settings) == 1
    service = running(services.gateway("127.0.0.1:9", environment={"SWIFT_BACKTRACE": settings.pop()})).listening()
    # A crash on an event loop. This fault does not come again by itself, so the process outlives the backtrace.
    tasks = pathlib.Path(f"/proc/{service.process.pid}/task").iterdir()
    loop = next(int(task.name) for task in tasks if (task / "comm").read_text().startswith("NIO-ELT"))
    tgkill = 234  # x86-64; see syscalls(2)
    assert ctypes.CDLL(None).syscall(tgkill, service.process.pid, loop, signal.SIGSEGV) == 0
    eventually(lambda: any("Backtrace took" in line for line in service.lines), 60, "the backtrace")
    service.kill()
    service.reader.join(5)
    text = "".join(service.lines)
    assert "Program crashed" in text
    # Names of functions, ours among them.
    assert re.search(r"^ *\d+ .* SelectableEventLoop.* in gateway\b", text, re.MULTILINE), text
