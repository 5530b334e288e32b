# SPDX-License-Identifier: Apache-2.0
"""MQTT over WebSocket (section 6), and what the transports have in common (4.2)."""
import pytest

from harness import mqtt_packets as packets
from harness.mqtt import (V3, V5, Client, connected, each_transport, each_version, name_of,
                          proves)
from harness.mqtt_packets import (CONNACK, PINGREQ, PINGRESP, PUBACK, PUBLISH, SUBACK,
                                  packet, publish)
from harness.websocket import BINARY, CLOSE, PING, TEXT, Refused, WebSocket, frame


@proves(v3="6.0.0-4", v5="6.0.0-4")
@pytest.mark.parametrize("offered", ["mqtt", "mqtt, tidings.v1", "tidings.v1, mqtt",
                                     "mqttv3.1, mqtt"])
@pytest.mark.parametrize("target", ["/mqtt", "/", "/any/path?at=all"])
def test_the_subprotocol_is_mqtt_on_any_path(broker, offered, target):
    with WebSocket(broker.public, target, {"Sec-WebSocket-Protocol": offered}) as socket:
        assert socket.headers["sec-websocket-protocol"] == "mqtt"
        socket.send_frame(BINARY, packets.connect("", version=V3))
        assert socket.recv() == b"\x20\x02\0\0"


@pytest.mark.parametrize("offered", ["MQTTX", "mqttv3.1"])
def test_another_subprotocol_is_not_mqtt(broker, offered):
    with pytest.raises(Refused) as refused:
        WebSocket(broker.public, "/mqtt", {"Sec-WebSocket-Protocol": offered}).close()
    detail = refused.value.response.json()["detail"]
    assert detail.endswith("MQTT needs Sec-WebSocket-Protocol: mqtt")


@proves(v3="6.0.0-1", v5="6.0.0-1")
@each_version
def test_a_text_frame_ends_the_connection(broker, version):
    with connected(broker, version=version, transport="websocket") as client:
        client.transport.websocket.send_frame(TEXT, packet(PINGREQ))
        client.end()


@proves(v3="6.0.0-2", v5="6.0.0-2")
@each_version
def test_packets_span_frames_and_share_them(broker, version, channel):
    data = packets.connect("", version=version) + packets.subscribe(1, [(channel, 0)], version) + \
        publish(channel, b"x" * 300, 1, 2, version) + packet(PINGREQ)
    for size in (1, 2, 7, 100, len(data)):
        with Client(broker, version, "websocket") as client:
            for start in range(0, len(data), size):
                client.transport.websocket.send_frame(BINARY, data[start:start + size])
            client.expect(CONNACK)
            client.expect(SUBACK)
            kinds = {client.recv().kind for _ in range(3)}
            assert kinds == {PUBACK, PINGRESP, PUBLISH}, "one of them is not there"


@proves(v3="6.0.0-2", v5="6.0.0-2")
def test_a_message_in_fragments_with_pings_between_is_read(broker):
    with Client(broker, V5, "websocket") as client:
        data = packets.connect("", version=V5)
        socket = client.transport.websocket
        socket.send_frame(BINARY, data[:5], fin=False)
        socket.send_frame(PING, b"between")
        socket.send_frame(0, b"", fin=False)
        socket.send_frame(0, data[5:])
        client.expect(CONNACK)
        client.ping()


def test_the_close_handshake_ends_the_session_like_a_lost_network(broker, channel):
    with connected(broker) as reader:
        reader.subscribe(channel)
        with connected(broker, name_of(channel), V5, "websocket",
                       will={"topic": channel, "payload": b"gone"}) as client:
            assert client.transport.websocket.finish() == 1000
        assert reader.message().payload == b"gone"


@proves(v5="3.14.4-3")
def test_a_close_frame_does_not_overtake_publishes_and_a_disconnect(broker, channel):
    """As client libraries end: all of it is in one read of the broker."""
    with connected(broker) as reader, connected(broker) as publisher:
        reader.subscribe(channel)
        with connected(broker, name_of(channel), V5, "websocket",
                       will={"topic": channel, "payload": b"gone"}) as client:
            sent = [str(number).encode() for number in range(300)]
            frames = [frame(BINARY, publish(channel, one, version=V5)) for one in sent]
            client.transport.connection.send(
                b"".join(frames) + frame(BINARY, packets.disconnect(V5)) +
                frame(CLOSE, b"\x03\xe8"))
            assert client.end() is None
        assert reader.payloads(len(sent)) == sent
        assert reader.nothing_until(publisher, channel) == []


def test_the_first_packet_must_be_connect_on_a_websocket_too(broker):
    with Client(broker, V5, "websocket") as client:
        client.send(packet(PINGREQ))
        assert client.end() is None


def test_a_web_page_of_another_origin_is_refused(broker):
    with pytest.raises(Refused) as refused:
        WebSocket(broker.public, "/mqtt", {"Sec-WebSocket-Protocol": "mqtt",
                                           "Origin": "https://evil.example"})
    assert refused.value.response.status == 403


@proves(v3="7.1.1-1 7.0.0-2 3.1.4-4", v5="4.2-1")
@each_version
@each_transport
def test_packets_may_come_byte_by_byte(broker, version, transport, channel):
    with Client(broker, version, transport) as client:
        for byte in packets.connect(name_of(channel), version=version) + packet(PINGREQ):
            client.send(bytes([byte]))
        client.expect(CONNACK)
        client.expect(PINGRESP)


@each_version
@each_transport
@pytest.mark.parametrize("size", [0, 1, 127, 128, 16383, 16384, 200000])
def test_payloads_of_many_sizes_pass(broker, version, transport, size, channel):
    payload = bytes(index * 7 & 0xff for index in range(size))
    with connected(broker, version=version, transport=transport) as client:
        client.subscribe(channel, qos=1)
        client.publish(channel, payload, 1)
        assert client.message().payload == payload


def test_both_transports_serve_one_session(broker, channel):
    name, values = name_of(channel), {"session_expiry": 100}
    with connected(broker, name, V5, "websocket", values=values) as client:
        client.subscribe(channel, qos=1)
        client.disconnect()
    with connected(broker, name, V5, "tcp", clean=False, values=values) as client:
        assert client.connack.is_present
        client.publish(channel, b"x", 1)
        assert client.message().payload == b"x"
