# SPDX-License-Identifier: Apache-2.0
"""One session, one place in the log: what filters that come later, windows that shut and
connections that go do to it, and what they do not."""
import pytest

from harness.mqtt import V5, connected, each_transport, each_version, name_of, proves
from harness.mqtt_packets import (PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, acknowledge,
                                  publish)


def keep(version, seconds=3600):
    """Options of CONNECT for a session that is kept."""
    return {"clean": False, "values": {"session_expiry": seconds} if version == V5 else None}


def numbers(messages):
    return [int(got.payload) for got in messages]


def since(start):
    return {"user": [("since", start)]}


# --- filters that come later ---


def test_a_filter_that_goes_back_repeats_nothing_of_the_others(broker, channel):
    one, two = f"{channel}/one", f"{channel}/two"
    with connected(broker) as client:
        client.subscribe(one, qos=1)
        for number in range(10):
            client.publish((one, two)[number % 2], str(number), 1)
        assert numbers(client.messages(5)) == [0, 2, 4, 6, 8]
        client.subscribe(two, qos=1, values=since("earliest"))
        client.publish(one, b"10", 1)
        client.publish(two, b"11", 1)
        assert numbers(client.messages(7)) == [1, 3, 5, 7, 9, 10, 11]
        assert client.nothing_until(client, one, qos=1) == []


@pytest.mark.parametrize("qos", [0, 1, 2])
@each_version
def test_a_filter_added_to_a_reader_that_is_behind_loses_and_repeats_nothing(
        broker, version, qos, channel):
    one, two = f"{channel}/one", f"{channel}/two"
    values = {"receive_maximum": 3} if version == V5 else None
    with connected(broker) as publisher, connected(broker, version=version,
                                                   values=values) as client:
        client.subscribe(one, qos=qos)
        for number in range(50):
            publisher.publish(one, str(number), 2)
        client.subscribe(two, qos=qos)
        for number in range(50, 100):
            publisher.publish((one, two)[number % 2], str(number), 2)
        assert numbers(client.messages(100)) == list(range(100))
        assert client.nothing_until(publisher, one, qos=2) == []


def test_filters_taken_away_and_put_back_keep_the_order(broker, channel):
    with connected(broker) as publisher, connected(broker) as client:
        client.subscribe(f"{channel}/#", qos=1)
        expected = []
        for number in range(60):
            publisher.publish(f"{channel}/a", str(number), 1)
            expected.append(number)
            if number % 10 == 5:
                client.subscribe(f"{channel}/+", qos=1)
            elif number % 10 == 9:
                client.unsubscribe(f"{channel}/+")
        assert numbers(client.messages(60)) == expected


@proves(v5="3.8.4-4")
def test_of_a_filter_named_twice_the_last_options_count(broker, channel):
    with connected(broker) as client:
        answer = client.subscribe((channel, 2), (channel, 1))
        assert list(answer.reasons) == [2, 1]
        client.publish(channel, b"x", 2)
        assert client.message().qos == 1
        assert client.nothing_until(client, channel) == []


def test_more_filters_than_a_session_has_are_refused(broker, channel):
    with connected(broker, keep_alive=0) as client:
        for start in range(0, 1000, 500):
            client.subscribe(*[f"{channel}/{number}" for number in range(start, start + 500)])
        answer = client.subscribe(f"{channel}/more", expect=False)
        assert list(answer.reasons) == [0x97]
        client.publish(f"{channel}/999", b"x")
        # Each of them reads the log up to here first, which takes a busy machine a while.
        assert client.message(120).topic == f"{channel}/999"


@pytest.mark.parametrize("text, is_granted", [("$gap/#", True), ("$gap", True), ("$SYS/#", True),
                                              ("$mine/#", False), ("$share/g/$SYS/#", False)])
def test_topics_of_the_broker_are_granted_by_name(broker, text, is_granted):
    with connected(broker) as client:
        reason = client.subscribe(text, expect=False).reasons[0]
        assert (reason < 0x80) == is_granted
        client.inbox.clear()
        client.ping()


@pytest.mark.parametrize("name, value", [("since", "nonsense"), ("on_lag", "hurry"),
                                         ("offset", "yes"), ("id", "1"), ("since", "")])
def test_bad_wishes_are_refused_with_a_reason(broker, channel, name, value):
    with connected(broker) as client:
        answer = client.subscribe(channel, values={"user": [(name, value)]}, expect=False)
        assert list(answer.reasons) == [0x83] and answer.values["reason_string"]
        client.publish(channel, b"x")
        client.ping()
        assert client.inbox == []


def test_a_publisher_forges_no_place(broker, channel):
    def places(client):
        pairs = client.message().values["user"]
        return [value for name, value in pairs if name == "id"]
    with connected(broker) as asking, connected(broker) as other:
        asking.subscribe(channel, values={"user": [("offset", "true")]})
        other.subscribe(channel)
        answer = broker.post(channel, b"1", headers={"Tidings-Header-Id": "t1evil"}).json()
        assert places(asking) == [answer["id"]] and places(other) == ["t1evil"]
        other.publish(channel, b"2", values={"user": [("id", "t1evil"), ("id", "")]})
        assert len(places(asking)) == 1 and places(other) == ["t1evil", ""]


def test_an_offset_is_no_start_of_a_pattern(broker, channel):
    with connected(broker) as client:
        answer = client.subscribe(f"{channel}/+", channel, values=since("3"), expect=False)
        assert list(answer.reasons) == [0x83, 0]


# --- windows ---


@each_transport
@pytest.mark.parametrize("qos", [1, 2])
def test_the_window_opens_with_each_acknowledgement(broker, transport, qos, channel):
    with connected(broker) as publisher, connected(broker, transport=transport,
                                                   values={"receive_maximum": 2}) as client:
        client.subscribe(channel, qos=qos)
        for number in range(20):
            publisher.publish(channel, str(number), 2)
        held = [client.raw_message(), client.raw_message()]
        client.ping()
        assert client.inbox == []
        found = []
        while held:
            got = held.pop(0)
            found.append(client.acknowledge(got))
            if len(found) + len(held) < 20:
                held.append(client.raw_message())
        assert numbers(found) == list(range(20))


def test_a_reader_that_conflates_is_told_what_it_skipped(broker, channel):
    with connected(broker) as publisher, connected(broker, values={"receive_maximum": 1}) as client:
        client.subscribe(channel, qos=1, values={"user": [("on_lag", "conflate")]})
        publisher.publish(channel, b"first", 1)
        first = client.raw_message()
        for number in range(600):
            publisher.publish(channel, str(number).zfill(2048), 1)
        client.acknowledge(first)
        skipped, payload = 0, b""
        while payload != b"599".zfill(2048):
            got = client.message()
            skipped, payload = skipped + int(got.user.get("skipped", 0)), got.payload
        assert skipped > 0


# --- connections that go ---


@each_version
def test_a_resumed_session_takes_no_more_than_the_new_connection_allows(broker, version, channel):
    name = name_of(channel)
    with connected(broker, name, version, **keep(version)) as client:
        client.subscribe(channel, qos=1)
        for number in range(30):
            client.publish(channel, str(number), 1)
        assert len([client.raw_message() for _ in range(30)]) == 30
        client.close()
    options = keep(version)
    if version == V5:
        options["values"]["receive_maximum"] = 4
    with connected(broker, name, version, **options) as client:
        if version == V5:
            held = [client.raw_message() for _ in range(4)]
            client.ping()
            assert client.inbox == []
            client.inbox = held
        assert numbers(client.messages(30)) == list(range(30))
        assert client.nothing_until(client, channel, qos=1) == []


def test_a_message_that_is_not_kept_any_more_is_not_sent_again(start_broker):
    broker = start_broker(config='channels: [{ match: "**", history: { messages: 5 } }]')
    with connected(broker, "away", clean=False, values={"session_expiry": 3600}) as client:
        client.subscribe("a/b", qos=1)
        client.publish("a/b", b"0", 1)
        assert client.raw_message().payload == b"0"
        client.close()
    with connected(broker) as publisher:
        for number in range(1, 21):
            publisher.publish("a/b", str(number), 1)
    with connected(broker, "away", clean=False, values={"session_expiry": 3600}) as client:
        gap = client.message()
        assert gap.topic == "$gap/a/b" and b'"expired"' in gap.payload
        assert numbers(client.messages(5)) == [16, 17, 18, 19, 20]
        assert client.nothing_until(client, "a/b", qos=1) == []


FEW_KEPT = 'channels: [{ match: "**", history: { messages: 5 } }]'


@proves(v5="3.1.2-24")
def test_a_gap_that_is_too_large_for_the_client_is_not_told(start_broker):
    broker = start_broker(config=FEW_KEPT)
    with connected(broker, "small", values={"maximum_packet_size": 40}) as client:
        for number in range(20):
            client.publish("a/b", str(number), 1)
        client.subscribe("a/b", qos=1, values=since("1"))
        assert numbers(client.messages(5)) == [15, 16, 17, 18, 19]
        assert client.nothing_until(client, "a/b", qos=1) == []


def test_every_filter_of_a_packet_is_told_its_gap(start_broker):
    broker = start_broker(config=FEW_KEPT)
    topics = [f"{'long' * 80}/{number}" for number in range(100)]
    with connected(broker) as client:
        for topic in topics:
            client.send(*[publish(topic, b"x", 0, None, V5) for _ in range(7)])
        client.ping()
        client.subscribe(*topics, values=since("1"))
        got = [client.message().topic for _ in range(100)]
        assert got == [f"$gap/{topic}" for topic in topics]


@each_version
def test_a_retained_copy_that_was_not_acknowledged_comes_again_as_one(broker, version, channel):
    name = name_of(channel)
    with connected(broker, name, version, **keep(version)) as client:
        for number in range(3):
            client.publish(f"{channel}/{number}", str(number), 2, retain=True)
        client.subscribe(f"{channel}/#", qos=2)
        first = [client.raw_message() for _ in range(3)]
        assert all(got.retain for got in first)
        client.acknowledge(first[0])
        client.close()
    with connected(broker, name, version, **keep(version)) as client:
        again = [client.raw_message() for _ in range(2)]
        assert [(got.number, got.payload) for got in again] == [
            (got.number, got.payload) for got in first[1:]]
        assert all(got.retain and got.dup and got.qos == 2 for got in again)
        for got in again:
            client.acknowledge(got)
        assert client.nothing_until(client, f"{channel}/1", qos=1) == []


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("is_killed", [False, True], ids=["closed", "killed"])
def test_retained_messages_go_on_with_the_next_connection(start_broker, is_killed, qos):
    broker = start_broker()
    options = {"clean": False, "values": {"session_expiry": 3600, "receive_maximum": 5}}
    with connected(broker, "away", **options) as client:
        for number in range(40):
            client.publish(f"a/{number}", str(number), 2, retain=True)
        client.subscribe("a/#", qos=qos)
        found = numbers(client.messages(10))
        assert len([client.raw_message() for _ in range(5)]) == 5
        if is_killed:
            broker.kill()
    if is_killed:
        broker.start()
    with connected(broker, "away", **options) as client:
        client.send(publish("a/live", b"40", 1, 9, V5))
        found += collect(client, 40)
        assert set(found) == set(range(41))
        if qos == 2 or not is_killed:
            assert len(found) == 41


@each_version
def test_filters_are_kept_over_a_kill(start_broker, version):
    broker = start_broker()
    with connected(broker, "kept", version, **keep(version)) as client:
        client.subscribe("a", "b/#", "c/+", qos=1)
        client.unsubscribe("a")
        broker.kill()
    broker.start()
    with connected(broker, "kept", version, **keep(version)) as client:
        assert client.connack.is_present
        for topic in ("a", "b", "c/d"):
            client.publish(topic, topic, 1)
        assert [got.topic for got in client.messages(2)] == ["b", "c/d"]
        assert client.nothing_until(client, "b", qos=1) == []


@pytest.mark.parametrize("step", ["sent", "received", "released"])
def test_qos_2_goes_on_where_it_was_over_a_kill(start_broker, step):
    """Whatever the client has got of a message when the broker is killed, it gets the rest."""
    broker = start_broker()
    options = keep(V5)
    with connected(broker, "exact", **options) as client:
        client.subscribe("a", qos=2)
        client.publish("a", b"x", 2)
        got = client.raw_message()
        if step != "sent":
            client.send(acknowledge(PUBREC, got.number, V5))
            assert client.expect(PUBREL).number == got.number
        if step == "released":
            client.send(acknowledge(PUBCOMP, got.number, V5))
            client.ping()
        broker.kill()
    broker.start()
    with connected(broker, "exact", **options) as client:
        if step == "sent":
            again = client.raw_message()
            assert (again.number, again.payload, again.dup) == (got.number, b"x", True)
            client.acknowledge(again)
        else:
            finish(client, b"mark")
        assert client.nothing_until(client, "a", qos=1) == []


def collect(client, last):
    """The numbers that come up to the last one, each acknowledged as it comes."""
    found = []
    while last not in found:
        got = client.recv()
        if got.kind == PUBREL:
            client.send(acknowledge(PUBCOMP, got.number, V5))
        elif got.kind == PUBLISH:
            found.append(int(got.payload))
            client.send(acknowledge(PUBACK if got.qos == 1 else PUBREC, got.number, V5))
    return found


def finish(client, payload):
    """Publishes, and answers what comes until the message is back: releases, and nothing else. What
    was complete may be released again, for the broker notes that once a second."""
    client.send(publish("a", payload, 1, 9, V5))
    missing = {PUBACK, PUBLISH}
    while missing:
        got = client.recv()
        if got.kind == PUBREL:
            client.send(acknowledge(PUBCOMP, got.number, V5))
            continue
        missing.remove(got.kind)
        if got.kind == PUBLISH:
            assert got.payload == payload
            client.acknowledge(got)


@each_version
def test_an_acknowledgement_of_the_wrong_kind_ends_the_connection(broker, version, channel):
    with connected(broker, version=version) as client:
        client.subscribe(channel, qos=2)
        client.publish(channel, b"x", 2)
        got = client.raw_message()
        client.send(acknowledge(PUBACK, got.number, version))
        assert client.end() == (0x82 if version == V5 else None)
