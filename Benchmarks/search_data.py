#!/usr/bin/env python3
"""Rows to search in: the same for the same seed, on any engine.

    search_data.py sqlite FILE [--table records] [--rows 1000000] [--seed 7]
    search_data.py sqlite FILE --table project        # the tool-server's own table, in a store that exists
    search_data.py postgres URL [--table records]     # through psql's COPY
    search_data.py queries [--rows N] [--seed S]      # what search.py asks for, as JSON

A row has an id, a name of 2 to 4 words and a description of 9 to 13; a million rows are about 100 MB. The word
`quarterly` is in every tenth row. Every phrase of `rare` is in one to five rows, and each of its trigrams in many: its
two words are in some hundreds of rows each, but hardly ever side by side.
"""
import argparse
import json
import random
import sqlite3
import subprocess
import sys

COMMON = "quarterly"
PSQL = ["psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1"]
# Letters as frequent as in English text, in percent.
LETTERS = dict(zip("etaoinshrdlcumwfgypbvkjxqz", (
    12.7, 9.1, 8.2, 7.5, 7.0, 6.7, 6.3, 6.1, 6.0, 4.3, 4.0, 2.8, 2.8, 2.4, 2.4, 2.2, 2.0, 2.0, 1.9, 1.5, 1.0, 0.8, 0.2,
    0.2, 0.1, 0.1)))


class Rows:
    """Iterating makes the rows; `rare` is complete when they were made."""

    def __init__(self, count, seed):
        self.count, self.seed = count, seed
        chance = random.Random(f"words {seed}")
        words = set()
        while len(words) < 6000:
            letters = chance.choices(list(LETTERS), weights=LETTERS.values(), k=chance.randint(3, 10))
            words.add("".join(letters))
        words = sorted(words - {COMMON})
        chance.shuffle(words)
        self.vocabulary, self.tail = words[:5000], words[5000:5400]
        # Zipf's law, as text has it.
        total, self.weights = 0, []
        for rank in range(len(self.vocabulary)):
            total += 1 / (rank + 8)
            self.weights.append(total)
        self.planted = {}
        while len(self.planted) < 300:
            self.planted.setdefault(tuple(chance.sample(self.tail, 2)), chance.randint(1, 3))
        self.seen = {pair: 0 for pair in self.planted}

    def __iter__(self):
        chance = random.Random(f"rows {self.seed}")
        places = {}
        for pair, times in sorted(self.planted.items()):
            for _ in range(times):
                places.setdefault(chance.randrange(self.count), []).append(pair)
        tail, seen = set(self.tail), self.seen
        for number in range(self.count):
            size = chance.randint(11, 17)
            words = chance.choices(self.vocabulary, cum_weights=self.weights, k=size)
            for place in range(2, size):
                if chance.random() < 0.005:
                    words[place] = chance.choice(self.tail)
            for pair in places.get(number, ()):
                words += pair
            for pair in zip(words, words[1:]):
                if pair[0] in tail and pair in seen:
                    seen[pair] += 1
            if number % 10 == 3:
                words.insert(chance.randint(3, len(words)), COMMON)
            split = 2 + number % 3
            yield number + 1, " ".join(words[:split]).capitalize(), " ".join(words[split:])

    def queries(self):
        """What there is to ask for. `rare` may come out empty-handed where a phrase straddles name and description."""
        return {
            "rare": [" ".join(pair) for pair, times in sorted(self.seen.items()) if 1 <= times <= 5],
            "nothing": [f"{a}{b[::-1]}x" for a, b in zip(self.tail[:100], self.tail[100:200])],
            "common": [COMMON, COMMON.upper(), COMMON.capitalize()],
            "three": [word[:3] for word in self.vocabulary[:40]],
            "short": ["@", "@#", "7", "!"],
        }


def fill_sqlite(rows, path, table):
    db = sqlite3.connect(path)
    db.execute(f"CREATE TABLE IF NOT EXISTS {table} (id INTEGER PRIMARY KEY, name TEXT, description TEXT)")
    with db:
        db.executemany(f"INSERT OR REPLACE INTO {table} (id, name, description) VALUES (?, ?, ?)", rows)
    db.close()


def fill_postgres(rows, url, table):
    psql = [*PSQL, "--dbname", url]
    subprocess.run(psql, check=True, text=True, input=(
        f"CREATE TABLE IF NOT EXISTS {table} (id BIGINT PRIMARY KEY, name TEXT, description TEXT);"))
    copy = subprocess.Popen(
        psql + ["--command", f"COPY {table} (id, name, description) FROM STDIN"], stdin=subprocess.PIPE, text=True)
    for row in rows:
        copy.stdin.write("%d\t%s\t%s\n" % row)
    copy.stdin.close()
    if copy.wait():
        sys.exit("psql failed")
    # At once: the server would do it by itself in the midst of what is measured.
    subprocess.run(psql + ["--command", f"VACUUM ANALYZE {table}"], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=["sqlite", "postgres", "queries"])
    parser.add_argument("target", nargs="?", help="a file, or a URL")
    parser.add_argument("--table", default="records")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    rows = Rows(options.rows, options.seed)
    if options.engine == "queries":
        for _ in rows:
            pass
        json.dump(rows.queries(), sys.stdout)
        return
    if not options.target:
        parser.error("where to?")
    (fill_sqlite if options.engine == "sqlite" else fill_postgres)(rows, options.target, options.table)
    json.dump(rows.queries(), sys.stdout)


if __name__ == "__main__":
    main()
