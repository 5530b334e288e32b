# SPDX-License-Identifier: Apache-2.0
"""What the operator is told of MQTT clients: which one it is, and that it does not acknowledge."""
import pytest

from harness import http
from harness.broker import wait_for
from harness.mqtt import V5, connected, each_version

ROOM = 5
CONFIG = f"mqtt: {{receive_max: {ROOM}}}\nlog: {{level: debug}}\n"


def get(broker, target):
    answer = http.request(broker.operator, "GET", target)
    assert answer.status == 200, answer
    return answer.json()


def row_of(broker, client_id):
    rows = get(broker, "/api/v1/connections?limit=1000")["connections"]
    row, = [row for row in rows if row["client_id"] == client_id]
    return row


@each_version
@pytest.mark.parametrize("qos", [1, 2])
def test_a_client_that_acknowledges_nothing_is_not_told_from_its_socket(start_broker, version, qos):
    broker = start_broker(config=CONFIG)
    with connected(broker, "silent", version) as silent, connected(broker) as publisher:
        silent.subscribe("a", qos=qos)
        for number in range(20):
            publisher.publish("a", str(number), 2)
        got = [silent.raw_message() for _ in range(ROOM)]
        wait_for(lambda: row_of(broker, "silent")["window_full"])
        row = row_of(broker, "silent")
        assert row["unacknowledged"] == ROOM and not row["blocked"]
        assert row["protocol"] == "mqtt" and row["readers"][0]["lag_messages"] == 20 - ROOM
        for one in got:
            silent.acknowledge(one)
        silent.messages(20 - ROOM)
        wait_for(lambda: row_of(broker, "silent")["unacknowledged"] == 0)
        assert row_of(broker, "silent")["unacknowledged_ms"] == 0
        assert not row_of(broker, "silent")["window_full"]


def test_a_member_of_a_group_that_is_stuck_is_seen_and_so_is_what_waits(start_broker):
    broker = start_broker(config=CONFIG)
    with connected(broker, "stuck") as stuck, connected(broker) as publisher:
        stuck.subscribe("$share/g/jobs", qos=1)
        for count in (20, 40):
            for _ in range(20):
                publisher.publish("jobs", "job", 1)
            wait_for(lambda lag=count - ROOM: broker.metric("tidings_group_lag_positions") == lag)
        row = row_of(broker, "stuck")
        assert row["window_full"] and row["unacknowledged"] == ROOM and row["readers"] == []
        wait_for(lambda: row_of(broker, "stuck")["unacknowledged_ms"] > 1000)


def test_a_session_names_its_connection(start_broker):
    broker = start_broker()
    values = {"session_expiry": 3600}
    with connected(broker, "here", values=values):
        session, = get(broker, "/api/v1/sessions")["sessions"]
        assert session["client_id"] == "here"
        assert session["connection"] == row_of(broker, "here")["id"]
    wait_for(lambda: get(broker, "/api/v1/sessions")["sessions"][0]["connection"] is None)


@each_version
def test_lines_about_a_client_name_it(start_broker, version):
    broker = start_broker(config=CONFIG)
    with connected(broker, "wrong", version) as wrong:
        wrong.publish("no*name", "", 1, expect=None)
        line, = broker.wait_logged("MQTT_PUBLISH_REFUSED" if version == V5
                                   else "MQTT_PUBLISH_DROPPED")
        assert line["client_id"] == "wrong"
        wrong.send(b"\x00\x00")
        line, = broker.wait_logged("MQTT_REFUSED")
        assert line["client_id"] == "wrong"
        wrong.end()
    line, = broker.wait_logged("CONNECTION_CLOSED")
    assert line["client_id"] == "wrong" and line["reason"] == "protocol_error"
