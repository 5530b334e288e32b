# SPDX-License-Identifier: Apache-2.0
"""`tidings sink`: what it prints and how it ends, against the running broker."""
import json
import subprocess

import pytest

from harness.broker import Broker, find_binary, wait_for
from harness.endpoints import Endpoints

CONFIG = """
egress: {{ allow: ["127.0.0.1/32"] }}
sinks:
  - name: fixed
    channels: ["fixed/*"]
    webhook: {{ url: "{url}", secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }}
"""


@pytest.fixture(scope="module", name="place")
def start_place():
    """A broker with one sink of its configuration, and its endpoint."""
    with Endpoints() as endpoints:
        endpoint = endpoints.add("fixed")
        broker = Broker(config=CONFIG.format(url=endpoint.url))
        try:
            yield broker.start(), endpoint, endpoints
            broker.stop()
        finally:
            broker.close()


def run(broker, *words, code=0):
    done = subprocess.run([find_binary(), "sink", *words, "--operator", broker.operator],
                          capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, done
    return done.stdout if code in (0, 3) else done.stderr


def test_a_test_says_what_came_back_and_ends_by_it(place):
    broker, endpoint, endpoints = place
    assert run(broker, "test", "fixed").startswith("delivered 200 in ")
    assert endpoint.arrivals[-1].body.find(b'"test":true') > 0
    endpoint.status = 500
    assert run(broker, "test", "fixed", code=3).startswith("failed 500 in ")
    assert json.loads(run(broker, "test", "fixed", "--json", code=3))["outcome"] == "failed"
    endpoint.status = 200
    endpoints.stop(endpoint)
    assert run(broker, "test", "fixed", code=3).startswith("unreached in ")
    endpoints.start(endpoint)
    assert "404" in run(broker, "test", "none", code=1)


def test_a_list_is_a_table(place):
    broker, endpoint, _ = place
    broker.publish("fixed/a", {"n": 1})
    wait_for(lambda: ("fixed/a", 1) in endpoint.answered(), what="the message")
    lines = run(broker, "list").splitlines()
    assert lines[0].split() == ["SINK", "KIND", "STATE", "LAG", "OLDEST", "DELIVERED", "FAILED",
                                "DEAD", "DETAIL"]
    assert lines[1].split()[:2] == ["fixed", "webhook"] and len(lines) == 2
    assert json.loads(run(broker, "list", "--json"))["sinks"][0]["name"] == "fixed"
    wait_for(lambda: run(broker) == run(broker, "list"), what="the same")


def test_one_is_made_directed_and_deleted(place):
    broker, endpoint, _ = place
    said = run(broker, "create", "made", "--channel", "made/*", "--channel", "more/**",
               "--webhook", endpoint.url, "--secret", "whsec_" + "A" * 32, "--set",
               "batch.count=5", "--set", "mode=parallel")
    assert said.startswith("made: ")
    shown = json.loads(run(broker, "show", "made"))
    assert shown["origin"] == "operator" and shown["sink"]["batch"]["count"] == 5
    assert shown["sink"]["channels"] == ["made/*", "more/**"]
    assert "A" * 32 not in json.dumps(shown)
    assert run(broker, "pause", "made") == "made: paused\n"
    broker.publish("made/a", {"n": 1})
    assert run(broker, "resume", "made").startswith("made: ")
    wait_for(lambda: ("made/a", 1) in endpoint.answered(), what="the message")
    assert run(broker, "replay", "made", "--since", "earliest").startswith("made: ")
    wait_for(lambda: endpoint.answered().count(("made/a", 1)) == 2, what="it again")
    assert run(broker, "replay", "made", "--dead-letters") == "made: dead letters sent again: 0\n"
    assert run(broker, "delete", "made") == "made: deleted\n"
    assert "404" in run(broker, "show", "made", code=1)


def test_every_fault_of_a_definition_is_told(place):
    broker = place[0]
    said = run(broker, "create", "bad", "--webhook", "ftp://x", "--set", "mode=some", "--set",
               "batch.count=0", code=1)
    for key in ("webhook.url", "mode", "batch.count"):
        assert key in said, said


def test_one_of_the_configuration_is_not_deleted_here(place):
    assert "409" in run(place[0], "delete", "fixed", code=1)


WRONG = [["show"], ["list", "fixed"], ["fly", "fixed"], ["replay", "fixed"],
         ["replay", "fixed", "--since", "now", "--dead-letters"], ["create", "x", "--set", "a"]]


@pytest.mark.parametrize("words", WRONG)
def test_wrong_words_are_refused_before_anything_is_asked(words):
    done = subprocess.run([find_binary(), "sink", *words, "--operator", "http://127.0.0.1:1"],
                          capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 2 and done.stderr.startswith("tidings: "), done


def test_who_names_no_verb_is_told_all_of_them():
    done = subprocess.run([find_binary(), "sink", "orders"], capture_output=True, text=True,
                          check=False, timeout=20)
    assert done.returncode == 2 and "`list` `show` `test`" in done.stderr, done
