"""Records what passes between a client and a server, and checks what our side of it sent."""
import json
import pathlib
import select
import socket
import sys
import threading

import schemas

LEGACY_DEFAULT = "2025-03-26"


class Unreadable:
    """A whole message that is no JSON."""

    def __init__(self, text):
        self.text = text


class Exchange:
    """One HTTP request and its answer, as recorded."""

    def __init__(self, head, body, complete):
        self.head, self.body, self.complete = head, body, complete
        self.answer, self.answer_head, self.answer_complete = b"", {}, False

    def asked(self):
        return self.messages(self.head, self.body, self.complete)

    def answered(self):
        return self.messages(self.answer_head, self.answer, self.answer_complete)

    @staticmethod
    def messages(head, body, complete):
        kind = head.get("content-type", "")
        if "event-stream" in kind:
            text = body.decode(errors="replace").replace("\r\n", "\n")
            # What follows the last empty line is an event that the end of the connection cut off.
            for event in text.split("\n\n")[:-1]:
                data = "\n".join(line[5:].removeprefix(" ") for line in event.split("\n") if line.startswith("data:"))
                if data:
                    yield decoded(data)
        elif "json" in kind and body and complete:
            yield decoded(body)


def decoded(text):
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return Unreadable(text)


class Stream:
    """Takes one direction of a connection apart into messages of HTTP/1.1."""

    def __init__(self):
        self.bytes = b""

    def line_end(self, start=0):
        return self.bytes.find(b"\r\n", start)

    def take(self, is_answer, methods):
        """Yields (head, body, complete) for each message."""
        while True:
            end = self.bytes.find(b"\r\n\r\n")
            if end < 0:
                return
            first, *lines = self.bytes[:end].decode("latin-1").split("\r\n")
            head = {":start": first}
            for line in lines:
                name, _, value = line.partition(":")
                head[name.lower()] = value.strip()
            rest = self.bytes[end + 4:]
            status = int(first.split()[1]) if is_answer else 0
            if is_answer and 100 <= status < 200:
                self.bytes = rest
                continue
            if "chunked" in head.get("transfer-encoding", ""):
                body, rest, complete = self.chunks(rest)
            else:
                length = int(head.get("content-length", 0))
                if is_answer and (status in (204, 304) or (methods and methods[0] == "HEAD")):
                    length = 0
                body, rest, complete = rest[:length], rest[length:], len(rest) >= length
            if is_answer and methods:
                methods.pop(0)
            self.bytes = rest
            yield head, body, complete
            if not complete:
                return

    @staticmethod
    def chunks(rest):
        body = b""
        while True:
            end = rest.find(b"\r\n")
            if end < 0:
                return body, b"", False
            size = int(rest[:end].split(b";")[0], 16)
            chunk = rest[end + 2:end + 2 + size]
            body += chunk
            if len(chunk) < size:
                return body, b"", False
            rest = rest[end + 2 + size + 2:]
            if size == 0:
                return body, rest, True


class Recorder:
    """Passes TCP connections on, byte for byte, to another address.

    `ours` is "server" or "client": whose messages `check` holds against the schemas.
    """

    def __init__(self, address, ours):
        self.host, port = address.rsplit(":", 1)
        self.port, self.ours = int(port), ours
        self.connections, self.lock, self.closed = [], threading.Lock(), False
        # Those of the connections that have ended.
        self.ended = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while not self.closed:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def carry(self, client):
        try:
            server = socket.create_connection((self.host, self.port), timeout=10)
        except OSError:
            client.close()
            return
        record = (bytearray(), bytearray())
        with self.lock:
            self.connections.append(record)
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.settimeout(None)
        try:
            while True:
                for end in select.select([client, server], [], [])[0]:
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    record[0 if end is client else 1].extend(data)
                    (server if end is client else client).sendall(data)
        except OSError:
            pass
        finally:
            client.close()
            server.close()
            with self.lock:
                self.ended.append(record)

    def has_ended(self, asked):
        """Whether a connection is over on which something was asked."""
        with self.lock:
            return any(asked in bytes(record[0]) for record in self.ended)

    def close(self):
        self.closed = True
        self.listener.close()

    # What was said

    def exchanges(self):
        with self.lock:
            connections = [(bytes(asked), bytes(answered)) for asked, answered in self.connections]
        for asked, answered in connections:
            requests, answers = Stream(), Stream()
            requests.bytes, answers.bytes = asked, answered
            found = [Exchange(*request) for request in requests.take(False, None)]
            methods = [exchange.head[":start"].split()[0] for exchange in found]
            for exchange, answer in zip(found, answers.take(True, list(methods))):
                exchange.answer_head, exchange.answer, exchange.answer_complete = answer
            yield from found

    def messages(self):
        """Yields (sender, revision, message, method that it answers)."""
        exchanges = list(self.exchanges())
        sessions, methods = {}, {}
        # Sessions first: connections are recorded in the order in which they were opened, not in that of messages.
        for exchange in exchanges:
            for message in exchange.asked():
                session = exchange.head.get("mcp-session-id")
                for element in message if isinstance(message, list) else [message]:
                    if isinstance(element, dict) and "method" in element and "id" in element:
                        methods[("client", session, json.dumps(element["id"]))] = element["method"]
            for message in exchange.answered():
                for element in message if isinstance(message, list) else [message]:
                    if not isinstance(element, dict):
                        continue
                    version = (element.get("result") or {}).get("protocolVersion")
                    if version and "mcp-session-id" in exchange.answer_head:
                        sessions[exchange.answer_head["mcp-session-id"]] = version
                    if "method" in element and "id" in element:
                        session = exchange.head.get("mcp-session-id")
                        methods[("server", session, json.dumps(element["id"]))] = element["method"]
        for exchange in exchanges:
            yield from self.read(exchange, sessions, methods)

    @staticmethod
    def read(exchange, sessions, methods):
        session = exchange.head.get("mcp-session-id")
        asked = list(exchange.asked())
        answered = list(exchange.answered())
        revision = exchange.head.get("mcp-protocol-version") or sessions.get(session) or LEGACY_DEFAULT
        opening = asked[0] if asked and isinstance(asked[0], dict) else {}
        answer_revision = revision
        if opening.get("method") == "initialize":
            revision = opening["params"].get("protocolVersion", revision)
            answer_revision = next(
                (found["result"]["protocolVersion"] for found in answered
                 if isinstance(found, dict) and "protocolVersion" in (found.get("result") or {})), revision)
        for message in asked:
            answers = methods.get(("server", session, json.dumps(message.get("id")))) \
                if isinstance(message, dict) else None
            yield "client", revision, message, answers
        own = {json.dumps(element.get("id")): element.get("method")
               for message in asked for element in (message if isinstance(message, list) else [message])
               if isinstance(element, dict)}
        for message in answered:
            key = json.dumps(message.get("id")) if isinstance(message, dict) else None
            yield "server", answer_revision, message, own.get(key) or methods.get(("client", session, key))


class StdioRecorder:
    """A command that runs another one and keeps what passes through its standard input and output."""

    def __init__(self, file, ours):
        self.file, self.ours = pathlib.Path(file), ours

    def command(self, command, arguments):
        return sys.executable, [__file__, str(self.file), command, *arguments]

    def messages(self):
        sessions, methods = {}, {}
        revision = LEGACY_DEFAULT
        for line in self.file.read_text().splitlines():
            sender, _, text = line.partition(" ")
            message, known, answers = decoded(text), revision, None
            if isinstance(message, dict):
                key = json.dumps(message.get("id"))
                modern = ((message.get("params") or {}).get("_meta") or {}).get(
                    "io.modelcontextprotocol/protocolVersion")
                if "method" in message and "id" in message:
                    methods[(sender, key)] = message["method"]
                    sessions[(sender, key)] = modern or (
                        message["params"]["protocolVersion"] if message["method"] == "initialize" else None)
                    known = sessions[(sender, key)] or revision
                elif "method" not in message:
                    other = "server" if sender == "client" else "client"
                    answers = methods.get((other, key))
                    known = sessions.get((other, key)) or revision
                    if answers == "initialize" and "result" in message:
                        revision = known = message["result"]["protocolVersion"]
                elif (message.get("params") or {}).get("_meta", {}).get("io.modelcontextprotocol/subscriptionId"):
                    known = "2026-07-28"
            yield sender, known, message, answers


def check(recorder):
    """All violations by our side, and how many messages of it were checked."""
    violations, count = [], 0
    for sender, name, message, method in recorder.messages():
        if sender != recorder.ours or name not in schemas.REVISIONS:
            continue
        if isinstance(message, dict) and isinstance(message.get("error"), str):
            continue  # HTTP's own refusals, before there is any message.
        count += 1
        if isinstance(message, Unreadable):
            violations.append(f"{name} {sender}: no JSON: {message.text[:600]}")
            continue
        for error in schemas.revision(name).check(message, method):
            violations.append(f"{name} {sender}: {error}\n    in {json.dumps(message)[:600]}")
    return violations, count


def tee():
    """Runs a command between our own standard input and output, and keeps both."""
    import subprocess
    file, *command = sys.argv[1:]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    lock = threading.Lock()
    with open(file, "ab") as record:
        def keep(name, line):
            with lock:
                record.write(name + b" " + line.rstrip(b"\r\n") + b"\n")
                record.flush()

        def pass_on(source, target, name):
            for line in iter(source.readline, b""):
                keep(name, line)
                target.write(line)
                target.flush()
            if name == b"client":
                target.close()

        threading.Thread(
            target=pass_on, args=(sys.stdin.buffer, process.stdin, b"client"), daemon=True).start()
        pass_on(process.stdout, sys.stdout.buffer, b"server")
        sys.exit(process.wait())


if __name__ == "__main__":
    tee()
