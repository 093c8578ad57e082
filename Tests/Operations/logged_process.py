"""A process of ours as the tests of several folders start it."""
import json
import subprocess
import threading


class LoggedProcess:
    """A child whose JSON log on standard error is kept, and tells where it listens."""

    def __init__(self, name, command, **settings):
        self.name, self.lines, self.addresses = name, [], {}
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **settings)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if entry.get("message") == "listening":
                self.addresses[entry["listener"]] = entry["address"]
