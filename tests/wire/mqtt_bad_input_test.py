# SPDX-License-Identifier: Apache-2.0
"""What broke other MQTT servers: refused in time, bounded, and nobody else notices."""
import contextlib
import random
import socket

import pytest

from harness import mqtt_packets as packets
from harness.broker import Broker, is_sanitized
from harness.http import TIMEOUT_S, Closed
from harness.mqtt import V3, V5, Client, connected, each_version, fate_of, name_of
from harness.mqtt_packets import (CONNECT, PUBLISH, SUBSCRIBE, PINGREQ, binary, connect, packet,
                                  publish, subscribe)

QUICK = "limits: { handshake_timeout: 2s }\n"
# What a thousand refused clients may leave behind: malloc's own, and the counters of addresses.
RSS_TOLERANCE_BYTES = 16 * 1048576


def flood(broker, head, chunk=b"x" * 65536, most_bytes=4 * 1048576, before=None, version=V5):
    """Sends `head` and then more and more, whatever the peer says to it."""
    with Client(broker, version) as client:
        if before is not None:
            client.connect(before)
        client.transport.socket.settimeout(TIMEOUT_S)
        with contextlib.suppress(OSError, Closed):
            client.send(head)
            for _ in range(most_bytes // len(chunk)):
                client.send(chunk)
            client.end()


def huge_first_packet(broker):
    """A PUBLISH of 256 MiB before any CONNECT: nothing of it is kept, the end is said at once."""
    flood(broker, b"\x30\xff\xff\xff\x7f")
    assert fate_of(broker, b"\x30\xff\xff\xff\x7f", before=None) is None


def huge_connect(broker):
    """A CONNECT of 256 MiB: refused by its length alone."""
    assert fate_of(broker, b"\x10\xff\xff\xff\x7f", before=None) is None
    body = binary("MQTT") + bytes([5, 2, 0, 10]) + packets.varint(268435400)
    assert fate_of(broker, b"\x10\xff\xff\xff\x7f" + body, before=None) in (None, 0x81, 0x95)


def huge_publish(broker):
    """Behind CONNECT too, above what the server takes."""
    assert fate_of(broker, b"\x30\xff\xff\xff\x7f\0\1a\0") == 0x95
    assert fate_of(broker, b"\x30\xff\xff\xff\x7f\0\1a", V3) is None


def reserved_type(broker):
    """Type 0, and 15 before 5.0: at once, without waiting for the length that it claims."""
    for data in (b"\x00", b"\x00\xff", b"\x00\x7f"):
        assert fate_of(broker, data + b"\x7f", before=None) is None
        assert fate_of(broker, data + b"\x7f") in (0x81, None)
    assert fate_of(broker, b"\xf0\x7f", V3) is None


def bad_wills(broker):
    """Wills whose properties are wrong, each in another place."""
    for values in (b"\x02\x7f\x00", b"\xff\x7f", b"\x05\x18\0\0\0\1" * 2, b"\x02\x01\x05",
                   packets.properties({"will_delay": [1, 2]}),
                   packets.properties({"content_type": ["a" * 5000, "b"]}),
                   packets.properties({"response_topic": "a/#"}),
                   packets.properties({"user": [("a" * 1000, b"\xff")] * 20})):
        data = connect("w", version=V5, will={"topic": "t", "payload": b"x" * 5000,
                                              "values": values})
        assert fate_of(broker, data, before=None) in (None, 0x81, 0x82, 0x90, 0x97)


def many_user_properties(broker):
    """Tens of thousands in one packet: more than a message can have headers."""
    values = {"user": [("a", "b")] * 30000}
    assert fate_of(broker, publish("a", b"x", 1, 1, V5, values=values)) in (
        0x81, 0x82, 0x95, 0x97, 0x83, 0x80)
    assert fate_of(broker, connect("u", version=V5, values=values), before=None) is not False
    assert fate_of(broker, subscribe(1, [("a", 0)], V5, values)) is not False


def unreleased_ids(broker, version=V3):
    """QoS 2 with every identifier and no PUBREL, as far as the server goes along."""
    with Client(broker, version) as client:
        client.connect("")
        client.transport.socket.settimeout(5)
        with contextlib.suppress(OSError, Closed):
            for number in range(1, 65536):
                client.send(publish("qos/2", b"x" * 64, 2, number, version))
            client.end(5)


def unreleased_ids_of_5(broker):
    unreleased_ids(broker, V5)


def malicious_subscribe(broker):
    """Many filters, of which the last is cut; deep ones; the same one a thousand times."""
    filters = b"".join(binary(f"a/{number}/#") + b"\1" for number in range(900))
    assert fate_of(broker, packet(SUBSCRIBE, b"\0\1\0" + filters + b"\0\xffcut")) == 0x81
    assert fate_of(broker, packet(SUBSCRIBE, b"\0\1" + filters + b"\0\xffcut"), V3) is None
    with connected(broker) as client:
        client.subscribe(*["/".join("+" * 120)] * 500, "/".join("a" * 120) + "/#")
        client.publish("/".join("a" * 120), b"x", 1)
        client.subscribe(*["/" * 400 + "#"] * 500, expect=False)
        client.ping()


def too_many_subscriptions(broker):
    """1,000 of them, and no more."""
    with connected(broker) as client:
        for start in range(0, 1200, 100):
            answer = client.subscribe(*[f"many/{number}" for number in range(start, start + 100)],
                                      expect=False)
            assert set(answer.reasons) == ({0} if start < 1000 else {0x97}), start
        client.ping()


def answers_never_read(broker):
    """Ping after ping, and never a look at what comes back."""
    with Client(broker) as client:
        client.connect("")
        client.transport.socket.settimeout(1)
        with contextlib.suppress(OSError):
            for _ in range(400):
                client.send(packet(PINGREQ) * 16384)


def retained_never_read(broker):
    """All retained messages are asked for again and again, and never read."""
    with connected(broker) as publisher:
        for number in range(50):
            publisher.publish(f"big/{number}", b"x" * 20000, 1, retain=True)
    with Client(broker, receive_bytes=4096) as client:
        client.connect("")
        client.transport.socket.settimeout(1)
        with contextlib.suppress(OSError):
            for number in range(1, 300):
                client.send(subscribe(number, [("big/#", 0)], V5))
    with connected(broker) as publisher:
        for number in range(50):
            publisher.publish(f"big/{number}", b"", 1, retain=True)


def noise(broker):
    """Bytes without a sense, in front of CONNECT and behind it."""
    dice = random.Random(7)
    for _ in range(60):
        data = dice.randbytes(dice.randrange(1, 400))
        with Client(broker, dice.choice((V3, V5))) as client:
            if dice.random() < 0.5:
                client.connect("")
            with contextlib.suppress(OSError, Closed):
                client.send(data + packet(PINGREQ))
                client.transport.socket.shutdown(socket.SHUT_WR)
                client.transport.fill()


def mutated_sessions(broker):
    """A good session with a few bytes changed."""
    dice = random.Random(11)
    for index in range(120):
        version = (V3, V5)[index % 2]
        values = {"user": [("a", "b")], "content_type": "text/plain"} if version == V5 else None
        data = bytearray(
            connect(f"m{index % 7}", version=version, clean=index % 3 == 0, will={
                "topic": "m/will", "payload": b"w", "values": {"will_delay": 1}}) +
            subscribe(1, [("m/#", 2), ("$share/g/m/+", 1)], version) +
            publish("m/a", b"x" * 40, 1, 2, version, values=values) +
            publish("m/b", b"y", 2, 3, version, retain=True) +
            packets.acknowledge(packets.PUBREL, 3, version) +
            packets.unsubscribe(4, ["m/#"], version) + packet(PINGREQ) +
            packets.disconnect(version))
        for _ in range(dice.randrange(1, 4)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        with Client(broker, version) as client, contextlib.suppress(OSError, Closed):
            client.send(bytes(data))
            client.transport.socket.shutdown(socket.SHUT_WR)
            while client.transport.fill():
                pass


ATTACKS = [huge_first_packet, huge_connect, huge_publish, reserved_type, bad_wills,
           many_user_properties, unreleased_ids, unreleased_ids_of_5, malicious_subscribe,
           too_many_subscriptions, answers_never_read, retained_never_read, noise,
           mutated_sessions]


@pytest.fixture(scope="module", name="attacked")
def start_attacked_broker():
    """Not the shared one: what attacks leave behind, wills and retained messages, would come to
    tests that read everything."""
    broker = Broker(config=QUICK)
    try:
        yield broker.start()
        broker.stop()
    finally:
        broker.close()


@pytest.mark.deadline(180)
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_what_broke_others_is_refused_while_others_are_served(attacked, attack, channel):
    broker = attacked
    with connected(broker, name_of(channel)) as other:
        other.subscribe(channel, qos=1)
        attack(broker)
        broker.assert_alive()
        other.publish(channel, b"served", 1)
        assert other.message().payload == b"served"


@pytest.mark.heavy
@pytest.mark.deadline(400)
def test_what_broke_others_costs_no_memory(start_broker):
    broker = start_broker()
    for attack in ATTACKS:
        attack(broker)
    before = broker.rss_anon_bytes()
    for _ in range(5):
        for attack in ATTACKS:
            attack(broker)
    if not is_sanitized():
        assert broker.rss_anon_bytes() < before + RSS_TOLERANCE_BYTES, before


@pytest.mark.heavy
def test_declared_lengths_cost_nothing(start_broker):
    """A thousand connections that each declare a quarter of a gigabyte and say no more."""
    broker = start_broker()
    clients = [Client(broker) for _ in range(1000)]
    before = broker.rss_anon_bytes()
    try:
        for index, client in enumerate(clients):
            kind = (CONNECT, PUBLISH)[index % 2]
            with contextlib.suppress(OSError):
                client.send(bytes([kind << 4]) + b"\xff\xff\xff\x7f")
        for client in clients:
            assert client.end() is None
        assert broker.rss_anon_bytes() < before + RSS_TOLERANCE_BYTES
    finally:
        for client in clients:
            client.close()


@pytest.mark.parametrize("data", [b"", b"\x10", connect("half")[:9]])
def test_half_a_connect_does_not_wait_for_ever(attacked, data):
    assert fate_of(attacked, data, before=None, timeout_s=60) is None


@each_version
def test_a_topic_may_be_as_long_as_a_channel_and_no_longer(broker, version, channel):
    longest = (channel + "/" + "x" * 480)[:480]
    with connected(broker, version=version) as client:
        client.subscribe(longest)
        client.publish(longest, b"x", 1)
        assert client.message().topic == longest
    data = publish("y" * 65535, b"x", version=version)
    assert fate_of(broker, data + packet(PINGREQ) + packets.disconnect(version), version) in (
        None, 0x90)
