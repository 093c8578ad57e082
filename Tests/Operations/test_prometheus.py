"""Prometheus itself reads the rules, the dashboard and what the processes expose."""
import json
import math
import re
import shutil
import subprocess
import threading
import urllib.parse
import urllib.request

import pytest
import yaml

import services
from services import ROOT, eventually, free_port
from test_observability import RULES, alerts, panels

UNPACKED = ROOT / ".build/prometheus/usr/bin"


def program(name):
    """Debian's, unpacked by deploy/local/packages, or installed."""
    return str(UNPACKED / name) if (UNPACKED / name).exists() else shutil.which(name)


pytestmark = pytest.mark.skipif(not program("prometheus") or not program("promtool"), reason="Prometheus is not here")


def promtool(*arguments, text=None):
    done = subprocess.run([program("promtool"), *map(str, arguments)], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


class Prometheus:
    """A server with the shipped rules and the scrape configuration of deploy/README.md, once a second."""

    def __init__(self, directory, observed):
        (block,) = re.findall(r"```yaml\n(rule_files:.*?)```", (ROOT / "deploy/README.md").read_text(), re.DOTALL)
        document = yaml.safe_load(block)
        document["rule_files"] = [str(RULES)]
        document["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        addresses = {"127.0.0.1:9090": observed.front.addresses["admin"],
                     "127.0.0.1:9091": observed.tools.addresses["admin"]}
        for job in document["scrape_configs"]:
            for static in job["static_configs"]:
                static["targets"] = [addresses[target] for target in static["targets"]]
        config = directory / "prometheus.yml"
        config.write_text(yaml.safe_dump(document))
        promtool("check", "config", config)
        self.address, self.log = f"127.0.0.1:{free_port()}", open(directory / "log", "w+")
        self.process = subprocess.Popen(
            [program("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={directory / 'data'}",
             f"--web.listen-address={self.address}", "--log.level=warn"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)
        eventually(self.is_ready, 60, "Prometheus ready")
        eventually(self.scrapes, 60, "both targets scraped")

    def ask(self, path, **parameters):
        """The answer's data; an error of Prometheus is one of the test."""
        assert self.process.poll() is None, self.output()
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                answer = json.loads(response.read())
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}")
        assert answer["status"] == "success" and not answer.get("warnings"), answer
        return answer["data"]

    def query(self, expression):
        """The labels and the value of each series that an expression comes to."""
        data = self.ask("query", query=expression)
        assert data["resultType"] == "vector", expression
        return [(series["metric"], float(series["value"][1])) for series in data["result"]]

    def is_ready(self):
        assert self.process.poll() is None, self.output()
        return services.request(self.address, "GET", "/-/ready")[0] == 200

    def scrapes(self):
        targets = self.ask("targets")["activeTargets"]
        return len(targets) == 2 and all(target["health"] == "up" for target in targets)

    def output(self):
        self.log.seek(0)
        return self.log.read()

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


@pytest.fixture(scope="module")
def prometheus(observed, tmp_path_factory):
    """It scrapes the pair, which is asked without a pause."""
    server = Prometheus(tmp_path_factory.mktemp("prometheus"), observed)
    ended, problems = threading.Event(), []

    def load():
        while not ended.wait(0.1):
            try:
                observed.ask()
            except AssertionError as problem:
                problems.append(problem)

    thread = threading.Thread(target=load)
    thread.start()
    yield server
    ended.set()
    thread.join(60)
    server.stop()
    assert not problems, problems


def targets():
    for panel in panels():
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "1m")
            yield pytest.param(expression, target["legendFormat"], id=f"{panel['title']} {target['refId']}")


# What no request of these tests causes.
EMPTY = {"Tools that cannot answer now, per second A"}


@pytest.mark.parametrize("expression, legend", targets())
def test_every_query_of_the_dashboard_has_an_answer(prometheus, request, expression, legend):
    found = []

    def answered():
        # A rate wants two samples, and a division by nothing is no number.
        found[:] = prometheus.query(expression)
        return any(not math.isnan(value) for _, value in found)

    name = request.node.callspec.id
    if name in EMPTY:
        prometheus.query(expression)
        return
    eventually(answered, 30, f"a value of {expression}: {found}")
    for labels, _ in found:
        missing = set(re.findall(r"\{\{(\w+)\}\}", legend)) - set(labels)
        assert not missing, f"the legend names {missing}, the series have {labels}"


def test_every_rule_can_be_evaluated(prometheus):
    def rules():
        return [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]

    eventually(lambda: all(rule["health"] != "unknown" for rule in rules()), 30, "an evaluation of every rule")
    found = rules()
    assert {rule["name"] for rule in found} == {alert["alert"] for alert in alerts()}
    for rule in found:
        assert rule["health"] == "ok" and not rule.get("lastError"), rule
    # Nothing is wrong here but the failures that are asked for.
    firing = {rule["name"] for rule in found if rule["state"] == "firing"}
    assert firing <= {"ChatGatewayErrorBudgetBurnsFast"}, firing
    for alert in alerts():
        prometheus.query(alert["expr"])


def test_the_exposition_is_as_prometheus_wants_it(observed):
    for service in (observed.front, observed.tools):
        promtool("check", "metrics", text=service.metrics())


def test_the_rules_are_valid():
    promtool("check", "rules", RULES)


def test_alerts_fire_when_they_should_and_not_otherwise():
    promtool("test", "rules", ROOT / "Tests/Operations/alerts.yml")


def test_every_alert_is_seen_firing_and_not_firing():
    cases = yaml.safe_load((ROOT / "Tests/Operations/alerts.yml").read_text())["tests"]
    seen = {(case["alertname"], bool(case["exp_alerts"])) for test in cases for case in test["alert_rule_test"]}
    assert seen == {(alert["alert"], fires) for alert in alerts() for fires in (True, False)}


def test_an_alert_that_is_expected_wrongly_is_noticed(tmp_path):
    """The tests above could not fail if promtool read no rule."""
    document = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [{
        "interval": "1m", "input_series": [{"series": 'up{job="chat-gateway"}', "values": "0+0x10"}],
        "alert_rule_test": [{"alertname": "ChatGatewayDown", "eval_time": "5m", "exp_alerts": []}]}]}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(document))
    with pytest.raises(AssertionError, match="FAILED"):
        promtool("test", "rules", tmp_path / "test.yml")
