#!/usr/bin/env python3
"""Measures searches of the built tool-server on a million rows, over HTTP, and prints a Markdown table.

    search.py [--bin .build/release] [--rows 1000000] [--engines foreign,own,postgres] [--postgres URL]
              [--seconds 4] [--directory .build/search] [--output FILE.md]

Engines: `foreign` is somebody else's SQLite file with an index beside it, `own` the tool-server's own SQLite tables,
`postgres` its tables in the PostgreSQL database of --postgres, which should be empty. The rows come from search_data.py.
The scan of the old handler is what its `icontains` becomes, `LIKE '%…%'` (PostgreSQL: UPPER(…) LIKE UPPER('%…%')), over
the same rows in the same run.
"""
import argparse
import concurrent.futures
import http.client
import json
import os
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import search_data  # noqa: E402


class Server:
    """A tool-server over HTTP on a free port."""

    def __init__(self, binary, arguments):
        self.process = subprocess.Popen(
            [binary, "serve", "--transport", "http", "--port", "0", *arguments], stderr=subprocess.PIPE, text=True)
        self.address = None
        for line in self.process.stderr:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            text = json.dumps(entry)
            if "listening" in text and (found := re.search(r"127\.0\.0\.1:(\d+)", text)):
                self.address = ("127.0.0.1", int(found.group(1)))
                break
        if not self.address:
            sys.exit("the tool-server did not start")
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def memory(self):
        """Resident MB: now, and at most so far."""
        with open(f"/proc/{self.process.pid}/status") as status:
            sizes = dict(re.findall(r"(VmRSS|VmHWM):\s+(\d+) kB", status.read()))
        return int(sizes["VmRSS"]) / 1024, int(sizes["VmHWM"]) / 1024

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


def client(address, model, queries, until, counts):
    """Asks one after the other until the time is over; returns the durations in ms."""
    connection = http.client.HTTPConnection(*address, timeout=60)
    durations = []
    number = 0
    while time.monotonic() < until or not durations:
        body = json.dumps({"model": model, "query": queries[number % len(queries)]})
        number += 1
        start = time.perf_counter()
        connection.request("POST", "/mcp/search_any", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
        durations.append((time.perf_counter() - start) * 1000)
        if response.status != 200:
            sys.exit(f"{response.status} {answer[:200]}")
        counts.add(len(json.loads(answer)["results"]))
    connection.close()
    return durations


def measure(address, model, queries, clients, seconds):
    counts = set()
    # What is prepared once per connection to the database is not measured.
    client(address, model, queries[:3], time.monotonic() + 0.3, counts)
    until = time.monotonic() + seconds
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        runs = [
            pool.submit(client, address, model, queries[number:] + queries[:number], until, counts)
            for number in range(clients)
        ]
        durations = sorted(duration for run in runs for duration in run.result())
    percentile = lambda share: durations[min(len(durations) - 1, int(len(durations) * share))]
    return {"p50": statistics.median(durations), "p99": percentile(0.99), "n": len(durations), "counts": counts}


def scan_sqlite(path, table, queries):
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    durations = []
    for query in queries:
        start = time.perf_counter()
        pattern = "%" + query.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        db.execute(f"SELECT id, name FROM {table} WHERE name LIKE ? ESCAPE '\\' OR description LIKE ? ESCAPE '\\' "
                   "ORDER BY id LIMIT 5", (pattern, pattern)).fetchall()
        durations.append((time.perf_counter() - start) * 1000)
    db.close()
    return statistics.median(durations)


def scan_postgres(url, table, queries):
    script = "\\timing on\n" + "".join(
        f"SELECT id, name FROM {table} WHERE UPPER(name::text) LIKE UPPER('%{query}%') "
        f"OR UPPER(description::text) LIKE UPPER('%{query}%') ORDER BY id LIMIT 5;\n" for query in queries)
    output = subprocess.run(
        [*search_data.PSQL, "--tuples-only", "--dbname", url], input=script, capture_output=True, text=True,
        check=True).stdout
    durations = [float(time) for time in re.findall(r"Time: ([\d.]+) ms", output)]
    assert len(durations) == len(queries), output
    return statistics.median(durations)


def prepare(engine, options):
    """Fills a database and makes its index. Returns the server's arguments, the model, the scan and seconds of the index."""
    binary = os.path.join(options.bin, "tool-server")
    rows = search_data.Rows(options.rows, 7)
    directory = os.path.join(options.directory, engine)
    os.makedirs(directory, exist_ok=True)
    for name in os.listdir(directory):
        os.remove(os.path.join(directory, name))
    if engine == "foreign":
        path, config = os.path.join(directory, "records.sqlite"), os.path.join(directory, "gateway.json")
        search_data.fill_sqlite(rows, path, "records")
        with open(config, "w") as file:
            json.dump({"toolServer": {
                "database": path, "stateDatabase": os.path.join(directory, "state.sqlite"), "search": {"models": {
                    "records": {"table": "records", "columns": ["name", "description"], "url": "/r/{id}/"}},
                    "projects": "records"}}}, file)
        arguments, model, table = ["--config", config], "records", "records"
        scan = lambda queries: scan_sqlite(path, table, queries)
    elif engine == "own":
        path = os.path.join(directory, "store.sqlite")
        arguments, model = ["--database", path], "projects"
        subprocess.run([binary, "tools", *arguments], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([binary, "seed", *arguments], check=True, stdout=subprocess.DEVNULL)
        search_data.fill_sqlite(rows, path, "project")
        scan = lambda queries: scan_sqlite(path, "project", queries)
    else:
        if not options.postgres:
            sys.exit("--engines postgres needs --postgres URL")
        arguments, model = ["--database", options.postgres], "projects"
        subprocess.run([binary, "seed", *arguments], check=True, stdout=subprocess.DEVNULL)
        # Without the index, which is made when the rows are there.
        subprocess.run([*search_data.PSQL, "--dbname", options.postgres, "--command",
                        "TRUNCATE project CASCADE; DROP INDEX IF EXISTS project_trigram"], check=True)
        search_data.fill_postgres(rows, options.postgres, "project")
        scan = lambda queries: scan_postgres(options.postgres, "project", queries)
    start = time.monotonic()
    subprocess.run([binary, "index", "build", "--model", model, *arguments], check=True)
    return arguments, model, scan, time.monotonic() - start, rows.queries()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=".build/release")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--engines", default="foreign,own")
    parser.add_argument("--postgres")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--directory", default=".build/search")
    parser.add_argument("--output")
    options = parser.parse_args()
    lines = ["| engine | what | c | p50 ms | p99 ms | requests |", "|---|---|---|---|---|---|"]
    for engine in options.engines.split(","):
        arguments, model, scan, seconds, queries = prepare(engine, options)
        lines.append(f"| {engine} | index of {options.rows} rows | | {seconds * 1000:.0f} | | |")
        server = Server(os.path.join(options.bin, "tool-server"), arguments)
        figures = {}
        for kind, clients in [("rare", 1), ("rare", 16), ("nothing", 1), ("nothing", 16), ("common", 1), ("common", 16),
                              ("three", 1), ("three", 16), ("short", 1), ("short", 4)]:
            figure = figures[kind, clients] = measure(server.address, model, queries[kind], clients, options.seconds)
            lines.append(f"| {engine} | {kind} | {clients} | {figure['p50']:.2f} | {figure['p99']:.2f} | {figure['n']} |")
        scanned = scan(queries["rare"][:5])
        lines.append(f"| {engine} | LIKE scan, rare | 1 | {scanned:.1f} | | 5 |")
        lines.append(f"| {engine} | faster than the scan | 1 | {scanned / figures['rare', 1]['p50']:.0f} × | | |")
        now, most = server.memory()
        lines.append(f"| {engine} | memory, MB now and at most | | {now:.0f} | {most:.0f} | |")
        server.stop()
    table = "\n".join(lines)
    print(table)
    if options.output:
        with open(options.output, "w") as file:
            file.write(table + "\n")


if __name__ == "__main__":
    main()
