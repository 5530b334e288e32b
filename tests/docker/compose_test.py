# SPDX-License-Identifier: Apache-2.0
"""The image and the demo by Compose on a real engine, used from outside; else skipped.

Grafana has no counterpart among Debian's packages, so it is left out here.
"""
import json
import os
import re
import shutil
import threading
from urllib.parse import quote

import pytest
import yaml
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from harness import http
from harness.broker import ROOT, Broker, wait_for
from harness.docker import BUILD_TIMEOUT_S, free_ports
from wire.demo_test import fixture_browser  # noqa: F401  one kind of Chromium is enough

COMPOSE_FILE = ROOT / "docker" / "compose.yaml"
SERVICES = ("broker", "publisher", "prometheus")
COMPOSES = {"1": ["docker-compose"], "2": ["docker", "compose"]}
PORTS = ("PUBLIC_PORT", "OPERATOR_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT", "MQTT_PORT")
IMAGE_BYTES_MAX = 90_000_000
USER = "10001:10001"

pytestmark = pytest.mark.deadline(240)


def read_services():
    return yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))["services"]


class Demo(Broker):
    """The demo that runs, seen as the broker in it."""

    def __init__(self, engine, command):
        self.engine, self.command = engine, command
        self.context = None  # it speaks no TLS
        self.project = f"tidings-test-{os.getpid()}"
        self.ports = free_ports(PORTS)
        self.environment = engine.environment | self.ports
        self.public, self.operator, self.prometheus = (
            f"http://localhost:{self.ports[name]}" for name in PORTS[:3])

    def compose(self, *words):
        return self.engine.ask(*self.command, "--file", COMPOSE_FILE, "--project-name",
                               self.project, *words, env=self.environment,
                               timeout=BUILD_TIMEOUT_S).stdout.decode()

    def inspect(self, kind, name):
        return json.loads(self.engine.ask("docker", kind, "inspect", name).stdout)[0]

    def container(self, service):
        return self.inspect("container", self.compose("ps", "--quiet", service).split()[-1])

    def run(self, *words):
        """A container of the broker's image, as `docker run` gives it."""
        return self.engine.ask("docker", "run", "--rm", self.container("broker")["Image"], *words,
                               is_claim=False)

    def is_down(self):
        """A network may be in use a moment longer than its last container."""
        down = *self.command, "--file", COMPOSE_FILE, "--project-name", self.project, "down", \
            "--volumes", "--rmi", "local"
        return self.engine.does(*down, env=self.environment) and self.leftovers() == b""

    def leftovers(self):
        label = f"label=com.docker.compose.project={self.project}"
        return b"".join(self.engine.ask("docker", *words, "--quiet", "--filter", label).stdout
                        for words in (("ps", "--all"), ("volume", "ls"), ("network", "ls")))

    def query(self, expression):
        answer = http.request(self.prometheus, "GET", f"/api/v1/query?query={quote(expression)}")
        return [float(row["value"][1]) for row in answer.json()["data"]["result"]]


@pytest.fixture(scope="module", name="demo", params=COMPOSES)
def fixture_demo(request, engine):
    command = COMPOSES[request.param]
    version = engine.ask(*command, "version", "--short", is_claim=False).stdout.decode() \
        if shutil.which(command[0]) else ""
    if not re.fullmatch(rf"v?{request.param}\.\S+", version.strip()):
        pytest.skip(f"no Compose {request.param}: {' '.join(command)} is none")
    engine.provide_prometheus(read_services()["prometheus"]["image"])
    demo = Demo(engine, command)
    try:
        demo.compose("up", "--detach", *SERVICES)
        yield demo
    finally:
        wait_for(demo.is_down, what="the end of all that it made")


def test_what_the_demo_mounts_is_there():
    """Docker would make an empty directory of what is not."""
    mounts = [volume.split(":")[0] for service in read_services().values()
              for volume in service.get("volumes", ()) if volume.startswith("./")]
    assert len(mounts) == 3 and all(any((COMPOSE_FILE.parent / mount).iterdir())
                                    for mount in mounts)


def test_the_image_is_small_belongs_to_nobody_and_tells_its_version(demo):
    image = demo.inspect("image", demo.container("broker")["Image"])
    assert image["Size"] < IMAGE_BYTES_MAX
    config = image["Config"]
    assert config["User"] == USER
    assert set(config["ExposedPorts"]) == {"1883/tcp", "8080/tcp", "8081/tcp", "8883/tcp"}
    version = config["Labels"]["org.opencontainers.image.version"]
    assert demo.run("version").stdout.decode() == f"tidings {version}\n"


def test_the_image_refuses_to_be_open_unasked(demo):
    done = demo.run()
    assert done.returncode == 1 and b"TIDINGS_OPEN=1" in done.stdout


def test_the_broker_is_healthy_and_can_write_nothing_but_its_volume(demo):
    wait_for(lambda: demo.container("broker")["State"]["Health"]["Status"] == "healthy", 60,
             "the health check")
    host = demo.container("broker")["HostConfig"]
    assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and not host["Privileged"]
    demo.compose("exec", "-T", "broker", "sh", "-c",
                 "test $(id -u):$(id -g) = " + USER + " && touch /data/can && ! touch /etc/cannot")


def test_nothing_in_the_image_runs_as_somebody_else(demo):
    demo.compose("exec", "-T", "broker", "sh", "-c",
                 "! find / -xdev -type f -perm /6000 2>/dev/null | grep .")


def test_the_image_can_tell_who_speaks_https(demo):
    demo.compose("exec", "-T", "broker", "grep", "-q", "BEGIN CERTIFICATE",
                 "/etc/ssl/certs/ca-certificates.crt")


def test_nothing_is_published_beyond_loopback(demo):
    for service in SERVICES:
        for bindings in demo.container(service)["NetworkSettings"]["Ports"].values():
            assert {binding["HostIp"] for binding in bindings or []} <= {"127.0.0.1"}


def test_a_page_under_a_name_of_its_own_reaches_neither_port(demo):
    for url in (demo.public, demo.operator):
        answer = http.request(url, "GET", "/channels/a", {"Host": "rebound.example"})
        assert answer.status == 421


def test_the_match_is_played(demo):
    first = wait_for(lambda: demo.page("tennis/court-1")["messages"], 60, "the first point")[-1]
    assert first["data"]["players"] == ["N. Djokovic", "R. Nadal"]
    wait_for(lambda: demo.page("tennis/court-1")["last"] > first["offset"], 60, "the next point")


def test_what_curl_publishes_is_seen_by_a_browser_outside(demo, browser):
    browser.get(f"{demo.public}/demo?channel=outside")
    score = {"players": ["A", "B"], "sets": [[6, 4]], "games": [5, 2], "points": ["40", "15"],
             "server": 1, "winner": 1, "point": 61, "elapsed": "1:02:03"}
    demo.engine.ask("curl", "--fail", "--silent", "--data", json.dumps(score),
                    f"{demo.public}/channels/outside")
    for reader in ("websocket", "sse"):
        board = f'[data-reader="{reader}"] .board table'
        WebDriverWait(browser, 60).until(
            lambda _, board=board: [cell.text for cell in browser.find_elements(
                By.CSS_SELECTOR, f"{board} .points")] == ["40", "15"], reader)


def test_prometheus_has_the_metrics(demo):
    wait_for(lambda: demo.query('up{job="tidings"}') == [1], 60, "the first scrape")
    published = 'sum(tidings_published_messages_total{job="tidings"})'
    wait_for(lambda: demo.query(published) > [0], 60, "messages that were counted")


def test_a_restart_loses_nothing_that_was_answered(demo):
    """Published before, while it goes down and after; read by one that resumes by its last id."""
    with demo.events("/channels/kept") as stream:
        demo.publish("kept", 0)
        last_id = stream.next().id
    answered, is_over = {}, threading.Event()

    def publish():
        number = 0
        while not is_over.is_set():
            number += 1
            try:
                answered[number] = demo.publish("kept", number)["offset"]
            except (OSError, http.Closed, AssertionError):
                pass  # it is down: the next number, by and by
            is_over.wait(0.005)  # so that the channel keeps them all

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        wait_for(lambda: len(answered) > 100, 60, "publishes before")
        demo.compose("restart", *SERVICES)
        before = len(answered)
        wait_for(lambda: len(answered) > before + 100, 60, "publishes after")
    finally:
        is_over.set()
        publisher.join()
    messages, gaps = demo.all_messages("kept")
    assert gaps == []
    assert [message["offset"] for message in messages] == list(range(1, len(messages) + 1))
    stored = {message["data"]: message["offset"] for message in messages}
    assert len(stored) == len(messages)
    assert {number: stored.get(number) for number in answered} == answered
    with demo.events("/channels/kept", last_event_id=last_id) as stream:
        resumed = [stream.next().json()["offset"] for _ in messages[1:]]
    assert resumed == list(range(2, len(messages) + 1))
