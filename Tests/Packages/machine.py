"""A Debian machine to install packages on: this machine's own files under a layer that takes every change, with processes
and network of their own. In systemd's place stands the program of Tests/Operations/sandbox.py.

    unshare -m -n -p -f --propagation private python3 machine.py DIRECTORY < COMMANDS

DIRECTORY is where the commands run; it and the checkout are the only places that both machines share. Ends with the
status of the first command that fails.
"""
import os
import pathlib
import subprocess
import sys

import sandbox


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)


def enter(directory):
    """Makes the machine and goes there."""
    place = directory / "machine"
    place.mkdir()
    mount("-t", "tmpfs", "machine", place)
    layers = {name: place / name for name in ("changes", "work", "root")}
    for layer in layers.values():
        layer.mkdir()
    root = layers["root"]
    mount("-t", "overlay", "machine", "-o",
          f"lowerdir=/,upperdir={layers['changes']},workdir={layers['work']}", root)
    for shared in (pathlib.Path("/dev"), sandbox.services.ROOT, directory):
        (root / shared.relative_to("/")).mkdir(parents=True, exist_ok=True)
        mount("--rbind", shared, root / shared.relative_to("/"))
    mount("-t", "proc", "proc", root / "proc")
    mount("-t", "tmpfs", "tmpfs", root / "run")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    os.chroot(root)
    os.chdir(directory)
    # Where it exists, the maintainers' scripts speak to systemd.
    pathlib.Path("/run/systemd/system").mkdir(parents=True)
    systemctl = pathlib.Path("/usr/bin/systemctl")
    systemctl.unlink(missing_ok=True)
    systemctl.write_text(sandbox.STUBS["systemctl"])
    systemctl.chmod(0o755)


def main():
    commands = sys.stdin.read()
    directory = pathlib.Path(sys.argv[1])
    enter(directory)
    manager = sandbox.Manager()
    manager.serve()
    try:
        done = subprocess.run(["bash", "-e", "-u", "-o", "pipefail", "-s"], input=commands, text=True, cwd=directory,
                              env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
    finally:
        manager.stop()
    sys.exit(done.returncode)


main()
