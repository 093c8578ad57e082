"""The software bill of materials names everything that is linked into the executables."""

import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = os.environ.get("BIN", ".build/debug")


def test_it_names_all_that_is_linked():
    done = subprocess.run(["deploy/local/sbom", BIN], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    version = subprocess.run([ROOT / BIN / "gateway", "--version"], capture_output=True, text=True).stdout
    component = document["metadata"]["component"]
    assert component["version"] in version and component["properties"][0]["value"] in version

    components = document["components"]
    references = [component["bom-ref"] for component in components]
    assert len(set(references)) == len(references)
    pins = json.loads((ROOT / "Package.resolved").read_text())["pins"]
    assert pins
    for pin in pins:
        place = pin["location"].removeprefix("https://").removesuffix(".git")
        assert f"pkg:swift/{place}@{pin['state']['version']}" in references
    names = {component["name"] for component in components}
    assert {"swift", "libcurl4", "libhiredis0.14", "libpq5", "libsqlite3-0", "zlib1g", "libc6"} <= names
    for component in components:
        assert component["version"], component
        [licence] = component["licenses"]
        assert licence["license"].get("id") or licence["license"]["name"], component


def test_an_executable_that_is_missing_is_an_error(tmp_path):
    done = subprocess.run(["deploy/local/sbom", tmp_path], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "build first" in done.stderr
