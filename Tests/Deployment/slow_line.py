"""A long line between two processes: TCP that is passed on as it came, but later."""

import asyncio
import threading


class SlowLine:
    """Passes connections on to `port`. Each piece of data arrives `delay` seconds after it was sent, in either
    direction, and so does the end; pieces follow one another as they were sent."""

    def __init__(self, port, delay):
        self.delay, self._target = delay, port
        self._loop = asyncio.new_event_loop()
        started = threading.Event()

        async def start():
            self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
            self.port = self._server.sockets[0].getsockname()[1]
            started.set()

        self._loop.create_task(start())
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        assert started.wait(10)

    async def _pass(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(self._one_way(reader, far_writer), self._one_way(far_reader, writer))
        for end in (writer, far_writer):
            end.transport.abort()

    async def _one_way(self, reader, writer):
        """Until the sender has ended and all of it has arrived."""
        under_way = asyncio.Queue(1024)

        async def arrive():
            while piece := await under_way.get():
                due, data = piece
                await asyncio.sleep(due - self._loop.time())
                if data is None:
                    return writer.write_eof()
                writer.write(data)
                await writer.drain()

        arriving = self._loop.create_task(arrive())
        data = b"-"
        while data:
            try:
                data = await reader.read(65_536)
            except OSError:
                data = b""
            await under_way.put((self._loop.time() + self.delay, data or None))
        try:
            await arriving
        except OSError:
            pass  # Nobody takes it any more.

    def stop(self):
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self):
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
