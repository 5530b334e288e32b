# SPDX-License-Identifier: Apache-2.0
"""A message that is never taken holds back its own channel, however much comes behind it; and all
comes, in order, when it is taken after all."""
import json

import pytest

from harness import http
from harness.broker import wait_for
from harness.receiver import Answer, OK, Receiver
from harness.sinks import configuration, webhook

EACH = 1500  # messages of each channel: more than a sink's window holds
AT_ONCE = 100


def publish_both(broker, first, count):
    """`count` messages of each channel, one of the one and one of the other."""
    for start in range(first, first + count, AT_ONCE):
        body = json.dumps([{"channel": channel, "data": number}
                           for number in range(start, start + AT_ONCE)
                           for channel in ("a/sick", "a/well")]).encode()
        answer = broker.request("POST", "/publish", {"Content-Type": "application/json"}, body)
        assert answer.status == 200, answer


def numbers(requests, channel):
    return [request.json()["data"] for request in requests if request.json()["channel"] == channel]


@pytest.mark.deadline(300)
def test_a_poisoned_channel_stops_no_other_and_loses_nothing(start_broker):
    is_healed = []

    def answer(request):
        return Answer(500) if request.json()["channel"] == "a/sick" and not is_healed else OK

    with Receiver(answer) as receiver:
        broker = start_broker(config=configuration(
            webhook(receiver.url, waits=["1h"] * 5, concurrency=64)))
        publish_both(broker, 0, EACH)
        wait_for(lambda: len(receiver.accepted()) >= EACH, 150, "all of the other channel")
        assert numbers(receiver.accepted(), "a/well") == list(range(EACH))
        assert numbers(receiver.requests, "a/sick") == [0]
        broker.stop()
        broker.start()
        publish_both(broker, EACH, AT_ONCE)
        wait_for(lambda: len(receiver.accepted()) >= EACH + AT_ONCE, 150, "what came later")
        assert numbers(receiver.accepted(), "a/well") == list(range(EACH + AT_ONCE))
        assert numbers(receiver.requests, "a/sick") == [0]
        is_healed.append(True)
        resumed = http.request(broker.operator, "POST", "/api/v1/sinks/s/resume")
        assert resumed.status == 200, resumed
        wait_for(lambda: len(receiver.accepted()) >= 2 * (EACH + AT_ONCE), 150, "all")
        assert numbers(receiver.accepted(), "a/sick") == list(range(EACH + AT_ONCE))
        assert numbers(receiver.accepted(), "a/well") == list(range(EACH + AT_ONCE))
