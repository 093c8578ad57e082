"""Commands of the pages that are not run here as they stand there. Each line tells why. The programs in stand-ins/ stand in
for those of a machine that the tests do not have: systemctl and apt-get."""

# (page, beginning of the command, reason)
NOT_RUN = [
]

# (page, command, command in its place, reason)
REPLACED = [
    ("README.md", "make run", "make run BIN=.build/release &",
     "with BIN nothing is built; a reader runs it in another terminal"),
]
