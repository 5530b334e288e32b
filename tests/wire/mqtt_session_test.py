# SPDX-License-Identifier: Apache-2.0
"""Sessions: what is kept for a client that is away, and how it goes on (3.1.2, 4.1, 4.3, 4.4)."""
import pytest

from harness import http, mqtt_packets as packets
from harness.broker import wait_for
from harness.mqtt import (BOTH, V3, V5, Client, connected, each_version, fate_of, name_of, proves)
from harness.mqtt_packets import (PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, acknowledge, publish)


def keep(version, seconds=100):
    """What makes a session outlive its connection."""
    return {"clean": False, "values": {"session_expiry": seconds} if version == V5 else None}


def wait_until_away(broker, name):
    """Nothing is given to its connection any more."""
    def is_away():
        rows = http.request(broker.operator, "GET", "/api/v1/sessions?after=" + name[:-1]).json()
        return any(row["client_id"] == name and not row["connected"] for row in rows["sessions"])
    wait_for(is_away)


@proves(v3="3.1.2-4 3.1.2-5 3.2.2-2 3.2.2-3 4.1.0-1 4.5.0-1 3.3.1-1",
        v5="3.1.2-5 3.1.2-6 3.1.2-23 3.2.2-3 4.1.0-1 4.5.0-1")
@each_version
@pytest.mark.parametrize("again", BOTH)
def test_a_session_is_kept_and_gets_what_it_missed(broker, version, again, channel):
    """Also where the client comes back with the other version."""
    name = name_of(channel)
    with connected(broker, name, version, **keep(version)) as client:
        assert not client.connack.is_present
        client.subscribe(channel, qos=1)
        client.disconnect()
    with connected(broker) as publisher:
        for number in range(100):
            publisher.publish(channel, str(number), number % 3)
        publisher.publish(channel, b"last", 1)
    with connected(broker, name, again, **keep(again)) as client:
        assert client.connack.is_present
        found = []
        while (got := client.message()).payload != b"last":
            assert not got.dup and not got.retain
            found.append(int(got.payload))
        assert [n for n in found if n % 3] == [n for n in range(100) if n % 3]
        client.publish(channel, b"live", 1)
        assert client.message().payload == b"live"


@proves(v3="3.1.2-6 3.1.4-3 3.2.2-1", v5="3.1.2-4 3.1.4-4 3.2.2-2")
@each_version
def test_a_clean_start_discards_the_session(broker, version, channel):
    name = name_of(channel)
    with connected(broker, name, version, **keep(version)) as client:
        client.subscribe(channel, qos=1)
        client.disconnect()
    with connected(broker, name, version) as client:
        assert not client.connack.is_present
        client.publish(channel, b"x", 1)
        client.subscribe(channel)
        assert client.nothing_until(client, channel) == []
        client.disconnect()
    with connected(broker, name, version, **keep(version)) as client:
        assert not client.connack.is_present, "the clean session was to end with its connection"


@proves(v5="4.1.0-2 3.1.2-23")
def test_a_session_ends_when_its_time_is_over(broker, channel):
    name = name_of(channel)
    connected(broker, name, values={"session_expiry": 1}).disconnect()
    broker.let_pass(2)
    with connected(broker, name, clean=False) as client:
        assert not client.connack.is_present


@proves(v5="3.1.2-23 4.1.0-2")
def test_a_disconnect_can_change_how_long_a_session_is_kept(broker, channel):
    name = name_of(channel)
    connected(broker, name, values={"session_expiry": 100}).disconnect(
        0, {"session_expiry": 0})
    with connected(broker, name, clean=False, values={"session_expiry": 5}) as client:
        assert not client.connack.is_present
        client.disconnect(0, {"session_expiry": 100})
    with connected(broker, name, clean=False) as client:
        assert client.connack.is_present


@proves(v3="4.1.0-2", v5="4.1.0-1 3.1.4-4")
@each_version
def test_a_takeover_goes_on_with_the_session(broker, version, channel):
    name = name_of(channel)
    with connected(broker, name, version, **keep(version)) as old:
        old.subscribe(channel, qos=1)
        with connected(broker, name, version, **keep(version)) as new:
            assert new.connack.is_present
            old.end()
            new.publish(channel, b"x", 1)
            assert new.message().payload == b"x"


def test_a_session_expiry_is_capped_and_told(start_broker):
    broker = start_broker(config="mqtt: { session_expiry_max: 1h }")
    with connected(broker, "a", values={"session_expiry": 0xffffffff}) as client:
        assert client.connack.values["session_expiry"] == 3600
    with connected(broker, "b", values={"session_expiry": 60}) as client:
        assert client.connack.values.get("session_expiry", 60) == 60


@proves(v3="4.4.0-1 4.3.2-1 3.3.1-1 2.3.1-3 2.3.1-4 4.6.0-6",
        v5="3.3.1-1 4.3.2-3 4.6.0-5 4.6.0-6")
@each_version
def test_unacknowledged_messages_come_again_first_and_marked(broker, version, channel):
    name = name_of(channel)
    with connected(broker, name, version, **keep(version)) as client:
        client.subscribe(channel, qos=2)
        for number in range(6):
            client.publish(channel, str(number), 1 + number % 2)
        first = [client.raw_message() for _ in range(6)]
        client.acknowledge(first[0])
        client.ping()
        client.close()
    wait_until_away(broker, name)
    with connected(broker) as publisher:
        publisher.publish(channel, b"new", 1)
    with connected(broker, name, version, **keep(version)) as client:
        again = [client.raw_message() for _ in range(5)]
        assert [(got.number, got.payload, got.qos) for got in again] == \
            [(got.number, got.payload, got.qos) for got in first[1:]]
        assert all(got.dup for got in again)
        new = client.raw_message()
        assert new.payload == b"new" and not new.dup
        for got in [*again, new]:
            client.acknowledge(got)
        client.publish(channel, b"end", 1)
        assert client.message().payload == b"end"


@proves(v3="4.3.3-1 4.4.0-1", v5="4.3.3-3 4.3.3-5 4.3.3-6 4.3.3-13")
@each_version
def test_a_release_comes_again_and_the_message_does_not(broker, version, channel):
    name = name_of(channel)
    with connected(broker, name, version, **keep(version)) as client:
        client.subscribe(channel, qos=2)
        client.publish(channel, b"once", 2)
        got = client.raw_message()
        client.send(acknowledge(PUBREC, got.number, version))
        assert client.expect(PUBREL).number == got.number
        client.close()
    for is_last in (False, True):
        with connected(broker, name, version, **keep(version)) as client:
            released = client.expect(PUBREL)
            assert released.number == got.number and client.inbox == []
            if is_last:
                client.send(acknowledge(PUBCOMP, got.number, version))
                client.ping()
            client.close()
    with connected(broker, name, version, **keep(version)) as client:
        assert client.nothing_until(client, channel, qos=1) == []


@proves(v3="4.3.3-2 4.3.3-1", v5="4.3.3-10")
@each_version
def test_a_qos_2_publish_repeated_on_a_new_connection_is_stored_once(broker, version, channel):
    name = name_of(channel)
    with connected(broker) as reader:
        reader.subscribe(channel)
        with connected(broker, name, version, **keep(version)) as client:
            client.send(publish(channel, b"once", 2, 9, version))
            client.expect(PUBREC)
            client.close()
        with connected(broker, name, version, **keep(version)) as client:
            assert client.connack.is_present
            client.send(publish(channel, b"once", 2, 9, version, dup=True))
            client.expect(PUBREC)
            client.release(9)
            client.publish(channel, b"twice", 2, number=9)
        assert reader.payloads(2) == [b"once", b"twice"]


@proves(v5="4.4.0-1 4.3.2-3 4.6.0-5")
@each_version
def test_nothing_is_sent_again_while_the_connection_lasts(broker, version, channel):
    with connected(broker, version=version) as client:
        client.subscribe(channel, qos=1)
        client.publish(channel, b"x", 1)
        got = client.raw_message()
        broker.let_pass(2)
        client.ping()
        assert client.inbox == []
        client.acknowledge(got)


@proves(v3="3.1.2-5", v5="4.5.0-1")
@each_version
def test_a_session_outlives_a_restart_of_the_broker(start_broker, version):
    broker = start_broker()
    with connected(broker, "kept", version, **keep(version)) as client:
        client.subscribe("a/+", qos=2)
        client.publish("a/b", b"1", 1)
        client.publish("a/b", b"2", 2)
        one, two = client.raw_message(), client.raw_message()
        client.send(acknowledge(PUBACK, one.number, version),
                    acknowledge(PUBREC, two.number, version))
        client.expect(PUBREL)
        client.disconnect()
    broker.stop()
    broker.start()
    with connected(broker) as publisher:
        publisher.publish("a/c", b"3", 1)
    with connected(broker, "kept", version, **keep(version)) as client:
        assert client.connack.is_present
        assert client.expect(PUBREL).number == two.number
        client.send(acknowledge(PUBCOMP, two.number, version))
        got = client.raw_message()
        while got.payload == b"1":  # its PUBACK may not have reached the disk
            assert got.dup
            got = client.raw_message()
        assert got.payload == b"3"


@proves(v3="3.1.2-7", v5="3.3.1-5")
@each_version
def test_retained_messages_are_not_of_the_session(broker, version, channel):
    with connected(broker, name_of(channel), version) as client:
        client.publish(channel, b"kept", 1, retain=True)
        client.disconnect()
    with connected(broker) as reader:
        reader.subscribe(channel)
        assert reader.message().retain


# --- flow control: receive maximum and packet size, both ways ---


@proves(v5="4.9.0-1 4.9.0-2 4.9.0-3 3.3.4-9 3.3.4-10 2.2.1-4")
@pytest.mark.parametrize("qos", [1, 2])
def test_no_more_is_under_way_than_the_client_takes(broker, qos, channel):
    with Client(broker) as client, connected(broker) as publisher:
        client.connect(values={"receive_maximum": 3})
        client.subscribe(channel, qos=qos)
        client.subscribe(channel + "/0", qos=0)
        for number in range(20):
            publisher.publish(channel, str(number), qos)
        held = [client.raw_message() for _ in range(3)]
        client.ping()
        client.subscribe(channel + "/other")
        assert client.inbox == [], "more than receive maximum"
        for number in range(3, 20):
            client.acknowledge(held.pop(0))
            held.append(client.raw_message())
            assert held[-1].payload == str(number).encode()
            assert len({got.number for got in held}) == 3, "an identifier that is in use"
        client.ping()
        assert client.inbox == []


def test_more_under_way_than_the_server_takes_is_told(start_broker):
    """QoS 2 that is never released: 0x93."""
    broker = start_broker(config="mqtt: { receive_max: 10 }")
    with connected(broker) as client:
        assert client.connack.values["receive_maximum"] == 10
        for number in range(1, 12):
            client.send(publish("a", b"x", 2, number, V5))
        assert client.end() == 0x93


@proves(v5="3.1.2-24 3.1.2-25")
@pytest.mark.parametrize("qos", [0, 1])
def test_a_message_too_large_for_the_client_is_passed_over(broker, qos, channel):
    with Client(broker) as client, connected(broker) as publisher:
        client.connect(values={"maximum_packet_size": 200, "receive_maximum": 2})
        client.subscribe(channel, qos=qos)
        for number in range(10):
            publisher.publish(channel, str(number) * (1 if number % 2 else 500), 1)
        assert client.payloads(5) == [str(number).encode() for number in (1, 3, 5, 7, 9)]


def test_a_packet_too_large_for_the_server_is_refused(start_broker):
    broker = start_broker()
    with connected(broker) as client:
        most = client.connack.values["maximum_packet_size"]
        client.send(bytes([PUBLISH << 4]) + packets.varint(most + 1) + b"\0\1a\0")
        assert client.end() == 0x95


@proves(v3="4.6.0-6 4.6.0-5", v5="4.6.0-5 4.6.0-6")
@each_version
def test_messages_of_a_topic_keep_their_order(broker, version, channel):
    with connected(broker, version=version) as client, connected(broker) as publisher:
        client.subscribe(channel, qos=2)
        for number in range(200):
            publisher.publish(channel, str(number), 1 + number % 2)
        assert client.payloads(200) == [str(number).encode() for number in range(200)]


@proves(v3="4.3.2-2", v5="4.3.2-4")
@each_version
def test_acknowledgements_come_in_the_order_of_what_they_acknowledge(broker, version, channel):
    with connected(broker, version=version) as client:
        for number in range(1, 101):
            client.send(publish(channel, b"x", 1, number, version))
        assert [client.expect(PUBACK).number for _ in range(100)] == list(range(1, 101))


def test_an_identifier_used_twice_at_once_harms_nobody_else(broker, channel):
    """It is a client's fault; the connection lives or ends, and nobody else notices."""
    data = publish(channel, b"x", 2, 1, V5) + publish(channel, b"y", 1, 1, V5)
    with connected(broker) as client:
        client.send(data)
        client.recv()
    with connected(broker) as other:
        other.ping()
    assert fate_of(broker, packets.disconnect(V5)) is None
