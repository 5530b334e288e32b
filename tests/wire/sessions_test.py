# SPDX-License-Identifier: Apache-2.0
"""What the operator sees of MQTT sessions, and the end of one."""
import re
import urllib.parse

import pytest

from harness import http
from harness.broker import wait_for
from harness.mqtt import V5, Client, connected, each_version, name_of

KEPT = {"clean": False, "values": {"session_expiry": 3600}}
ADMINISTRATIVE_ACTION = 0x98


def ask(broker, method, target):
    return http.request(broker.operator, method, "/api/v1/sessions" + target)


def page(broker, query=""):
    answer = ask(broker, "GET", query)
    assert answer.status == 200 and answer.type == "application/json", answer
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def find(broker, client_id):
    rows = page(broker, "?limit=1000")["sessions"]
    return next((row for row in rows if row["client_id"] == client_id), None)


def dismiss(broker, client_id):
    return ask(broker, "DELETE", "/" + urllib.parse.quote(client_id)).status


def figure(broker, name):
    text = http.request(broker.operator, "GET", "/metrics").body.decode()
    return float(re.search(rf"^{name} (\S+)$", text, re.MULTILINE).group(1))


def test_a_session_is_listed_while_it_is_connected_and_while_it_is_away(broker, channel):
    name = name_of(channel)
    with connected(broker, name, **KEPT) as client:
        client.subscribe(channel, qos=1)
        row = find(broker, name)
        assert row.pop("connection") > 0
        assert row == {"client_id": name, "connected": True, "away_since": None,
                       "expires": None, "state_bytes": None, "will": None}
        client.disconnect()
    row = wait_for(lambda: (row := find(broker, name)) and not row["connected"] and row)
    assert row["state_bytes"] > len(channel) and row["will"] is False
    assert row["away_since"][:10] <= row["expires"][:10] and row["expires"][-1] == "Z"
    connected(broker, name).disconnect()
    wait_for(lambda: find(broker, name) is None)


def test_a_will_that_waits_is_told(broker, channel):
    name = name_of(channel)
    will = {"topic": channel, "payload": b"gone", "values": {"will_delay": 1000}}
    connected(broker, name, will=will, **KEPT).close()
    wait_for(lambda: (row := find(broker, name)) and row["will"])
    with connected(broker) as reader:
        reader.subscribe(channel)
        assert dismiss(broker, name) == 204
        assert reader.message().payload == b"gone"
    assert find(broker, name) is None


def test_pages_hold_each_session_once_in_order(start_broker):
    broker = start_broker()
    names = sorted(f"s/{number * 37 % 100}" for number in range(100))
    for name in names[::-1]:
        connected(broker, name, **KEPT).disconnect()
    found, query = [], "?limit=7"
    while True:
        answer = page(broker, query)
        found += [row["client_id"] for row in answer["sessions"]]
        if answer["next"] is None:
            break
        assert answer["next"] == found[-1] and len(answer["sessions"]) == 7
        query = "?limit=7&after=" + urllib.parse.quote(answer["next"], safe="")
    assert found == names
    broker.wait_metric("tidings_mqtt_sessions_away", 100)
    broker.wait_metric("tidings_mqtt_sessions_connected", 0)
    broker.kill()
    broker.start()
    assert [row["client_id"] for row in page(broker)["sessions"]] == names


def test_a_session_that_is_away_is_ended(broker, channel):
    name = name_of(channel) + "/é \"x\""
    assert dismiss(broker, name) == 404
    connected(broker, name, **KEPT).disconnect()
    wait_for(lambda: not find(broker, name)["connected"])
    assert dismiss(broker, name) == 204
    assert dismiss(broker, name) == 404
    with connected(broker, name, **KEPT) as client:
        assert not client.connack.is_present
        client.disconnect()
    dismiss(broker, name)


@each_version
def test_a_client_that_is_connected_is_told_to_go_and_its_session_ends(broker, version, channel):
    name = name_of(channel)
    kept = KEPT if version == V5 else {"clean": False}
    with connected(broker, name, version, **kept) as client:
        client.subscribe(channel, qos=1)
        assert dismiss(broker, name) == 204
        assert client.end() == (ADMINISTRATIVE_ACTION if version == V5 else None)
    wait_for(lambda: find(broker, name) is None)
    with connected(broker, name, version, **kept) as client:
        assert not client.connack.is_present
        client.disconnect()
    dismiss(broker, name)


def test_more_sessions_than_are_allowed_are_refused(start_broker):
    broker = start_broker(config="mqtt: {sessions_max: 2}\n")
    with connected(broker, "one"), Client(broker) as third:
        connected(broker, "two", **KEPT).disconnect()
        third.connect("three", expect=0x97)
        assert figure(broker, "tidings_mqtt_sessions_refused_total") == 1
        with connected(broker, "two", **KEPT) as known:
            assert known.connack.is_present
    assert wait_for(lambda: dismiss(broker, "two") == 204)
    connected(broker, "three").disconnect()


@pytest.mark.parametrize("query, field", [("?limit=0", "limit"), ("?limit=1001", "limit"),
                                          ("?after=" + "x" * 257, "after")])
def test_a_query_that_means_nothing_names_its_field(broker, query, field):
    answer = ask(broker, "GET", query)
    assert answer.status == 400 and answer.json()["field"] == field


def test_a_takeover_is_counted_and_logged(start_broker):
    broker = start_broker()
    with connected(broker, "twin") as old, connected(broker, "twin") as young:
        assert old.end() == 0x8e
        assert young.is_open()
        assert figure(broker, "tidings_mqtt_sessions_taken_over_total") == 1
    wait_for(lambda: any("SESSION_TAKEN_OVER" in line and "client_id=twin" in line
                         for line in broker.logged))


def test_an_expired_session_is_counted(start_broker):
    broker = start_broker()
    connected(broker, "short", values={"session_expiry": 1}, clean=False).disconnect()
    wait_for(lambda: figure(broker, "tidings_mqtt_sessions_expired_total") == 1)
    assert find(broker, "short") is None
