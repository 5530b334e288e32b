# SPDX-License-Identifier: Apache-2.0
"""Shared subscriptions of sessions that are kept, of members that do not keep up, and over ends of
the broker: what a group promises beyond what the specification asks (mqtt_subscribe_test.py)."""
import threading

from harness.broker import wait_for
from harness.http import Closed
from harness.mqtt import connected

KEPT = {"session_expiry": 3600}
GONE = (Closed, OSError, TimeoutError)
KILLS = 5
MESSAGES_A_ROUND = 60


def groups(broker):
    return broker.metric("tidings_groups")


def test_a_group_goes_on_for_its_kept_members_over_a_restart(start_broker):
    broker = start_broker("--workers", "2")
    with connected(broker, "keeper", values=KEPT, clean=True) as keeper, \
            connected(broker) as publisher:
        keeper.subscribe("$share/g/jobs/+", qos=1)
        for number in range(4):
            publisher.publish(f"jobs/{number}", str(number), 1)
        assert keeper.message().payload == b"0"
        assert [keeper.raw_message().payload for _ in range(3)] == [b"1", b"2", b"3"]
        keeper.ping()
    broker.stop()
    broker.start()
    with connected(broker, "keeper", values=KEPT, clean=False) as keeper, \
            connected(broker) as publisher:
        assert keeper.connack.is_present
        publisher.publish("jobs/new", "4", 1)
        assert keeper.payloads(4) == [b"1", b"2", b"3", b"4"]


def test_what_comes_while_a_kept_member_is_away_waits_for_it(broker, channel):
    name = channel.replace("/", "-")
    with connected(broker, name, values=KEPT) as keeper:
        keeper.subscribe(f"$share/{name}/{channel}", qos=1)
    with connected(broker) as publisher:
        for number in range(3):
            publisher.publish(channel, str(number), 1)
    with connected(broker, name, values=KEPT, clean=False) as keeper:
        assert keeper.payloads(3) == [b"0", b"1", b"2"]
        keeper.unsubscribe(f"$share/{name}/{channel}")


def test_no_group_waits_for_a_session_that_is_over(start_broker):
    broker = start_broker("--workers", "2")
    with connected(broker, "one", values=KEPT) as client:
        client.subscribe("$share/a/x", "$share/b/y/#", qos=1)
    assert groups(broker) == 2
    with connected(broker, "one", clean=True):
        wait_for(lambda: groups(broker) == 0)
    with connected(broker, "two", values={"session_expiry": 1}) as client:
        client.subscribe("$share/a/x", qos=1)
        assert groups(broker) == 1
    wait_for(lambda: groups(broker) == 0)
    broker.stop()
    broker.start()
    assert groups(broker) == 0


def test_a_member_that_acknowledges_nothing_holds_up_no_other(broker, channel):
    group = f"$share/{channel.replace('/', '-')}/{channel}"
    with connected(broker, values={"receive_maximum": 2}) as stuck, connected(broker) as other, \
            connected(broker) as publisher:
        stuck.subscribe(group, qos=1)
        other.subscribe(group, qos=1)
        for number in range(50):
            publisher.publish(channel, str(number), 1)
        held = [stuck.raw_message().payload for _ in range(2)]
        got = other.payloads(48)
        assert sorted(held + got, key=int) == [str(number).encode() for number in range(50)]
        assert got == sorted(got, key=int)
        stuck.close()
        assert sorted(other.payloads(2)) == sorted(held)


def test_a_gap_is_told_to_the_group(start_broker):
    broker = start_broker(config="channels: [{match: '**', history: {messages: 5}}]")
    with connected(broker) as client:
        for number in range(1, 21):
            client.publish("a/b", str(number), 1)
        client.subscribe("$share/g/a/b", qos=1, values={"user": [("since", "2")]})
        gap = client.message()
        assert gap.topic == "$gap/a/b" and b'"from":3' in gap.payload and b'"to":15' in gap.payload
        assert client.payloads(5) == [str(number).encode() for number in range(16, 21)]


class Member:
    """A kept member that takes whatever comes and comes back when the broker does."""

    def __init__(self, broker, name, found, lock):
        self.broker, self.name, self.found, self.lock = broker, name, found, lock
        self.is_over = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        is_new = True
        while not self.is_over:
            try:
                with connected(self.broker, self.name, values=KEPT, clean=is_new) as client:
                    if is_new:
                        client.subscribe("$share/g/jobs/#", qos=1)
                    is_new = False
                    self.take(client)
            except GONE:
                pass

    def take(self, client):
        while not self.is_over:
            try:
                got = client.raw_message(0.1)
            except TimeoutError:
                continue
            with self.lock:
                self.found.append(got.payload)
            client.acknowledge(got)


def test_nothing_is_lost_to_a_group_when_the_broker_is_killed(start_broker):
    broker = start_broker("--workers", "2", "--listen", "127.0.0.1:0")
    found, lock, published = [], threading.Lock(), 0
    with connected(broker, "first", values=KEPT) as first:
        first.subscribe("$share/g/jobs/#", qos=1)
    members = [Member(broker, f"member-{number}", found, lock) for number in range(2)]
    try:
        for kill in range(KILLS + 1):
            with connected(broker) as publisher:
                for _ in range(MESSAGES_A_ROUND):
                    publisher.publish("jobs/x", str(published), 1)
                    published += 1
            if kill < KILLS:
                broker.kill()
                broker.start()
        wait_for(lambda: len(set(found)) == published, timeout_s=60, what="each message")
    finally:
        for member in members:
            member.is_over = True
        for member in members:
            member.thread.join()
    assert {int(payload) for payload in found} == set(range(published))
