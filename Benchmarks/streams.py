#!/usr/bin/env python3
"""Measures streamed answers through tool-server, gateway and nginx: how late each token is, what the streams cost, and how
soon the provider is left when a client leaves. All on one machine and one clock.

The provider is a fake one: it sends each stream its tokens at a fixed rate, and each token is the time of its sending.
Lateness is the time from there to the client's read, so it includes every hop. Built for release:

    streams.py [--bin .build/release] [--streams 256] [--rate 20] [--seconds 20] [--through nginx|gateway]

CPU is user and system time of a process by its seconds of load; memory is what its resident set grew by from after a
few streams to its largest under load, over the number of streams.
"""
import argparse
import heapq
import json
import os
import pathlib
import re
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time

from bench import cpu_seconds, free_port, resident_bytes

ROOT = pathlib.Path(__file__).resolve().parents[1]


# The provider


class ProviderStream:
    def __init__(self, connection):
        self.connection, self.asked, self.name, self.left = connection, b"", None, 0


def provider(rate):
    """Serves until it is killed; tells on standard output which streams were left by their reader, and when."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listener.setblocking(False)
    say({"port": listener.getsockname()[1]})
    poll, streams, due = select.epoll(), {}, []
    poll.register(listener, select.EPOLLIN)
    while True:
        wait = max(0, due[0][0] - time.monotonic()) if due else -1
        for descriptor, _ in poll.poll(wait):
            if descriptor == listener.fileno():
                connection, _ = listener.accept()
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                streams[connection.fileno()] = ProviderStream(connection)
                poll.register(connection, select.EPOLLIN | select.EPOLLRDHUP)
                continue
            stream = streams[descriptor]
            try:
                data = stream.connection.recv(65536)
            except OSError:
                data = b""
            if not data:
                if stream.left:
                    say({"left": stream.name, "at": time.monotonic_ns()})
                end(poll, streams, descriptor)
            elif take(stream, data):
                heapq.heappush(due, (time.monotonic() + 0.02, descriptor, stream))
        now = time.monotonic()
        while due and due[0][0] <= now:
            at, descriptor, stream = heapq.heappop(due)
            if streams.get(descriptor) is not stream:
                continue
            stream.left -= 1
            try:
                if stream.left > 0:
                    stream.connection.send(event(f"{time.monotonic_ns()} "))
                    heapq.heappush(due, (at + 1 / rate, descriptor, stream))
                else:
                    stream.connection.send(event("", "stop") + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
                    stream.left = 0
            except OSError:
                say({"left": stream.name, "at": time.monotonic_ns()})
                end(poll, streams, descriptor)


def take(stream, data):
    """Reads a request; true once it is whole and its answer has begun."""
    stream.asked += data
    head, _, body = stream.asked.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    if not length or len(body) < int(length.group(1)):
        return False
    stream.name, tokens = json.loads(body)["messages"][-1]["content"].split()
    stream.left, stream.asked = int(tokens) + 1, b""
    stream.connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    return True


def end(poll, streams, descriptor):
    poll.unregister(descriptor)
    streams.pop(descriptor).connection.close()


def event(text, finish=None):
    delta = {"content": text} if text else {}
    return chunk(b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).encode()
                 + b"\n\n")


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def say(message):
    print(json.dumps(message), flush=True)


class Provider:
    def __init__(self, rate):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "provider", str(rate)], stdout=subprocess.PIPE, text=True)
        self.port = json.loads(self.process.stdout.readline())["port"]
        self.left = {}
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            message = json.loads(line)
            self.left[message["left"]] = message["at"]

    def stop(self):
        self.process.kill()


# The clients


class Client:
    """One streamed chat; HTTP/1.0, so that the answer comes without framing."""

    def __init__(self, port, name, tokens):
        self.name, self.rest, self.late, self.done = name, b"", [], False
        body = json.dumps({"type": "chat", "message": f"{name} {tokens}"})
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(
            f"POST /api/chat/ HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Accept: text/event-stream\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        self.socket.setblocking(False)

    def read(self):
        try:
            data = self.socket.recv(1 << 20)
        except BlockingIOError:
            return
        now = time.monotonic_ns()
        if not data:
            self.done = True
            return
        lines = (self.rest + data).split(b"\n")
        self.rest = lines.pop()
        for line in lines:
            if line.startswith(b"data: {\"text\":"):
                self.late += [(now - int(sent)) / 1e6 for sent in re.findall(rb"(\d{6,}) ", line)]
            elif line.startswith(b"event: error"):
                raise SystemExit(f"a stream failed: {data}")


def follow(clients, until=lambda: False, more=lambda: None):
    """Reads all of them to their ends; `more` gives those that come later, one by one."""
    poll, by_descriptor = select.epoll(), {}

    def add(client):
        poll.register(client.socket, select.EPOLLIN)
        by_descriptor[client.socket.fileno()] = client

    for client in clients:
        add(client)
    while by_descriptor and not until():
        if (client := more()) is not None:
            add(client)
        for descriptor, _ in poll.poll(0.002):
            client = by_descriptor[descriptor]
            client.read()
            if client.done:
                poll.unregister(descriptor)
                del by_descriptor[descriptor]
    poll.close()


def share(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * part))]


# The processes


def listening(process, listener):
    for line in process.stderr:
        entry = json.loads(line)
        if entry.get("message") == "listening" and entry.get("listener") == listener:
            threading.Thread(target=lambda: [None for _ in process.stderr], daemon=True).start()
            return int(entry["address"].rsplit(":", 1)[1])
    raise SystemExit(f"{process.args[0]} did not start")


def start(command, environment=None):
    return subprocess.Popen(
        [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, env={**os.environ, **(environment or {})})


def start_nginx(directory, gateway, port):
    """Debian's nginx with the files of deploy/nginx; only ports and paths differ."""
    for name in ("proxy.conf", "tls.conf", "upstream.conf"):
        text = (ROOT / "deploy/nginx" / name).read_text()
        (directory / name).write_text(text.replace("server 127.0.0.1:8080 ", f"server 127.0.0.1:{gateway} "))
    site = (ROOT / "deploy/nginx/chat-gateway.conf").read_text()
    for old, new in [("listen 80;", f"listen 127.0.0.1:{port};"), ("/etc/nginx/chat-gateway", str(directory)),
                     ("/var/log/nginx", str(directory))]:
        site = site.replace(old, new)
    temporary = " ".join(f"{name}_temp_path {directory}/{name};"
                         for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (directory / "site.conf").write_text(site)
    (directory / "nginx.conf").write_text(
        f"{'user root;' if os.getuid() == 0 else ''} daemon off; worker_processes 1; pid {directory}/nginx.pid;\n"
        f"events {{ worker_connections 4096; }} http {{ {temporary} include {directory}/site.conf; }}\n")
    return subprocess.Popen(["/usr/sbin/nginx", "-p", directory, "-c", directory / "nginx.conf", "-e", "stderr"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Stack:
    def __init__(self, options, directory):
        binaries = pathlib.Path(options.bin)
        self.provider = Provider(options.rate)
        self.tools = start(
            [binaries / "tool-server", "--transport", "http", "--port", "0", "--database", directory / "bench.sqlite"],
            {"AI_BASE_URL": f"http://127.0.0.1:{self.provider.port}/v1", "AI_MODEL": "fake", "AI_API_KEY": "none"})
        self.gateway = start(
            [binaries / "gateway", "--config", ROOT / "gateway.json", "--listen", "127.0.0.1:0", "--admin",
             "127.0.0.1:0", "--upstream", f"http://127.0.0.1:{listening(self.tools, 'main')}/mcp/"])
        self.port, self.nginx = listening(self.gateway, "main"), None
        if options.through == "nginx":
            port = free_port()
            self.nginx = start_nginx(directory, self.port, port)
            self.port = port
        deadline = time.monotonic() + 30
        while True:
            try:
                clients = [Client(self.port, f"warm{number}", 3) for number in range(8)]
                follow(clients)
                if all(len(client.late) == 3 for client in clients):
                    return
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise SystemExit("no answer came through")
            time.sleep(0.1)

    def stop(self):
        for process in (self.nginx, self.gateway, self.tools):
            if process:
                process.terminate()
                process.wait()
        self.provider.stop()


# The measurements


def first_tokens(stack):
    late = []
    for number in range(100):
        client = Client(stack.port, f"first{number}", 1)
        follow([client])
        late += client.late
    print(f"first token, one stream at a time: p50 {share(late, .5):.2f} ms, p99 {share(late, .99):.2f} ms")


def cancel(stack, options):
    late = []
    for number in range(50):
        client = Client(stack.port, f"cancel{number}", 10_000)
        follow([client], until=lambda: len(client.late) >= 1)
        late.append(leave(stack, [client])[0])
    print(f"provider left after the client, one stream at a time: p50 {share(late, .5):.2f} ms, "
          f"p99 {share(late, .99):.2f} ms")


def leave(stack, clients):
    """Closes them; gives back how long it took the provider to see each."""
    left = {}
    for client in clients:
        left[client.name] = time.monotonic_ns()
        client.socket.close()
    deadline = time.monotonic() + 30
    while any(name not in stack.provider.left for name in left):
        if time.monotonic() > deadline:
            raise SystemExit("the provider was never left")
        time.sleep(0.002)
    return [(stack.provider.left[name] - at) / 1e6 for name, at in left.items()]


def load(stack, options):
    processes = {"gateway": stack.gateway, "tool-server": stack.tools}
    if stack.nginx:
        processes["nginx"] = stack.nginx
    before = {name: resident_bytes(process.pid) for name, process in processes.items()}
    tokens = int(options.rate * (options.seconds + 10))
    clients = [Client(stack.port, "load0", tokens)]

    def more():
        # Streams begin one after the other, as people do.
        if len(clients) < min(options.streams, (time.monotonic() - arriving) * options.streams / 2):
            clients.append(Client(stack.port, f"load{len(clients)}", tokens))
            return clients[-1]

    arriving = time.monotonic()
    follow(clients, until=lambda: len(clients) == options.streams, more=more)
    begun, spent = time.monotonic(), {name: cpu_seconds(process.pid) for name, process in processes.items()}
    largest, ticks = dict(before), 0

    def sample():
        nonlocal ticks
        ticks += 1
        if ticks % 2000 == 0:
            for name, process in processes.items():
                largest[name] = max(largest[name], resident_bytes(process.pid))
        return time.monotonic() - begun > options.seconds - 2

    follow(clients, until=sample)
    seconds = time.monotonic() - begun
    spent = {name: (cpu_seconds(process.pid) - spent[name]) / seconds for name, process in processes.items()}
    late = [value for client in clients for value in client.late[1:]]
    print(f"{options.streams} streams of {options.rate:g} tokens/s for {seconds:.0f} s through {options.through}: "
          f"{len(late) / seconds:.0f} tokens/s")
    print(f"  late: p50 {share(late, .5):.2f} ms, p99 {share(late, .99):.2f} ms, most {max(late):.2f} ms; "
          f"first tokens: p99 {share([client.late[0] for client in clients], .99):.2f} ms")
    for name in processes:
        print(f"  {name}: {spent[name] * 100:.0f}% of a core, "
              f"{(largest[name] - before[name]) / options.streams / 1024:.1f} KiB for each stream")
    left = leave(stack, [client for client in clients if not client.done])
    print(f"  all leave at once: the provider is left after p50 {share(left, .5):.1f} ms, p99 {share(left, .99):.1f} ms")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default=ROOT / ".build/release")
    parser.add_argument("--streams", type=int, default=256)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--through", choices=["nginx", "gateway"], default="nginx")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        stack = Stack(options, pathlib.Path(directory))
        try:
            first_tokens(stack)
            cancel(stack, options)
            load(stack, options)
        finally:
            stack.stop()


if __name__ == "__main__":
    if sys.argv[1:2] == ["provider"]:
        provider(float(sys.argv[2]))
    main()
