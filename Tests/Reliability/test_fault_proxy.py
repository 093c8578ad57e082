"""The proxy itself: each kind of fault, at the byte and in the direction where it was ordered."""
import socket
import threading
import time

import pytest

from fault_proxy import KINDS, REQUEST, RESPONSE, Fault, FaultProxy


class Echo:
    """Answers each line with `>` in front of it; keeps what came and how each connection ended."""

    def __init__(self):
        self.received, self.ends = b"", []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                threading.Thread(target=self._serve, args=self.listener.accept()[:1], daemon=True).start()
            except OSError:
                return

    def _serve(self, connection):
        with connection:
            try:
                while data := connection.recv(4096):
                    self.received += data
                    for line in data.splitlines(keepends=True):
                        connection.sendall(b">" + line)
                self.ends.append("end")
            except OSError as problem:
                self.ends.append(type(problem).__name__)

    def ended(self):
        deadline = time.monotonic() + 10
        while not self.ends and time.monotonic() < deadline:
            time.sleep(0.005)
        return self.ends


@pytest.fixture
def echo():
    server = Echo()
    yield server
    server.listener.close()


@pytest.fixture
def proxy(echo):
    proxy = FaultProxy(echo.port)
    yield proxy
    proxy.stop()


def client(proxy, timeout=10):
    made = socket.create_connection(("127.0.0.1", proxy.port), timeout=timeout)
    return made


def read(connection, count):
    data = b""
    while len(data) < count and (piece := connection.recv(count - len(data))):
        data += piece
    return data


def test_without_a_fault_all_passes_and_so_does_the_end(proxy, echo):
    with client(proxy) as line:
        line.sendall(b"one\n")
        assert read(line, 5) == b">one\n"
        line.shutdown(socket.SHUT_WR)
        assert line.recv(1) == b""
    assert echo.ended() == ["end"]
    assert proxy.count == 0 and proxy.opened == 1


def test_a_reset_of_one_end_reaches_the_other(proxy, echo):
    import struct
    line = client(proxy)
    line.sendall(b"one\n")
    assert read(line, 5) == b">one\n"
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()
    assert echo.ended() == ["ConnectionResetError"]


def test_a_fault_waits_for_its_token_text_and_bytes(proxy, echo):
    before = proxy.arm(Fault("truncate", RESPONSE, at=2, after=b"wo", token=b"two"))
    with client(proxy) as line:
        line.sendall(b"one\n")
        assert read(line, 5) == b">one\n"
        assert proxy.count == before
        line.sendall(b"two 234\n")
        assert read(line, 100) == b">two 2"
    assert proxy.count == before + 1
    # It is used up.
    with client(proxy) as line:
        line.sendall(b"two 234\n")
        assert read(line, 9) == b">two 234\n"


def test_a_token_is_found_where_it_is_cut(proxy):
    proxy.arm(Fault("truncate", RESPONSE, token=b"two"))
    with client(proxy) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.sendall(b"t\n"[:1])
        time.sleep(0.05)
        line.sendall(b"wo\n")
        assert read(line, 100) in (b"", b">t")


@pytest.mark.parametrize("kind, received, ends", [
    ("reset", b"on", "ConnectionResetError"), ("truncate", b"on", "end"), ("half_close", b"on", "end"),
])
def test_ends_in_the_direction_of_requests(proxy, echo, kind, received, ends):
    proxy.arm(Fault(kind, REQUEST, at=2))
    with client(proxy) as line:
        line.sendall(b"one\n")
        if kind == "reset":
            with pytest.raises(ConnectionResetError):
                line.recv(1)
        else:
            # The server answers what it got, and then sees the end.
            assert read(line, 3) == (b">on" if kind == "half_close" else b"")
    # A server whose answer meets the end of the connection sees a reset.
    assert echo.ended() == [ends] or (kind == "truncate" and echo.ends[0] in ("ConnectionResetError", "BrokenPipeError"))
    assert echo.received == received


def test_half_close_of_the_answer_leaves_the_other_direction(proxy, echo):
    proxy.arm(Fault("half_close", RESPONSE, at=3))
    with client(proxy) as line:
        line.sendall(b"one\n")
        assert read(line, 100) == b">on"
        line.sendall(b"two\n")
        deadline = time.monotonic() + 10
        while echo.received != b"one\ntwo\n" and time.monotonic() < deadline:
            time.sleep(0.005)
        assert echo.received == b"one\ntwo\n"


def test_drop_and_corrupt_touch_so_many_bytes(proxy):
    proxy.arm(Fault("drop", RESPONSE, at=1, length=2))
    with client(proxy) as line:
        line.sendall(b"one\n")
        assert read(line, 3) == b">e\n"
    proxy.arm(Fault("corrupt", RESPONSE, at=1, length=2, seed=7))
    with client(proxy) as line:
        line.sendall(b"one\n")
        answer = read(line, 5)
        assert answer[:1] + answer[3:] == b">e\n" and answer[1] != ord("o") and answer[2] != ord("n")
    proxy.arm(Fault("corrupt", RESPONSE, at=1, length=2, seed=7))
    with client(proxy) as line:
        line.sendall(b"one\n")
        assert read(line, 5) == answer, "the same seed, other bytes"


def test_delay_and_throttle_change_only_the_time(proxy):
    for fault, least in ((Fault("delay", RESPONSE, seconds=0.2), 0.2), (Fault("throttle", RESPONSE, rate=200), 0.4)):
        proxy.arm(fault)
        with client(proxy) as line:
            began = time.monotonic()
            line.sendall(b"x" * 99 + b"\n")
            assert read(line, 101) == b">" + b"x" * 99 + b"\n"
            assert time.monotonic() - began >= least


@pytest.mark.parametrize("kind", ["blackhole", "never_answer"])
def test_silence_passes_neither_bytes_nor_ends(proxy, echo, kind):
    proxy.arm(Fault(kind, RESPONSE, at=2))
    with client(proxy, timeout=0.2) as line:
        line.sendall(b"one\n")
        assert read(line, 2) == b">o"
        line.sendall(b"two\n")
        line.shutdown(socket.SHUT_WR)
        with pytest.raises(TimeoutError):
            line.recv(1)
        assert echo.ends == [] and echo.received == b"one\n"
        proxy.clear()
        with pytest.raises(ConnectionResetError):
            line.recv(1)
    assert echo.ended() == ["ConnectionResetError"]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_kind_befalls_a_connection_that_is_opened(proxy, echo, kind):
    before = proxy.arm(Fault(kind, phase="accept", seconds=0.1))
    try:
        with client(proxy, timeout=0.5) as line:
            line.sendall(b"one\n")
            answer = read(line, 5 if kind in ("delay", "throttle", "corrupt") else 4)
    except (ConnectionResetError, BrokenPipeError):
        answer = "reset"
    except TimeoutError:
        answer = "silence"
    if kind in ("delay", "throttle"):
        assert answer == b">one\n"
    elif kind == "drop":
        assert answer == b"one\n"
    elif kind == "corrupt":
        assert answer[1:] == b"one\n" and answer[:1] != b">"
    else:
        assert echo.received == b""
        assert answer == {"reset": "reset", "truncate": b"", "half_close": b""}.get(kind, "silence") \
            or (kind == "truncate" and answer == "reset")
    assert proxy.count == before + 1
    with client(proxy) as line:
        line.sendall(b"one\n")
        assert read(line, 5) == b">one\n"


@pytest.mark.parametrize("kind", ["reset", "truncate", "half_close", "corrupt", "blackhole", "never_answer"])
def test_a_strike_befalls_what_is_open(proxy, kind):
    with client(proxy, timeout=0.5) as line, client(proxy) as other:
        for connection in (line, other):
            connection.sendall(b"one\n")
            assert read(connection, 5) == b">one\n"
        assert proxy.strike(kind) == 2
        try:
            answer = line.recv(1)
        except ConnectionResetError:
            answer = "reset"
        except TimeoutError:
            answer = "silence"
        assert answer == {"reset": "reset", "truncate": b"", "half_close": b"", "corrupt": b"\0"}.get(kind, "silence")


def test_clear_leaves_nothing(proxy):
    proxy.arm(Fault("never_answer", times=None))
    lines = [client(proxy) for _ in range(3)]
    for line in lines:
        line.sendall(b"one\n")
    while proxy.count < 3:
        time.sleep(0.005)
    assert proxy.connections() == 3
    proxy.clear()
    assert proxy.connections() == 0
    for line in lines:
        line.close()
    with client(proxy) as line:
        line.sendall(b"one\n")
        assert read(line, 5) == b">one\n"
