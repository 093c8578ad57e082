"""Where the commit comes from: the clone, an archive of it, the command line, or nowhere."""
import pathlib
import re
import shutil
import subprocess
import tarfile

import pytest

from services import ROOT

SOURCES = ROOT / "Sources/CBuildCommit"
SWIFT = shutil.which("swift")
CLANG = shutil.which("clang++") or (pathlib.Path(SWIFT).resolve().parent / "clang++" if SWIFT else None)
MAIN = '#include <cstdio>\n#include "build_commit.h"\nint main() { std::puts(build_commit()); }\n'

pytestmark = pytest.mark.skipif(not CLANG, reason="no compiler of the Swift toolchain")


def built(sources, directory, *flags):
    """What an executable from these sources says its commit is."""
    main = directory / "main.cpp"
    main.write_text(MAIN)
    program = directory / "program"
    subprocess.run([CLANG, "-std=c++20", *flags, f"-I{sources}/include", main, sources / "build_commit.cpp", "-o",
                    program], check=True, capture_output=True)
    return subprocess.run([program], check=True, capture_output=True, text=True).stdout.strip(), program.read_bytes()


@pytest.fixture
def clone(tmp_path):
    """A clone with two commits whose author must not get into the executable."""
    def git(*arguments):
        done = subprocess.run(
            ["git", "-c", "user.name=Somebody Secret", "-c", "user.email=secret@example.org", "-C", repository,
             *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    repository = tmp_path / "clone"
    shutil.copytree(SOURCES, repository / "Sources/CBuildCommit")
    shutil.copy(ROOT / ".gitattributes", repository)
    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "one")
    git("commit", "-q", "--allow-empty", "-m", "two")
    return repository, git


def test_a_clone_knows_its_commit_and_nothing_of_its_authors(clone, tmp_path):
    repository, git = clone
    commit, program = built(repository / "Sources/CBuildCommit", tmp_path)
    assert commit == git("rev-parse", "HEAD")
    assert b"Secret" not in program
    # The next commit is noticed, for the compiler names the reflog as a dependency.
    git("commit", "-q", "--allow-empty", "-m", "three")
    assert built(repository / "Sources/CBuildCommit", tmp_path)[0] == git("rev-parse", "HEAD")
    dependencies = subprocess.run([CLANG, "-std=c++20", "-MM", f"-I{repository}/Sources/CBuildCommit/include",
                                   repository / "Sources/CBuildCommit/build_commit.cpp"],
                                  check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    assert ".git/logs/HEAD" in dependencies


def test_an_archive_knows_it_too(clone, tmp_path):
    repository, git = clone
    git("archive", "-o", tmp_path / "archive.tar", "HEAD")
    with tarfile.open(tmp_path / "archive.tar") as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    assert built(tmp_path / "unpacked/Sources/CBuildCommit", tmp_path)[0] == git("rev-parse", "HEAD")


def test_without_either_the_command_line_tells(tmp_path):
    shutil.copytree(SOURCES, tmp_path / "Sources/CBuildCommit")
    sources = tmp_path / "Sources/CBuildCommit"
    assert built(sources, tmp_path)[0] == ""
    commit = "0123456789abcdef0123456789abcdef01234567"
    assert built(sources, tmp_path, f'-DBUILD_COMMIT="{commit}"')[0] == commit
    # Whatever is no commit is none.
    assert built(sources, tmp_path, '-DBUILD_COMMIT="unknown"')[0] == ""


def test_a_broken_reflog_does_not_break_the_build(clone, tmp_path):
    repository, _ = clone
    for text in (b"", b"\n\n", b"no hash here\n", b"x" * 100_000, b"a b\n\xff\xfe\n"):
        (repository / ".git/logs/HEAD").write_bytes(text)
        assert re.fullmatch("", built(repository / "Sources/CBuildCommit", tmp_path)[0])
