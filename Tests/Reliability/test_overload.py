"""More than there is room for: of calls, of slow clients, of idle ones. What is accepted is answered correctly, the rest
is refused at once, memory stays bounded, and afterwards all is as before."""
import asyncio
import contextlib
import os
import socket
import time

import pytest

import scarcity
from scarcity import Door
from services import eventually
from stack import descriptors, status

ROUNDS = int(os.environ.get("OVERLOAD_ROUNDS", "4"))
IDLE = int(os.environ.get("IDLE_CONNECTIONS", "4000"))
CAPACITY = 32


@pytest.fixture
def door(tmp_path):
    with contextlib.ExitStack() as opened:
        def begin(**options):
            made = Door(tmp_path, **options)
            opened.callback(made.stop)
            return made
        yield begin


@pytest.mark.parametrize("bound", ["requests", "upstream"])
def test_ten_times_the_capacity(door, bound):
    """The bound of requests in flight refuses before anything is parsed, the bound of the upstream after a queue."""
    if bound == "requests":
        door = door(pause=0.02, limits={"concurrentRequests": CAPACITY})
    else:
        door = door(pause=0.02, upstream={"concurrency": CAPACITY, "queue": CAPACITY, "queueTimeout": "10s"})
    assert door.answers("before")
    # Once as many as there is room for: what that takes is not what an overload costs.
    began = time.monotonic()
    counts, wrong = asyncio.run(scarcity.crowd(door.address, CAPACITY, ROUNDS))
    assert not wrong and counts == {200: CAPACITY * ROUNDS}, (counts, wrong[:3])
    peak = counts[200] / (time.monotonic() - began)
    (before,) = status(door.front, "VmHWM")
    door.tools.most, began = 0, time.monotonic()
    counts, wrong = asyncio.run(scarcity.crowd(door.address, 10 * CAPACITY, ROUNDS))
    (after,) = status(door.front, "VmHWM")
    print(f"\n{bound}: {dict(counts)}, {counts[200] / (time.monotonic() - began):.0f} accepted a second ({peak:.0f} at "
          f"capacity), at most {door.tools.most} at the upstream, {after - before} KiB more")
    assert not wrong, wrong[:3]
    assert counts[200] + counts[503] == 10 * CAPACITY * ROUNDS
    # It was an overload, and nobody starved: places that became free were given away.
    assert counts[503] and counts[200] >= CAPACITY
    assert door.tools.most <= CAPACITY
    # A connection and a request of a few hundred bytes each.
    assert after - before <= 10 * CAPACITY * 64, f"{after - before} KiB more"
    assert door.answers("after")
    door.comes_to_rest()


def test_slow_clients_take_no_places(door):
    """Slow-loris in its three forms: heads and bodies by the byte, and readers that do not read."""
    door = door(size=3_000_000, limits={
        "headerTimeout": "1s", "bodyTimeout": "1s", "bodyTotal": "2s", "writeTimeout": "2s", "concurrentRequests": 16})
    address = door.address
    assert door.answers("before")
    whole = scarcity.request(address, {"token": "slow"})

    async def trickle(begin, rest):
        """Status of the answer to a request whose rest comes by the byte; None: closed without one."""
        reader, writer = await scarcity.connect(address)
        answer = asyncio.ensure_future(reader.readuntil(b"\r\n"))
        try:
            writer.write(begin)
            for byte in rest:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.1)
                if answer.done():
                    break
            return int((await answer).split()[1])
        except (OSError, EOFError):
            return None
        finally:
            writer.transport.abort()

    async def stare():
        """Asks, reads nothing, and returns when it is cut off."""
        loop, held = asyncio.get_running_loop(), socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        held.setblocking(False)
        host, port = address.rsplit(":", 1)
        await loop.sock_connect(held, (host, int(port)))
        await loop.sock_sendall(held, whole)
        with held:
            # A reset is seen by writing; the byte is one of a request that would follow.
            while True:
                try:
                    await asyncio.sleep(0.2)
                    await loop.sock_sendall(held, b"P")
                except OSError:
                    return "cut off"

    async def ask():
        """What everybody else gets meanwhile."""
        counts, wrong = await scarcity.crowd(address, 2, 8)
        assert not wrong and counts == {200: 16}, (counts, wrong)

    async def all_of_them():
        head, body = whole.split(b"\r\n\r\n")
        slow = [asyncio.create_task(trickle(head[:20], head[20:] + b" " * 100)) for _ in range(60)]
        slow += [asyncio.create_task(trickle(head + b"\r\n\r\n", body + b" " * 100)) for _ in range(60)]
        await ask()
        results = await asyncio.gather(*slow)
        staring = [asyncio.create_task(stare()) for _ in range(8)]
        await asyncio.sleep(0.3)
        await ask()
        return results, await asyncio.gather(*staring)

    trickled, stared = asyncio.run(all_of_them())
    assert trickled == [408] * 120
    assert stared == ["cut off"] * 8
    door.comes_to_rest()
    assert door.answers("after")


def test_thousands_of_idle_connections(door):
    door = door()
    assert door.answers("before")
    rest, (memory,) = descriptors(door.front), status(door.front, "VmRSS")
    host, port = door.address.rsplit(":", 1)
    idle = []
    try:
        for _ in range(IDLE):
            idle.append(socket.create_connection((host, int(port)), timeout=10))
        # Half of them have been used.
        for line in idle[::2]:
            line.sendall(b"GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for line in idle[::2]:
            assert line.recv(4096).startswith(b"HTTP/1.1 404")
        eventually(lambda: door.gauge("gateway_connections") == IDLE, 20, "all connections counted")
        (full,) = status(door.front, "VmRSS")
        print(f"\n{IDLE} connections: {(full - memory) / IDLE:.1f} KiB each")
        assert full - memory <= IDLE * 24, f"{full - memory} KiB"
        assert all(door.answers(f"beside-{number}") for number in range(20))
    finally:
        for line in idle:
            line.close()
    door.comes_to_rest()
    eventually(lambda: descriptors(door.front) <= rest + 1, 10, f"{rest} descriptors again")
    assert door.answers("after")
