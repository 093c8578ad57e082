"""A page of the documentation as the steps that a reader takes, in order.

Fenced blocks with these words after the fence are steps:

    ```console                  `$ COMMAND`, and below it what it prints
    ```sh                       commands whose output the page does not show
    ```json FILE                the file is written (any language; the name has a dot)
    ```json add to FILE         the object is merged into the file (RFC 7396)

In what a command prints, `…` stands for any text within a line, and a line of its own for any number of lines. A command
of `console` with nothing below it prints nothing. Every other block is for reading.

A command that only looks (`grep`, or `curl` of the admin port) is repeated until it prints what the page shows: a person
looks a moment later, too.
"""
import dataclasses
import pathlib
import re
import subprocess


@dataclasses.dataclass
class Block:
    """A fenced block: the words after the fence, the text, and the line where the text begins."""

    words: list
    text: str
    line: int


@dataclasses.dataclass
class Step:
    """What a reader does: `run` the text, `write` it to the file `name`, or `add` it to that file."""

    kind: str
    text: str
    line: int
    name: str = ""
    # What is printed, as a page shows it; None: the page does not show it.
    shown: str | None = None


def blocks(path: pathlib.Path):
    """The fenced blocks of a page."""
    found, current = [], None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.startswith("```"):
            if current:
                current.text += line + "\n"
        elif current:
            assert line == "```", f"{path.name}:{number}: a block within a block"
            found.append(current)
            current = None
        else:
            current = Block(line[3:].split(), "", number + 1)
    assert not current, f"{path.name}:{current.line}: a block without an end"
    return found


def is_complete(command):
    """Whether the shell would run it, rather than wait for another line."""
    if command.rstrip("\n").endswith("\\"):
        return False
    checked = subprocess.run(["bash", "-n"], input=command, capture_output=True, text=True)
    return checked.returncode == 0 and not checked.stderr


def commands(block):
    """The commands of a block without output, one step for each."""
    command, start = "", 0
    for offset, line in enumerate(block.text.splitlines()):
        if not command and (not line.strip() or line.startswith("#")):
            continue
        start = start if command else block.line + offset
        command += line + "\n"
        if is_complete(command):
            yield Step("run", command, start)
            command = ""
    assert not command, f"line {start}: an incomplete command: {command}"


def conversation(block):
    """The commands of a block with output."""
    step = None
    for offset, line in enumerate(block.text.splitlines()):
        if step and not is_complete(step.text):
            step.text += line.removeprefix("> ") + "\n"
        elif line.startswith("$ "):
            if step:
                yield step
            step = Step("run", line[2:] + "\n", block.line + offset, shown="")
        else:
            assert step, f"line {block.line + offset}: output without a command"
            step.shown += line + "\n"
    if step:
        yield step


def steps(path: pathlib.Path):
    """What a reader of the page does."""
    for block in blocks(path):
        match block.words:
            case ["sh"]:
                yield from commands(block)
            case ["console"]:
                yield from conversation(block)
            case [_, name] if "." in name:
                yield Step("write", block.text, block.line, name)
            case ["json", "add", "to", name]:
                yield Step("add", block.text, block.line, name)


def pattern(shown):
    """A regular expression of what a page shows."""
    lines = []
    for line in shown.splitlines():
        if line.strip() == "…":
            lines.append(r"(?:[^\n]*\n)*?")
        else:
            lines.append("[^\n]*".join(map(re.escape, line.rstrip().split("…"))) + r"[ \t]*\n")
    return "".join(lines)


def agrees(shown, printed):
    """Whether a command printed what the page shows."""
    printed = re.sub(r"\x1b\[[0-9;]*m", "", printed).replace("\r", "")
    if printed and not printed.endswith("\n"):
        printed += "\n"
    return re.fullmatch(pattern(shown) + r"\n*", printed) is not None


def only_looks(command):
    """Whether a command can be repeated without changing anything."""
    return command.startswith(("grep ", "curl -s http://127.0.0.1:9090/"))
