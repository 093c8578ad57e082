"""The matrix of faults: what befalls which line, when, in which direction, during which kind of call."""
import dataclasses
import fnmatch
import itertools
import random
import time
import zlib

from fault_proxy import KINDS, REQUEST, RESPONSE, Fault
from services import eventually
from stack import PACE, SLACK, descriptors

PLACES = ("client", "tools", "database", "provider")
PHASES = ("connect", "head", "body", "stream", "idle")
# A search may be sent again; a chat message is stored and costs money; the last is the same as an event stream.
CALLS = ("read", "write", "stream")
STRIKES = ("reset", "half_close", "truncate", "corrupt", "blackhole", "never_answer")


@dataclasses.dataclass(frozen=True)
class Cell:
    place: str
    phase: str
    direction: str
    kind: str
    call: str

    def __str__(self):
        return "-".join(dataclasses.astuple(self))


def exists(cell):
    """Whether the cell means anything."""
    if cell.place == "provider" and cell.call == "read":
        return False  # Searches do not ask the provider.
    if (cell.phase == "stream") != (cell.call == "stream"):
        return False
    if cell.phase in ("connect", "stream", "idle") and cell.direction == REQUEST:
        return False  # These phases have one direction each.
    if cell.phase == "stream" and cell.place == "database":
        return False  # Rows come in one answer.
    if cell.phase == "idle":
        # On an unused line there are no bytes to touch. The client of these tests opens a connection for each call.
        return cell.kind in STRIKES and cell.place != "client"
    return True


def cells():
    every = (Cell(*values) for values in itertools.product(PLACES, PHASES, (REQUEST, RESPONSE), KINDS, CALLS))
    return [cell for cell in every if exists(cell)]


def sample(all_cells, share):
    """One cell in `share`, always the same ones; of each kind at each place at least one."""
    chosen = [cell for cell in all_cells if zlib.crc32(str(cell).encode()) % share == 0]
    for place, kind in itertools.product(PLACES, KINDS):
        if not any((cell.place, cell.kind) == (place, kind) for cell in chosen):
            chosen.append(next(cell for cell in all_cells if (cell.place, cell.kind) == (place, kind)))
    return [cell for cell in all_cells if cell in set(chosen)]


def fault(cell, token, seed):
    """The fault of a cell; its bytes are the seed's."""
    chance = random.Random(f"{seed} {cell}")
    phase, after, at, token = "bytes", b"", 0, token.encode()
    match cell.phase:
        case "connect":
            phase, token = "accept", b""
        case "head" if cell.place == "database":
            at = chance.randrange(0, 5)  # In the first message's type and length.
        case "head":
            at = chance.randrange(0, 16)
        case "body" if cell.place == "database":
            at = chance.randrange(5, 30)
        case "body":
            # The first byte of the text is one that a reader of JSON must miss.
            after, at = b"\r\n\r\n", 0 if cell.kind in ("corrupt", "drop") else chance.randrange(1, 30)
        case "stream":
            # Some words have come, others have not. The byte behind is a quotation mark's or a blank.
            after, at = b"word2 ", 0 if cell.kind in ("corrupt", "drop") else chance.randrange(0, 20)
    rate = 20_000 if cell.place in ("database", "provider") else 3000
    if cell.place == "database" and cell.call == "write" and token:
        # Only the statement that stores the message has the answer, whose end is the message's.
        token = b"word7 " + token
    return Fault(cell.kind, cell.direction, at, after, token, phase=phase, seed=chance.randrange(1 << 30), rate=rate,
                 seconds=0.2)


class Outcome:
    """What became of a cell."""

    def __init__(self, answer, befallen, runs, stored):
        self.answer, self.befallen, self.runs, self.stored = answer, befallen, runs, stored

    def __str__(self):
        if self.answer.status is None:
            return "none"
        if self.answer.status == 200:
            return "200"
        return " ".join(filter(None, (str(self.answer.status), self.answer.label, self.answer.executed)))


# What both processes promise, in the words of `Outcome`. A star stands for any rest.
ANSWERED, NOTHING = "200", "none"
LOST, INVALID, SILENT = (f"502 upstream_{word} unknown" for word in ("unreachable", "invalid", "timeout"))
SILENT = SILENT.replace("502", "504")
DATABASE, ASSISTANT = "503 tool_error yes", "400 tool_error yes"
HARMLESS, ENDS, SILENCES = ("delay", "throttle"), ("reset", "half_close", "truncate"), ("blackhole", "never_answer")


def expected(cell):
    """Outcomes that are right in a cell: one, or a few where they depend on the byte."""
    if cell.kind in HARMLESS:
        return {ANSWERED}
    outcomes = {"client": of_client, "tools": of_tools, "database": of_database, "provider": of_provider}[cell.place](cell)
    # The last event of a stream does not say whether the tool was run.
    return {" ".join(outcome.split()[:2]) for outcome in outcomes} if cell.call == "stream" else outcomes


def of_client(cell):
    if cell.phase == "connect" or cell.kind in ENDS + SILENCES:
        # A client that is lenient about the end of a head may still read the answer.
        return {NOTHING, ANSWERED} if cell.phase == "head" and cell.direction == RESPONSE else {NOTHING}
    if cell.direction == REQUEST:
        if cell.phase == "head":
            return {"4*", "505*", ANSWERED}
        # A byte that is missing is waited for.
        return {"408 request_timeout no"} if cell.kind == "drop" else {"400 invalid_json no"}
    if cell.phase == "head":
        return {NOTHING, ANSWERED}
    return {NOTHING} if cell.kind == "drop" else {ANSWERED}


def of_tools(cell):
    if cell.kind in SILENCES:
        return {SILENT}
    if cell.kind in ENDS:
        if cell.call == "read" or cell.phase == "idle":
            return {ANSWERED}  # Sent again, or on a new connection.
        # A reset may come before the request is sent.
        return {LOST, ANSWERED} if (cell.phase, cell.kind) == ("connect", "reset") else {LOST}
    if cell.phase == "idle":
        return {ANSWERED}  # The bytes belong to no request: the connection is given up.
    if cell.phase == "stream":
        return {INVALID}
    if cell.phase == "body":
        if cell.direction == REQUEST:
            return {"502 upstream_rejected unknown" if cell.kind == "drop" else "502 upstream_rejected no"}
        return {SILENT if cell.kind == "drop" else INVALID}
    if cell.phase == "connect":
        return {ANSWERED if cell.call == "read" else INVALID}
    # Of a head some bytes do not matter, such as those of the reason; others are the status.
    return {ANSWERED, "502*"}


def of_database(cell):
    if cell.kind in SILENCES:
        return {SILENT}
    if cell.phase == "connect":
        return {DATABASE} if cell.kind in ENDS else {DATABASE, SILENT}
    if cell.phase == "idle":
        return {ANSWERED} if cell.kind in ENDS else {DATABASE}
    # A length that became another is waited for. An answer whose storing failed goes out all the same.
    right = ANSWERED if cell.call == "write" else DATABASE
    return {right} if cell.kind in ENDS else {right, SILENT, ANSWERED}


def of_provider(cell):
    if cell.kind in SILENCES:
        return {ASSISTANT}
    if cell.phase == "idle":
        return {ANSWERED}
    if cell.kind in ENDS:
        # It is asked again as long as its answer has not begun.
        return {ASSISTANT} if cell.phase == "stream" else {ANSWERED}
    return {ASSISTANT, ANSWERED}


def is_expected(cell, outcome):
    return any(fnmatch.fnmatchcase(str(outcome), pattern) for pattern in expected(cell))


def is_truthful(cell, outcome):
    """Whether what was said about the tool is what happened to it."""
    if cell.call != "read" and max(outcome.runs, outcome.stored) > 1:
        return False
    if cell.kind in ("corrupt", "drop") and cell.direction == RESPONSE:
        return True  # Nothing vouches for an answer whose bytes were exchanged but TLS.
    if outcome.answer.executed == "no":
        return outcome.runs == outcome.stored == 0
    if outcome.answer.status == 200:
        # A message whose storing failed is logged, and its answer goes out.
        return outcome.runs >= 1 and (cell.call == "read" or cell.place == "database" or outcome.stored == 1)
    return True


def run(stack, cell, seed):
    token = f"token{zlib.crc32(f'{seed} {cell}'.encode()):08x}"
    read = {"type": "search_any", "model": "projects", "query": token}
    write = {"type": "chat", "message": f"Please repeat {token}"}
    payload, tool = (read, "search_any") if cell.call == "read" else (write, "chat")
    line, before = stack.lines[cell.place], stack.runs(tool)
    # A client that gets nothing more waits no longer than this.
    options = {"stream": cell.call == "stream", "timeout": 2.0 * PACE if cell.place == "client" else SLACK * 2}
    if cell.phase == "idle":
        warm = stack.call(read if cell.call == "read" else write | {"message": "Please repeat warm"},
                          stream=cell.call == "stream")
        assert warm.status == 200, warm
        before = stack.runs(tool)
        befallen = line.strike(cell.kind)
    else:
        if cell.phase == "connect":
            line.clear()
        count = line.arm(fault(cell, token, seed))
        befallen = None
    answer = stack.call(payload, **options)
    if befallen is None:
        befallen = line.arm() - count
    # What was under way ends by itself, before the lines are cut.
    last = {}

    def quiet():
        last.clear()
        last.update({name: number for name, number in stack.gauges().items()
                     if number and "connections" not in name})
        return not last
    try:
        eventually(quiet, 3 * SLACK, "the end of the call")
    except AssertionError:
        raise AssertionError(f"still under way after {answer}: {last}") from None
    runs = stack.runs(tool) - before
    return Outcome(answer, befallen, runs, stack.stored(token))


def check_rest(stack, cell):
    """After the lines were cut nothing is held, and the next call is answered."""
    stack.settle()
    for name, service in stack.processes().items():
        # The tool-server finds out at its next use that an unused connection to the database has ended.
        allowed = stack.rest[name] + (8 if name == "tool-server" else 2)
        eventually(lambda: descriptors(service) <= allowed, 10 * PACE,
                   f"{name}: {descriptors(service)} descriptors, {stack.rest[name]} at rest")
    search = {"type": "search_any", "model": "projects", "query": "urgent"}
    following = stack.call(search)
    if cell.place == "database" and following.status == 503:
        # For a moment after a failure to connect, the database is not asked; the answer says when it will be.
        assert following.headers["retry-after"] == "1", following
        time.sleep(1)
        following = stack.call(search)
    assert following.status == 200 and "Urgent Q2" in following.body, f"the next call: {following}"
