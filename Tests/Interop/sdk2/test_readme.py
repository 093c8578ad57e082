"""README.md, "Several servers, one endpoint": its three blocks, run as they stand there. Only ports and the places of
executables and database differ."""
import re
import subprocess
import sys

import pytest
from conftest import PRODUCTS, ROOT, Process, free_port, wait_for

README = (ROOT / "README.md").read_text()


def block(title):
    found = re.findall(rf"^```{title}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert len(found) == 1, title
    return found[0]


@pytest.fixture
def here(tool_server, database):
    """Replaces what README.md says by what there is here."""
    weather = free_port()

    def replace(text, gateway=None):
        for there, now in [("127.0.0.1:8001", tool_server.addresses["main"]), ("127.0.0.1:8002", f"127.0.0.1:{weather}"),
                           ("port=8002", f"port={weather}"), (".build/release", str(PRODUCTS)),
                           (".build/demo/chat.sqlite", database), ("127.0.0.1:8080", gateway)]:
            if now:
                text = text.replace(there, now)
        return text

    replace.weather = weather
    return replace


def test_several_servers_stand_behind_one_endpoint(here, tmp_path):
    assert block("json several servers").count("\n") <= 12
    weather = subprocess.Popen([sys.executable, "-c", here(block("python fastmcp"))], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        wait_for(here.weather, weather)
        path = tmp_path / "gateway.json"
        path.write_text(here(block("json several servers")))
        gateway = Process("gateway", "--config", str(path), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
        try:
            gateway.wait("main", "admin")
            client = here(block("python client"), gateway.addresses["main"])
            done = subprocess.run([sys.executable, "-c", client], capture_output=True, text=True, timeout=60)
        finally:
            assert gateway.stop() == 0
    finally:
        weather.kill()
        weather.wait()
    assert done.returncode == 0, done.stderr
    names, forecast, echo, projects = done.stdout.splitlines()
    for name in ("search_projects", "chat", "weather_forecast", "local_echo", "local_search_any"):
        assert f"'{name}'" in names
    assert "local_chat" not in names
    assert forecast == "{'result': 'Sunny in Oslo'}"
    assert echo == "{'Echo': 'Hello'}"
    assert "Urgent Q2" in projects
