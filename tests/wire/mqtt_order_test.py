# SPDX-License-Identifier: Apache-2.0
"""One log: readers of all protocols see one order and one set of offsets, whoever publishes."""
import json
import threading

import pytest

from harness.mqtt import V3, V5, connected
from harness.websocket import WebSocket

PUBLISHERS = 8
EACH = 250


class HttpPublisher:
    def __init__(self, broker, _):
        self.connection = broker.connect()

    def publish(self, channel, text):
        answer = self.connection.request("POST", "/channels/" + channel,
                                         {"Content-Type": "application/json"}, text.encode())
        assert answer.status == 200, answer

    def close(self):
        self.connection.close()


class SocketPublisher:
    def __init__(self, broker, _):
        self.socket = WebSocket(broker.public, "/stream")
        self.refs = 0

    def publish(self, channel, text):
        self.refs += 1
        self.socket.send_json({"publish": {"channel": channel, "data": json.loads(text)},
                               "ref": self.refs})
        assert "ok" in self.socket.recv_json()

    def close(self):
        self.socket.close()


class MqttPublisher:
    """Versions and qualities of service in turn."""

    def __init__(self, broker, number):
        self.client = connected(broker, version=(V3, V5)[number % 2],
                                transport=("tcp", "websocket")[number // 2 % 2])
        self.qos = 1 + number // 4 % 2

    def publish(self, channel, text):
        self.client.publish(channel, text, self.qos)

    def close(self):
        self.client.close()


KINDS = [HttpPublisher, SocketPublisher, MqttPublisher, MqttPublisher]


def publish_all(broker, channel, number, faults):
    try:
        publisher = KINDS[number % len(KINDS)](broker, number)
        for index in range(EACH):
            publisher.publish(f"{channel}/{index % 3}", json.dumps([number, index]))
        publisher.close()
    except Exception as fault:  # pylint: disable=broad-except
        faults.append(fault)


@pytest.mark.deadline(200)
def test_all_protocols_see_one_order_and_one_set_of_offsets(broker, channel):
    pattern, total = channel + "/#", PUBLISHERS * EACH
    asking = {"user": [("offset", "true")]}
    with broker.events(f"/channels/{channel}/**", timeout_s=60) as events, \
            WebSocket(broker.public, f"/channels/{channel}/**", timeout_s=60) as socket, \
            connected(broker, version=V3) as old, connected(broker) as new, \
            connected(broker, transport="websocket") as exact:
        old.subscribe(pattern, qos=1)
        new.subscribe(pattern, qos=0, values=asking)
        exact.subscribe(pattern, qos=2, values=asking)
        faults = []
        threads = [threading.Thread(target=publish_all, args=(broker, channel, number, faults),
                                    daemon=True) for number in range(PUBLISHERS)]
        for thread in threads:
            thread.start()
        seen = {
            "sse": [(one["channel"], one["data"], one["offset"], one["id"])
                    for one in (events.next(60).json() for _ in range(total))],
            "websocket": [(one["channel"], one["data"], one["offset"], one["id"])
                          for one in (socket.recv_message(60) for _ in range(total))]}
        for name, client in (("5.0", new), ("5.0, QoS 2", exact)):
            seen[name] = [(got.topic, json.loads(got.payload), int(got.user["offset"]),
                           got.user["id"]) for got in client.messages(total, 120)]
        plain = [(got.topic, json.loads(got.payload)) for got in old.messages(total, 120)]
        for thread in threads:
            thread.join(30)
    assert faults == []
    for name, found in seen.items():
        assert found == seen["sse"], name
    assert plain == [(topic, data) for topic, data, _, _ in seen["sse"]]
    for index in range(3):
        offsets = [offset for topic, _, offset, _ in seen["sse"] if topic.endswith(f"/{index}")]
        assert offsets == list(range(1, len(offsets) + 1))
    for number in range(PUBLISHERS):
        assert [data[1] for _, data, _, _ in seen["sse"] if data[0] == number] == list(range(EACH))


def test_an_id_of_one_protocol_resumes_another(broker, channel):
    ids = [broker.publish(channel, number)["id"] for number in range(6)]
    with connected(broker) as client:
        client.subscribe(channel, values={"user": [("since", ids[2]), ("id", "true")]})
        got = client.message()
        assert got.payload == b"3"
    page = broker.page(channel, since=got.user["id"])
    assert [message["data"] for message in page["messages"]] == [4, 5]
