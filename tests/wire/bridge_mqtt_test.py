# SPDX-License-Identifier: Apache-2.0
"""Sinks to and sources from another MQTT broker: Mosquitto, and a second Tidings."""
import json
import socket
import subprocess
import threading

import pytest

from harness import http
from harness.broker import wait_for
from harness.certificates import authority, server_pair
from harness.mosquitto import Mosquitto
from harness.mqtt import RETAIN_AS_PUBLISHED, V3, connected

SINK = """
sinks:
  - name: there
    channels: ["tennis/**"]
    start: earliest
    retry: {{ schedule: [50ms] }}
    mqtt: {{ url: "{url}", topic: "site-a/{{channel}}"{more} }}
"""
SOURCE = """
sources:
  - name: from-there
    channel: "{channel}"
    mqtt: {{ url: "{url}", topics: ["{filter}"]{more} }}
"""


def sink_to(other, more=""):
    return SINK.format(url=other.mqtt, more=more)


def source_from(other, topics="site-b/#", channel="{rest}", more=""):
    return SOURCE.format(url=other.mqtt, filter=topics, channel=channel, more=more)


@pytest.fixture(name="start_mosquitto")
def start_private_mosquittos():
    """start_mosquitto(*lines, **options): one's own."""
    started = []

    def start(*lines, **options):
        one = Mosquitto(*lines, **options)
        started.append(one)
        return one.start()

    try:
        yield start
    finally:
        for one in started:
            one.close()


def numbers_in(broker, channel):
    messages, gaps = broker.all_messages(channel)
    assert not gaps
    return [message["data"]["n"] for message in messages]


def read_numbers(client, count):
    return [json.loads(payload)["n"] for payload in client.payloads(count)]


def wait_up(broker, name="from-there"):
    """Until the source has subscribed."""
    wait_for(lambda: any(line["source"] == name for line in broker.log_lines("SOURCE_UP")),
             what="the source")


# --- the sink ---------------------------------------------------------------------------------


def test_sink_publishes_what_a_channel_has_in_order_under_its_prefix(start_broker,
                                                                     start_mosquitto):
    other = start_mosquitto()
    with connected(other, "reader") as reader:
        reader.subscribe("site-a/#", qos=1)
        broker = start_broker(config=sink_to(other))
        broker.fill("tennis/7", 500)
        broker.post("elsewhere/1", b"{}")
        broker.post("tennis/8", b"last", "text/plain", {"Tidings-Header-Colour": "red"})
        got = reader.messages(501)
    assert [json.loads(one.payload)["n"] for one in got[:500]] == list(range(1, 501))
    assert {one.topic for one in got[:500]} == {"site-a/tennis/7"}
    assert (got[500].topic, got[500].payload) == ("site-a/tennis/8", b"last")
    assert got[500].values["content_type"] == "text/plain"
    user = dict(got[500].values["user"])
    assert user["colour"] == "red" and user["tidings-offset"] == "1"
    assert len(user["tidings-via"]) == 16 and user["tidings-id"]


def test_sink_goes_on_where_it_stood_when_the_other_broker_is_back(start_broker, start_mosquitto):
    other = start_mosquitto()
    broker = start_broker(config=sink_to(other))
    with connected(other, "reader", clean=False, values={"session_expiry": 3600}) as reader:
        reader.subscribe("site-a/#", qos=1)
        broker.fill("tennis/7", 50)
        assert read_numbers(reader, 50) == list(range(1, 51))
    other.stop()
    broker.fill("tennis/7", 50, first=51)
    broker.wait_logged("SINK_TROUBLE")
    other.start()
    with connected(other, "reader", clean=False, values={"session_expiry": 3600}) as reader:
        reader.subscribe("site-a/#", qos=1)
        found = []
        while not found or found[-1] != 100:
            found += read_numbers(reader, 1)
    fresh = [number for number in found if number > 50]
    assert fresh == list(range(51, 101))


@pytest.mark.deadline(120)
def test_kill_of_our_broker_loses_nothing_to_another_one(start_broker):
    """At least once: what is new comes in order, and only what was under way comes twice."""
    receiver = start_broker()
    config = sink_to(receiver)
    sender = start_broker(config=config)
    published = 0
    for _ in range(3):
        sender.fill("tennis/7", 200, first=published + 1)
        published += 200
        sender.kill()
        sender.start()
    wait_for(lambda: published in numbers_in(receiver, "site-a/tennis/7"), what="the last one")
    found = numbers_in(receiver, "site-a/tennis/7")
    assert sorted(set(found)) == list(range(1, published + 1))
    firsts = list(dict.fromkeys(found))
    assert firsts == sorted(firsts)


def test_wrong_password_is_told_and_nothing_is_lost(start_broker, start_mosquitto, tmp_path):
    words = tmp_path / "words"
    words.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(words), "bridge", "right"], check=True)
    other = start_mosquitto(f"password_file {words}")
    broker = start_broker(config=sink_to(other, ', username: "bridge", password: "wrong"'))
    broker.publish("tennis/7", {"n": 1})
    line = broker.wait_logged("SINK_TROUBLE")[0]
    assert line["sink"] == "there" and line["state"] == "broken"
    assert "0x87" in line["detail"] or "0x86" in line["detail"], line
    assert "wrong" not in "\n".join(broker.logged)


def test_packet_too_large_is_a_dead_letter_and_the_others_go(start_broker, start_mosquitto):
    other = start_mosquitto("max_packet_size 2000")
    with connected(other, "reader") as reader:
        reader.subscribe("site-a/#", qos=1)
        broker = start_broker(config=sink_to(other))
        broker.publish("tennis/7", {"n": 1})
        broker.publish("tennis/7", {"n": 2, "text": "x" * 3000})
        broker.publish("tennis/7", {"n": 3})
        assert read_numbers(reader, 2) == [1, 3]
    line = broker.wait_logged("SINK_DEAD_LETTER")[0]
    assert line["channel"] == "tennis/7" and "larger" in line["detail"]


def test_message_that_the_other_broker_refuses_at_each_attempt_is_a_dead_letter(start_broker,
                                                                                start_mosquitto):
    """Mosquitto's own limit of payloads is said with each PUBACK."""
    other = start_mosquitto("message_size_limit 2000")
    with connected(other, "reader") as reader:
        reader.subscribe("site-a/#", qos=1)
        broker = start_broker(config=sink_to(other))
        broker.publish("tennis/7", {"n": 1, "text": "x" * 3000})
        broker.publish("tennis/7", {"n": 2})
        assert read_numbers(reader, 1) == [2]
    assert broker.wait_logged("SINK_DEAD_LETTER")[0]["id"]


def test_retained_messages_stay_retained_there(start_broker, start_mosquitto):
    other = start_mosquitto()
    broker = start_broker(config=sink_to(other))
    broker.post("tennis/7", b'{"n":1}', headers={"Tidings-Retain": "true"})

    def is_retained():
        with connected(other) as reader:
            reader.subscribe(("site-a/tennis/7", 1 | RETAIN_AS_PUBLISHED))
            reader.ping()
            return any(one.retain for one in reader.inbox)
    wait_for(is_retained, what="the retained message")


def test_operator_tries_a_sink_out(start_broker, start_mosquitto):
    other = start_mosquitto()
    with connected(other, "reader") as reader:
        reader.subscribe("site-a/#", qos=1)
        broker = start_broker(config=sink_to(other))
        answer = http.request(broker.operator, "POST", "/api/v1/sinks/there/test")
        assert answer.status == 200 and answer.json()["outcome"] == "delivered", answer
        got = reader.message()
    assert json.loads(got.payload)["sink"] == "there" and got.topic == "site-a/test"


def test_tls_is_spoken_and_an_unknown_authority_is_not_believed(start_broker, start_mosquitto):
    certificate, key = server_pair()
    other = start_mosquitto(f"cafile {authority().certificate}", f"certfile {certificate}",
                            f"keyfile {key}", scheme="mqtts", host="localhost")
    stranger = authority("Another CA").certificate
    refused = start_broker(config=sink_to(other, f', ca: "{stranger}"'))
    refused.publish("tennis/7", {"n": 1})
    assert "certificate" in refused.wait_logged("SINK_TROUBLE")[0]["detail"]
    ca = f', ca: "{authority().certificate}"'
    broker = start_broker(config=sink_to(other, ca) + source_from(other, "site-a/#", "back/{rest}",
                                                                  ca))
    wait_up(broker)
    broker.fill("tennis/7", 20)
    third = start_broker(config=source_from(other, "site-a/#", "got/{rest}", ca))
    wait_up(third)
    broker.fill("tennis/7", 20, first=21)
    wait_for(lambda: 40 in numbers_in(third, "got/tennis/7"), what="the last one")
    assert numbers_in(third, "got/tennis/7")[-20:] == list(range(21, 41))


# --- the source -------------------------------------------------------------------------------


def test_source_publishes_under_the_topic_without_its_prefix(start_broker, start_mosquitto):
    other = start_mosquitto()
    broker = start_broker(config=source_from(other))
    wait_up(broker)
    with connected(other, "writer") as writer:
        for number in range(1, 301):
            writer.publish("site-b/golf/1", b'{"n":%d}' % number, 1)
        writer.publish("site-b/golf/2", b"hello", 1, values={
            "content_type": "text/plain", "user": [("colour", "red"), ("tidings-event", "hole")]})
        writer.publish("elsewhere", b"{}", 1)
        writer.publish("site-b/golf/3", b"{no", 1, values={"content_type": "application/json"})
    wait_for(lambda: broker.page("golf/3", since="earliest")["messages"], what="the last one")
    assert numbers_in(broker, "golf/1") == list(range(1, 301))
    last = broker.page("golf/2", since="earliest")["messages"][0]
    assert (last["data"], last["type"], last["event"]) == ("hello", "text/plain", "hole")
    assert last["headers"] == {"colour": "red"}
    last = broker.page("golf/3", since="earliest")["messages"][0]
    assert (last["data"], last["type"]) == ("{no", "text/plain")


@pytest.mark.deadline(120)
def test_session_there_keeps_what_comes_while_this_broker_is_down_or_killed(start_broker,
                                                                            start_mosquitto):
    other = start_mosquitto()
    broker = start_broker(config=source_from(other))
    wait_up(broker)
    published = 0
    with connected(other, "writer") as writer:
        for end in (broker.stop, broker.kill, broker.kill):
            for published in range(published + 1, published + 101):
                writer.publish("site-b/golf/1", b'{"n":%d}' % published, 1)
            end()
            for published in range(published + 1, published + 51):
                writer.publish("site-b/golf/1", b'{"n":%d}' % published, 1)
            broker.start()
            wait_for(lambda: published in numbers_in(broker, "golf/1"), what="the last one")
    found = numbers_in(broker, "golf/1")
    firsts = list(dict.fromkeys(found))
    assert firsts == list(range(1, published + 1))
    assert len(found) - len(firsts) <= 2 * 150  # what was published since it had all before a kill


@pytest.mark.deadline(120)
def test_kill_repeats_nothing_that_a_tidings_has_sent(start_broker, start_mosquitto):
    """Its messages have an id, by which one that comes again is known."""
    other = start_mosquitto()
    sender = start_broker(config=sink_to(other))
    receiver = start_broker(config=source_from(other, "site-a/#"))
    wait_up(receiver)
    published = 0
    for _ in range(3):
        sender.fill("tennis/7", 150, first=published + 1)
        published += 150
        receiver.kill()
        receiver.start()
    wait_for(lambda: published in numbers_in(receiver, "tennis/7"), what="the last one")
    assert numbers_in(receiver, "tennis/7") == list(range(1, published + 1))


def test_source_is_told_what_no_channel_takes_and_reads_on(start_broker, start_mosquitto):
    other = start_mosquitto()
    broker = start_broker(config=source_from(other, channel="{topic}", topics="#"))
    wait_up(broker)
    with connected(other, "writer") as writer:
        writer.publish("a*b", b"{}", 1)
        writer.publish("golf/1", b'{"n":1}', 1)
    wait_for(lambda: numbers_in(broker, "golf/1") == [1], what="the one behind")
    line = broker.wait_logged("SOURCE_PASSED_OVER")[0]
    assert line["topic"] == "a*b" and line["code"] == "bad-channel"


# --- both ways --------------------------------------------------------------------------------


def test_two_brokers_that_bridge_all_both_ways_are_no_loop(start_broker, start_mosquitto):
    """Each sends all that it has to one topic tree, and takes all of it."""
    other = start_mosquitto()

    def config():
        return f"""
sinks:
  - {{ name: out, channels: ["**"], start: earliest, mqtt: {{ url: "{other.mqtt}",
      topic: "all/{{channel}}" }} }}
""" + source_from(other, "all/#")
    left, right = start_broker(config=config()), start_broker(config=config())
    for broker in (left, right):
        wait_up(broker)
    left.fill("chat/1", 100)
    right.fill("chat/1", 100, first=1001)
    left.publish("end/left", {"n": 0})
    right.publish("end/right", {"n": 0})
    for broker in (left, right):
        for channel in ("end/left", "end/right"):
            wait_for(lambda broker=broker, channel=channel:
                     broker.page(channel, since="earliest")["messages"], what=channel)
        both = [*range(1, 101), *range(1001, 1101)]
        wait_for(lambda broker=broker: len(numbers_in(broker, "chat/1")) >= len(both), what="both")
        found = numbers_in(broker, "chat/1")
        assert sorted(found) == both
        assert [one for one in found if one < 1000] == list(range(1, 101))
        assert [one for one in found if one > 1000] == list(range(1001, 1101))


def test_sources_and_sinks_between_two_tidings_without_a_broker_between(start_broker):
    right = start_broker()
    left = start_broker(config=sink_to(right) + source_from(right, "site-a/#", "back/{rest}"))
    wait_up(left)
    left.fill("tennis/7", 50)
    right.fill("site-a/own", 5)
    wait_for(lambda: numbers_in(left, "back/own") == [1, 2, 3, 4, 5], what="what is its own")
    wait_for(lambda: 50 in numbers_in(right, "site-a/tennis/7"), what="what is the other's")
    assert numbers_in(right, "site-a/tennis/7") == list(range(1, 51))
    assert left.get("/channels/back/tennis/7").json().get("messages", []) == []


# --- brokers of 3.1.1 alone -------------------------------------------------------------------


class OldGate:
    """Stands before a broker, and takes no CONNECT but one of 3.1.1."""

    context = public = None

    def __init__(self, other):
        self.other = other
        self.door = socket.create_server(("127.0.0.1", 0))
        self.mqtt = self.mqtts = f"mqtt://127.0.0.1:{self.door.getsockname()[1]}"
        self.versions = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                inner, _ = self.door.accept()
            except OSError:
                return
            threading.Thread(target=self.admit, args=(inner,), daemon=True).start()

    def admit(self, inner):
        first = inner.recv(65536)
        self.versions.append(first[8 if first[1] < 128 else 9])
        if self.versions[-1] != V3:
            inner.sendall(b"\x20\x02\x00\x01")
            inner.close()
            return
        outer = socket.create_connection(("127.0.0.1", self.other.port))
        outer.sendall(first)
        for source, sink in ((inner, outer), (outer, inner)):
            threading.Thread(target=self.pass_on, args=(source, sink), daemon=True).start()

    @staticmethod
    def pass_on(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.door.close()


def sink_is_done(broker):
    row = http.request(broker.operator, "GET", "/api/v1/sinks/out").json()
    return row["state"] == "live" and row["lag_messages"] == 0


def test_two_brokers_over_one_of_3_1_1_are_no_loop(start_broker, start_mosquitto):
    """Each sends all that it has to one topic tree and takes all of it, its own too: there, each
    message is published once."""
    other = start_mosquitto()
    gate = OldGate(other)
    try:
        config = ('sinks: [ { name: out, channels: ["**"], start: earliest, mqtt: { url: "'
                  + gate.mqtt + '", topic: "all/{channel}" } } ]' + source_from(gate, "all/#"))
        with connected(other, "reader") as reader:
            reader.subscribe("all/#", qos=1)
            left, right = start_broker(config=config), start_broker(config=config)
            for broker in (left, right):
                wait_up(broker)
            left.fill("chat/1", 20)
            right.fill("chat/1", 20, first=1001)
            found = read_numbers(reader, 40)
            for broker in (left, right):
                wait_for(lambda broker=broker: len(numbers_in(broker, "chat/1")) >= 60,
                         what="its own, these again, and the other's")
                wait_for(lambda broker=broker: sink_is_done(broker), what="a sink that is done")
            reader.ping()
            assert not reader.inbox and sorted(found) == [*range(1, 21), *range(1001, 1021)]
        for broker in (left, right):
            assert len(numbers_in(broker, "chat/1")) == 60
            broker.stop()
    finally:
        gate.close()


def test_broker_of_3_1_1_alone_is_bridged_both_ways(start_broker, start_mosquitto):
    other = start_mosquitto()
    gate = OldGate(other)
    try:
        broker = start_broker(config=sink_to(gate) + source_from(gate))
        wait_up(broker)
        with connected(other, "reader") as reader, connected(other, "writer") as writer:
            reader.subscribe("site-a/#", qos=1)
            broker.fill("tennis/7", 20)
            assert read_numbers(reader, 20) == list(range(1, 21))
            for number in range(1, 21):
                writer.publish("site-b/golf/1", b'{"n":%d}' % number, 1)
        wait_for(lambda: numbers_in(broker, "golf/1") == list(range(1, 21)), what="the last one")
        assert set(gate.versions) == {5, V3}
        broker.stop()
    finally:
        gate.close()
