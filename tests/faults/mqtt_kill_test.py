# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the broker amid MQTT: QoS 2 stays exactly once in both directions, QoS 1 loses none,
and sessions, subscriptions and packet identifiers are still there."""
import random
import threading

import pytest

from harness import mqtt_packets as packets
from harness.broker import Broker
from harness.mqtt import V3, V5, connected, each_version
from harness.mqtt_durable import GONE, Durable

ROUNDS = 20
CONFIG = 'channels: [{ match: "**", history: { messages: unlimited }, durability: %s }]'


def work(client, is_over, sent=None):
    """Publishes and answers until the broker is gone."""
    try:
        while not is_over.is_set():
            if sent is not None and len(client.outgoing) < 20:
                sent.append(len(sent))
                client.publish("kill/me", str(sent[-1]))
            try:
                client.step(0.02)
            except TimeoutError:
                pass
    except GONE:
        pass


def one_round(broker, clients, sent, connect=True):
    """Load, kill -9, start."""
    is_over = threading.Event()
    if connect:
        for client in clients:
            client.connect(broker)
    threads = [threading.Thread(target=work, args=(clients[0], is_over, sent), daemon=True),
               *(threading.Thread(target=work, args=(one, is_over), daemon=True)
                 for one in clients[1:])]
    for thread in threads:
        thread.start()
    is_over.wait(random.uniform(0.02, 0.25))
    broker.kill()
    is_over.set()
    for thread in threads:
        thread.join(20)
    for client in clients:
        client.cut()
    assert not broker.bad_words(), broker.logged[-40:]
    broker.start()


@pytest.mark.deadline(400)
@pytest.mark.parametrize("durability", ["async", "fsync"])
@each_version
def test_kills_leave_qos_2_exactly_once_and_qos_1_whole(version, durability):
    random.seed(f"{version} {durability}")
    broker = Broker("--workers", "2", config=CONFIG % durability)
    try:
        broker.start()
        clients = [Durable("publisher", version), Durable("twice", version),
                   Durable("once", V3 if version == V5 else V5)]
        for client, qos in zip(clients, (None, 2, 1)):
            client.connect(broker)
            if qos:
                client.client.subscribe("kill/+", qos=qos)
        sent = []
        for number in range(ROUNDS):
            one_round(broker, clients, sent, connect=number > 0)
        for client in clients:
            client.connect(broker)
        publisher, twice, once = clients
        publisher.settle(lambda: not publisher.outgoing)
        assert len(sent) > ROUNDS
        wanted = [str(number).encode() for number in sent]
        twice.settle(lambda: len(twice.delivered) >= len(sent))
        once.settle(lambda: wanted[-1] in once.delivered[-100:])
        assert twice.delivered == wanted
        assert list(dict.fromkeys(once.delivered)) == wanted
        messages, gaps = broker.all_messages("kill/me")
        assert gaps == [] and [message["data"] for message in messages] == sent
        for client in clients:
            client.cut()
        broker.stop()
    finally:
        broker.close()


def test_a_subscription_that_was_acknowledged_survives_a_kill():
    broker = Broker()
    try:
        broker.start()
        for number in range(10):
            with connected(broker, "kept", clean=number == 0,
                           values={"session_expiry": 600}) as client:
                assert client.connack.is_present == (number > 0)
                client.subscribe(f"a/{number}", qos=1)
                broker.kill()
            broker.start()
        with connected(broker) as publisher:
            for number in range(10):
                publisher.publish(f"a/{number}", str(number), 1)
        with connected(broker, "kept", clean=False, values={"session_expiry": 600}) as client:
            assert client.payloads(10) == [str(number).encode() for number in range(10)]
        broker.stop()
    finally:
        broker.close()


def test_a_session_that_was_resumed_to_end_is_not_there_after_a_kill():
    """Its packet identifiers were, and swallowed what a new connection published."""
    broker = Broker()
    kept = {"session_expiry": 600}
    try:
        broker.start()
        with connected(broker, "kept", values=kept) as client:
            client.send(packets.publish("a", b"first", 2, 1, V5))
            client.expect(packets.PUBREC)
        with connected(broker, "kept", clean=False) as client:
            assert client.connack.is_present
            client.release(1)
            broker.kill()
        broker.start()
        with connected(broker, "kept", clean=False, values=kept) as client:
            assert not client.connack.is_present
            client.publish("a", b"second", 2, number=1)
        messages, _ = broker.all_messages("a")
        assert [message["data"] for message in messages] == ["first", "second"]
        broker.stop()
    finally:
        broker.close()


def test_retained_messages_survive_a_kill():
    broker = Broker()
    try:
        broker.start()
        with connected(broker) as client:
            client.publish("a", b"old", 1, retain=True)
            client.publish("a", b"new", 2, retain=True)
            client.publish("b", b"gone", 1, retain=True)
            client.publish("b", b"", 1, retain=True)
        broker.kill()
        broker.start()
        with connected(broker) as client:
            client.subscribe("+")
            got = client.message()
            assert got.payload == b"new" and got.retain
            assert client.nothing_until(client, "mark") == []
        broker.stop()
    finally:
        broker.close()
