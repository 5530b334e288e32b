# SPDX-License-Identifier: Apache-2.0
"""What MQTT clients do is counted: packets, refusals, what is in flight, subscriptions."""
from harness.broker import wait_for
from harness.mqtt import connected
from harness.mqtt_packets import PUBACK, acknowledge, packet


def grown(broker, before):
    """What is larger than before: {name: by how much}."""
    return {name: number - before[name] for name, number in broker.figures().items()
            if number > before[name]}


def test_packets_are_counted_by_type(start_broker):
    broker = start_broker()
    before = broker.figures()
    with connected(broker, "a") as client:
        client.subscribe("t", qos=1)
        client.publish("t", b"1", qos=1)
        client.message()
        client.publish("t", b"2", qos=2)
        client.message()
        client.unsubscribe("t")
        client.ping()
        client.disconnect()
    after = grown(broker, before)
    received = {"connect": 1, "subscribe": 1, "publish": 2, "puback": 2, "pubrel": 1,
                "unsubscribe": 1, "pingreq": 1, "disconnect": 1}
    sent = {"connack": 1, "suback": 1, "puback": 1, "pubrec": 1, "pubcomp": 1, "unsuback": 1,
            "pingresp": 1}
    for name, wanted in (("received", received), ("sent", sent)):
        start = f'tidings_mqtt_packets_{name}_total{{packet="'
        assert {sample[len(start):-2]: number for sample, number in after.items()
                if sample.startswith(start)} == wanted
    assert after['tidings_deliveries_total{protocol="mqtt"}'] == 2
    assert after['tidings_publishes_total{protocol="mqtt",result="ok"}'] == 2


def test_what_is_in_flight_is_a_gauge_that_goes_back_to_nothing(start_broker):
    broker = start_broker()
    with connected(broker, "a") as client:
        client.subscribe("t", "u/#", qos=1)
        assert broker.metric("tidings_mqtt_subscriptions_open") == 2
        for number in range(3):
            broker.publish("t", number)
        got = [client.raw_message() for _ in range(3)]
        wait_for(lambda: broker.metric("tidings_mqtt_in_flight") == 3, what="all three")
        client.send(acknowledge(PUBACK, got[0].number, client.version))
        wait_for(lambda: broker.metric("tidings_mqtt_in_flight") == 2, what="one less")
    wait_for(lambda: broker.metric("tidings_mqtt_subscriptions_open") == 0, what="its end")
    broker.wait_metric("tidings_mqtt_in_flight", 0)


def test_what_a_session_brings_back_is_counted_again(start_broker):
    broker = start_broker()
    kept = {"values": {"session_expiry": 100}}
    with connected(broker, "a", clean=False, **kept) as client:
        client.subscribe("t", qos=1)
        broker.publish("t", 1)
        client.raw_message()
    broker.wait_metric("tidings_mqtt_in_flight", 0)
    broker.wait_metric("tidings_mqtt_subscriptions_open", 0)
    with connected(broker, "a", clean=False, **kept) as client:
        assert client.raw_message().number == 1
        wait_for(lambda: broker.metric("tidings_mqtt_in_flight") == 1, what="the message")
        assert broker.metric("tidings_mqtt_subscriptions_open") == 1


def test_refusals_are_counted_by_reason(start_broker):
    broker = start_broker()
    before = broker.figures()
    with connected(broker, "a") as client:
        client.publish("a*b", b"1", qos=1, expect=0x90)
        client.send(packet(0))
        client.end()
    after = grown(broker, before)
    assert after['tidings_mqtt_refused_total{result="bad-channel"}'] == 1
    assert after['tidings_mqtt_refused_total{result="protocol-error"}'] == 1


def test_the_broker_tells_the_same_under_sys(start_broker):
    broker = start_broker()
    with connected(broker, "a") as client:
        wait_for(lambda: broker.metric("tidings_mqtt_sessions_connected") == 1, what="its session")
        client.subscribe("$SYS/broker/clients/+", "$SYS/broker/version")
        told = {got.topic: got.payload for got in client.messages(5)}
    assert told["$SYS/broker/version"].startswith(b"tidings version ")
    assert told["$SYS/broker/clients/connected"] == told["$SYS/broker/clients/total"] == b"1"
    assert told["$SYS/broker/clients/disconnected"] == told["$SYS/broker/clients/expired"] == b"0"


def test_what_is_told_under_sys_is_nowhere_in_the_log(start_broker):
    broker = start_broker()
    with connected(broker, "a") as client, connected(broker, "b") as other:
        other.subscribe("#")
        client.subscribe("$SYS/#")
        assert client.message().topic.startswith("$SYS/broker/")
        assert other.nothing_until(client, "t") == []
    assert broker.metric("tidings_log_messages_total") == 1
