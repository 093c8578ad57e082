"""deploy/README.md, followed literally, on a machine that is as it wants one."""
import os
import re
import shutil
import subprocess
import sys

import pytest

from services import Nginx, PRODUCTS, ROOT

README = (ROOT / "deploy/README.md").read_text()


def can_unshare():
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "-n", "true"], capture_output=True).returncode == 0


def blocks():
    """The shell commands, with the heading that they stand under."""
    heading, found = None, []
    for match in re.finditer(r"^## ([^\n]+)$|^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL):
        if match[1]:
            heading = match[1]
        else:
            found.append((heading, match[2]))
    return found


# What the README itself says was not run: there is no container engine.
NOT_RUN = {"Containers", "Kubernetes"}
# Another way to the same, which Tests/Packages follows.
ELSEWHERE = {"From Debian packages"}


@pytest.mark.skipif(not can_unshare(), reason="needs root and namespaces")
@pytest.mark.skipif(not Nginx.EXECUTABLE.exists(), reason="nginx is not installed")
def test_the_readme_can_be_followed(tmp_path):
    checkout = tmp_path / "checkout"
    (checkout / ".build").mkdir(parents=True)
    (checkout / ".build/release").symlink_to(PRODUCTS)
    (checkout / "deploy").symlink_to(ROOT / "deploy")
    shutil.copy(ROOT / "gateway.json", checkout)
    script = []
    for heading, text in blocks():
        if heading in NOT_RUN | ELSEWHERE:
            continue
        # The key is typed in; nothing else is asked for.
        text = text.replace("install -m 600 /dev/stdin ", "printf key | install -m 600 /dev/stdin ")
        script.append(f"echo '## {heading}'\n{text}")
    script.append("""
echo '## Afterwards'
systemctl reload chat-gateway chat-tool-server
systemctl restart chat-gateway
curl -fsS --retry 5 http://127.0.0.1:9090/readyz
curl -fsS http://127.0.0.1:9091/readyz
""")
    done = subprocess.run(
        ["unshare", "-m", "-n", "--propagation", "private", sys.executable, ROOT / "Tests/Operations/sandbox.py",
         checkout], input="\n".join(script), capture_output=True, text=True, timeout=120,
        env=os.environ | {"SANDBOX": str(tmp_path)})
    assert done.returncode == 0, done.stdout + done.stderr
    # After the first start, and both after reload and restart.
    assert done.stdout.count('"status":"ready"') == 3
    assert "created user alice" in done.stdout
    # An empty database, through nginx.
    assert '{"type":"search_projects","replies":[]}' in done.stdout


def test_what_is_not_run_is_said():
    headings = {heading for heading, _ in blocks()}
    assert NOT_RUN | ELSEWHERE <= headings
    end = README[README.index("## What was run"):]
    for heading in NOT_RUN:
        assert heading in end
