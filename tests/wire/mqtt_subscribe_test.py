# SPDX-License-Identifier: Apache-2.0
"""SUBSCRIBE, UNSUBSCRIBE and how filters match (sections 3.8 to 3.11, 4.7, 4.8)."""
import pytest

from harness import mqtt_packets as packets
from harness.http import Closed
from harness.mqtt import (NO_LOCAL, V3, V5, connected, each_version, fate_of, name_of, proves)
from harness.mqtt_packets import (PUBACK, PUBLISH, SUBACK, SUBSCRIBE, UNSUBACK, UNSUBSCRIBE,
                                  acknowledge, packet, subscribe, unsubscribe)


def empty(version):
    return b"\0" if version == V5 else b""


# name -> makes a SUBSCRIBE or UNSUBSCRIBE of a version that is not one
MALFORMED = {
    "no_filter": lambda version: packet(SUBSCRIBE, b"\0\1" + empty(version)),
    "no_identifier": lambda version: packet(SUBSCRIBE),
    "identifier_0": lambda version: subscribe(0, [("a", 0)], version),
    "no_options": lambda version: packet(SUBSCRIBE, b"\0\1" + empty(version) + b"\0\1a"),
    "qos_3": lambda version: subscribe(1, [("a", 3)], version),
    "reserved_options": lambda version: subscribe(1, [("a", 0x40)], version),
    "ill_formed_filter": lambda version: subscribe(1, [(b"a\xff", 0)], version),
    "surrogate_in_filter": lambda version: subscribe(1, [(b"\xed\xbf\xbf", 0)], version),
    "null_in_filter": lambda version: subscribe(1, [(b"a\0", 0)], version),
    "second_filter_cut": lambda version: packet(
        SUBSCRIBE, b"\0\1" + empty(version) + b"\0\1a\0\0\x09b"),
    "unsubscribe_of_nothing": lambda version: packet(UNSUBSCRIBE, b"\0\1" + empty(version)),
    "unsubscribe_without_identifier": lambda version: packet(UNSUBSCRIBE),
    "unsubscribe_identifier_0": lambda version: unsubscribe(0, ["a"], version),
    "unsubscribe_ill_formed": lambda version: unsubscribe(1, [b"\xc0\x80"], version),
    "unsubscribe_null": lambda version: unsubscribe(1, [b"a\0b"], version),
    "subscribe_flags": lambda version: packet(
        SUBSCRIBE, b"\0\1" + empty(version) + b"\0\1a\0", flags=0),
    "unsubscribe_flags": lambda version: packet(
        UNSUBSCRIBE, b"\0\1" + empty(version) + b"\0\1a", flags=0),
}


@proves(v3="1.5.3-1 1.5.3-2 2.2.2-2 2.3.1-1 3.8.1-1 3.8.3-1 3.8.3-3 3.8.3-4 3.10.1-1 3.10.3-1 "
           "3.10.3-2 4.7.3-2 4.8.0-1",
        v5="1.5.4-1 1.5.4-2 2.1.3-1 3.8.1-1 3.8.3-1 3.8.3-2 3.8.3-5 3.10.1-1 3.10.3-1 3.10.3-2 "
           "4.7.3-2 4.13.1-1")
@each_version
@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_subscribe_ends_the_connection(broker, version, name):
    assert fate_of(broker, MALFORMED[name](version), version) in (
        (None,) if version == V3 else (0x81, 0x82))


BAD_PROPERTIES = {
    "identifier_0": packets.properties({"subscription_identifier": 0}),
    "identifier_twice": packets.properties({"subscription_identifier": [1, 2]}),
    "not_of_subscribe": packets.properties({"topic_alias": 1}),
    "ill_formed_user": packets.properties({"user": [("a", b"\xff")]}),
    "identifier_of_five_bytes": b"\x06\x0b\x80\x80\x80\x80\x01",
    "identifier_not_minimal": b"\x03\x0b\x81\x00",
    "length_beyond_the_packet": b"\x7e",
}


@proves(v5="1.5.5-1 1.5.7-1")
@pytest.mark.parametrize("name", BAD_PROPERTIES)
def test_bad_properties_of_subscribe_are_refused(broker, name):
    data = subscribe(1, [("a", 0)], V5, BAD_PROPERTIES[name])
    assert fate_of(broker, data) in (0x81, 0x82)


@proves(v5="3.8.3-5")
@pytest.mark.parametrize("options", [0x30, 0xc0, 0x80])
def test_reserved_options_are_checked(broker, options):
    """Retain handling 3, and the two upper bits."""
    assert fate_of(broker, subscribe(1, [("a", options)], V5)) in (0x81, 0x82)


BAD_FILTERS = ["", "a/#/b", "a#", "#a", "a/b#", "+a", "a+", "a/b+/c", "a/+b", "##", "++", "a/*",
               "$share", "$share/g", "$share//a", "$share/g/", "$share/g+/a", "$share/#/a"]


@proves(v3="4.7.1-2 4.7.1-3 4.7.3-1 3.8.4-5 3.9.3-1 3.9.3-2",
        v5="4.7.1-1 4.7.1-2 4.7.3-1 4.8.2-1 4.8.2-2 3.8.4-6 3.8.4-7 3.9.3-2")
@each_version
@pytest.mark.parametrize("text", BAD_FILTERS)
def test_a_filter_that_is_none_is_refused(broker, version, text):
    """Either the packet is answered with a refusal of the filter, or the connection ends."""
    if text.startswith("$share") and version == V3:
        pytest.skip("shared subscriptions came with 5.0")
    with connected(broker, version=version) as client:
        client.send(subscribe(1, [(text, 0)], version))
        try:
            got = client.recv()
        except Closed:
            assert version == V3
            return
        if got.kind == SUBACK:
            assert got.reasons[0] >= 0x80
        else:
            assert got.reason in (0x81, 0x82, 0x8f)
            assert client.end() is None


@proves(v3="3.8.4-1 3.8.4-2 3.8.4-4 3.8.4-5 3.9.3-1 2.3.1-7",
        v5="2.2.1-6 3.8.4-1 3.8.4-2 3.8.4-5 3.8.4-6 3.8.4-7 3.8.4-2 3.9.2-1 3.9.3-1 3.9.3-2 "
           "3.2.2-10")
@each_version
def test_each_filter_gets_its_reason_in_order(broker, version, channel):
    with connected(broker, version=version) as client:
        answer = client.subscribe((channel + "/a", 2), (channel + "/*", 0), (channel + "/b", 0),
                                  (channel + "/+", 1), expect=False)
        refused = 0x80 if version == V3 else 0x8f
        assert answer.reasons == [2, refused, 0, 1]
        client.publish(channel + "/b", b"x", 2)
        assert client.message().qos == 1


@proves(v3="4.7.1-2 4.7.1-3 4.7.2-1 4.7.3-4 3.3.2-3", v5="4.7.1-1 4.7.1-2 4.7.3-4 3.3.2-3 4.5.0-1")
@each_version
@pytest.mark.parametrize("text, matching, others", [
    ("#", ["", "/a", "/a/b", "//"], []),
    ("/#", ["", "/a", "/a/b"], ["b"]),
    ("/+", ["/a", "/b", "/"], ["", "/a/b", "//"]),
    ("/+/b", ["/a/b", "//b"], ["/a/c", "/b", "/a/b/c"]),
    ("/+/+/", ["/a/b/", "///"], ["/a/b", "/a/"]),
    ("/a/#", ["/a", "/a/", "/a/b", "/a/b/c"], ["/A", "/ab", ""]),
    ("/a/b", ["/a/b"], ["/a/B", "/a/b/", "/a"]),
    ("/+/b/#", ["/a/b", "/x/b/c/d"], ["/a", "/b/a"]),
])
def test_filters_match_as_the_specification_says(broker, version, text, matching, others, channel):
    with connected(broker, version=version) as client, connected(broker) as publisher:
        if text == "#":
            text = channel + "#" if not channel else channel + "/#"
            matching = ["", "/a", "/a/b", "//"]
        else:
            text = channel + text
        client.subscribe(text)
        client.subscribe(channel + "x/mark")
        for tail in others + matching:
            publisher.publish(channel + tail, tail.encode())
        found = client.nothing_until(publisher, channel + "x/mark")
        assert [got.topic for got in found] == [channel + tail for tail in matching]


@proves(v3="4.7.2-1", v5="4.7.2-1")
@each_version
def test_wildcards_at_the_front_leave_the_brokers_topics_alone(broker, version, channel):
    with connected(broker, version=version) as client, connected(broker) as publisher:
        client.subscribe("#", "+/#", "+/broker/uptime")
        found = client.nothing_until(publisher, channel)
        assert not [got for got in found if got.topic.startswith("$")]


@proves(v3="3.8.4-3", v5="3.8.4-3")
@each_version
def test_a_repeated_subscription_replaces_the_one_before(broker, version, channel):
    with connected(broker, version=version) as client:
        client.publish(channel, b"kept", 1, retain=True)
        for qos in (2, 0, 1):
            assert client.subscribe(channel, qos=qos).reasons == [qos]
            assert client.message().retain
        client.publish(channel, b"x", 2)
        assert client.message().qos == 1
        assert client.nothing_until(client, channel) == []


@proves(v3="3.3.5-1", v5="3.3.4-2 3.3.4-3 3.3.4-4")
@each_version
def test_overlapping_filters_give_one_copy_of_the_highest_qos(broker, version, channel):
    with connected(broker, version=version) as client:
        for number, (text, qos) in enumerate([("/#", 0), ("/a", 2), ("/+", 1)], 1):
            values = {"subscription_identifier": number} if version == V5 else None
            client.subscribe(channel + text, qos=qos, values=values)
        client.publish(channel + "/a", b"x", 2)
        got = client.message()
        assert got.qos == 2
        if version == V5:
            assert sorted(got.values["subscription_identifier"]) == [1, 2, 3]
        assert client.nothing_until(client, channel + "/a") == []


@proves(v5="3.3.4-3")
def test_a_subscription_identifier_is_of_its_last_subscribe(broker, channel):
    with connected(broker) as client:
        client.subscribe(channel, values={"subscription_identifier": 5})
        client.subscribe(channel, values={"subscription_identifier": 268435455})
        client.publish(channel, b"x")
        assert client.message().values["subscription_identifier"] == [268435455]
        client.subscribe(channel)
        client.publish(channel, b"x")
        assert "subscription_identifier" not in client.message().values


@proves(v5="3.8.3-3")
def test_no_local_keeps_ones_own_away(broker, channel):
    with connected(broker) as client, connected(broker) as other:
        client.subscribe(channel, options=NO_LOCAL)
        client.publish(channel, b"mine", 1)
        other.publish(channel, b"theirs", 1)
        assert client.message().payload == b"theirs"


@proves(v5="3.8.3-4")
def test_no_local_is_not_for_shared_subscriptions(broker):
    assert fate_of(broker, subscribe(1, [("$share/g/a", NO_LOCAL)], V5)) == 0x82


# --- UNSUBSCRIBE ---


@proves(v3="3.10.4-1 3.10.4-2 3.10.4-4 3.10.4-5 3.10.4-6 2.3.1-7",
        v5="3.10.4-1 3.10.4-2 3.10.4-4 3.10.4-5 3.10.4-6 3.11.2-1 3.11.3-1 3.11.3-2 2.2.1-6")
@each_version
def test_unsubscribe_ends_what_it_names_exactly(broker, version, channel):
    with connected(broker, version=version) as client:
        client.subscribe(channel + "/a", channel + "/+", channel + "/mark")
        answer = client.unsubscribe(channel + "/+", channel + "/never", channel + "/A")
        if version == V5:
            assert answer.reasons == [0, 0x11, 0x11]
        client.publish(channel + "/a", b"a")
        client.publish(channel + "/b", b"b")
        assert [got.topic[-1] for got in client.nothing_until(client, channel + "/mark")] == ["a"]


@proves(v3="3.10.4-3", v5="3.10.4-3")
@each_version
def test_what_was_begun_is_completed_behind_unsubscribe(broker, version, channel):
    with connected(broker, version=version) as client:
        client.subscribe(channel, qos=2)
        client.publish(channel, b"1", 1)
        client.publish(channel, b"2", 2)
        one, two = client.raw_message(), client.raw_message()
        client.unsubscribe(channel)
        client.acknowledge(one)
        client.acknowledge(two)
        client.ping()


@each_version
def test_a_subscription_begins_with_its_suback(broker, version, channel):
    """Live: what was published before is not sent, what is published behind it is."""
    with connected(broker, version=version) as client, connected(broker) as publisher:
        publisher.publish(channel, b"before", 1)
        client.subscribe(channel)
        publisher.publish(channel, b"behind", 1)
        assert client.message().payload == b"behind"


# --- offsets, since, gaps ---


@pytest.mark.parametrize("since, first", [("earliest", 1), ("0", 1), ("3", 4), ("-2", 9),
                                          ("now", None)])
def test_since_on_subscribe_replays(broker, since, first, channel):
    with connected(broker) as client:
        for number in range(1, 11):
            client.publish(channel, str(number), 1)
        client.subscribe(channel, qos=1, values={"user": [("since", since), ("offset", "true")]})
        found = client.nothing_until(client, channel)
        assert [got.payload for got in found] == [
            str(number).encode() for number in range(first or 11, 11)]
        assert [got.user["offset"] for got in found] == [
            str(number) for number in range(first or 11, 11)]


def test_an_id_resumes(broker, channel):
    with connected(broker) as client:
        ids = [client.publish(channel, str(number), 1).user["id"] for number in range(5)]
        client.subscribe(channel, values={"user": [("since", ids[2]), ("id", "true")]})
        found = client.nothing_until(client, channel)
        assert [got.user["id"] for got in found] == ids[3:]


def test_a_since_that_is_none_is_refused(broker, channel):
    with connected(broker) as client:
        answer = client.subscribe(channel, values={"user": [("since", "yesterday")]}, expect=False)
        assert answer.reasons[0] >= 0x80
        assert answer.values.get("reason_string")


def test_offsets_are_sent_only_where_they_were_asked_for(broker, channel):
    with connected(broker) as plain, connected(broker) as asking:
        plain.subscribe(channel)
        asking.subscribe(channel, values={"user": [("offset", "true")]})
        plain.publish(channel, b"x")
        assert plain.message().user == {}
        user = asking.message().user
        assert user["offset"] == "1" and user["id"].startswith("t1")


def test_a_gap_is_told(start_broker):
    broker = start_broker(config='channels: [{ match: "**", history: { messages: 5 } }]')
    with connected(broker) as client:
        for number in range(1, 21):
            client.publish("a/b", str(number), 1)
        client.subscribe("a/b", qos=1, values={"user": [("since", "2"), ("offset", "true")]})
        gap = client.message()
        assert gap.topic == "$gap/a/b" and gap.qos == 0 and b'"expired"' in gap.payload
        assert b'"from":3' in gap.payload and b'"to":15' in gap.payload
        assert client.payloads(5) == [str(number).encode() for number in range(16, 21)]


# --- shared subscriptions ---


@proves(v5="4.8.2-1")
def test_a_group_gets_each_message_once(broker, channel):
    with connected(broker) as one, connected(broker) as two, connected(broker) as publisher:
        for client in (one, two):
            client.subscribe(f"$share/{name_of(channel)}/{channel}/+", qos=1)
        for number in range(40):
            publisher.publish(f"{channel}/{number % 3}", str(number), 1)
        found = []
        while len(found) < 40:
            for client in (one, two):
                try:
                    found.append(client.message(0.2).payload)
                except TimeoutError:
                    pass
        assert sorted(found, key=int) == [str(number).encode() for number in range(40)]


def test_a_shared_subscription_has_no_retained_messages(broker, channel):
    with connected(broker) as client:
        client.publish(channel, b"kept", 1, retain=True)
        client.subscribe(f"$share/{name_of(channel)}/{channel}", qos=1)
        client.publish(channel, b"x", 1)
        assert client.message().payload == b"x"


@proves(v5="4.8.2-3")
def test_a_group_respects_the_granted_qos(broker, channel):
    with connected(broker) as client:
        client.subscribe(f"$share/{name_of(channel)}/{channel}", qos=0)
        client.publish(channel, b"x", 2)
        assert client.message().qos == 0


@proves(v5="4.8.2-6")
def test_what_a_member_refuses_is_not_sent_to_another(broker, channel):
    group = f"$share/{name_of(channel)}/{channel}"
    with connected(broker) as one, connected(broker) as two:
        one.subscribe(group, qos=1)
        one.publish(channel, b"refused", 1)
        got = one.raw_message()
        two.subscribe(group, qos=1)
        one.send(acknowledge(PUBACK, got.number, V5, 0x80))
        one.ping()
        one.disconnect()
        two.publish(channel, b"next", 1)
        assert two.message().payload == b"next"


def test_what_a_member_did_not_acknowledge_goes_to_another(broker, channel):
    group = f"$share/{name_of(channel)}/{channel}"
    with connected(broker) as one, connected(broker) as two:
        one.subscribe(group, qos=1)
        one.publish(channel, b"x", 1)
        assert one.raw_message().payload == b"x"
        two.subscribe(group, qos=1)
        one.close()
        assert two.message(30).payload == b"x"


# --- $SYS ---


@each_version
def test_the_brokers_topics_can_be_read_by_name(broker, version):
    with connected(broker, version=version) as client:
        client.subscribe("$SYS/#")
        got = client.expect(PUBLISH, 30)
        assert got.topic.startswith("$SYS/") and got.payload


LEAVING = {
    "closes": lambda client, _: client.close(),
    "resets": lambda client, _: client.transport.connection.reset(),
    "is_taken_over": lambda client, take_over: take_over(),
}


@pytest.mark.parametrize("way", LEAVING)
@pytest.mark.parametrize("group, values", [("", None), ("$share/g/", None),
                                           ("", {"user": [("since", "earliest")]})],
                         ids=["plain", "shared", "since"])
def test_a_client_that_goes_inside_a_subscribe_does_no_harm(broker, channel, way, group, values):
    name, kept = name_of(channel), {"session_expiry": 100}

    def connect():
        return connected(broker, name, clean=False, values=kept)

    for number in range(25):
        client = connect()
        client.send(subscribe(1, [(f"{group}{channel}/{number}", 1)], V5, values))
        LEAVING[way](client, lambda: connect().close())
        client.close()
    with connect() as client:
        client.ping()


@proves(v5="3.8.4-1 3.10.4-4")
def test_many_small_packets_in_one_write_are_each_answered(broker, channel):
    with connected(broker) as client:
        data = b""
        for number in range(1, 101):
            data += subscribe(number, [(f"{channel}/{number}", 0)], V5)
            data += unsubscribe(number + 100, [f"{channel}/{number}"], V5)
        client.send(data)
        for number in range(1, 101):
            assert client.expect(SUBACK).number == number
            assert client.expect(UNSUBACK).number == number + 100
