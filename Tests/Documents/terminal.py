"""A shell as a reader's terminal: commands one after the other, with the programs that stay in the background."""
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import time
import urllib.error
import urllib.request


def eventually(condition, limit, what):
    deadline = time.monotonic() + limit
    while not (value := condition()):
        assert time.monotonic() < deadline, f"within {limit} s: not {what()}"
        time.sleep(0.02)
    return value


def group_members(group):
    """The processes of a process group that are still there."""
    members = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            members.append(int(entry.name))
    return members


def listens(group):
    """Whether a process of the group accepts TCP connections."""
    open_sockets = set()
    for table in ("tcp", "tcp6"):
        for line in pathlib.Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                open_sockets.add(f"socket:[{fields[9]}]")
    for member in group_members(group):
        for descriptor in pathlib.Path(f"/proc/{member}/fd").glob("*"):
            try:
                if os.readlink(descriptor) in open_sockets:
                    return True
            except OSError:
                continue
    return False


class Job:
    """A program in the background."""

    def __init__(self, command, group, output, directory):
        self.command, self.group = command, group
        redirected = re.search(r"2>\s*([^\s&]+)", command)
        # Where its log is.
        self.log = directory / redirected[1] if redirected else output

    @property
    def name(self):
        """The program, behind the variables that it is started with."""
        words = (word for word in self.command.split() if not re.match(r"\w+=", word))
        return pathlib.Path(next(words)).name

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def entries(self, message):
        found = []
        for line in self.text().splitlines():
            if f'"message":"{message}' in line:
                try:
                    found.append(json.loads(line))
                except ValueError:
                    continue
        return found

    def is_ready(self):
        """Whether the next command finds it: it listens, a gateway knows how its upstreams are, and `make run` says so."""
        assert group_members(self.group), f"ended by itself: {self.command}{self.text()}"
        if self.name == "make":
            return "Ctrl-C stops both" in self.text()
        if not listens(self.group):
            return False
        if self.name != "gateway":
            return True
        addresses = {entry["listener"]: entry["address"] for entry in self.entries("listening")}
        if "main" not in addresses:
            return False
        if "admin" not in addresses:
            return "--admin off" in self.command
        try:
            with urllib.request.urlopen(f"http://{addresses['admin']}/readyz", timeout=5):
                return True
        except urllib.error.HTTPError as answer:
            # An upstream that is away on purpose.
            upstreams = json.load(answer)["upstreams"].values()
            return all(upstream["reachable"] or "problem" in upstream for upstream in upstreams)
        except OSError:
            return False

    def reloads(self):
        return len(self.entries("reload"))


# Seconds that a command may take, and a program until it is ready: only so that a test ends. The machine may be busy.
LIMIT = 240


class Terminal:
    def __init__(self, directory, environment, records):
        self.directory, self.records, self.jobs, self.count = directory, records, [], 0
        self.command = ""
        # The process group that the shell started last in the background.
        self.last = 0
        records.mkdir()
        self.reports, writing = os.pipe()
        self.shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"], cwd=directory, env=environment, stdin=subprocess.PIPE, text=True,
            stdout=subprocess.DEVNULL, stderr=(records / "shell").open("w"), pass_fds=[writing], start_new_session=True)
        self.writing = writing
        self.send("set -m")

    def send(self, line):
        self.shell.stdin.write(line + "\n")
        self.shell.stdin.flush()

    def evaluate(self, line, limit=LIMIT):
        """Sends a line, and returns what it reports on the descriptor."""
        self.send(f"{line} >&{self.writing}")
        text, deadline = "", time.monotonic() + limit
        while not text.endswith("\n"):
            ready, _, _ = select.select([self.reports], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"still running after {limit} s: {self.command}"
            text += os.read(self.reports, 4096).decode()
        return text.split()

    def job(self, name):
        """The job that `%NAME` means."""
        group = int(self.evaluate(f"jobs -p %{name}")[0])
        return next(job for job in self.jobs if job.group == group)

    def run(self, command):
        """Runs a command as the page has it; returns its status and what it printed."""
        self.count += 1
        self.command = command
        # Forgets the jobs that have ended, as a prompt does.
        self.send("jobs >/dev/null")
        script, output = self.records / f"{self.count}.sh", self.records / f"{self.count}.out"
        script.write_text(command)
        signalled = re.search(r"^kill (-HUP )?%([\w-]+)$", command.strip(), re.MULTILINE)
        job = self.job(signalled[2]) if signalled else None
        before = job.reloads() if job else 0
        self.send(f". {script} </dev/null >{output} 2>&1; status=$?")
        status, last = self.evaluate('printf "%s %s\\n" "$status" "${!:-0}"')
        if int(last) != self.last:
            self.last = int(last)
            started = Job(command, self.last, output, self.directory)
            self.jobs.append(started)
            eventually(started.is_ready, LIMIT, lambda: f"ready: {command}{started.text()}")
        # A person needs a moment to type the next command.
        if job and signalled[1]:
            eventually(lambda: job.reloads() > before, LIMIT, lambda: f"reloaded: {job.text()}")
        elif job:
            eventually(lambda: not group_members(job.group), LIMIT, lambda: f"ended: {job.text()}")
            self.jobs.remove(job)
        return int(status), output.read_text(errors="replace")

    def close(self):
        self.shell.stdin.close()
        for job in reversed(self.jobs):
            try:
                os.killpg(job.group, signal.SIGTERM)
            except ProcessLookupError:
                continue
            deadline = time.monotonic() + 15
            while group_members(job.group) and time.monotonic() < deadline:
                time.sleep(0.02)
            if group_members(job.group):
                os.killpg(job.group, signal.SIGKILL)
        try:
            self.shell.wait(10)
        except subprocess.TimeoutExpired:
            self.shell.kill()
            self.shell.wait()
        os.close(self.reports)
        os.close(self.writing)
