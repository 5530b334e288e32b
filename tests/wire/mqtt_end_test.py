# SPDX-License-Identifier: Apache-2.0
"""PINGREQ, DISCONNECT, AUTH, wills, and what ends a connection (3.12 to 3.15, 4.12, 4.13)."""
import pytest

from harness import mqtt_packets as packets
from harness.mqtt import (V3, V5, connected, each_version, fate_of, name_of, proves,
                          retained_of)
from harness.mqtt_packets import AUTH, DISCONNECT, PINGREQ, packet


def will(channel, **options):
    return {"topic": channel, "payload": b"gone", **options}


@proves(v3="3.12.4-1", v5="3.12.4-1")
@each_version
def test_a_ping_is_answered(broker, version):
    with connected(broker, version=version) as client:
        client.ping()
        client.send(packet(PINGREQ) * 3)
        for _ in range(3):
            client.expect(packets.PINGRESP)


@proves(v3="3.14.4-3 3.1.2-10", v5="3.14.4-3 3.1.2-10")
@each_version
def test_a_disconnect_discards_the_will(broker, version, channel):
    with connected(broker) as reader, connected(broker) as publisher:
        reader.subscribe(channel)
        connected(broker, name_of(channel), version, will=will(channel)).disconnect()
        assert reader.nothing_until(publisher, channel) == []


@proves(v3="3.14.4-3", v5="3.14.4-3")
@each_version
def test_a_disconnect_counts_though_the_network_fails_before_it_is_taken(broker, version, channel):
    """The publishes in front of it are more than are under way at a time."""
    sent = [str(number).encode() for number in range(300)]
    with connected(broker) as reader, connected(broker) as publisher:
        reader.subscribe(channel)
        client = connected(broker, name_of(channel), version, will=will(channel))
        client.send(*(packets.publish(channel, one, 1, number + 1, version)
                      for number, one in enumerate(sent)), packets.disconnect(version))
        client.expect(packets.PUBACK)
        client.transport.connection.reset()
        assert reader.payloads(len(sent)) == sent
        assert reader.nothing_until(publisher, channel) == []


@proves(v3="3.1.2-8", v5="3.1.2-7 3.1.2-8")
@each_version
def test_a_will_is_published_when_the_network_fails(broker, version, channel):
    with connected(broker) as reader:
        reader.subscribe(channel, qos=1)
        connected(broker, name_of(channel), version, will=will(channel, qos=1)).close()
        got = reader.message()
        assert got.payload == b"gone" and got.qos == 1 and not got.retain


@proves(v3="3.1.2-8", v5="3.1.2-8")
@each_version
def test_a_will_is_published_on_a_protocol_error(broker, version, channel):
    with connected(broker) as reader:
        reader.subscribe(channel)
        with connected(broker, name_of(channel), version, will=will(channel)) as client:
            client.send(packet(PINGREQ, flags=1))
            client.end()
        assert reader.message().payload == b"gone"


@proves(v5="3.1.2-8 3.14.2-1")
def test_a_disconnect_with_04_publishes_the_will(broker, channel):
    with connected(broker) as reader:
        reader.subscribe(channel)
        connected(broker, name_of(channel), will=will(channel)).disconnect(0x04)
        assert reader.message().payload == b"gone"


@proves(v3="3.1.2-12", v5="3.1.2-10")
@each_version
def test_without_a_will_nothing_is_published(broker, version, channel):
    with connected(broker) as reader, connected(broker) as publisher:
        reader.subscribe(channel)
        connected(broker, name_of(channel), version).close()
        assert reader.nothing_until(publisher, channel) == []


@proves(v3="3.1.2-16 3.1.2-17", v5="3.1.2-14 3.1.2-15")
@each_version
@pytest.mark.parametrize("is_retained", [False, True])
def test_a_will_is_retained_if_it_says_so(broker, version, is_retained, channel):
    with connected(broker) as reader:
        reader.subscribe(channel)
        connected(broker, name_of(channel), version,
                  will=will(channel, retain=is_retained)).close()
        assert reader.message().payload == b"gone"
    assert retained_of(broker, channel) == ([(b"gone", True)] if is_retained else [])


@proves(v5="3.1.3-10")
def test_a_will_keeps_its_properties_in_order(broker, channel):
    pairs = [("b", "1"), ("a", "2"), ("b", "3"), ("a", "2")]
    with connected(broker) as reader:
        reader.subscribe(channel)
        connected(broker, name_of(channel), will=will(channel, values={
            "payload_format": 1, "content_type": "text/plain", "response_topic": "r/t",
            "correlation_data": b"\0\1", "message_expiry": 100, "user": pairs})).close()
        values = reader.message().values
        assert values["user"] == pairs
        assert values["payload_format"] == 1 and values["content_type"] == "text/plain"
        assert values["response_topic"] == "r/t" and values["correlation_data"] == b"\0\1"
        assert 90 <= values["message_expiry"] <= 100


@proves(v5="3.1.3-9")
def test_a_delayed_will_is_not_published_if_the_client_comes_back(broker, channel):
    name = name_of(channel)
    with connected(broker) as reader, connected(broker) as publisher:
        reader.subscribe(channel)
        kept = {"session_expiry": 60}
        connected(broker, name, values=kept, will=will(channel, values={"will_delay": 30})).close()
        connected(broker, name, clean=False, values=kept).disconnect()
        assert reader.nothing_until(publisher, channel) == []


@proves(v5="3.1.2-8")
def test_a_delayed_will_is_published_when_its_time_is_over(broker, channel):
    with connected(broker) as reader:
        reader.subscribe(channel)
        connected(broker, name_of(channel), values={"session_expiry": 60},
                  will=will(channel, values={"will_delay": 1})).close()
        assert reader.message(30).payload == b"gone"


@proves(v5="3.1.2-8")
def test_a_will_does_not_outlive_its_session(broker, channel):
    """The session ends with the connection here, so the delay does not hold."""
    with connected(broker) as reader:
        reader.subscribe(channel)
        connected(broker, name_of(channel), will=will(channel, values={"will_delay": 600})).close()
        assert reader.message(30).payload == b"gone"


@proves(v5="3.1.2-8 3.1.2-4")
def test_a_clean_start_ends_the_session_and_publishes_its_delayed_will(broker, channel):
    name = name_of(channel)
    with connected(broker) as reader:
        reader.subscribe(channel)
        connected(broker, name, values={"session_expiry": 60},
                  will=will(channel, values={"will_delay": 600})).close()
        with connected(broker, name):
            assert reader.message(30).payload == b"gone"


@proves(v3="3.1.2-8", v5="3.1.2-8")
@each_version
def test_a_takeover_publishes_the_will(broker, version, channel):
    name = name_of(channel)
    with connected(broker) as reader:
        reader.subscribe(channel)
        with connected(broker, name, version, will=will(channel)) as old, \
                connected(broker, name, version):
            old.end()
            assert reader.message().payload == b"gone"


@proves(v5="3.14.4-1 3.14.4-2 3.14.2-2 4.13.2-1")
def test_the_server_says_nothing_behind_its_disconnect(broker, channel):
    with connected(broker, name_of(channel)) as client:
        client.send(packet(PINGREQ, flags=1) + packet(PINGREQ) * 50)
        assert client.end() == 0x81


@proves(v3="3.14.4-1 3.14.4-2", v5="3.14.4-1 3.14.4-2")
@each_version
def test_nothing_behind_a_clients_disconnect_is_done(broker, version, channel):
    with connected(broker) as reader, connected(broker) as publisher:
        reader.subscribe(channel)
        with connected(broker, name_of(channel), version) as client:
            client.send(packets.disconnect(version),
                        packets.publish(channel, b"never", version=version))
            assert client.end() is None
        assert reader.nothing_until(publisher, channel) == []


@proves(v3="3.14.1-1 2.2.2-2", v5="3.14.1-1")
@each_version
def test_reserved_bits_of_disconnect_are_checked_and_the_will_goes_out(broker, version, channel):
    with connected(broker) as reader:
        reader.subscribe(channel)
        with connected(broker, name_of(channel), version, will=will(channel)) as client:
            client.send(packet(DISCONNECT, flags=1))
            assert client.end() in ((None,) if version == V3 else (None, 0x81))
        assert reader.message().payload == b"gone"


BAD_DISCONNECTS = {
    "a_reason_of_servers": packets.disconnect(V5, 0x8e),
    "an_unknown_reason": packets.disconnect(V5, 0x55),
    "a_property_twice": packets.disconnect(V5, 0, {"session_expiry": [0, 0]}),
    "a_property_of_servers": packets.disconnect(V5, 0, {"server_reference": "a"}),
    "bytes_at_the_end": packet(DISCONNECT, b"\0\0\0"),
}


@proves(v5="3.14.2-1 4.13.1-1")
@pytest.mark.parametrize("name", [one for one in BAD_DISCONNECTS if one != "a_reason_of_servers"])
def test_a_malformed_disconnect_is_refused(broker, name):
    assert fate_of(broker, BAD_DISCONNECTS[name]) in (0x81, 0x82)


def test_a_disconnect_cannot_make_a_session_last_that_was_to_end(broker, channel):
    """Section 3.14.2.2.2: from 0 there is no way up."""
    with connected(broker, name_of(channel)) as client:
        client.send(packets.disconnect(V5, 0, {"session_expiry": 60}))
        assert client.end() == 0x82


@proves(v5="3.15.1-1 4.12.0-7 4.13.1-1")
@pytest.mark.parametrize("data", [
    packet(AUTH), packet(AUTH, b"\x18\x00"), packet(AUTH, b"\x19\x00"), packet(AUTH, flags=1),
    packet(AUTH, b"\x19" + packets.properties({"authentication_method": "x"}))])
def test_auth_without_a_method_is_a_protocol_error(broker, data):
    assert fate_of(broker, data) in (0x81, 0x82)


# Packets that no client may send, by version.
FOREIGN = {V3: [packet(kind, b"\0\1\0\0") for kind in (2, 9, 11, 15)] +
           [packet(13), b"\x00\x00", b"\xf0\x00"],
           V5: [packet(2, b"\0\0\0"), packet(9, b"\0\1\0\0"), packet(11, b"\0\1\0\0"), packet(13),
                b"\x00\x00"]}


@proves(v3="4.8.0-1", v5="4.13.1-1")
@pytest.mark.parametrize("version, index", [(version, index) for version, data in FOREIGN.items()
                                            for index in range(len(data))])
def test_a_packet_that_no_client_sends_ends_the_connection(broker, version, index):
    assert fate_of(broker, FOREIGN[version][index], version) in (
        (None,) if version == V3 else (0x81, 0x82))


@proves(v3="2.2.2-1 2.2.2-2", v5="2.1.3-1")
@each_version
@pytest.mark.parametrize("kind", [4, 5, 6, 7, 8, 10, 12, 14])
def test_reserved_flags_are_checked_on_every_packet(broker, version, kind):
    wrong = 0 if kind in (6, 8, 10) else 2
    body = {8: b"\0\1" + (b"\0" if version == V5 else b"") + b"\0\1a\0",
            10: b"\0\1" + (b"\0" if version == V5 else b"") + b"\0\1a",
            12: b"", 14: b""}.get(kind, b"\0\1")
    assert fate_of(broker, packet(kind, body, flags=wrong), version) in (
        (None,) if version == V3 else (0x81,))
    assert fate_of(broker, packet(kind, body, flags=1), version) in (
        (None,) if version == V3 else (0x81,))


@proves(v5="1.5.5-1")
@each_version
@pytest.mark.parametrize("data", [b"\xc0\x80\x00", b"\xc0\xff\xff\xff\xff\x7f",
                                  b"\xc0\x80\x80\x80\x80\x01"])
def test_a_remaining_length_is_as_short_as_it_can_be(broker, version, data):
    """3.1.1 does not forbid the long form in words; five bytes it does."""
    if data == b"\xc0\x80\x00" and version == V3:
        pytest.skip("3.1.1 is silent about it")
    assert fate_of(broker, data, version) in ((None,) if version == V3 else (0x81,))
