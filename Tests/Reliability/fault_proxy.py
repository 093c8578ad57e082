"""A line between two processes that breaks where a test wants it to: TCP that is passed on until a fault befalls it.

A fault has a kind, a direction and a place: a number of bytes, or a text and a number of bytes behind it. It waits for
the exchange whose request contains its token, so that checks of health on the same line do not set it off; without a
token it waits for the next bytes of its direction. Faults of the phase `accept` befall a connection as it is opened,
those of `strike` the connections that are open.
"""
import asyncio
import collections
import contextlib
import dataclasses
import random
import socket
import struct
import threading

REQUEST, RESPONSE = "request", "response"

# What becomes of the bytes of the fault's direction from its place on, unless it says more.
KINDS = {
    "delay": "come `seconds` later",
    "drop": "the next `length` of them are missing",
    "reset": "both ends of the connection are reset",
    "half_close": "never come; the receiver is told that the sender has ended, the other direction goes on",
    "truncate": "never come; both ends are told that the other has ended",
    "corrupt": "the next `length` of them are others",
    "throttle": "come at `rate` bytes a second",
    "blackhole": "never come, nor those of the other direction; nothing is read any more and no end is passed on",
    "never_answer": "are taken and thrown away, in both directions; no end is passed on",
}


@dataclasses.dataclass(frozen=True)
class Fault:
    kind: str
    direction: str = RESPONSE
    at: int = 0
    after: bytes = b""
    token: bytes = b""
    # Number of connections that it befalls; None: each one until it is cleared.
    times: int | None = 1
    # Exchanges with the token that pass before.
    skip: int = 0
    phase: str = "bytes"
    seconds: float = 0.3
    rate: int = 2000
    length: int = 1
    seed: int = 0

    def __post_init__(self):
        assert self.kind in KINDS and self.direction in (REQUEST, RESPONSE) and self.phase in ("bytes", "accept"), self


class Trigger:
    """The place of a fault in a direction."""

    def __init__(self, fault):
        self._after, self._left, self._seen = fault.after, fault.at, b""

    def feed(self, data):
        """How many of these bytes still pass, or None: all of them, and the place is further on."""
        start = 0
        if self._after:
            joined = self._seen + data
            found = joined.find(self._after)
            if found < 0:
                self._seen = joined[-(len(self._after) - 1):] if len(self._after) > 1 else b""
                return None
            start, self._after = found + len(self._after) - len(self._seen), b""
        if start + self._left <= len(data):
            return start + self._left
        self._left -= len(data) - start
        return None


class Connection:
    """One connection through the proxy: two streams to each side, and the fault that it is to suffer."""

    def __init__(self, proxy, reader, writer):
        self.proxy, self.near = proxy, (reader, writer)
        self.far = None
        self.fault = self.trigger = None
        self.is_dark = asyncio.Event()
        self.swallows = False
        self.rate = {}
        self.ended = asyncio.Event()
        self._tail = b""

    async def run(self):
        try:
            fault = self.proxy.take(lambda fault: fault.phase == "accept")
            if fault:
                self.fault = fault
                if fault.kind in ("drop", "corrupt", "throttle"):
                    self.begin(fault)  # Of its first bytes.
                else:
                    await self._befall(fault, RESPONSE if fault.kind == "half_close" else REQUEST)
            if self.ended.is_set():
                return
            self.far = await asyncio.open_connection("127.0.0.1", self.proxy.target)
            ways = [asyncio.ensure_future(way) for way in (
                self._way(REQUEST, self.near[0], self.far[1]), self._way(RESPONSE, self.far[0], self.near[1]))]
            ending = asyncio.ensure_future(self.ended.wait())
            try:
                # Both directions, or the end of all.
                await asyncio.wait([asyncio.gather(*ways, return_exceptions=True), ending],
                                   return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (*ways, ending):
                    task.cancel()
                await asyncio.gather(*ways, ending, return_exceptions=True)
        except OSError:
            self.end(reset=True)
        finally:
            self.end()

    def begin(self, fault):
        """From here on the fault's bytes are counted."""
        self.fault, self.trigger = fault, Trigger(fault)

    async def _way(self, direction, reader, writer):
        while True:
            if self.is_dark.is_set():
                await self.ended.wait()
            try:
                data = await reader.read(65_536)
            except OSError:
                return self.end(reset=True)
            if self.swallows or self.is_dark.is_set():
                if data:
                    continue
                return await self.ended.wait()
            try:
                if not data:
                    return writer.write_eof()
                await self._pass(direction, data, writer)
            except OSError:
                return self.end(reset=True)
            if self.ended.is_set():
                return

    async def _pass(self, direction, data, writer):
        if direction == REQUEST and self.fault is None:
            self._notice(data)
        elif self.fault is None:
            fault = self.proxy.take(
                lambda fault: fault.phase == "bytes" and not fault.token and fault.direction == RESPONSE)
            if fault:
                self.begin(fault)
        if self.trigger and self.fault.direction == direction:
            place = self.trigger.feed(data)
            if place is not None:
                fault, self.trigger = self.fault, None
                await self._write(direction, data[:place], writer)
                data = await self._befall(fault, direction, data[place:])
                if data is None:
                    return
        if self.fault and self.fault.direction == direction and self.trigger is None and self._owed:
            data = self._change(data)
        await self._write(direction, data, writer)

    def _notice(self, data):
        joined = self._tail + data
        fault = self.proxy.take(lambda fault: fault.phase == "bytes" and (
            fault.token in joined if fault.token else fault.direction == REQUEST))
        # Enough for the rest of a token that is cut, too little for a whole one.
        longest = max((len(fault.token) for fault in self.proxy.faults), default=0)
        self._tail = joined[len(joined) - longest + 1:] if longest > 1 else b""
        fault = fault or self.proxy.chance()
        if fault:
            self.begin(fault)

    _owed = 0

    def _change(self, data):
        """Takes away or changes the bytes that the fault is owed."""
        count = min(self._owed, len(data))
        self._owed -= count
        if self.fault.kind == "drop":
            return data[count:]
        return bytes(byte ^ self._random.randrange(1, 256) for byte in data[:count]) + data[count:]

    async def _write(self, direction, data, writer):
        rate = self.rate.get(direction)
        if not rate:
            writer.write(data)
            return await writer.drain()
        step = max(1, rate // 20)
        for place in range(0, len(data), step):
            writer.write(data[place:place + step])
            await writer.drain()
            await asyncio.sleep(step / rate)

    async def _befall(self, fault, direction, data=b""):
        """What is to pass of the bytes behind the place; None: nothing more."""
        self.proxy.befallen(fault)
        match fault.kind:
            case "delay":
                await asyncio.sleep(fault.seconds)
                self.fault = None  # The connection is as good as before.
                return data
            case "drop" | "corrupt":
                self._owed, self._random = fault.length, random.Random(fault.seed)
                return data
            case "throttle":
                self.rate[direction] = fault.rate
                return data
            case "reset":
                return self.end(reset=True)
            case "truncate":
                return self.end()
            case "half_close":
                side = self.far if direction == REQUEST else self.near
                side[1].write_eof()
                # What still comes from there is thrown away.
                reader = (self.near if direction == REQUEST else self.far)
                if reader:
                    with contextlib.suppress(OSError):
                        while await reader[0].read(65_536):
                            pass
                if self.far is None:
                    await self.ended.wait()
                return None
            case "blackhole" | "never_answer":
                (self.is_dark.set if fault.kind == "blackhole" else self._swallow)()
                if self.far is None:
                    if fault.kind == "never_answer":
                        with contextlib.suppress(OSError):
                            while await self.near[0].read(65_536):
                                pass
                    await self.ended.wait()
                return None

    def _swallow(self):
        self.swallows = True

    def strike(self, kind):
        """Lets a fault befall the connection as it is."""
        match kind:
            case "reset":
                self.end(reset=True)
            case "truncate":
                self.end()
            case "half_close":
                self.near[1].write_eof()
            case "blackhole":
                self.is_dark.set()
            case "never_answer":
                self._swallow()
            case "corrupt":
                self.near[1].write(b"\x00")
            case _:
                raise AssertionError(kind)

    def end(self, reset=False):
        self.ended.set()
        for side in (self.near, self.far):
            if side is None:
                continue
            if reset:
                # Whatever still waits to be written goes with it.
                with contextlib.suppress(OSError):
                    held = side[1].get_extra_info("socket")
                    held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                side[1].transport.abort()
            elif not side[1].transport.is_closing():
                side[1].close()


class FaultProxy:
    """Passes connections to `port` on 127.0.0.1, on a port of its own. Runs on a thread of its own; its methods may be
    called from any other."""

    def __init__(self, port=None):
        self.target, self.faults, self.count, self.opened = port, [], 0, 0
        # How often each kind has befallen, and what comes by chance.
        self.kinds, self._chaos = collections.Counter(), None
        self._connections = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._call(self._start)

    async def _start(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    async def _accept(self, reader, writer):
        connection = Connection(self, reader, writer)
        self._connections.add(connection)
        self.opened += 1
        try:
            await connection.run()
        except asyncio.CancelledError:
            pass  # The proxy stops.
        finally:
            self._connections.discard(connection)

    def take(self, fits):
        """The first fault that fits; it is used up by its last time."""
        for place, fault in enumerate(self.faults):
            if fits(fault):
                if fault.skip:
                    self.faults[place] = dataclasses.replace(fault, skip=fault.skip - 1)
                    return None
                if fault.times == 1:
                    del self.faults[place]
                elif fault.times:
                    self.faults[place] = dataclasses.replace(fault, times=fault.times - 1)
                return fault
        return None

    def chance(self):
        """A fault that nobody ordered, if there is chaos."""
        if not self._chaos:
            return None
        random_numbers, rate, kinds = self._chaos
        if random_numbers.random() >= rate:
            return None
        return Fault(
            random_numbers.choice(kinds), random_numbers.choice((REQUEST, RESPONSE)), random_numbers.randrange(400),
            seconds=0.05, rate=20_000)

    def befallen(self, fault):
        self.count += 1
        self.kinds[fault.kind] += 1

    # From other threads.

    def _call(self, function, *arguments):
        async def body():
            result = function(*arguments)
            return await result if asyncio.iscoroutine(result) else result
        return asyncio.run_coroutine_threadsafe(body(), self._loop).result(20)

    def arm(self, *faults):
        """Adds faults; returns the number that have befallen so far."""
        def add():
            self.faults.extend(faults)
            return self.count
        return self._call(add)

    def chaos(self, rate, kinds=(), seed=0):
        """From now on a fault of one of `kinds` befalls a request with the probability `rate`, at any byte of it or of
        its response; only those connections that have had none. A rate of 0 ends that, and what has not befallen yet."""
        def change():
            self._chaos = (random.Random(seed), rate, kinds) if rate else None
            for connection in self._connections if not rate else ():
                if connection.trigger:
                    connection.fault = connection.trigger = None
        self._call(change)

    def strike(self, kind):
        """Lets a fault befall all open connections; returns how many there are."""
        def all_of_them():
            struck = list(self._connections)
            for connection in struck:
                connection.strike(kind)
            self.count += len(struck)
            return len(struck)
        return self._call(all_of_them)

    def connections(self):
        return self._call(lambda: len(self._connections))

    def clear(self):
        """Forgets all faults and ends all connections that are open."""
        async def ends():
            self.faults.clear()
            ending = set(self._connections)
            for connection in ending:
                connection.end(reset=True)
            while self._connections & ending:
                await asyncio.sleep(0.005)
        self._call(ends)

    def stop(self):
        async def end():
            self._server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        self._call(end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
