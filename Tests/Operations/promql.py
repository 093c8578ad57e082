"""What a PromQL expression asks for, and what an exposition has."""
import re

KEYWORDS = {"by", "without", "and", "or", "unless", "on", "ignoring", "group_left", "group_right", "bool", "offset"}
SELECTOR = re.compile(r'([A-Za-z_:][A-Za-z0-9_:]*)\s*(\{[^}]*\})?\s*(\[[^\]]*\])?')
MATCHER = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
# What Prometheus itself adds to every series.
TARGET_LABELS = {"job", "instance"}


def selectors(expression):
    """Each metric of an expression with its matchers (label, operator, value)."""
    # Lists of labels are no metrics.
    text = re.sub(r'\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)', " ", expression)
    found = []
    for match in SELECTOR.finditer(re.sub(r'"(?:[^"\\]|\\.)*"', lambda quoted: quoted[0], text)):
        name, matchers = match[1], match[2] or ""
        # A function, a keyword, a unit of a duration, or the inside of a matcher.
        follows = text[match.end():].lstrip()
        inside = text[:match.start()].count("{") > text[:match.start()].count("}")
        if name in KEYWORDS or inside or (not match[2] and not match[3] and follows.startswith("(")):
            continue
        if match.start() and (text[match.start() - 1].isalnum() or text[match.start() - 1] in '"$'):
            continue
        if text[:match.start()].count("[") > text[:match.start()].count("]"):
            continue
        found.append((name, MATCHER.findall(matchers)))
    return found


def grouped_labels(expression):
    """The labels that results are grouped or matched by."""
    lists = re.findall(r'\b(?:by|without|on|ignoring)\s*\(([^)]*)\)', expression)
    return {label.strip() for listed in lists for label in listed.split(",") if label.strip()}


def exposition(text):
    """Metric names with the sets of values of each of their labels; checks the form on the way."""
    metrics, types = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert kind in {"counter", "gauge", "histogram"} and name not in types, line
            types[name] = kind
            if kind != "histogram":
                metrics.setdefault(name, {})
        elif line and not line.startswith("#"):
            match = re.fullmatch(r'([A-Za-z_:][A-Za-z0-9_:]*)(\{.*\})? (\S+)', line)
            assert match, line
            float(match[3])
            base = re.sub("_(bucket|sum|count)$", "", match[1])
            assert match[1] in types or types.get(base) == "histogram", line
            labels = metrics.setdefault(match[1], {})
            for label, _, value in MATCHER.findall(match[2] or ""):
                labels.setdefault(label, set()).add(value)
    return metrics
