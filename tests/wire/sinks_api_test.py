# SPDX-License-Identifier: Apache-2.0
"""Sinks by the administration: declared, changed, stopped, replayed, tested, and what is told."""
import json
import pathlib
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import http
from harness.broker import find_binary, wait_for
from harness.receiver import OTHER_SECRET, SECRET, Answer, Receiver
from harness.sinks import configuration, dead_letters, wait_dead, webhook

PATH = "/api/v1/sinks"
ALLOWED = configuration()


@pytest.fixture(name="receiver")
def start_receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(name="broker")
def start_allowing(start_broker):
    return start_broker(config=ALLOWED)


def ask(broker, method, target="", body=None):
    return http.request(broker.operator, method, PATH + target, {},
                        None if body is None else json.dumps(body).encode())


def restart(broker):
    broker.stop()
    broker.start()


def write(broker, text):
    """What the next reload reads."""
    pathlib.Path(broker.scratch, "tidings.yaml").write_text(text, encoding="utf-8")


def declare(broker, row):
    answer = ask(broker, "POST", body=row)
    assert answer.status == 201, answer
    assert answer.headers["location"] == f"{PATH}/{row['name']}"
    return answer.json()


def show(broker, name="s"):
    answer = ask(broker, "GET", "/" + name)
    assert answer.status == 200, answer
    return answer.json()


def wait_shown(broker, claim, what, name="s"):
    return wait_for(lambda: claim(row := show(broker, name)) and row, what=what)


# --- declared -----------------------------------------------------------------------------------


def test_a_sink_that_is_declared_sends_and_is_there_after_a_restart(broker, receiver):
    row = declare(broker, webhook(receiver.url))
    assert row["origin"] == "operator" and row["kind"] == "webhook"
    assert row["sink"]["webhook"]["secret"] == "set" and SECRET not in json.dumps(row)
    broker.publish("a/b", 1)
    assert receiver.wait()[0].is_signed()
    wait_shown(broker, lambda row: row["messages"] == 1 and row["lag_messages"] == 0, "delivered")
    restart(broker)
    assert show(broker)["sink"] == row["sink"]
    broker.publish("a/b", 2)
    assert receiver.wait(2)[1].is_signed() and receiver.data() == [1, 2]


def test_a_wrong_definition_is_refused_with_every_fault_and_its_line(broker):
    text = b'{"name": "S",\n "channels": ["a**", "$dlq/s"],\n "start": "soon",\n' \
           b' "webhook": {"url": "https://x", "ca": "/nowhere/ca.pem", "secert": "x"},\n' \
           b' "kafka": {"topic": "t"}}'
    answer = http.request(broker.operator, "POST", PATH, {}, text)
    problem = answer.json()
    assert answer.status == 422 and problem["type"] == "/problems/configuration"
    told = {(fault["line"], fault["field"]) for fault in problem["faults"]}
    assert {(1, "name"), (4, "webhook.secert"), (1, "sink")} <= told
    reasons = " ".join(fault["reason"] for fault in problem["faults"])
    for words in ("nearest is `webhook.secret`", "`start`", '"a**"', "/nowhere/ca.pem",
                  "has `kafka.topic`"):
        assert words in reasons
    assert ask(broker, "GET").json() == {"sinks": [], "next": None}


def test_names_are_taken_once_wherever_they_are_declared(start_broker, receiver):
    broker = start_broker(config=configuration(webhook(receiver.url, name="file")))
    declare(broker, webhook(receiver.url))
    for name in ("s", "file"):
        assert ask(broker, "POST", body=webhook(receiver.url, name=name)).status == 409
    for method, body in (("PUT", webhook(receiver.url, name="file")), ("DELETE", None)):
        answer = ask(broker, method, "/file", body)
        assert answer.status == 409 and "configuration" in answer.json()["detail"]
    rows = ask(broker, "GET").json()["sinks"]
    assert [(row["name"], row["origin"]) for row in rows] == [
        ("file", "configuration"), ("s", "operator")]
    page = ask(broker, "GET", "?limit=1").json()
    assert page["next"] == "file" and len(page["sinks"]) == 1
    assert [row["name"] for row in ask(broker, "GET", "?after=file").json()["sinks"]] == ["s"]


# --- changed ------------------------------------------------------------------------------------


def test_a_change_keeps_the_place_and_the_secrets_that_it_does_not_name(broker, receiver):
    declare(broker, webhook(receiver.url, webhook={"headers": ["X-Token: abc"]}))
    broker.publish("a/1", 1)
    receiver.wait()
    shown = show(broker)["sink"]
    shown["webhook"]["timeout"] = "3s"
    assert ask(broker, "PUT", "/s", shown).json()["sink"]["webhook"]["timeout"] == "3s"
    broker.publish("a/1", 2)
    request = receiver.wait(2)[1]
    assert request.json()["data"] == 2 and request.is_signed()
    assert request.headers["x-token"] == "abc"
    shown["webhook"].update(secret=OTHER_SECRET, headers=[])
    assert ask(broker, "PUT", "/s", shown).status == 200
    broker.publish("a/1", 3)
    request = receiver.wait(3)[2]
    assert request.is_signed(OTHER_SECRET) and "x-token" not in request.headers
    shown["webhook"].update(secret=None)
    assert "secret" not in ask(broker, "PUT", "/s", shown).json()["sink"]["webhook"]
    broker.publish("a/1", 4)
    assert "webhook-signature" not in receiver.wait(4)[3].headers


def test_one_that_is_deleted_forgets_its_place(broker, receiver):
    declare(broker, webhook(receiver.url))
    broker.publish("a/1", 1)
    receiver.wait()
    assert ask(broker, "DELETE", "/s").status == 204
    assert ask(broker, "GET", "/s").status == 404
    assert ask(broker, "DELETE", "/s").status == 404
    broker.publish("a/1", 2)
    declare(broker, webhook(receiver.url, start="earliest"))
    receiver.wait(3)
    assert receiver.data() == [1, 1, 2]


# --- stopped, replayed, tested ------------------------------------------------------------------


def test_one_that_is_paused_waits_over_a_restart_and_goes_on_where_it_stood(broker, receiver):
    declare(broker, webhook(receiver.url))
    assert ask(broker, "POST", "/s/pause").json()["state"] == "paused"
    broker.publish("a/1", 1)
    wait_shown(broker, lambda row: row["lag_messages"] == 1, "lag")
    restart(broker)
    assert show(broker)["state"] == "paused" and not receiver.requests
    assert ask(broker, "POST", "/s/resume").status == 200
    assert receiver.wait()[0].json()["data"] == 1


def test_a_replay_sends_the_same_again_with_the_same_ids(broker, receiver):
    declare(broker, webhook(receiver.url))
    for number in range(3):
        broker.publish("a/1", number)
    first = [request.id for request in receiver.wait(3)]
    wait_shown(broker, lambda row: row["messages"] == 3, "all done")
    assert ask(broker, "POST", "/s/replay", {"since": "earliest"}).json()["name"] == "s"
    assert [request.id for request in receiver.wait(6)[3:]] == first
    assert ask(broker, "POST", "/s/replay", {"since": "never"}).status == 422


def test_dead_letters_are_sent_again_when_the_endpoint_is_back(broker, receiver):
    receiver.answer = Answer(500)
    declare(broker, webhook(receiver.url, waits=["50ms"]))
    broker.publish("a/1", {"n": 1})
    wait_dead(broker)
    assert show(broker)["dead_letters"] == 1
    receiver.answer = Answer(204)
    before = receiver.requests[0].id
    count = len(receiver.requests)
    answer = ask(broker, "POST", "/s/replay", {"dead_letters": True})
    assert answer.json() == {"replayed": 1}
    assert receiver.wait(count + 1)[-1].id == before
    assert receiver.wait_accepted()[0].json()["data"] == {"n": 1}
    assert len(dead_letters(broker)) == 1


def test_a_test_tells_what_came_back_past_all_that_waits(broker, receiver):
    declare(broker, webhook(receiver.url))
    answer = ask(broker, "POST", "/s/test").json()
    assert answer["outcome"] == "delivered" and answer["status"] == 200
    request = receiver.wait()[0]
    assert request.json()["event"] == "test" and request.is_signed()
    assert request.json()["data"]["sink"] == "s"
    receiver.script = [Answer(418)]
    answer = ask(broker, "POST", "/s/test").json()
    assert answer["outcome"] == "failed" and answer["status"] == 418
    assert show(broker)["messages"] == 0


# --- what is told -------------------------------------------------------------------------------


def test_attempts_lag_and_the_next_attempt_are_told_and_scraped(broker, receiver):
    receiver.answer = Answer(500, {"Content-Type": "text/plain"}, b"no")
    declare(broker, webhook(receiver.url, waits=["1h"]))
    broker.publish("a/1", 1)
    row = wait_shown(broker, lambda row: row["attempts"]["failed"] == 1 and
                     row["lag_messages"] == 1, "a failure")
    assert row["status"] == 500 and row["failing_since"]
    assert row["state"] in ("retrying", "broken") and row["next_attempt"] > row["failing_since"]
    assert row["detail"] == "no"
    for sample in ('attempts_total{sink="s",outcome="failed"}', 'lag_messages{sink="s"}',
                   f'state{{sink="s",state="{row["state"]}"}}'):
        assert broker.metric("tidings_sink_" + sample) == 1


def test_an_answer_without_words_is_told_by_its_status(broker, receiver):
    receiver.answer = Answer(500)
    declare(broker, webhook(receiver.url, waits=["1h"]))
    for number in range(3):
        broker.publish(f"a/{number}", number)
    row = wait_shown(broker, lambda row: row["attempts"]["failed"] == 3, "failures")
    assert row["detail"] == "it answered 500" and row["lag_messages"] == 3


def test_a_connection_that_is_down_says_why_and_when_it_is_made_again(broker):
    declare(broker, {"name": "s", "channels": ["a/**"], "mqtt": {"url": "mqtt://127.0.0.1:9"}})
    row = wait_shown(broker, lambda row: row["state"] == "broken" and row["next_attempt"], "broken")
    assert row["next_attempt"] > row["failing_since"] and "127.0.0.1 port 9" in row["detail"]


def test_a_file_with_wrong_sinks_is_told_all_its_faults(tmp_path):
    file = tmp_path / "t.yaml"
    file.write_text("sinks:\n"
                    '  - {name: a, channels: ["a**"], webhook: {url: "http://h"}}\n'
                    '  - {name: a, channels: [b], start: soon,'
                    '     mqtt: {url: "mqtt://h", topic: "x/#"}}\n'
                    '  - {name: c, channels: ["$dlq/c"], kafka: {brokers: k}, concurrency: 2}\n',
                    encoding="utf-8")
    told = subprocess.run([find_binary(), "check", file], capture_output=True, text=True,
                          check=False)
    lines = told.stderr.splitlines()
    assert told.returncode == 1
    for line, words in ((2, "sinks[0].channels"), (3, "has the `name` of sinks[0]"),
                        (3, "`start`"), (3, "`mqtt.topic` has"), (4, "own dead letters"),
                        (4, "`concurrency`")):
        assert any(one.startswith(f"{file}:{line}:") and words in one for one in lines), lines


def test_a_reload_with_faults_changes_nothing_and_tells_them(start_broker, receiver):
    broker = start_broker(config=configuration(webhook(receiver.url)))
    write(broker, configuration(webhook(receiver.url, name="t", start="soon")))
    answer = http.request(broker.operator, "POST", "/api/v1/configuration/reload", {}, b"")
    assert answer.status == 422 and "`start`" in answer.json()["faults"][0]["reason"]
    assert [row["name"] for row in ask(broker, "GET").json()["sinks"]] == ["s"]
    write(broker, configuration(webhook(receiver.url, name="t")))
    assert http.request(broker.operator, "POST", "/api/v1/configuration/reload", {},
                        b"").status == 200
    wait_for(lambda: [row["name"] for row in ask(broker, "GET").json()["sinks"]] == ["t"],
             what="the other sink")


def test_who_asks_while_the_sink_is_deleted_is_answered(broker, receiver):
    """Several at once: one asks while what another one changed is being stored."""
    def ask_for_a_while(verb, name):
        return [ask(broker, verb, name).status for _ in range(5)]

    for _ in range(10):
        declare(broker, webhook(receiver.url, channels=["a"]))
        with ThreadPoolExecutor() as pool:
            asked = [pool.submit(ask_for_a_while, "POST", "/s/" + verb)
                     for verb in ("pause", "resume") * 3]
            assert ask(broker, "DELETE", "/s").status == 204
            statuses = {status for one in asked for status in one.result()}
        assert statuses <= {200, 404, 409, 503}, statuses
