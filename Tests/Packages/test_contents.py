"""What is in the packages."""
import hashlib
import os
import re
import shutil
import subprocess

import pytest

from conftest import EPOCH, ROOT, pack


def field(package, name):
    return subprocess.run(["dpkg-deb", "-f", package, name], check=True, capture_output=True, text=True).stdout.strip()


def packed(packages, name):
    return next(packages.glob(f"{name}_1.0.0_*.deb"))


@pytest.fixture(scope="session")
def trees(packages, tmp_path_factory):
    """The files of each package."""
    found = {}
    for name in ("chat-gateway", "chat-tool-server"):
        found[name] = tmp_path_factory.mktemp(name)
        subprocess.run(["dpkg-deb", "-R", packed(packages, name), found[name]], check=True)
    return found


def test_two_packings_are_equal_byte_for_byte(packages, tmp_path):
    # Another directory, time zone, language, mask and home do not count.
    other = tmp_path / "other"
    os.umask(os.umask(0o077))
    environment = {"TZ": "Asia/Tokyo", "LANG": "C.UTF-8", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    pack("tarball", other, **environment)
    pack("deb", other, **environment)
    sums = (packages / "SHA256SUMS").read_text()
    assert (other / "SHA256SUMS").read_text() == sums
    assert len(sums.splitlines()) == 3
    for line in sums.splitlines():
        digest, name = line.split()
        assert hashlib.sha256((other / name).read_bytes()).hexdigest() == digest


def test_dependencies_are_those_of_the_executables(packages):
    gateway, tools = (field(packed(packages, name), "Depends") for name in ("chat-gateway", "chat-tool-server"))
    names = [set(re.findall(r"(?:^|, )([a-z0-9.+-]+)", text)) for text in (gateway, tools)]
    assert {"libc6", "zlib1g", "passwd"} <= names[0] & names[1]
    assert any(name.startswith("libcurl") for name in names[0])
    assert {"libpq5", "libsqlite3-0"} <= names[1] and not {"libpq5", "libsqlite3-0"} & names[0]
    assert not any("swift" in name for name in names[0] | names[1])


def test_every_file_is_roots_and_of_the_given_time(packages):
    for name in ("chat-gateway", "chat-tool-server"):
        listing = subprocess.run(["dpkg-deb", "-c", packed(packages, name)], check=True, capture_output=True, text=True,
                                 env=os.environ | {"TZ": "UTC"}).stdout.splitlines()
        for line in listing:
            mode, owner, _, day, hour = line.split()[:5]
            assert owner == "root/root" and f"{day} {hour}" == "2023-11-14 22:13", line
            assert mode in ("drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x"), line
    assert EPOCH == 1_700_000_000


def test_the_configuration_is_the_only_conffile(trees):
    assert (trees["chat-gateway"] / "DEBIAN/conffiles").read_text() == "/etc/chat-gateway/gateway.json\n"
    assert not (trees["chat-tool-server"] / "DEBIAN/conffiles").exists()
    shipped = (ROOT / "gateway.json").read_text()
    assert (trees["chat-gateway"] / "etc/chat-gateway/gateway.json").read_text() == shipped
    assert (trees["chat-tool-server"] / "usr/share/chat-tool-server/gateway.json").read_text() == shipped


def test_the_units_are_those_of_deploy(trees):
    for name, tree in trees.items():
        ours = (ROOT / f"deploy/systemd/{name}.service").read_text()
        packed_unit = (tree / f"usr/lib/systemd/system/{name}.service").read_text()
        assert f"User={name}\nGroup={name}\n" in packed_unit
        restored = packed_unit.replace("/usr/bin/", "/usr/local/bin/").replace(
            f"User={name}\nGroup={name}\n", "DynamicUser=yes\n")
        assert re.sub(",swift-backtrace=.*", "", restored) == ours
        if found := re.search("swift-backtrace=(.*)", packed_unit):
            assert os.access(tree / found[1].lstrip("/"), os.X_OK)


@pytest.mark.parametrize("package, program", [("chat-gateway", "gateway"), ("chat-tool-server", "tool-server")])
def test_manual_pages_can_be_read_and_name_every_command(trees, package, program):
    page = trees[package] / f"usr/share/man/man1/{program}.1.gz"
    help_text = subprocess.run([os.environ["BIN"] + "/" + program, "--help"], check=True, capture_output=True, text=True).stdout
    commands = re.findall(r"^  ([a-z-]+) ", help_text[help_text.index("SUBCOMMANDS"):], re.MULTILINE)
    text = subprocess.run(["gzip", "-dc", page], check=True, capture_output=True, text=True).stdout
    assert len(commands) >= 5
    for command in commands:
        assert re.search(rf"^\.SS {re.escape(command)}\b", text.replace("\\-", "-"), re.MULTILINE), command
    read(page, 1, program)


def test_the_manual_page_of_the_configuration_names_every_key(trees):
    page = trees["chat-gateway"] / "usr/share/man/man5/gateway.json.5.gz"
    text = read(page, 5, "gateway.json")
    for key in ("upstreams.NAME", "rateLimits", "toolServer.ai", "GATEWAY_LISTEN", "TOOL_SERVER_DATABASE"):
        assert key in text, key


def read(page, section, name):
    """The page as man shows it; without man its source."""
    if not shutil.which("man"):
        return subprocess.run(["gzip", "-dc", page], check=True, capture_output=True, text=True).stdout.replace("\\-", "-")
    done = subprocess.run(["man", "--warnings=mac,syntax,input,font", "-l", page], capture_output=True, text=True,
                          env=os.environ | {"MANWIDTH": "1000", "LC_ALL": "C.UTF-8"})
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert done.stdout.startswith(f"{name.upper()}({section})")
    return done.stdout


@pytest.mark.parametrize("package, program, typed, wanted", [
    ("chat-gateway", "gateway", "gateway che", "check"),
    ("chat-gateway", "gateway", "gateway init --case old", "old-api"),
    ("chat-tool-server", "tool-server", "tool-server documents l", "list"),
])
def test_bash_completes_commands(trees, package, program, typed, wanted):
    script = trees[package] / f"usr/share/bash-completion/completions/{program}"
    words = typed.split(" ")
    done = subprocess.run(["bash", "-c", f"""
        source {script}
        COMP_WORDS=({typed}) COMP_CWORD={len(words) - 1} COMP_LINE='{typed}' COMP_POINT={len(typed)}
        $(complete -p {program} | sed 's/.* -F \\([^ ]*\\).*/\\1/') {program} '{words[-1]}' '{words[-2]}'
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """], capture_output=True, text=True, env=os.environ | {"PATH": os.environ["BIN"] + ":" + os.environ["PATH"]})
    assert wanted in [line.strip() for line in done.stdout.splitlines()], done


def test_licences_of_what_is_linked_in_are_there(trees):
    for tree in trees.values():
        text = next((tree / "usr/share/doc").glob("*/copyright")).read_text()
        for name in ("swift-nio", "GRDB.swift", "Yams", "swift-crypto"):
            assert re.search(rf"^--- .*{re.escape(name)}.* ---$", text, re.MULTILINE), name
        assert "Permission is hereby granted, free of charge" in text


def test_what_the_makefile_is_told_is_what_is_packed(packages, tmp_path):
    """`make deb BIN=…` packs without building, in the executables' own version."""
    done = subprocess.run(["make", "-s", "deb", f"BIN={os.environ['BIN']}"], cwd=ROOT, capture_output=True, text=True,
                          env=os.environ | {"OUTPUT": str(tmp_path), "XZ_LEVEL": "0"})
    assert done.returncode == 0, done.stderr
    assert re.search(r"/chat-gateway_1\.0\.0(\+git\d{14}\.[0-9a-f]+)?_\w+\.deb\n", done.stdout), done.stdout
    assert (tmp_path / "SHA256SUMS").exists()
