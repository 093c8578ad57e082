"""deploy/container: what can be told without a container engine."""

import re
import subprocess

import pytest
import yaml

from services import BIN, ROOT

DIRECTORY = ROOT / "deploy/container"
DOCKERFILE = (DIRECTORY / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((DIRECTORY / "compose.yaml").read_text())


def packages(text):
    return set(re.findall(r"[a-z0-9][a-z0-9.+-]+", text))


def test_the_image_is_built_with_the_packages_that_a_build_installs():
    script = (ROOT / "deploy/local/packages").read_text()
    wanted = packages(re.search(r"^build=\((.*?)\)", script, re.S | re.M)[1])
    (build,) = re.findall(r"^FROM \S+ AS build$(.*?)^FROM", DOCKERFILE, re.S | re.M)
    installed = packages(re.search(r"--no-install-recommends (.*?) *\\\n", build)[1])
    assert {name for name in wanted if name.endswith("-dev")} == {name for name in installed if name.endswith("-dev")}


def test_what_is_copied_into_the_image_exists():
    for source in re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE, re.M):
        assert (ROOT / source).exists(), source


@pytest.mark.parametrize("commit, wanted", [("ab" * 20, [f'-Xcxx -DBUILD_COMMIT="{"ab" * 20}"']), ("", [])])
def test_the_commit_reaches_the_compiler(tmp_path, commit, wanted):
    (command,) = re.findall(r"^ARG BUILD_COMMIT=$\n^RUN (.*?)(?=^\S)", DOCKERFILE + "END", re.S | re.M)
    (swift := tmp_path / "swift").write_text('#!/bin/sh\necho "$*" >> "$LOG"\n')
    swift.chmod(0o755)
    for name in ("mkdir", "cp"):
        (tmp_path / name).symlink_to("/bin/true")
    subprocess.run(["sh", "-ec", command], check=True, cwd=ROOT, env={
        "PATH": f"{tmp_path}:/usr/bin:/bin", "LOG": str(tmp_path / "log"), "BUILD_COMMIT": commit})
    calls = (tmp_path / "log").read_text().splitlines()
    assert calls == [" ".join(["build -c release --static-swift-stdlib -Xswiftc -enforce-exclusivity=unchecked", *wanted])]
    for service in ("gateway", "tool-server"):
        assert COMPOSE["services"][service]["build"]["args"] == {"BUILD_COMMIT": "${BUILD_COMMIT:-}"}


def test_crashes_are_symbolised_as_in_the_units():
    (unit,) = set(re.findall(r"^Environment=SWIFT_BACKTRACE=(.+)$",
                             (ROOT / "deploy/systemd/chat-gateway.service").read_text(), re.M))
    (image,) = re.findall(r"^ENV SWIFT_BACKTRACE=(.+)$", DOCKERFILE, re.M)
    path = image.removeprefix(unit + ",swift-backtrace=")
    assert path != image and re.search(rf"^COPY --from=build \S+ {path}$", DOCKERFILE, re.M)


def test_the_composition_names_what_exists():
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.M))
    for name, service in COMPOSE["services"].items():
        build = service.get("build")
        if build:
            assert build["target"] in stages
            assert (DIRECTORY / build["context"]).resolve() == ROOT
        else:
            assert ":" in service["image"], f"{name}: a version"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DIRECTORY / source).exists(), source
            else:
                assert source in COMPOSE["volumes"]
        for other, condition in service.get("depends_on", {}).items():
            assert condition == {"condition": "service_healthy"}
            peer = COMPOSE["services"][other]
            assert "healthcheck" in peer or "build" in peer, f"{other} has no health check"
    assert "HEALTHCHECK" in DOCKERFILE


def test_no_secret_has_a_default():
    text = (DIRECTORY / "compose.yaml").read_text()
    assert re.findall(r"\$\{POSTGRES_PASSWORD(.)", text) and "${POSTGRES_PASSWORD}" not in text
    for reference in re.findall(r"\$\{POSTGRES_PASSWORD[^}]*\}", text):
        assert ":?" in reference


def test_the_options_of_the_containers_are_known():
    for name in ("gateway", "tool-server"):
        known = subprocess.run([BIN / name, "serve", "--help"], capture_output=True, text=True, check=True).stdout
        stage = re.search(rf"^FROM runtime AS {name}$(.*?)(?=^FROM|\Z)", DOCKERFILE, re.S | re.M)[1]
        used = set(re.findall(r'"(--[a-z]+)"', stage))
        used |= {word for word in COMPOSE["services"][name]["command"] if word.startswith("--")}
        assert used, name
        for option in used:
            assert option in known, f"{name} {option}"
