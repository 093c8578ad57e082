"""Clients that post to the gateway without a pause, and what each of their requests came to."""

import http.client
import itertools
import json
import threading
import time
from dataclasses import dataclass, field


@dataclass
class Answer:
    """One request: its payload, when it began, and the status and body that came, or the error instead."""

    payload: dict
    began: float
    status: int | None = None
    body: bytes = b""
    headers: dict = field(default_factory=dict)
    error: str = ""

    @property
    def succeeded(self):
        return self.status == 200

    @property
    def is_ours(self):
        """Whether the gateway answered, and not nginx in its place."""
        return "server-timing" in self.headers

    def problem(self):
        return json.loads(self.body)

    def __str__(self):
        return f"{self.payload} -> {self.status} {self.error} {self.body[:200]!r}"


class Load:
    """`payloads` makes the next payload of a client; `clients` of them post at the same time, each on its connection."""

    def __init__(self, address, payloads, clients, cookie=None):
        self.answers = []
        self._host, self._port = address.rsplit(":", 1)
        self._headers = {"Content-Type": "application/json", "Accept": "application/json, application/problem+json"}
        if cookie:
            self._headers["Cookie"] = f"sessionid={cookie}"
        self._payloads = payloads
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._client, daemon=True) for _ in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a request hangs"

    def failures(self):
        return [answer for answer in self.answers if not answer.succeeded]

    def progress(self, count, within=30.0):
        """Waits until `count` more requests have succeeded."""
        end, wanted = time.monotonic() + within, self._succeeded() + count
        while self._succeeded() < wanted:
            assert time.monotonic() < end, "\n".join(["no progress", *map(str, self.failures()[-5:])])
            time.sleep(0.01)

    def _succeeded(self):
        return sum(1 for answer in self.answers if answer.succeeded)

    def _client(self):
        connection = None
        while not self._end.is_set():
            answer = Answer(next(self._payloads), time.monotonic())
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(self._host, int(self._port), timeout=40)
                connection.request("POST", "/api/chat/", json.dumps(answer.payload), self._headers)
                response = connection.getresponse()
                answer.body, answer.status = response.read(), response.status
                answer.headers = {name.lower(): value for name, value in response.getheaders()}
                if response.will_close:
                    connection = None
            except (OSError, http.client.HTTPException) as error:
                answer.error, connection = repr(error), None
            self.answers.append(answer)


def searches():
    return itertools.repeat({"type": "search_any", "model": "projects", "query": "urgent"})


class Messages:
    """Payloads of `chat`, each with a text that no other has."""

    def __init__(self, prefix):
        self._count = itertools.count()
        self._prefix = prefix

    def __next__(self):
        return {"type": "chat", "message": f"{self._prefix} {next(self._count)}"}
