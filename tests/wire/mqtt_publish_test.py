# SPDX-License-Identifier: Apache-2.0
"""PUBLISH and its acknowledgements (sections 3.3 to 3.7, 4.3), retained messages, properties."""
import pytest

from harness import mqtt_packets as packets
from harness.broker import wait_for
from harness.mqtt import (RETAIN_AS_PUBLISHED, RETAIN_IF_NEW, RETAIN_NEVER, V3, V5, Client,
                          connected, each_transport, each_version, fate_of, name_of, proves,
                          retained_of)
from harness.mqtt_packets import (PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, acknowledge, packet,
                                  publish)

# name -> makes a PUBLISH of a version that is not one
MALFORMED = {
    "qos_3": lambda version: packet(PUBLISH, b"\0\1a\0\1" + (b"\0" if version == V5 else b""), 6),
    "wildcard_plus": lambda version: publish("a/+/b", b"x", version=version),
    "wildcard_hash": lambda version: publish("a/#", b"x", version=version),
    "ill_formed_topic": lambda version: publish(b"a\xff", b"x", version=version),
    "surrogate_in_topic": lambda version: publish(b"a\xed\xa0\x80", b"x", version=version),
    "null_in_topic": lambda version: publish(b"a\0b", b"x", version=version),
    "empty_topic": lambda version: publish("", b"x", version=version),
    "cut_topic": lambda version: packet(PUBLISH, b"\0\x10abc"),
    "no_topic": lambda version: packet(PUBLISH),
    "no_packet_identifier": lambda version: packet(PUBLISH, b"\0\1a", 2),
    "packet_identifier_0": lambda version: publish("a", b"x", 1, 0, version),
    "packet_identifier_0_of_qos_2": lambda version: publish("a", b"x", 2, 0, version),
    "dup_with_qos_0": lambda version: publish("a", b"x", version=version, dup=True),
}


@proves(v3="1.5.3-1 1.5.3-2 2.3.1-1 3.3.1-2 3.3.1-4 3.3.2-1 3.3.2-2 4.7.1-1 4.7.3-1 4.7.3-2 "
           "4.8.0-1",
        v5="1.5.4-1 1.5.4-2 3.3.1-2 3.3.1-4 3.3.2-1 3.3.2-2 4.7.0-1 4.7.3-1 4.7.3-2 4.13.1-1")
@each_version
@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_publish_ends_the_connection(broker, version, name):
    assert fate_of(broker, MALFORMED[name](version), version) in (
        (None,) if version == V3 else (0x81, 0x82, 0x90))


BAD_PROPERTIES = {
    "subscription_identifier": packets.properties({"subscription_identifier": 1}),
    "not_of_publish": packets.properties({"receive_maximum": 1}),
    "unknown": b"\x02\x7e\x01",
    "format_2": packets.properties({"payload_format": 2}),
    "content_type_twice": packets.properties({"content_type": ["a", "b"]}),
    "response_topic_with_wildcard": packets.properties({"response_topic": "a/#"}),
    "ill_formed_response_topic": packets.properties({"response_topic": b"\xff"}),
    "ill_formed_content_type": packets.properties({"content_type": b"\xc3"}),
    "ill_formed_user": packets.properties({"user": [("a", b"\xed\xa0\x80")]}),
    "alias_0": packets.properties({"topic_alias": 0}),
    "alias_twice": packets.properties({"topic_alias": [1, 1]}),
    "length_not_minimal": b"\x80\x00",
    "length_beyond_the_packet": b"\x7f",
}


@proves(v5="1.5.5-1 1.5.7-1 3.3.2-8 3.3.2-13 3.3.2-14 3.3.2-19 3.3.4-6")
@pytest.mark.parametrize("name", BAD_PROPERTIES)
def test_bad_properties_of_publish_are_refused(broker, name):
    data = publish("a", b"x", version=V5, values=BAD_PROPERTIES[name])
    assert fate_of(broker, data) in (0x81, 0x82, 0x90, 0x94)


@proves(v3="3.3.4-1 3.3.5-1 4.3.1-1 4.3.2-1 4.3.2-2 4.3.3-1 4.3.3-2 2.3.1-4 2.3.1-5 2.3.1-6",
        v5="2.2.1-2 2.2.1-4 2.2.1-5 3.3.4-1 3.4.2-1 3.5.2-1 3.7.2-1 4.3.1-1 4.3.2-1 4.3.2-2 "
           "4.3.2-4 4.3.3-1 4.3.3-2 4.3.3-4 4.3.3-8 4.3.3-11")
@each_version
@each_transport
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("granted", [0, 1, 2])
def test_a_message_goes_out_with_the_lower_qos(broker, version, transport, qos, granted, channel):
    with connected(broker, version=version, transport=transport) as client:
        client.subscribe(channel, qos=granted)
        client.publish(channel, b"hello", qos)
        got = client.message()
        assert (got.topic, got.payload, got.qos) == (channel, b"hello", min(qos, granted))
        assert not got.dup and not got.retain


@proves(v3="3.8.4-6 3.3.5-1", v5="3.8.4-8")
@pytest.mark.parametrize("granted", [0, 1, 2])
def test_what_another_protocol_published_has_no_qos_of_its_own(broker, granted, channel):
    with connected(broker) as client:
        client.subscribe(channel, qos=granted)
        broker.publish(channel, {"n": 1})
        got = client.message()
        assert got.qos == granted and got.payload == b'{"n": 1}'


@proves(v3="3.3.1-3", v5="3.3.1-3")
@each_version
def test_dup_of_the_publisher_is_not_passed_on(broker, version, channel):
    with connected(broker, version=version) as client:
        client.subscribe(channel, qos=1)
        client.send(publish(channel, b"x", 1, 9, version, dup=True))
        client.expect(PUBACK)
        assert not client.message().dup


@proves(v5="4.3.2-5")
def test_an_identifier_is_new_again_behind_its_puback(broker, channel):
    with connected(broker) as client:
        client.subscribe(channel, qos=1)
        for payload in (b"1", b"2"):
            client.publish(channel, payload, 1, number=7)
        assert client.payloads(2) == [b"1", b"2"]


@proves(v3="4.3.3-2 4.3.3-1", v5="4.3.3-8 4.3.3-10 4.3.3-11 4.3.3-12")
@each_version
def test_a_repeated_qos_2_publish_is_stored_once(broker, version, channel):
    with connected(broker, version=version) as client, connected(broker) as reader:
        reader.subscribe(channel, qos=2)
        for dup in (False, True, True):
            client.send(publish(channel, b"once", 2, 5, version, dup=dup))
            assert client.expect(PUBREC).number == 5
        client.release(5)
        client.publish(channel, b"next", 2, number=5)
        assert reader.payloads(2) == [b"once", b"next"]


@proves(v5="3.7.2-1 3.6.2-1")
def test_a_release_of_nothing_is_told_so(broker):
    with connected(broker) as client:
        client.release(77, expect=0x92)


def test_a_release_of_nothing_is_completed_before_5(broker):
    """A PUBREL whose PUBCOMP was lost comes again, and must be answered."""
    with connected(broker, version=V3) as client:
        client.release(77)


@proves(v3="3.6.1-1 2.3.1-6", v5="3.6.1-1 2.2.1-5")
@each_version
@pytest.mark.parametrize("kind", [PUBACK, PUBREC, PUBREL, PUBCOMP])
def test_acknowledgements_are_read_strictly(broker, version, kind):
    wanted = (None,) if version == V3 else (0x81, 0x82)
    for data in (packet(kind), packet(kind, b"\0"), packet(kind, b"\0\0")):
        assert fate_of(broker, data, version) in wanted
    if version == V3:
        assert fate_of(broker, packet(kind, b"\0\1\0"), version) is None


@proves(v5="3.4.2-1 3.5.2-1 3.6.2-1 3.7.2-1 4.13.1-1")
@pytest.mark.parametrize("kind", [PUBACK, PUBREC, PUBREL, PUBCOMP])
def test_reasons_of_acknowledgements_are_checked(broker, kind):
    for body in (b"\0\1\x01", b"\0\1\xff", b"\0\1\0\x02\x23\0\1", b"\0\1\0\0\0", b"\0\1\0\x05"):
        assert fate_of(broker, packet(kind, body)) in (0x81, 0x82)


@each_version
def test_acknowledgements_of_nothing_are_harmless(broker, version):
    """5.0 says 0x92 to what has no packet identifier in use; 3.1.1 says nothing."""
    with connected(broker, version=version) as client:
        client.send(acknowledge(PUBACK, 3, version), acknowledge(PUBCOMP, 4, version))
        client.ping()


@proves(v5="2.2.2-1")
def test_acknowledgements_with_an_empty_property_block_are_read(broker, channel):
    with connected(broker) as client:
        client.subscribe(channel, qos=1)
        client.publish(channel, b"x", 1)
        got = client.raw_message()
        client.send(acknowledge(PUBACK, got.number, V5, 0, {"reason_string": "fine",
                                                            "user": [("a", "b")]}))
        client.ping()


@proves(v5="4.4.0-2")
def test_a_refused_message_is_done_with(broker, channel):
    name = name_of(channel)
    values = {"session_expiry": 60}
    with connected(broker, name, values=values) as client:
        client.subscribe(channel, qos=2)
        client.publish(channel, b"1", 1)
        client.publish(channel, b"2", 2)
        got = client.raw_message()
        client.send(acknowledge(PUBACK, got.number, V5, 0x80))
        got = client.raw_message()
        client.send(acknowledge(PUBREC, got.number, V5, 0x80))
        client.ping()
        client.disconnect()
    with connected(broker, name, clean=False, values=values) as client:
        assert client.nothing_until(client, channel) == []


@proves(v5="3.1.2-29")
def test_without_problem_information_acknowledgements_are_bare(broker, channel):
    with connected(broker, values={"request_problem_information": 0}) as client:
        for qos in (1, 2):
            assert client.publish(channel, b"x", qos).values == {}
        assert client.subscribe("a/*", expect=False).values == {}
        assert client.unsubscribe("never").values == {}


@proves(v5="3.4.2-2 3.4.2-3 3.5.2-2 3.5.2-3 3.6.2-2 3.6.2-3 3.7.2-2 3.7.2-3 3.9.2-2 3.11.2-2 "
           "3.14.2-3 3.14.2-4 3.2.2-19 3.2.2-20 3.1.2-24")
def test_what_is_told_beside_a_reason_is_left_out_where_it_does_not_fit(broker, channel):
    with Client(broker) as client:
        client.connect(name_of(channel), values={"maximum_packet_size": 30})
        assert len(client.connack.body) <= 28
        for qos in (1, 2):
            assert client.publish(channel, b"x", qos).values == {}
        assert len(client.subscribe("a/*", "b/*", expect=False).body) <= 28
        assert len(client.unsubscribe("never").body) <= 28
        client.release(99, expect=0x92)
        client.send(packet(packets.PINGREQ, flags=5))
        last = client.recv()
        assert last.kind == packets.DISCONNECT and len(last.body) <= 28


@proves(v5="4.3.3-9")
def test_an_identifier_is_new_again_behind_a_refusal(broker, channel):
    with connected(broker) as client:
        client.subscribe(channel, qos=2)
        assert client.publish("$mine", b"x", 2, number=3, expect=None).reason >= 0x80
        client.publish(channel, b"y", 2, number=3)
        assert client.message().payload == b"y"


def test_acknowledgements_say_where_the_message_is(broker, channel):
    with connected(broker) as client:
        for qos, offset in ((1, "1"), (2, "2")):
            user = client.publish(channel, b"x", qos).user
            assert user["offset"] == offset and user["id"].startswith("t1")
        assert broker.page(channel)["messages"][-1]["id"] == user["id"]


# --- names ---


@proves(v3="4.7.3-4 3.3.2-3 1.5.3-3", v5="1.5.4-3 4.7.3-4 3.3.2-3")
@each_version
def test_names_pass_unchanged(broker, version, channel):
    names = [channel + tail for tail in ("/ü", "/u\u0308", "/\ufeffbom", "/Case", "/case", "//a/",
                                         "/ blank ", "/\U0001f600", "/a\\b", "/..", "/%2f")]
    with connected(broker, version=version) as client:
        client.subscribe(channel + "/#")
        for name in names:
            client.publish(name, name.encode())
        assert [got.topic for got in client.messages(len(names))] == names


@proves(v3="3.3.5-2", v5="3.3.4-1")
@pytest.mark.parametrize("topic", ["$SYS/x", "$mine", "a/*", "a" * 481])
def test_a_name_that_is_no_channel_is_refused(broker, topic):
    """3.1.1 has no word for it: the message is acknowledged and dropped."""
    with connected(broker) as client:
        for qos in (1, 2):
            answer = client.publish(topic, b"x", qos, expect=None)
            assert answer.reason in (0x87, 0x90) and answer.values["reason_string"]
        client.ping()
    with connected(broker, version=V3) as client:
        for qos in (1, 2):
            client.publish(topic, b"x", qos)
        client.ping()


@proves(v5="3.4.2-2 3.5.2-2")
@pytest.mark.parametrize("options", [{"values": {"request_problem_information": 0}},
                                     {"values": {"maximum_packet_size": 48}}], ids=str)
def test_why_it_is_refused_is_told_to_who_wants_it_and_has_room(broker, channel, options):
    with connected(broker, channel, **options) as client:
        for qos in (1, 2):
            assert not client.publish("$own", b"x", qos, expect=0x90).values


@proves(v3="3.3.5-2", v5="3.3.4-1")
def test_a_message_above_its_channels_limit_is_not_acknowledged(start_broker):
    """Below that of a packet: 5.0 says so, and 3.1.1 ends as it does with a larger packet."""
    broker = start_broker(config="channels: [{match: small, message_bytes_max: 20}]\n")
    with connected(broker) as client:
        for qos in (1, 2):
            answer = client.publish("small", b"x" * 21, qos, expect=0x97)
            assert "20 bytes" in answer.values["reason_string"]
        client.publish("small", b"x" * 20, 1)
    for qos in (1, 2):
        with connected(broker, version=V3) as client:
            client.publish("a", b"x" * 21, qos)
            client.send(publish("small", b"x" * 21, qos, 9, V3))
            assert client.end() is None
    assert [message["offset"] for message in broker.page("small")["messages"]] == [1]


def test_the_first_message_that_is_dropped_unheard_is_logged(start_broker):
    broker = start_broker()
    with connected(broker, version=V3) as client:
        client.publish("a/*", b"x", 1)
        client.publish("b/*", b"x", 1)
    with connected(broker) as client:
        client.publish("c/*", b"x", 1, expect=0x90)
    assert [line["channel"] for line in broker.wait_logged("MQTT_PUBLISH_DROPPED")] == ["a/*"]
    broker.stop()
    assert len(broker.log_lines("MQTT_PUBLISH_DROPPED")) == 1


# --- retained messages ---


@proves(v3="3.3.1-5 3.3.1-6 3.3.1-8 3.1.2-7", v5="3.3.1-5 3.3.1-9 3.3.1-12 3.8.4-4")
@each_version
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_the_last_retained_message_is_kept(broker, version, qos, channel):
    with connected(broker, version=version) as client:
        client.publish(channel, b"old", 1, retain=True)
        client.publish(channel, b"new", qos, retain=True)
        client.publish(channel, b"plain", 1)
    assert retained_of(broker, channel, version=version) == [(b"new", True)]


@proves(v3="3.3.1-7", v5="3.3.1-5")
@each_version
def test_a_retained_message_of_qos_0_replaces_the_one_before(broker, version, channel):
    with connected(broker, version=version) as client:
        client.publish(channel, b"old", 2, retain=True)
        client.publish(channel, b"new", 0, retain=True)
        client.publish(channel, b"barrier", 1)
    assert retained_of(broker, channel) == [(b"new", True)]


@proves(v3="3.3.1-10 3.3.1-11", v5="3.3.1-6 3.3.1-7")
@each_version
def test_an_empty_payload_clears_and_is_delivered(broker, version, channel):
    with connected(broker, version=version) as client, connected(broker) as reader:
        reader.subscribe(channel)
        client.publish(channel, b"kept", 1, retain=True)
        client.publish(channel, b"", 1, retain=True)
        assert reader.payloads(2) == [b"kept", b""]
    assert retained_of(broker, channel) == []


@proves(v3="3.3.1-12", v5="3.3.1-8")
@each_version
def test_a_message_without_retain_changes_nothing(broker, version, channel):
    with connected(broker, version=version) as client:
        client.publish(channel, b"kept", 1, retain=True)
        client.publish(channel, b"", 1)
    assert retained_of(broker, channel) == [(b"kept", True)]


@proves(v3="3.3.1-9", v5="3.3.1-12 3.3.1-13")
def test_an_established_subscription_sees_retain_only_if_it_asked(broker, channel):
    with connected(broker) as plain, connected(broker) as asking, connected(broker) as client, \
            connected(broker, version=V3) as older:
        plain.subscribe(channel)
        older.subscribe(channel)
        asking.subscribe(channel, options=RETAIN_AS_PUBLISHED)
        client.publish(channel, b"x", retain=True)
        client.publish(channel, b"y")
        assert [got.retain for got in plain.messages(2)] == [False, False]
        assert [got.retain for got in older.messages(2)] == [False, False]
        assert [got.retain for got in asking.messages(2)] == [True, False]


@proves(v5="3.3.1-9 3.3.1-10 3.3.1-11 3.8.4-4")
def test_retain_handling_is_minded(broker, channel):
    with connected(broker) as client, connected(broker) as reader:
        client.publish(channel, b"kept", 1, retain=True)
        for options, is_sent in ((RETAIN_IF_NEW, True), (RETAIN_IF_NEW, False), (0, True),
                                 (0, True), (RETAIN_NEVER, False)):
            reader.subscribe(channel, options=options)
            if is_sent:
                got = reader.message()
                assert got.payload == b"kept" and got.retain
            assert reader.nothing_until(client, channel) == []
        reader.unsubscribe(channel)
        reader.subscribe(channel, options=RETAIN_NEVER)
        assert reader.nothing_until(client, channel) == []


@proves(v3="3.3.1-6", v5="3.3.1-9")
@each_version
def test_all_retained_messages_of_a_pattern_come(broker, version, channel):
    with connected(broker, version=version) as client:
        for number in range(60):
            client.publish(f"{channel}/{number}", str(number), 1, retain=True)
    found = retained_of(broker, channel, version=version)
    assert sorted(found) == sorted((str(number).encode(), True) for number in range(60))


def test_a_retained_message_of_http_is_retained(broker, channel):
    broker.publish(channel, {"n": 1}, headers={"Tidings-Retain": "true"})
    assert retained_of(broker, channel) == [(b'{"n": 1}', True)]


def test_a_rule_can_retain_the_latest(start_broker):
    broker = start_broker(config='channels: [{ match: "state/**", retain: latest }]')
    with connected(broker) as client:
        client.publish("state/a", b"1", 1)
        client.publish("state/a", b"2", 1)
        client.publish("other", b"3", 1)
        client.subscribe("#", options=RETAIN_IF_NEW)
        got = client.message()
        assert got.topic == "state/a" and got.payload == b"2" and got.retain
        assert client.nothing_until(client, "state/b") == []


def test_a_retained_message_that_expired_is_gone(broker, channel):
    with connected(broker) as client:
        client.publish(channel, b"brief", 1, retain=True, values={"message_expiry": 1})
        broker.let_pass(1)
    assert retained_of(broker, channel) == []


# --- properties ---


@proves(v5="3.3.2-4 3.3.2-15 3.3.2-16 3.3.2-17 3.3.2-18 3.3.2-20")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_properties_are_passed_on(broker, qos, channel):
    pairs = [("b", "1"), ("a", "2"), ("b", "3"), ("", ""), ("ü", "\ufeff")]
    values = {"payload_format": 1, "content_type": "text/plain;charset=utf-8",
              "response_topic": "answers/here", "correlation_data": b"\0\xff\1", "user": pairs}
    with connected(broker) as client:
        client.subscribe(channel, qos=qos)
        client.publish(channel, "grün", qos, values=values)
        assert client.message().values == values


@proves(v5="3.3.2-5 3.3.2-6")
def test_what_is_left_of_an_expiry_is_passed_on(broker, channel):
    with connected(broker) as client:
        client.publish(channel, b"kept", 1, retain=True, values={"message_expiry": 1000})
        broker.let_pass(1)
        client.subscribe(channel)
        assert 900 < client.message().values["message_expiry"] < 1000


@proves(v5="3.3.2-5 4.3.3-7")
def test_an_expired_message_is_not_sent(broker, channel):
    name, values = name_of(channel), {"session_expiry": 100}
    with connected(broker, name, values=values) as client:
        client.subscribe(channel, qos=1)
        client.disconnect()
    with connected(broker) as publisher:
        publisher.publish(channel, b"brief", 1, values={"message_expiry": 1})
        publisher.publish(channel, b"lasting", 1, values={"message_expiry": 100})
    broker.let_pass(1)
    with connected(broker, name, clean=False, values=values) as client:
        got = client.message()
        if got.topic == "$gap/" + channel:  # what is passed over may be told
            got = client.message()
        assert got.payload == b"lasting"


def test_text_that_is_none_is_refused(broker, channel):
    """Payload Format Indicator 1 is a promise: section 3.3.2.3.2, 0x99."""
    with connected(broker) as client:
        for qos in (1, 2):
            client.publish(channel, b"\xff", qos, values={"payload_format": 1}, expect=0x99)
        client.ping()


def test_json_that_is_none_is_refused_with_the_position(broker, channel):
    values = {"content_type": "application/json"}
    with connected(broker) as client:
        client.subscribe(channel)
        for qos in (1, 2):
            answer = client.publish(channel, b"{bad", qos, values=values, expect=0x99)
            assert "at byte 1" in answer.values["reason_string"]
        client.publish(channel, b"{bad", 0, values=values)
        client.publish(channel, b"", 1, retain=True, values=values)  # clears what is retained
        client.publish(channel, b"{}", 1, values=values)
        assert client.payloads(2) == [b"", b"{}"]
    with Client(broker) as client:
        client.connect(expect=0x99, will={"topic": channel, "payload": b"{bad", "values": values})


@proves(v5="3.3.2-12 3.1.2-27")
def test_topic_aliases_of_a_client(broker, channel):
    with connected(broker) as client, connected(broker) as other:
        other.subscribe(channel + "/#", qos=1)
        most = client.connack.values["topic_alias_maximum"]
        for topic, alias, payload in ((channel + "/a", 1, b"1"), ("", 1, b"2"),
                                      (channel + "/b", most, b"3"), ("", most, b"4"),
                                      (channel + "/c", 1, b"5"), ("", 1, b"6")):
            client.publish(topic, payload, 1, values={"topic_alias": alias})
        got = other.messages(6)
        assert [one.topic[-1] for one in got] == list("aabbcc")
        assert [one.payload for one in got] == [b"1", b"2", b"3", b"4", b"5", b"6"]
        assert all("topic_alias" not in one.values for one in got)
    for bad in (publish("a", b"x", version=V5, values={"topic_alias": most + 1}),
                publish("", b"x", version=V5, values={"topic_alias": 3})):
        assert fate_of(broker, bad) in (0x82, 0x94)


@proves(v5="3.1.2-26 3.3.2-11")
def test_topic_aliases_to_a_client_stay_below_what_it_takes(broker, channel):
    with Client(broker) as client, connected(broker) as publisher:
        client.connect(values={"topic_alias_maximum": 2})
        client.subscribe(channel + "/#", qos=1)
        topics = [f"{channel}/{number % 4}" for number in range(16)]
        for topic in topics:
            publisher.publish(topic, topic.encode())
        for topic in topics:
            got = client.message()
            assert got.topic == topic and got.values.get("topic_alias", 1) in (1, 2)


@pytest.mark.parametrize("most", [0, 3])
def test_topic_aliases_to_a_client_are_no_more_than_are_allowed(start_broker, most):
    broker = start_broker(config=f"mqtt: {{ topic_aliases: {most} }}")
    with Client(broker) as client, connected(broker) as publisher:
        client.connect(values={"topic_alias_maximum": 65535})
        client.subscribe("#", qos=1)
        for number in range(20):
            publisher.publish(str(number % 10), b"x")
        used = {got.values.get("topic_alias", 0) for got in client.messages(20)}
        assert max(used) == most


@proves(v5="3.3.2-7")
def test_aliases_do_not_outlive_their_connection(broker, channel):
    name, values = name_of(channel), {"session_expiry": 60}
    with connected(broker, name, values=values) as client:
        client.publish(channel, b"x", 1, values={"topic_alias": 1})
        client.disconnect()
    with connected(broker, name, clean=False, values=values) as client:
        client.send(publish("", b"y", 1, 1, V5, values={"topic_alias": 1}))
        assert client.end() in (0x82, 0x94)


def test_what_came_by_mqtt_is_read_by_http(broker, channel):
    with connected(broker) as client:
        client.publish(channel, b'{"n":1}', 1, values={"user": [("h", "v"), ("tidings-key", "k"),
                                                               ("tidings-event", "e")]})
        client.publish(channel, b"text", 1, values={"content_type": "text/plain"})
        client.publish(channel, b"\xff\xfe", 1)
    wait_for(lambda: len(broker.page(channel)["messages"]) == 3, what="three messages")
    one, two, three = broker.page(channel)["messages"]
    assert one["data"] == {"n": 1} and one["headers"] == {"h": "v"}
    assert one["key"] == "k" and one["event"] == "e" and "type" not in one
    assert two["data"] == "text" and two["type"] == "text/plain"
    assert three["data_base64"] == "//4="


@pytest.mark.parametrize("qos", [1, 2])
def test_an_idempotency_key_stores_once(broker, qos, channel):
    with connected(broker) as client:
        values = {"user": [("idempotency-key", channel)]}
        first = client.publish(channel, b"x", qos, values=values)
        again = client.publish(channel, b"x", qos, values=values)
        assert first.user == again.user
    assert len(broker.page(channel)["messages"]) == 1


def test_a_key_is_the_same_by_either_qos_and_qos_2_stays_exactly_once(start_broker):
    broker = start_broker()
    keyed = {"user": [("idempotency-key", "one")]}
    kept = {"session_expiry": 3600}
    client = connected(broker, "kept", clean=False, values=kept)
    first = client.publish("a", b"x", 1, values=keyed)
    number = client.next_number()
    client.send(publish("a", b"x", 2, number, V5, values=keyed))
    again = client.expect(PUBREC)
    assert again.reason < 0x80 and dict(again.values["user"]) == first.user
    client.close()
    broker.kill()
    broker.start()
    with connected(broker, "kept", clean=False, values=kept) as client:
        assert client.connack.is_present
        # The id is in use still: whatever comes with it is that message again.
        client.send(publish("a", b"of no key", 2, number, V5, dup=True))
        assert client.expect(PUBREC).reason < 0x80
        client.release(number)
        assert client.publish("a", b"x", 2, values=keyed).user == first.user
    assert [message["data"] for message in broker.page("a")["messages"]] == ["x"]
