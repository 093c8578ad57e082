"""What the documents refer to: one another, the configuration's keys, the sources."""
import json
import os
import re
import subprocess
import sys

import jsonschema
import pytest

from conftest import BIN, ROOT
from page import blocks

PAGES = sorted((ROOT / "docs").glob("*.md"))
DOCUMENTS = [*ROOT.glob("*.md"), *PAGES, *ROOT.glob("deploy/*.md"), *ROOT.glob("deploy/examples/*/README.md"),
             ROOT / "Benchmarks/README.md"]


def anchors(path):
    """Those that GitHub makes of the headings."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    found = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(plain)
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", target):
            continue
        file, _, anchor = target.partition("#")
        place = (path.parent / file).resolve() if file else path
        assert place.exists(), target
        if anchor:
            assert anchor in anchors(place), target


def test_the_index_lists_every_page():
    index = (ROOT / "docs/README.md").read_text()
    for page in PAGES:
        assert page.name == "README.md" or f"]({page.name})" in index, page.name


def test_the_configuration_reference_is_that_of_the_executables():
    done = subprocess.run([sys.executable, ROOT / "docs/reference"], env=os.environ | {"BIN": str(BIN)},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def validator():
    text = subprocess.run([BIN / "gateway", "schema"], check=True, capture_output=True, text=True).stdout
    return jsonschema.Draft202012Validator(json.loads(text))


def without_nulls(value):
    """The members that a merge sets."""
    if not isinstance(value, dict):
        return value
    return {key: without_nulls(entry) for key, entry in value.items() if entry is not None}


def test_configurations_have_keys_that_there_are(validator):
    count = 0
    for path in [ROOT / "README.md", *PAGES]:
        for block in blocks(path):
            if not block.words or block.words[0] != "json":
                continue
            place = f"{path.name}:{block.line}"
            try:
                value = json.loads(block.text)
            except ValueError as problem:
                raise AssertionError(f"{place}: {problem}") from None
            if block.words[1:3] == ["add", "to"]:
                value = without_nulls(value)
            if isinstance(value, dict) and next(iter(value)) in validator.schema["properties"]:
                # A part of a file need not have what a file must have.
                problems = [error for error in validator.iter_errors(value) if error.validator != "required"]
                assert not problems, f"{place}: {problems[0].json_path} {problems[0].message}"
                count += 1
    assert count > 10


def test_swift_is_that_of_the_sources():
    sources = [path.read_text() for path in [*ROOT.glob("Sources/**/*.swift"), *ROOT.glob("Tests/**/*.swift")]]
    for path in PAGES:
        for block in blocks(path):
            if block.words[:1] == ["swift"]:
                for part in block.text.split("\n…\n"):
                    assert any(part.strip("\n") in source for source in sources), f"{path.name}:{block.line}: {part}"
