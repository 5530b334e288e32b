# SPDX-License-Identifier: Apache-2.0
"""An MQTT reader that is slow: it costs reads and not memory, and what it chose is what it gets."""
import json

import pytest

from harness import http
from harness.broker import is_sanitized, wait_for
from harness.mqtt import V3, V5, Client, connected, each_version

MESSAGES = 600
BYTES = 20_000  # each: 12 MB in all, far more than a send budget and the client's buffer
READERS = 120
# 31 to 46 MiB were measured, with what is not folded yet and what malloc() keeps. Who kept 4 MiB
# for each of the readers took 480 MiB more; this is the geometric middle.
RSS_MAX_BYTES = 144 * 1048576
RULES = """channels:
- {match: conf/**, on_lag: conflate}
- {match: disc/**, on_lag: disconnect}
- {match: nohist/**, history: {messages: 0}}
"""


def stall(broker, version, qos, values=None, selector="slow/#"):
    """A client that subscribed to `selector` and reads nothing yet, and all that was published."""
    client = Client(broker, version, receive_bytes=4096, timeout_s=60)
    client.connect("slow")
    client.subscribe(selector, qos=qos, values=values)
    with connected(broker) as publisher:
        for number in range(MESSAGES):
            text = json.dumps({"n": number, "x": "x" * BYTES})
            publisher.publish(f"slow/{number % 2}", text, 1)
    return client


def number_of(got):
    return json.loads(got.payload)["n"]


@each_version
@pytest.mark.parametrize("qos", [0, 1])
def test_a_slow_reader_catches_up_without_loss(start_broker, version, qos):
    broker = start_broker()
    with stall(broker, version, qos) as client:
        assert [number_of(client.message(60)) for _ in range(MESSAGES)] == list(range(MESSAGES))


@pytest.mark.heavy
@pytest.mark.parametrize("qos", [0, 1])
def test_slow_readers_cost_no_memory(start_broker, qos):
    """Each of them lacks 24 MB in the end, all together 2.9 GB."""
    broker = start_broker()
    clients = []
    try:
        for index in range(READERS):
            client = Client(broker, V3, receive_bytes=4096)
            client.connect(f"slow-{index}")
            client.subscribe("slow/#", qos=qos)
            clients.append(client)
        for _ in range(2):
            stall(broker, V3, qos).close()
            if not is_sanitized():
                assert broker.rss_anon_bytes() < RSS_MAX_BYTES
    finally:
        for client in clients:
            client.close()


def test_a_reader_that_wants_to_be_disconnected_is(start_broker):
    broker = start_broker()
    with stall(broker, 5, 0, {"user": [("on_lag", "disconnect")]}) as client:
        assert client.end(60) in (None, 0x97)  # the reason is lost where it no longer fits


def test_a_reader_that_drops_is_told_the_gap(start_broker):
    broker = start_broker()
    with stall(broker, 5, 0, {"user": [("on_lag", "drop"), ("offset", "true")]}) as client:
        seen = []
        while not (got := client.message(60)).topic.startswith("$gap"):
            seen.append(number_of(got))
        assert json.loads(got.payload)["reason"] == "dropped"
        assert seen == list(range(len(seen))) and len(seen) < MESSAGES
        with connected(broker) as publisher:
            publisher.publish("slow/end", json.dumps({"n": MESSAGES}), 1)
        while (got := client.message(60)).topic != "slow/end":
            assert got.topic.startswith("$gap") or number_of(got) > len(seen)


def test_a_reader_that_conflates_gets_the_newest(start_broker):
    broker = start_broker()
    with stall(broker, 5, 1, {"user": [("on_lag", "conflate")]}) as client:
        seen = []
        while not seen or seen[-1] < MESSAGES - 1:
            seen.append(number_of(client.message(60)))
        assert seen == sorted(set(seen)) and len(seen) < MESSAGES


def policy(broker):
    """The on_lag of the only reader, once there is one and no other is left."""
    def only_reader():
        rows = http.request(broker.operator, "GET", "/api/v1/connections").json()["connections"]
        readers = [reader for row in rows for reader in row["readers"]]
        return readers[0] if len(readers) == 1 else None
    return wait_for(only_reader)["on_lag"]


@each_version
@pytest.mark.parametrize("qos", [0, 1])
def test_a_reader_that_does_not_choose_has_the_rule_of_its_only_channel(start_broker, version, qos):
    broker = start_broker(config=RULES)
    kept = {"clean": False, "values": {"session_expiry": 60} if version == V5 else None}
    for channel, expected in (("conf/a", "conflate"), ("disc/a", "disconnect"),
                              ("nohist/a", "drop"), ("else", "catch_up"), ("conf/#", "catch_up")):
        with connected(broker, "a", version, **kept) as client:
            client.subscribe(channel, qos=qos)
            assert policy(broker) == expected
            client.disconnect()
        with connected(broker, "a", version, **kept) as client:
            assert client.connack.is_present and policy(broker) == expected
            client.unsubscribe(channel)
            client.disconnect()


def test_a_choice_beats_the_rule(start_broker):
    broker = start_broker(config=RULES)
    with connected(broker) as client:
        client.subscribe("conf/a", values={"user": [("on_lag", "catch_up")]})
        assert policy(broker) == "catch_up"


def test_a_rule_that_disconnects_ends_a_slow_reader(start_broker):
    broker = start_broker(config="channels: [{match: slow/**, on_lag: disconnect}]\n")
    with stall(broker, V3, 1, selector="slow/1") as client:
        assert client.end(60) is None
