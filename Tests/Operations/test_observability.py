"""The rules, the dashboard and the runbook fit what the processes really expose."""
import json
import re

import pytest
import yaml

import promql
import services
from services import ROOT, chat, request

RULES = ROOT / "deploy/prometheus/rules.yml"
DASHBOARD = ROOT / "deploy/grafana/dashboard.json"
RUNBOOK = (ROOT / "deploy/RUNBOOK.md").read_text()
ERRORS = (ROOT / "docs/errors.md").read_text()


def alerts():
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels():
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def queries():
    yield from ((alert["alert"], alert["expr"]) for alert in alerts())
    for panel in panels():
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"].replace("$__rate_interval", "1m")


@pytest.fixture(scope="module")
def metrics(observed):
    """The names that both expose, with the values of their labels."""
    exposed = promql.exposition(observed.front.metrics())
    for name, labels in promql.exposition(observed.tools.metrics()).items():
        known = exposed.setdefault(name, {})
        for label, values in labels.items():
            known.setdefault(label, set()).update(values)
    return exposed | {"up": {}}


def test_every_query_asks_for_what_is_there(metrics):
    count = 0
    for title, expression in queries():
        found = promql.selectors(expression)
        assert found, f"{title}: {expression}"
        for name, matchers in found:
            count += 1
            assert name in metrics, f"{title}: {name} is not exposed"
            for label, operator, value in matchers:
                assert label in metrics[name] or label in promql.TARGET_LABELS, f"{title}: {name} has no {label}"
                if label in promql.TARGET_LABELS:
                    assert set(value.split("|")) <= {"chat-gateway", "chat-tool-server"}, f"{title}: job {value}"
        labels = set().union(promql.TARGET_LABELS, *(metrics[name] for name, _ in found))
        assert promql.grouped_labels(expression) <= labels, f"{title}: grouped by what is not there"
    assert count > 60


def test_values_that_the_queries_name_exist(metrics):
    # Outcomes that did not happen here are known from the source.
    outcomes = labels_of_errors() | {"ok", "client_closed", "failed", "error", "cancelled"}
    for title, expression in queries():
        for name, matchers in promql.selectors(expression):
            for label, operator, value in matchers:
                if label == "outcome":
                    assert set(value.split("|")) <= outcomes, f"{title}: {value}"
                elif label == "type":
                    # Types and routes.
                    assert set(value.split("|")) <= metrics[name]["type"] | {"auth", "ai_prompt", "mcp"}, title


def test_the_selectors_of_an_expression_are_found():
    found = promql.selectors('sum by (a) (rate(x_total{b="c|d", e!~"f"}[5m])) / on (g) y > 0.1 and time() - z < 14 * 9')
    assert found == [("x_total", [("b", "=", "c|d"), ("e", "!~", "f")]), ("y", []), ("z", [])]


def test_the_dashboard_is_one():
    document = json.loads(DASHBOARD.read_text())
    numbers = [panel["id"] for panel in document["panels"]]
    assert len(numbers) == len(set(numbers))
    places = set()
    for panel in document["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & places, f"{panel['title']} lies on another panel"
        places |= cells


def test_the_runbook_has_every_alert():
    sections = {title: body for title, body in
                re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", RUNBOOK, re.MULTILINE | re.DOTALL)}
    assert set(sections) == {alert["alert"] for alert in alerts()}
    for title, body in sections.items():
        for word in ("Means", "Confirm", "Do"):
            assert f"**{word}**:" in body, f"{title} does not say what it {word.lower()}s"
    for alert in alerts():
        assert alert["labels"]["severity"] in {"page", "ticket"}
        assert alert["annotations"]["summary"]


def labels_of_errors():
    source = (ROOT / "Sources/GatewayCore/Errors/GatewayErrorLabel.swift").read_text()
    cases = source[:source.index("/// A row of the table of errors")]
    return {explicit or name.strip("`") for name, explicit in
            re.findall(r'^    case (\S+?)(?: = "(\w+)")?$', cases, re.MULTILINE)}


def test_the_page_of_errors_has_every_label():
    labels = labels_of_errors()
    assert len(labels) > 20
    rows = {row[0]: row for row in re.findall(r"^\| `(\w+)` \| (\d+) \| (\w+) \| (.+) \| (.+) \| (.+) \|$", ERRORS,
                                              re.MULTILINE)}
    assert set(rows) == labels
    # The statuses are the source's.
    source = (ROOT / "Sources/GatewayCore/Errors/GatewayErrorLabel.swift").read_text()
    names = {re.sub(r"_(\w)", lambda letter: letter[1].upper(), label).replace("Json", "JSON"): label
             for label in labels}
    for name, status in re.findall(r"case \.(\w+):\s*Facts\((\d+)", source):
        assert rows[names[name]][1] == status, name


def test_nothing_that_clients_send_becomes_a_label(observed):
    tools, front = pair = observed.tools, observed.front

    def series():
        return {line.rsplit(" ", 1)[0] for service in pair for line in service.metrics().splitlines()
                if not line.startswith("#")}

    def ask(number):
        junk = f"junk{number}"
        address, direct = front.addresses["main"], tools.addresses["main"]
        chat(address, {"type": junk, "query": junk})
        chat(address, {"type": "search_any", "model": junk, "query": junk}, {"User-Agent": junk, "Cookie": f"{junk}=1"})
        chat(address, {"message": junk}, {"X-Request-Id": junk, "traceparent": junk, "Origin": f"https://{junk}"})
        request(address, junk.upper(), f"/{junk}?{junk}")
        request(address, "POST", f"/mcp/{junk}", "{}")
        request(direct, "POST", f"/mcp/{junk}", "{}")
        request(direct, "POST", "/mcp/", json.dumps({"command": junk, "arguments": {}}))
        request(direct, junk.upper(), f"/{junk}")
        for kind in ("canaried", "shadowed", "history", "members_only"):
            chat(address, {"type": kind, "query": junk}, {"Cookie": f"sessionid={junk}", "X-Forwarded-For": junk})
        request(address, "POST", "/auth/login", json.dumps({"username": junk, "password": junk}))
        request(direct, "POST", "/mcp/", json.dumps({"jsonrpc": "2.0", "id": 1, "method": junk}),
                {"Mcp-Session-Id": junk, "Mcp-Method": junk, "MCP-Protocol-Version": junk, "Authorization": junk})

    ask(0)
    before = series()
    for number in range(1, 8):
        ask(number)
    assert series() == before
    assert not [line for line in before if "junk" in line]
