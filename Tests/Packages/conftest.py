"""Packages made of the executables that are tested, and a machine to put them on."""
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ["BIN"])
# A moment that no file has by itself.
EPOCH = 1_700_000_000


def pack(kind, output, version="1.0.0", **environment):
    """What `make deb` and `make tarball` do with executables that are built; hardly compressed."""
    variables = {"OUTPUT": str(output), "VERSION": version, "SOURCE_DATE_EPOCH": str(EPOCH), "XZ_LEVEL": "0"}
    done = subprocess.run([ROOT / "deploy/debian/pack", kind], env=os.environ | variables | environment,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return output


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """A directory with both packages in a version and in the next one, and the tarball."""
    output = tmp_path_factory.mktemp("packages")
    pack("deb", output, "1.0.0")
    pack("tarball", output, "1.0.0")
    pack("deb", output / "next", "1.0.1")
    return output


@pytest.fixture
def machine(packages, tmp_path):
    """Runs commands on a machine of their own and returns what they print."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "-n", "-p", "-f", "true"], capture_output=True).returncode:
        pytest.skip("needs root and namespaces")
    (tmp_path / "packages").symlink_to(packages)

    def run(commands, status=0):
        done = subprocess.run(
            ["unshare", "-m", "-n", "-p", "-f", "--propagation", "private", sys.executable,
             pathlib.Path(__file__).with_name("machine.py"), tmp_path],
            input=commands, capture_output=True, text=True, timeout=300,
            env=os.environ | {"PYTHONPATH": str(ROOT / "Tests/Operations")})
        assert done.returncode == status, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    return run
