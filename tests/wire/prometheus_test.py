# SPDX-License-Identifier: Apache-2.0
"""What an operator looks at: the scrape, the alert rules and the dashboard, with the real tools."""
import json
import math
import re
import subprocess
import threading

import pytest
import yaml

from harness import http
from harness.broker import ROOT, wait_for
from harness.prometheus import Prometheus
from harness.readers import EventReader, Subscriptions
from harness.receiver import Receiver

RULES = ROOT / "docker/prometheus/alerts.yml"
CONFIG = ROOT / "docker/prometheus/prometheus.yml"
DASHBOARD = ROOT / "docker/grafana/dashboards/tidings.json"
RULE_TEST = ROOT / "tests/wire/alerts_test.yml"
RUNBOOK = ROOT / "docs/howto/alerts.md"
WINDOW = "20s"  # of a rate here: more than a census of the readers takes
BROKER = """
channels:
  - { match: "safe/**", durability: fsync, metrics: true }
egress: { allow: ["127.0.0.0/8"] }
sinks: [ { name: copy, channels: [live/a], webhook: { url: "http://127.0.0.1:9/hook" } } ]
sources: [ { name: site, mqtt: { url: "mqtt://127.0.0.1:9", topics: ["a/#"] } } ]
"""


def promtool(*words, text=None):
    """Its last words; it has found nothing to say against what it was given."""
    done = subprocess.run(["promtool", *map(str, words)], input=text, text=True, timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def scrape(broker):
    answer = http.request(broker.operator, "GET", "/metrics")
    assert answer.status == 200
    return answer.body.decode()


def alerts():
    """{name: rule} of the alert rules."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def dashboard():
    return json.loads(DASHBOARD.read_text(encoding="utf-8"))


def targets():
    """[(panel, expression)] of the dashboard, its variables filled in."""
    return [(panel["title"], target["expr"].replace("$instance", ".*")
             .replace("$__rate_interval", WINDOW))
            for panel in dashboard()["panels"] for target in panel.get("targets", [])]


def test_a_scrape_is_clean_for_promtool(start_broker):
    broker = start_broker(config=BROKER)
    broker.publish("safe/a", 1)
    assert promtool("check", "metrics", text=scrape(broker)) == ""


def test_alert_rules_fire_when_they_should_and_only_then():
    promtool("check", "rules", RULES)
    promtool("check", "config", CONFIG)
    assert "SUCCESS" in promtool("test", "rules", RULE_TEST)


def test_each_alert_is_tried_graded_and_explained():
    sections = set(re.findall(r"^## (\w+)$", RUNBOOK.read_text(encoding="utf-8"), re.M))
    cases = yaml.safe_load(RULE_TEST.read_text(encoding="utf-8"))["tests"]
    fired = set(re.findall(r'alertname="(\w+)"', json.dumps(cases).replace('\\"', '"')))
    assert sections == fired == set(alerts())
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in ("page", "ticket"), name
        assert rule["annotations"]["summary"] and rule["annotations"]["description"], name
        assert rule["annotations"]["runbook_url"] == f"docs/howto/alerts.md#{name.lower()}"


def test_figures_that_are_named_anywhere_exist(start_broker):
    broker = start_broker(config=BROKER)
    families = dict(re.findall(r"^# TYPE (\w+) (\w+)$", scrape(broker), re.M))
    known = set(families)
    for name, kind in families.items():
        known |= {name + end for end in ("_bucket", "_count", "_sum") if kind == "histogram"}
    texts = [expression for _, expression in targets()]
    texts += [rule["expr"] for rule in alerts().values()]
    texts += [RUNBOOK.read_text(encoding="utf-8"), DASHBOARD.read_text(encoding="utf-8")]
    named = set(re.findall(r"\b(?:tidings|process)_[a-z_]+[a-z]\b", "\n".join(texts)))
    assert len(named) > 60 and named <= known, named - known


def test_panels_say_what_they_show_and_in_which_unit():
    panels = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(dashboard()["panels"])
    for panel in panels:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
    taken = [(panel["gridPos"]["y"] + y, panel["gridPos"]["x"] + x)
             for panel in dashboard()["panels"]
             for y in range(panel["gridPos"]["h"]) for x in range(panel["gridPos"]["w"])]
    assert len(taken) == len(set(taken)), "panels lie over each other"


def test_provisioning_finds_the_dashboard_and_its_source():
    folder = ROOT / "docker/grafana/provisioning"
    source = yaml.safe_load((folder / "datasources/prometheus.yaml").read_text())["datasources"][0]
    variables = {row["name"]: row for row in dashboard()["templating"]["list"]}
    assert source["type"] == variables["datasource"]["query"] == "prometheus"
    assert variables["instance"]["datasource"]["uid"] == "${datasource}"
    provider = yaml.safe_load((folder / "dashboards/tidings.yaml").read_text())["providers"][0]
    assert provider["type"] == "file" and provider["options"]["path"].endswith("/dashboards")


class Load:
    """Some of everything, again and again, until it is told to stop."""

    def __init__(self, broker):
        self.broker = broker
        self.is_over = threading.Event()
        self.faults = []
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join(60)

    def run(self):
        try:
            with self.broker.events("/stream?channel=live/*&channel=safe/a") as events, \
                    self.broker.websocket("/channels/live/a") as reader, \
                    Subscriptions(self.broker) as socket:
                socket.subscribe("live/*")
                while not self.is_over.wait(0.05):
                    self.do_once(events, reader, socket)
        except Exception as fault:  # told by the test: a thread's end would be silent
            self.faults.append(fault)

    def do_once(self, events, reader, socket):
        broker = self.broker
        socket.ask({"publish": {"channel": "live/a", "data": 1}})
        offset = broker.publish("safe/a", 1)["offset"]
        assert broker.get("/nothing").status == 404
        broker.page("live/a", since="-1")
        broker.page("safe/a", since=offset - 1, wait="1s")
        assert broker.request("DELETE", f"/channels/safe/a?offset={offset}").status in (200, 204)
        with EventReader(broker, ["live/a"], since="earliest") as late:
            late.message()
        events.next()
        reader.recv_message()


def judge(prometheus):
    """What of the dashboard has no finite data yet."""
    missing = []
    for title, expression in targets():
        numbers = [number for _, number in prometheus.query(expression)]
        if not numbers or not all(map(math.isfinite, numbers)):
            missing.append((title, expression, numbers))
    return missing


@pytest.fixture(name="receiver")
def start_receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.mark.deadline(240)
def test_each_panel_has_data_under_load(start_broker, receiver):
    broker = start_broker("--workers", "2", config=BROKER.replace("http://127.0.0.1:9/hook",
                                                                  receiver.url))
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    config["global"]["scrape_interval"] = "1s"
    config["rule_files"] = [str(RULES)]
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [broker.operator.split("//")[1]]
    missing = None

    def is_complete():
        nonlocal missing
        assert not load.faults, load.faults
        missing = judge(prometheus)
        return not missing

    with Prometheus(yaml.safe_dump(config)) as prometheus, Load(broker) as load:
        try:
            wait_for(is_complete, 180, "data for each panel")
        except TimeoutError:
            pytest.fail("\n".join(map(str, missing)))
        names = {label["__name__"] for label, _ in prometheus.query(
            'count by (__name__) ({job="tidings"})')}
        assert "tidings_match_published_messages_total" in names
        # A scrape has a second here, which a machine may stand still for.
        wait_for(lambda: prometheus.query('sum(up{job="tidings"})')[0][1] == 1, what="a scrape")
        rules = [rule for group in prometheus.ask("/api/v1/rules")["groups"]
                 for rule in group["rules"]]
        assert {rule["name"] for rule in rules} == set(alerts())
        assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []
