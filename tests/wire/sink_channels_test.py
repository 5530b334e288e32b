# SPDX-License-Identifier: Apache-2.0
"""A sink whose channels are changed sends those that are newly named from its place on, also what
lies between messages that it has sent already, and nothing of these twice."""
import collections
import json
import pathlib
import signal

import pytest

from harness import http
from harness.broker import wait_for
from harness.receiver import Answer, OK, Receiver
from harness.sinks import ask, configuration, webhook

EACH = 560  # messages of each channel: more holes than a ledger keeps as ranges
CHANNELS = ("a/sick", "a/well", "b/new", "a/more")  # what is new lies between what is done
MORE = ("a/**", "b/**")


def publish_all(broker):
    body = json.dumps([{"channel": channel, "data": number}
                       for number in range(EACH) for channel in CHANNELS]).encode()
    answer = broker.request("POST", "/publish", {"Content-Type": "application/json"}, body)
    assert answer.status == 200, answer


def numbers(receiver, channel):
    return [request.json()["data"] for request in receiver.accepted()
            if request.json()["channel"] == channel]


def change_by_put(broker, row):
    ask(broker, "PUT", "/s", row)


def change_by_reload(broker, row):
    write(broker, row)
    broker.signal(signal.SIGHUP)


def change_while_dead(broker, row):
    broker.kill()
    write(broker, row)
    broker.start()


def write(broker, row):
    pathlib.Path(broker.scratch, "tidings.yaml").write_text(configuration(row), encoding="utf-8")


@pytest.mark.deadline(180)
@pytest.mark.parametrize("mode, change", [
    ("ordered", change_by_put), ("ordered", change_by_reload), ("ordered", change_while_dead),
    ("parallel", change_by_put)])
def test_newly_named_channels_lack_nothing_behind_the_place(start_broker, mode, change):
    is_healed = []

    def answer(request):
        is_sick = request.json()["channel"] == "a/sick" and request.json()["data"] % 2 == 0
        return Answer(500) if is_sick and not is_healed else OK

    with Receiver(answer) as receiver:
        row = webhook(receiver.url, start="earliest", waits=["1h"] * 5, concurrency=64, mode=mode)
        declared = change is change_by_put
        broker = start_broker(config=configuration(*([] if declared else [row])))
        if declared:
            ask(broker, "POST", body=row)
        publish_all(broker)
        wait_for(lambda: len(numbers(receiver, "a/more")) == EACH, 60, "all of the old channels")
        assert not numbers(receiver, "b/new")
        change(broker, {**row, "channels": list(MORE)})
        wait_for(lambda: len(set(numbers(receiver, "b/new"))) >= EACH // 4, 60, "some of the new")
        broker.kill()
        broker.start()
        wait_for(lambda: len(set(numbers(receiver, "b/new"))) == EACH, 60, "all of the new one")
        is_healed.append(True)
        resumed = http.request(broker.operator, "POST", "/api/v1/sinks/s/resume")
        assert resumed.status == 200, resumed
        wait_for(lambda: len(set(numbers(receiver, "a/sick"))) == EACH, 60, "all")
        for channel in CHANNELS:
            got = numbers(receiver, channel)
            assert set(got) == set(range(EACH))
            if channel == "b/new":
                assert max(collections.Counter(got).values()) <= 2, "more often than it was killed"
            else:
                assert len(got) < EACH + EACH // 2, (channel, len(got))  # just before the kills
