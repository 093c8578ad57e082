"""Every command of README.md and docs/, in the order of its page."""
import json
import time

import pytest

import exceptions
from conftest import ROOT
from page import agrees, only_looks, steps

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def name_of(page):
    return str(page.relative_to(ROOT))


def merged(value, patch):
    """RFC 7396."""
    if not isinstance(value, dict) or not isinstance(patch, dict):
        return patch
    result = {key: entry for key, entry in value.items() if patch.get(key, entry) is not None}
    for key, entry in patch.items():
        if entry is not None:
            result[key] = merged(result.get(key, {}), entry)
    return result


def as_run(page, command):
    """The command that is run in place of a page's; None where none is."""
    if any(page == name and command.startswith(begin) for name, begin, _ in exceptions.NOT_RUN):
        return None
    for name, shown, instead, _ in exceptions.REPLACED:
        if page == name and command.strip() == shown:
            return instead + "\n"
    return command


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_page_does_what_it_shows(page, terminal):
    done = list(steps(page))
    if not done:
        pytest.skip("nothing to run")
    name = name_of(page)
    shell = terminal(name)
    for step in done:
        place = f"{name}:{step.line}"
        if step.kind == "write":
            (shell.directory / step.name).write_text(step.text)
        elif step.kind == "add":
            file = shell.directory / step.name
            file.write_text(json.dumps(merged(json.loads(file.read_text()), json.loads(step.text)), indent=2))
        elif command := as_run(name, step.text):
            status, printed = shell.run(command)
            deadline = time.monotonic() + 60
            while only_looks(command) and not agrees(step.shown or printed, printed) and time.monotonic() < deadline:
                status, printed = shell.run(command)
            logs = "".join(f"\n--- {job.command}{job.text()[-3000:]}" for job in shell.jobs)
            assert status == 0, f"{place}: {command}ends with {status}:\n{printed}{logs}"
            if step.shown is not None and not command.rstrip().endswith("&"):
                assert agrees(step.shown, printed), f"{place}: {command}prints\n{printed}\nbut the page shows\n{step.shown}{logs}"


def test_exceptions_are_of_commands_that_there_are():
    found = [(name_of(page), step.text) for page in PAGES for step in steps(page) if step.kind == "run"]
    for name, begin, reason in exceptions.NOT_RUN:
        assert any(page == name and text.startswith(begin) for page, text in found), (name, begin)
        assert reason
    for name, shown, _, reason in exceptions.REPLACED:
        assert (name, shown) in {(page, text.strip()) for page, text in found}
        assert reason
