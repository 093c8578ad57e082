"""What somebody sees who starts an executable by hand."""
import os
import pty
import subprocess

from services import PRODUCTS


def test_a_tool_server_on_a_terminal_says_what_it_waits_for(tmp_path):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [PRODUCTS / "tool-server", "--database", tmp_path / "x.sqlite"], stdin=theirs, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True)
    os.close(theirs)
    try:
        assert "--transport http" in process.stderr.readline()
        # The end of input, as Ctrl-D gives it.
        os.write(ours, b"\x04")
        out, _ = process.communicate(timeout=20)
        assert process.returncode == 0 and out == ""
    finally:
        process.kill()
        os.close(ours)


def test_a_desktop_client_does_not_see_that(tmp_path):
    done = subprocess.run(
        [PRODUCTS / "tool-server", "--database", tmp_path / "x.sqlite"], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=20)
    assert done.returncode == 0 and "--transport" not in done.stderr
