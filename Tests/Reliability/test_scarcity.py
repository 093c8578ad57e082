"""No descriptor to open, no space on the disk, a standard error that nobody reads: both processes go on, say what they
could not do, and do it again when they can."""
import contextlib
import http.client
import json
import os
import pathlib
import resource
import sqlite3
import subprocess
import sys
import threading

import pytest

import services
from services import chat, eventually, listening_socket, request
from stack import call, descriptors, metrics, status, value

SEARCH = {"type": "search_any", "model": "projects", "query": "urgent"}


@contextlib.contextmanager
def no_descriptors(service):
    """Lets the process open nothing more."""
    before = resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, before)


@pytest.fixture
def pair(tmp_path):
    """Both processes on a database of their own, without checks of health that would need descriptors too."""
    seed = [services.PRODUCTS / "tool-server", "seed", "--database", tmp_path / "chat.sqlite"]
    subprocess.run(seed, check=True, capture_output=True)
    settings = json.loads((services.ROOT / "gateway.json").read_text())
    settings["upstreams"]["tools"] |= {"probeInterval": "1h", "breaker": {"failures": 0}, "retryWindow": "200ms"}
    settings["chat"]["types"]["search_any"]["timeout"] = "1s"
    config = tmp_path / "gateway.json"
    config.write_text(json.dumps(settings))
    tools = services.tool_server(tmp_path / "chat.sqlite")
    tools.listening()
    front = services.gateway(tools.addresses["main"], config=config)
    front.ready()
    yield tools, front
    assert front.stop() == 0
    assert tools.stop() == 0


@pytest.mark.parametrize("which", ["gateway", "tool-server"])
def test_a_process_without_descriptors_answers_what_it_can(pair, which):
    tools, front = pair
    service = front if which == "gateway" else tools
    address = front.addresses["main"]
    assert chat(address, SEARCH)[0] == 200
    rest = descriptors(service)
    # The clients are there before, for nobody new is let in; what they ask needs more calls at a time than there are
    # connections to the tool-server.
    clients = [http.client.HTTPConnection(address, timeout=20) for _ in range(8)]
    for client in clients:
        client.connect()
    eventually(lambda: value(metrics(front), "gateway_connections") == 8, what="the clients")
    answers = []

    def ask(client):
        for _ in range(5):
            client.request("POST", "/api/chat/", json.dumps(SEARCH), {"Accept": "application/problem+json"})
            response = client.getresponse()
            answers.append((response.status, json.loads(response.read())))

    with no_descriptors(service):
        threads = [threading.Thread(target=ask, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive(), "a call hangs"
        assert service.process.poll() is None
    assert len(answers) == 40
    refused = [(code, body.get("label"), body.get("executed")) for code, body in answers if code != 200]
    print(f"\n{which}: {len(answers) - len(refused)} answered, refused: {set(refused)}")
    # Over the connections that there are, calls are answered. Others cannot be made, wait in the kernel's queue of a
    # tool-server that cannot accept them, or find that it cannot open its database once more.
    assert len(refused) < 40
    assert set(refused) <= {(502, "upstream_unreachable", "no"), (504, "upstream_timeout", "unknown"),
                            (503, "tool_error", "yes")}, set(refused)
    for client in clients:
        client.close()
    eventually(lambda: chat(address, SEARCH)[0] == 200, what="calls again")
    assert all(chat(address, SEARCH)[0] == 200 for _ in range(10))
    # Connections between the two are kept for a while.
    allowed = rest + len(clients) + 4
    eventually(lambda: descriptors(service) <= allowed, 10, f"{allowed} descriptors, not {descriptors(service)},")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MiB, and a function that fills it."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.getuid() != 0 or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("only root may mount")

    def fill():
        with open(place / "filler", "wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(b"x" * 4096)

    try:
        yield place, fill
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def test_a_full_disk(small_disk, tmp_path):
    """Database and logs are on it. What reads is answered, what cannot be stored is not claimed to be, and both write
    again when there is room."""
    place, fill = small_disk
    database = place / "chat.sqlite"
    seed = [services.PRODUCTS / "tool-server", "seed", "--database", database]
    subprocess.run(seed, check=True, capture_output=True)
    cookie = subprocess.run(
        [services.PRODUCTS / "tool-server", "session", "new", "alice", "--database", database], check=True,
        capture_output=True, text=True).stdout.split()[-1]
    sockets = {name: listening_socket() for name in ("tools", "front")}
    address = {name: "127.0.0.1:%d" % held.getsockname()[1] for name, held in sockets.items()}

    def start(name, *arguments):
        # The descriptor is inherited under its own number.
        held, log = sockets[name].fileno(), open(place / f"{name}.log", "ab", buffering=0)
        program = services.PRODUCTS / ("tool-server" if name == "tools" else "gateway")
        script = f'exec env LISTEN_FDS=1 LISTEN_FDNAMES=main LISTEN_PID=$$ "$0" "$@" 3<&{held}'
        return subprocess.Popen(["/bin/bash", "-c", script, program, "serve", *map(str, arguments)], pass_fds=[held],
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)

    processes = [
        start("tools", "--transport", "http", "--database", database),
        start("front", "--config", services.ROOT / "gateway.json", "--admin", "off", "--upstream",
              f"http://{address['tools']}/mcp/")]
    try:
        def say(text):
            return call(address["front"], {"type": "chat", "message": text}, cookie)

        def stored():
            history = call(address["front"], {"type": "history"}, cookie)
            assert history.status == 200, history
            return [entry["message"] for entry in json.loads(history.body)["replies"]]

        eventually(lambda: say("before").status == 200, what="both")
        assert "before" in stored()
        fill()
        statuses = {say(f"full {number}").status for number in range(80)}
        kept = stored()
        print(f"\nwhile it is full: {statuses}, {sum(text.startswith('full') for text in kept)} of 80 stored")
        # The answer goes out although it could not be stored.
        assert statuses == {200}
        assert sum(text.startswith("full") for text in kept) < 40, "the disk was not full"
        for _ in range(20):
            answer = call(address["front"], SEARCH, cookie)
            assert answer.status == 200 and "Urgent Q2" in answer.body, answer
        # On a busy machine a password takes its time.
        login = request(
            address["front"], "POST", "/auth/login", '{"username": "alice", "password": "wrong"}', timeout=120)
        assert login[0] in (401, 503), login
        assert all(process.poll() is None for process in processes)
        sizes = {name: (place / f"{name}.log").stat().st_size for name in sockets}
        (place / "filler").unlink()
        assert say("after").status == 200
        assert "after" in stored()
        for name in sockets:
            eventually(lambda: (place / f"{name}.log").stat().st_size > sizes[name], what=f"{name}'s log goes on")
    finally:
        for process in reversed(processes):
            process.terminate()
            assert process.wait(20) == 0
        for held in sockets.values():
            held.close()
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    # Every line that is whole is JSON; one may have been cut where the disk was full.
    for name in sockets:
        lines = (place / f"{name}.log").read_text().splitlines()
        broken = [line for line in lines if not is_json(line)]
        assert len(broken) <= 2, broken[:3]


def is_json(line):
    try:
        return bool(json.loads(line))
    except ValueError:
        return False


@pytest.mark.parametrize("name", ["gateway", "tool-server"])
def test_a_standard_error_that_nobody_reads(tmp_path, name):
    """The pipe is full, and so is what waits for it: requests are answered, lines are dropped and counted, and the end
    does not wait for the reader."""
    main, admin = listening_socket(), listening_socket()
    address, watched = ("127.0.0.1:%d" % held.getsockname()[1] for held in (main, admin))
    arguments = (["--transport", "http", "--database", tmp_path / "chat.sqlite"] if name == "tool-server" else
                 ["--config", services.ROOT / "gateway.json", "--upstream", "http://127.0.0.1:1/mcp/"])
    numbers = [held.fileno() for held in (main, admin)]
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", services.ACTIVATE, ",".join(map(str, numbers)), "",
         str(services.PRODUCTS / name), "serve", *map(str, arguments)],
        env=os.environ | {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "main:admin"}, pass_fds=numbers,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        eventually(lambda: request(address, "GET", "/none", timeout=2)[0] == 404, what="it listens")
        memory = lambda: int(next(line.split()[1] for line in pathlib.Path(
            f"/proc/{process.pid}/status").read_text().splitlines() if line.startswith("VmRSS")))
        before = memory()

        def dropped():
            prefix = name.replace("-", "_")
            line = next(line for line in request(watched, "GET", "/metrics")[2].splitlines()
                        if line.startswith(f"{prefix}_log_lines_dropped_total"))
            return float(line.split()[1])

        # About half a kilobyte each; a pipe holds 64 KiB, and a megabyte waits, twice.
        asked, connection = 0, http.client.HTTPConnection(address, timeout=20)
        while not dropped():
            for _ in range(500):
                connection.request("GET", "/none")
                response = connection.getresponse()
                response.read()
                assert response.status == 404
            asked += 500
            assert asked <= 20_000, "no line is dropped"
        print(f"\n{name}: {asked} requests answered, {memory() - before} KiB more")
        assert memory() - before < 16_384
        connection.close()
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.stderr.close()
        for held in (main, admin):
            held.close()
