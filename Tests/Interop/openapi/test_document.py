"""The gateway's own OpenAPI document, held against both running processes by schemathesis."""
import json
import os
import pathlib
import re
import subprocess
import sys
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent


def schemathesis(gateway, tmp_path, *options):
    """Its exit code and its report; the number of cases is bounded."""
    done = subprocess.run(
        [str(pathlib.Path(sys.executable).parent / "schemathesis"), "run",
         f"http://{gateway.addresses['main']}/openapi.json", "--phases", "examples,coverage,fuzzing",
         "--max-examples", "200", "--seed", "1", "--continue-on-failure", "--no-color",
         # A tool refuses some valid payloads; hooks.py checks that nothing else does.
         "--exclude-checks", "positive_data_acceptance", "-H", "Accept: application/problem+json", *options],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
        env=dict(os.environ, SCHEMATHESIS_HOOKS="hooks", PYTHONPATH=str(HERE)))
    return done.returncode, done.stdout + done.stderr


def test_the_processes_keep_what_the_document_says(gateway, alice, tmp_path):
    code, report = schemathesis(gateway, tmp_path, "-H", f"Cookie: sessionid={alice}")
    assert code == 0, report
    cases = re.search(r"(\d+) generated, (\d+) passed", report)
    assert cases and int(cases[1]) >= 200 and cases[1] == cases[2], report


def test_the_documents_examples_are_good(gateway, alice):
    """Each example of the document is answered with 200."""
    base = f"http://{gateway.addresses['main']}"
    with urllib.request.urlopen(base + "/openapi.json", timeout=10) as response:
        document = json.load(response)
    body = document["paths"]["/api/chat/"]["post"]["requestBody"]
    examples = body["content"]["application/json"]["examples"]
    assert len(examples) == 6
    for example in examples.values():
        request = urllib.request.Request(base + "/api/chat/", data=json.dumps(example["value"]).encode(),
                                         headers={"Cookie": f"sessionid={alice}"})
        with urllib.request.urlopen(request, timeout=40) as response:
            assert response.status == 200
            assert json.load(response)["type"] == example["value"]["type"]
