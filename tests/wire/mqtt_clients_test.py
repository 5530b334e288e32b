# SPDX-License-Identifier: Apache-2.0
"""Clients that the field uses: Mosquitto's two commands and Paho for Python, both versions."""
import queue
import subprocess

import pytest

from harness.mosquitto import TIMEOUT_S, command, run
from harness.mqtt import RETAIN_NEVER, address_of, connected, name_of
from harness.ports import take_port
from harness.websocket import WebSocket

mqtt = pytest.importorskip("paho.mqtt.client")
from paho.mqtt.packettypes import PacketTypes  # noqa: E402
from paho.mqtt.properties import Properties  # noqa: E402
from paho.mqtt.subscribeoptions import SubscribeOptions  # noqa: E402

VERSIONS = {"3.1.1": mqtt.MQTTv311, "5.0": mqtt.MQTTv5}
each = pytest.mark.parametrize("version", VERSIONS)


class Paho:
    """Paho's own thread; what comes is put into queues."""

    def __init__(self, broker, client_id, version, transport="tcp", clean=True, expiry=None):
        options = {"clean_session": clean} if version == "3.1.1" else {}
        self.client = mqtt.Client(client_id, protocol=VERSIONS[version], transport=transport,
                                  **options)
        self.version = version
        self.messages, self.events = queue.Queue(), queue.Queue()
        self.client.on_message = lambda client, data, message: self.messages.put(message)
        self.client.on_connect = lambda *args: self.events.put(
            ("connect", args[2]["session present"], args[3]))
        self.client.on_subscribe = lambda *args: self.events.put(("subscribe", args[3]))
        self.client.on_publish = lambda *args: self.events.put(("publish", args[2]))
        host, port = address_of(broker.mqtt if transport == "tcp" else broker.public)
        more = {}
        if version == "5.0":
            connect_properties = Properties(PacketTypes.CONNECT)
            if expiry is not None:
                connect_properties.SessionExpiryInterval = expiry
            more = {"clean_start": clean, "properties": connect_properties}
        self.client.connect(host, port, 60, **more)
        self.client.loop_start()
        _, self.is_present, reason = self.event("connect")
        assert reason == 0, reason

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.disconnect()
        self.client.loop_stop()

    def event(self, kind):
        got = self.events.get(timeout=TIMEOUT_S)
        assert got[0] == kind, got
        return got

    def subscribe(self, topic, qos=0, **options):
        self.client.subscribe(topic, qos, **options)
        return self.event("subscribe")[1]

    def publish(self, topic, payload, qos=0, **options):
        self.client.publish(topic, payload, qos, **options)
        self.event("publish")

    def message(self):
        return self.messages.get(timeout=TIMEOUT_S)


@each
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_mosquitto_pub_reaches_every_reader(broker, version, qos, channel):
    with WebSocket(broker.public, "/channels/" + channel) as socket, connected(broker) as client:
        client.subscribe(channel, qos=2)
        run(command(broker, "mosquitto_pub", version, "-t", channel, "-q", str(qos), "-m",
                    '{"n":1}'))
        assert socket.recv_message()["data"] == {"n": 1}
        got = client.message()
        assert got.payload == b'{"n":1}' and got.qos == qos


@each
def test_mosquitto_pub_sends_lines_and_files(broker, version, channel, tmp_path):
    run(command(broker, "mosquitto_pub", version, "-t", channel, "-q", "2", "-l"),
        input=b"".join(b"line %d\n" % number for number in range(50)))
    big = tmp_path / "big"
    big.write_bytes(bytes(range(256)) * 2000)
    run(command(broker, "mosquitto_pub", version, "-t", channel, "-q", "1", "-f", str(big)))
    messages = broker.page(channel, limit=100)["messages"]
    assert [one["data"] for one in messages[:50]] == [f"line {number}" for number in range(50)]
    assert len(messages) == 51 and "data_base64" in messages[50]


@each
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_mosquitto_sub_reads_what_curl_publishes(broker, version, qos, channel):
    """The retained message says that the subscription stands."""
    with connected(broker) as client:
        client.publish(channel, b"ready", 1, retain=True)
    words = command(broker, "mosquitto_sub", version, "-t", channel + "/#", "-q", str(qos), "-v",
                    "-C", "4")
    with subprocess.Popen(words, stdout=subprocess.PIPE) as reader:
        assert reader.stdout.readline() == f"{channel} ready\n".encode()
        for number in range(3):
            broker.publish(f"{channel}/{number}", {"n": number})
        lines = reader.stdout.read().decode().splitlines()
        assert lines == [f'{channel}/{number} {{"n": {number}}}' for number in range(3)]
        assert reader.wait(TIMEOUT_S) == 0


@each
def test_mosquitto_sub_keeps_its_session(broker, version, channel):
    words = command(broker, "mosquitto_sub", version, "-t", channel, "-q", "1", "-i",
                    name_of(channel), "-c", *(["-x", "600"] if version == "5.0" else []))
    run(words + ["-E"])
    broker.publish(channel, "away")
    assert run(words + ["-C", "1"]) == b'"away"\n'


def test_mosquitto_pub_publishes_its_will(broker, channel):
    with connected(broker) as client:
        client.publish(channel, b"ready", 1, retain=True)
        client.subscribe(channel, options=RETAIN_NEVER)
        words = command(broker, "mosquitto_sub", "5.0", "-t", channel, "--will-topic", channel,
                        "--will-payload", "gone")
        with subprocess.Popen(words, stdout=subprocess.PIPE) as dying:
            assert dying.stdout.readline() == b"ready\n"
            dying.kill()
        assert client.message().payload == b"gone"


def test_mosquitto_rr_gets_its_answer(broker, channel):
    """Request and response, by the topic and the data that 5.0 has for it."""
    with connected(broker) as server:
        server.subscribe(channel)
        words = command(broker, "mosquitto_rr", "5.0", "-t", channel, "-e", channel + "/answer",
                        "-m", "question")
        with subprocess.Popen(words, stdout=subprocess.PIPE) as asking:
            asked = server.message()
            values = {name: value for name, value in asked.values.items()
                      if name == "correlation_data"}
            server.publish(asked.values["response_topic"], b"answer", values=values)
            assert asking.stdout.read() == b"answer\n"
            assert asking.wait(TIMEOUT_S) == 0


@each
@pytest.mark.parametrize("transport", ["tcp", "websockets"])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_paho_publishes_and_reads(broker, version, transport, qos, channel):
    with Paho(broker, name_of(channel), version, transport) as client:
        client.subscribe(channel + "/+", qos)
        for number in range(100):
            client.client.publish(f"{channel}/{number % 3}", str(number), qos)
        got = [client.message() for _ in range(100)]
        assert [int(one.payload) for one in got] == list(range(100))
        assert {one.qos for one in got} == {qos}


@each
def test_paho_keeps_its_session(broker, version, channel):
    name = name_of(channel)
    with Paho(broker, name, version, clean=False, expiry=600) as client:
        assert not client.is_present
        client.subscribe(channel, 1)
    for number in range(500):
        broker.publish(channel, number)
    with Paho(broker, name, version, clean=False, expiry=600) as client:
        assert client.is_present
        assert [int(client.message().payload) for _ in range(500)] == list(range(500))


def test_paho_sends_and_gets_the_properties_of_5(broker, channel):
    with Paho(broker, name_of(channel), "5.0") as client:
        subscribing = Properties(PacketTypes.SUBSCRIBE)
        subscribing.UserProperty = [("since", "earliest"), ("offset", "true")]
        subscribing.SubscriptionIdentifier = 7
        broker.publish(channel, 1)
        client.client.subscribe(channel, options=SubscribeOptions(qos=1, retainAsPublished=True),
                                properties=subscribing)
        client.event("subscribe")
        sending = Properties(PacketTypes.PUBLISH)
        sending.ContentType, sending.ResponseTopic = "text/plain", "answers"
        sending.CorrelationData, sending.UserProperty = b"\0\1", [("a", "1"), ("b", "2")]
        client.publish(channel, "two", 1, properties=sending, retain=True)
        one, two = client.message(), client.message()
        assert dict(one.properties.UserProperty)["offset"] == "1"
        assert one.properties.SubscriptionIdentifier == [7]
        assert two.properties.ContentType == "text/plain" and two.retain
        assert two.properties.UserProperty[:2] == [("a", "1"), ("b", "2")]
        assert dict(two.properties.UserProperty)["offset"] == "2"
        assert two.properties.CorrelationData == b"\0\1"


@each
def test_paho_comes_back_by_itself_when_the_broker_restarts(
        start_broker, version):
    broker = start_broker("--mqtt", f"127.0.0.1:{take_port()}")
    with Paho(broker, "paho", version, clean=False, expiry=600) as client:
        client.client.reconnect_delay_set(1, 1)
        client.subscribe("a", 1)
        broker.stop()
        broker.start()
        assert client.event("connect")[1] == 1
        broker.publish("a", "again")
        assert client.message().payload == b'"again"'
