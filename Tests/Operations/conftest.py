"""Demo data and a running pair for the operations tests."""
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "Deployment")]
import observed as watched  # noqa: E402
import services  # noqa: E402


@pytest.fixture(scope="session")
def database(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "chat.sqlite"
    subprocess.run([services.PRODUCTS / "tool-server", "seed", "--database", path], check=True, capture_output=True)
    return path


@pytest.fixture
def running():
    """Starts a service and ends it with the test, whatever happens."""
    started = []

    def begin(service):
        started.append(service)
        return service

    yield begin
    for service in reversed(started):
        (service.kill if hasattr(service, "kill") else service.stop)()


@pytest.fixture(scope="session")
def pair(database):
    """A tool-server and a gateway that nobody stops."""
    tools = services.tool_server(database)
    tools.listening()
    front = services.gateway(tools.addresses["main"])
    front.ready()
    yield tools, front
    assert front.stop() == 0
    assert tools.stop() == 0


@pytest.fixture(scope="session")
def observed(tmp_path_factory):
    """A pair with every part that has metrics; see observed.py."""
    both = watched.Observed(tmp_path_factory.mktemp("observed"))
    both.ask()
    both.ask()
    yield both
    both.stop()
