# SPDX-License-Identifier: Apache-2.0
"""CONNECT and CONNACK (sections 3.1 and 3.2): who is let in, who is not, and what is told."""
import pytest

from harness import mqtt_packets as packets
from harness.mqtt import (BOTH, V3, V5, Client, connected, each_transport, each_version, fate_of,
                          name_of, proves)
from harness.mqtt_packets import CONNACK, binary, connect, packet


def connect_bytes(version, tail=b"", **options):
    """CONNECT with bytes behind its last field."""
    whole = connect("someone", version=version, **options)
    header = 2 if whole[1] < 0x80 else 3
    return packet(packets.CONNECT, whole[header:] + tail)


def will(**options):
    return {"topic": "test/will", "payload": b"gone", **options}


# name -> makes a CONNECT of a version that is not one
MALFORMED = {
    "reserved_flag": lambda version: connect_bytes(version, flags=3),
    "will_qos_without_will": lambda version: connect_bytes(version, flags=0x0a),
    "will_retain_without_will": lambda version: connect_bytes(version, flags=0x22),
    "will_qos_3": lambda version: connect_bytes(version, will=will(), flags=0x1e),
    "will_without_its_fields": lambda version: connect_bytes(version, flags=6),
    "will_fields_without_flag": lambda version: connect_bytes(version, will=will(), flags=2),
    "user_flag_without_name": lambda version: connect_bytes(version, flags=0x82),
    "user_name_without_flag": lambda version: connect_bytes(version, user="u", flags=2),
    "password_flag_without_password": lambda version: connect_bytes(version, user="u", flags=0xc2),
    "password_without_flag": lambda version: connect_bytes(version, binary(b"p")),
    "no_client_id": lambda version: packet(packets.CONNECT, binary("MQTT") + bytes(
        [version, 2, 0, 10] + ([0] if version == V5 else []))),
    "cut_client_id": lambda version: packet(packets.CONNECT, binary("MQTT") + bytes(
        [version, 2, 0, 10] + ([0] if version == V5 else []) + [0, 9, 65])),
    "fixed_header_flags": lambda version: b"\x11" + connect_bytes(version)[1:],
    "no_body": lambda version: packet(packets.CONNECT),
    "surrogate_in_client_id": lambda version: connect(b"a\xed\xa0\x80", version=version),
    "cut_utf8_in_client_id": lambda version: connect(b"a\xc3", version=version),
    "overlong_utf8_in_client_id": lambda version: connect(b"a\xc0\xaf", version=version),
    "null_in_client_id": lambda version: connect(b"a\0b", version=version),
    "ill_formed_will_topic": lambda version: connect(
        "w", version=version, will=will(topic=b"\xff")),
    "null_in_will_topic": lambda version: connect("w", version=version, will=will(topic=b"a\0")),
    "wildcard_in_will_topic": lambda version: connect("w", version=version, will=will(topic="a/#")),
    "empty_will_topic": lambda version: connect("w", version=version, will=will(topic="")),
    "ill_formed_user_name": lambda version: connect("u", version=version, user=b"\xff\xfe"),
}


@proves(v3="1.5.3-1 1.5.3-2 2.2.2-1 2.2.2-2 3.1.2-3 3.1.2-9 3.1.2-11 3.1.2-13 3.1.2-14 3.1.2-15 "
           "3.1.2-18 3.1.2-19 3.1.2-20 3.1.2-21 3.1.3-1 3.1.3-3 3.1.3-4 3.1.3-10 3.1.3-11 3.1.4-1",
        v5="1.5.4-1 1.5.4-2 2.1.3-1 3.1.2-3 3.1.2-9 3.1.2-11 3.1.2-12 3.1.2-13 3.1.2-16 3.1.2-17 "
           "3.1.2-18 3.1.2-19 3.1.3-1 3.1.3-3 3.1.3-4 3.1.3-11 3.1.3-12 3.1.4-1 4.13.1-1")
@each_version
@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_connect_ends_the_connection(broker, version, name):
    with Client(broker, version) as client:
        client.send(MALFORMED[name](version))
        reason = client.end()
        if version == V3:
            assert reason is None, "a CONNACK for what is no CONNECT"
        else:
            assert reason in (None, 0x81, 0x82, 0x85, 0x90), hex(reason)


@proves(v3="3.1.2-22")
def test_a_password_needs_a_user_name_before_5(broker):
    assert fate_of(broker, connect("p", version=V3, password=b"x"), V3, before=None) is None


def test_a_password_needs_no_user_name_in_5(broker, channel):
    connected(broker, name_of(channel), V5, password=b"x").disconnect()


# What the properties of CONNECT and of its will may not be.
BAD_PROPERTIES = {
    "unknown": b"\x02\x7f\x00",
    "not_of_connect": packets.properties({"topic_alias": 1}),
    "twice": packets.properties({"receive_maximum": [5, 5]}),
    "expiry_twice": packets.properties({"session_expiry": [5, 5]}),
    "receive_maximum_0": packets.properties({"receive_maximum": 0}),
    "packet_size_0": packets.properties({"maximum_packet_size": 0}),
    "problem_information_2": packets.properties({"request_problem_information": 2}),
    "response_information_2": packets.properties({"request_response_information": 2}),
    "data_without_method": packets.properties({"authentication_data": b"x"}),
    "length_beyond_the_packet": b"\x70\x21\x00\x05",
    "cut_inside": b"\x02\x21\x00",
    "length_not_minimal": b"\x83\x00\x21\x00\x05",
    "length_of_five_bytes": b"\x80\x80\x80\x80\x01",
    "ill_formed_user_name": packets.properties({"user": [(b"\xff", "a")]}),
    "ill_formed_user_value": packets.properties({"user": [("a", b"a\xed\xbf\xbf")]}),
    "null_in_user_value": packets.properties({"user": [("a", b"a\0")]}),
}
BAD_WILL_PROPERTIES = {
    "unknown": b"\x02\x7f\x00",
    "not_of_a_will": packets.properties({"receive_maximum": 1}),
    "delay_twice": packets.properties({"will_delay": [1, 1]}),
    "format_2": packets.properties({"payload_format": 2}),
    "response_topic_with_wildcard": packets.properties({"response_topic": "a/+"}),
    "ill_formed_content_type": packets.properties({"content_type": b"\xff"}),
    "length_beyond_the_packet": b"\xff\x7f",
}


@proves(v5="1.5.5-1 1.5.7-1 3.1.4-1 4.13.1-1")
@pytest.mark.parametrize("name", BAD_PROPERTIES)
def test_bad_properties_of_connect_are_refused(broker, name):
    data = connect("bad", version=V5, values=BAD_PROPERTIES[name])
    assert fate_of(broker, data, before=None) in (None, 0x81, 0x82)


@proves(v5="3.1.4-1")
@pytest.mark.parametrize("name", BAD_WILL_PROPERTIES)
def test_bad_properties_of_a_will_are_refused(broker, name):
    data = connect("bad", version=V5, will=will(values=BAD_WILL_PROPERTIES[name]))
    assert fate_of(broker, data, before=None) in (None, 0x81, 0x82, 0x90)


@proves(v3="3.1.2-1", v5="3.1.2-1")
@each_version
@pytest.mark.parametrize("name", ["MQTT5", "mqtt", "", "MQIsdp", "MQT"])
def test_another_protocol_name_ends_the_connection(broker, version, name):
    with Client(broker, V5) as client:
        client.send(connect("x", version=version, name=name))
        try:
            while True:
                client.transport.fill()
        except Exception as end:  # pylint: disable=broad-except
            assert not isinstance(end, TimeoutError)


@proves(v3="3.1.2-2", v5="3.1.2-2 3.2.2-7")
@pytest.mark.parametrize("level", [0, 3, 6, 255])
def test_an_unknown_protocol_level_is_told(broker, level):
    """5.0 lets a server be silent, 3.1.1 does not."""
    with Client(broker, V5) as client:
        client.send(connect("x", version=V3, name="MQTT").replace(b"MQTT\x04", b"MQTT" +
                                                                 bytes([level])))
        answer = client.transport.fill()
        assert answer in (b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00"), answer
        assert client.end() is None


@proves(v3="3.1.0-1", v5="3.1.0-1 3.14.0-1")
@each_version
@pytest.mark.parametrize("data", [
    packets.packet(packets.PINGREQ), packets.publish("a", b"x"), packets.subscribe(1, [("a", 0)]),
    packets.disconnect(), packets.packet(packets.CONNACK, b"\0\0"), b"\x00\x00", b"\xff\x00",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_the_first_packet_must_be_connect(broker, version, data):
    with Client(broker, version) as client:
        client.send(data)
        assert client.end() is None


@proves(v3="3.1.0-2", v5="3.1.0-2 3.2.0-2")
@each_version
def test_a_second_connect_is_a_protocol_error(broker, version, channel):
    again = connect(name_of(channel), version=version)
    assert fate_of(broker, again, version) in ((None,) if version == V3 else (None, 0x82))


@proves(v3="3.1.4-4 3.2.0-1 3.2.2-1", v5="3.1.4-5 3.2.0-1 3.2.2-1 3.2.2-2 3.2.2-8")
@each_version
@each_transport
def test_a_connect_is_acknowledged_first(broker, version, transport, channel):
    with connected(broker, name_of(channel), version, transport) as client:
        assert not client.connack.is_present
        client.ping()


@proves(v3="3.1.3-5", v5="3.1.3-5")
@each_version
@pytest.mark.parametrize("client_id", [
    "0", "0123456789abcdefghijklm", "ABCDEFGHIJKLMNOPQRSTUVW", "nopqrstuvwxyzXYZ",
    "a longer one, with spaces/slashes+#", "名前-ü"])
def test_client_ids_of_many_kinds_are_taken(broker, version, client_id):
    connected(broker, client_id, version).disconnect()


@proves(v5="3.1.3-8 3.1.4-2 3.2.2-6 3.2.2-7", v3="3.1.3-9 3.2.2-4 3.2.2-5")
@each_version
def test_a_client_id_that_is_too_long_is_refused(broker, version):
    with Client(broker, version) as client:
        client.connect("x" * 5000, expect=2 if version == V3 else 0x85)
        assert not client.connack.is_present
        assert client.end() is None


@proves(v3="3.1.3-6 3.1.3-7", v5="3.1.3-6 3.1.3-7 3.2.2-16")
@each_version
def test_no_client_id_gets_a_new_one(broker, version):
    """Of 5.0 the client is told which."""
    with connected(broker, "", version) as one, connected(broker, "", version) as other:
        if version == V5:
            assert one.client_id and other.client_id and one.client_id != other.client_id
        one.ping()
        other.ping()


@proves(v5="3.1.3-2 3.1.3-7")
def test_an_assigned_client_id_can_be_used_again(broker, channel):
    with connected(broker, "", values={"session_expiry": 60}) as client:
        client.subscribe(channel)
        name = client.client_id
        client.disconnect()
    with connected(broker, name, clean=False) as client:
        assert client.connack.is_present and "assigned_client_id" not in client.connack.values


@proves(v3="3.1.3-8 3.1.3-9 3.2.2-4 3.2.2-5")
def test_no_client_id_and_a_kept_session_are_refused_before_5(broker):
    with Client(broker, V3) as client:
        client.connect("", clean=False, expect=2)
        assert client.end() is None


@proves(v3="3.1.4-5", v5="3.1.4-6")
def test_nothing_behind_a_refused_connect_is_done(broker, channel):
    with connected(broker) as reader:
        reader.subscribe(channel)
        with Client(broker, V5) as client:
            client.send(connect("x" * 5000, version=V5),
                        packets.publish(channel, b"never", version=V5))
            assert client.end() == 0x85
        with connected(broker) as publisher:
            assert reader.nothing_until(publisher, channel) == []


@proves(v3="3.1.4-2 3.1.3-2", v5="3.1.3-2 3.1.4-3")
@each_version
@pytest.mark.parametrize("newer", BOTH)
def test_a_session_is_taken_over(broker, version, newer, channel):
    name = name_of(channel)
    with connected(broker, name, version) as old, connected(broker, name, newer) as new:
        assert old.end() == (0x8e if version == V5 else None)
        new.ping()


@proves(v5="4.12.0-1 4.12.0-4 3.2.2-7")
def test_an_unknown_authentication_method_is_refused(broker, channel):
    with Client(broker, V5) as client:
        client.connect(name_of(channel), values={"authentication_method": "SCRAM-SHA-1",
                                                 "authentication_data": b"x"}, expect=0x8c)
        assert client.end() is None


@proves(v5="4.12.0-6")
def test_without_a_method_nothing_of_authentication_is_said(broker, channel):
    with connected(broker, name_of(channel), user="u", password=b"p") as client:
        assert "authentication_method" not in client.connack.values


@proves(v5="3.1.2-28")
def test_response_information_is_not_given_unless_asked_for(broker, channel):
    for values in ({}, {"request_response_information": 0}):
        with connected(broker, name_of(channel), values=values) as client:
            assert "response_information" not in client.connack.values


def test_what_the_server_can_do_is_told_in_connack(broker, channel):
    """All of it: so what says that something cannot be done is left out or is 1."""
    with connected(broker, name_of(channel)) as client:
        values = client.connack.values
        assert "maximum_qos" not in values  # 2 is said by saying nothing
        for name in ("retain_available", "wildcard_available", "identifiers_available",
                     "shared_available"):
            assert values.get(name, 1) == 1
        assert values.get("receive_maximum", 65535) > 0
        assert values.get("topic_alias_maximum", 0) > 0
        assert values.get("maximum_packet_size", 1) > 0
    connected(broker, name_of(channel), will=will(topic=channel, qos=2, retain=True)).disconnect()


@proves(v5="3.2.2-19 3.2.2-20 3.1.2-24")
def test_a_connack_fits_the_client_or_is_not_sent(broker, channel):
    with Client(broker, V5) as client:
        client.send(connect("x" * 5000, version=V5, values={"maximum_packet_size": 5}))
        assert client.end() in (None, 0x85)
    with Client(broker, V5) as client:
        client.send(connect(name_of(channel), version=V5, values={"maximum_packet_size": 4}))
        client.transport.socket.settimeout(15)
        try:
            assert len(client.transport.fill()) <= 4
        except Exception as end:  # pylint: disable=broad-except
            assert not isinstance(end, TimeoutError)


@proves(v3="3.1.2-24", v5="3.1.2-22")
@each_version
def test_a_client_that_says_nothing_for_its_keep_alive_is_cut_off(broker, version, channel):
    with connected(broker) as reader:
        reader.subscribe(channel)
        with connected(broker, name_of(channel), version, keep_alive=1,
                       will=will(topic=channel)) as client:
            assert client.end() in (None, 0x8d)
            assert reader.message().payload == b"gone"


@proves(v5="3.2.2-22")
def test_a_keep_alive_of_the_server_is_told_or_the_clients_holds(broker, channel):
    with connected(broker, name_of(channel), keep_alive=30) as client:
        assert client.connack.values.get("server_keep_alive", 30) > 0


def test_a_keep_alive_above_the_servers_is_capped_and_told(start_broker):
    broker = start_broker(config="mqtt: { keep_alive_max: 10s }")
    with connected(broker, keep_alive=60) as client:
        assert client.connack.values["server_keep_alive"] == 10
    with connected(broker, keep_alive=5) as client:
        assert "server_keep_alive" not in client.connack.values


@proves(v3="3.2.2-6")
def test_a_connack_comes_in_the_form_of_its_version(broker, channel):
    """A refusal that 3.1.1 has no code for is an end without CONNACK; of 5.0 each has one."""
    with Client(broker, V3) as client:
        client.send(connect(name_of(channel), version=V3))
        assert client.expect(CONNACK).body == b"\0\0"
