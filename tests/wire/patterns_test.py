# SPDX-License-Identifier: Apache-2.0
"""Patterns: whoever reads one sees what the readers of its channels see, live and catching up."""
import json
import random
import threading

import pytest

from harness.broker import wait_for
from harness.readers import KINDS, STREAMS, EventReader, SubscribedReader
from harness.websocket import Refused

CHANNELS = 8
SECONDS = 2.5  # two folds, which come every second
PUBLISHERS = 3


class Traffic:
    """Publishes {"n": …} to channels taken at random, until it is left; what is sent and what was
    answered can be looked at afterwards."""

    def __init__(self, broker, channels, pause_s=0.002, size=30):
        self.broker, self.channels, self.pause_s, self.size = broker, channels, pause_s, size
        self.is_over = threading.Event()
        self.answers, self.faults = [], []
        self.threads = [threading.Thread(target=self.publish, args=(index,), daemon=True)
                        for index in range(PUBLISHERS)]

    def publish(self, index):
        source = random.Random(index)
        try:
            with self.broker.connect() as connection:
                while not self.is_over.wait(self.pause_s):
                    body = json.dumps({"p": index, "x": "x" * source.randint(0, self.size)})
                    answer = connection.request(
                        "POST", "/channels/" + source.choice(self.channels),
                        {"Content-Type": "application/json"}, body.encode())
                    assert answer.status == 200, answer
                    self.answers.append(answer.json())
        except Exception as fault:  # pylint: disable=broad-except
            self.faults.append(fault)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        for thread in self.threads:
            thread.join()
        assert self.faults == []


class Follower:
    """Reads on a thread up to and with the last message of a channel of its own."""

    def __init__(self, reader):
        self.reader, self.seen, self.fault = reader, [], None
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def follow(self):
        try:
            while not self.seen or self.seen[-1]["data"] != "end":
                self.seen.append(self.reader.message(60))
        except Exception as fault:  # pylint: disable=broad-except
            self.fault = fault
        finally:
            self.reader.close()

    def finish(self):
        self.thread.join(80)
        assert not self.thread.is_alive() and self.fault is None, self.fault
        return self.seen


def pattern_history(broker, pattern):
    """All messages that a pattern names, by pages, in order of the log."""
    messages, gaps = broker.all_messages(pattern)
    assert gaps == []
    return messages


@pytest.mark.deadline(200)
@pytest.mark.parametrize("size", [30, 3000])
def test_readers_of_a_pattern_and_of_its_channels_see_the_same(start_broker, size):
    """Live and catching up, across folds, on two workers, by every protocol."""
    broker = start_broker("--workers", "2")
    channels = [f"p/{number}" for number in range(CHANNELS)] + ["p/end"]
    patterns = ("p/*", "p/**", "**")
    broker.fill("other/a", 3)
    live = {(kind, pattern): Follower(KINDS[kind](broker, [pattern]))
            for kind in KINDS for pattern in patterns}
    parts = {channel: KINDS["websocket"](broker, [channel]) for channel in channels}
    catching_up = {}
    with Traffic(broker, channels[:-1], size=size) as traffic:
        moments = iter(sorted(random.uniform(0, SECONDS) for _ in KINDS for _ in (1, 2)))
        begun = 0.0
        for kind in KINDS:
            for pattern in ("p/*", "p/**"):
                moment = next(moments)
                traffic.is_over.wait(moment - begun)
                begun = moment
                catching_up[kind, pattern] = Follower(
                    KINDS[kind](broker, [pattern], since="earliest"))
    broker.publish("p/end", "end")
    whole = pattern_history(broker, "p/*")
    assert len(whole) == len(traffic.answers) + 1
    assert {message["id"] for message in whole[:-1]} == \
        {answer["id"] for answer in traffic.answers}
    for channel, reader in parts.items():
        of_channel = [message for message in whole if message["channel"] == channel]
        assert [message["offset"] for message in of_channel] == \
            list(range(1, len(of_channel) + 1))
        assert reader.messages(len(of_channel)) == of_channel, channel
        assert broker.all_messages(channel)[0] == of_channel
        reader.close()
    for name, follower in {**live, **{("late", *key): value
                                      for key, value in catching_up.items()}}.items():
        seen = follower.finish()
        assert [message["id"] for message in seen] == [message["id"] for message in whole], name
        assert seen == whole, name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pattern, matching, others", [
    ("{}/*", ["{}/a", "{}/b"], ["{}", "{}/a/b", "{}x/a"]),
    ("{}/**", ["{}", "{}/a", "{}/a/b/c"], ["{}x", "x{}"]),
    ("{}/*/c", ["{}/a/c", "{}/b/c"], ["{}/a", "{}/c", "{}/a/c/d", "{}/a/d"]),
    ("{}/*/c/**", ["{}/a/c", "{}/a/c/d"], ["{}/a/d", "{}/c"]),
])
def test_a_pattern_names_these_channels_and_no_others(broker, channel, kind, pattern, matching,
                                                     others):
    channel = channel.replace("/", "-")
    with KINDS[kind](broker, [pattern.format(channel)]) as reader:
        for name in others + matching:
            broker.publish(name.format(channel), name)
        assert [reader.message()["data"] for _ in matching] == matching
        assert kind == "pages" or reader.is_silent(0.1)
    with KINDS[kind](broker, [pattern.format(channel)], since="earliest") as reader:
        assert [reader.message()["data"] for _ in matching] == matching


def test_a_channel_that_is_born_later_joins_the_readers_of_its_pattern(broker, channel):
    readers = [STREAMS[kind](broker, [channel + "/**"]) for kind in STREAMS]
    for number in range(30):
        answer = broker.publish(f"{channel}/{number}", number)
        for reader in readers:
            message = reader.message()
            assert (message["id"], message["data"]) == (answer["id"], number)
    for reader in readers:
        reader.close()


@pytest.mark.parametrize("selectors", [
    ["{}/a", "{}/a", "{}/*"], ["{}/*", "{}/**"], ["{}/**", "{}/a", "{}/b", "{}/*"]])
def test_a_message_that_several_selectors_name_comes_once(broker, channel, selectors):
    selectors = [selector.format(channel) for selector in selectors]
    with EventReader(broker, selectors) as live:
        names = [f"{channel}/{name}" for name in "abab"]
        answers = [broker.publish(name, number) for number, name in enumerate(names)]
        expected = [answer["id"] for answer in answers]
        assert [live.message()["id"] for _ in answers] == expected
        assert live.is_silent(0.1)
    with EventReader(broker, selectors, since="earliest") as late:
        assert [late.message()["id"] for _ in answers] == expected
        broker.publish(names[0], "on")
        assert late.message()["data"] == "on"


@pytest.mark.parametrize("pattern", ["a/**/b", "a*", "a/b*", "a/*b/c", "**/a", "a/+", "a/#"])
def test_what_is_no_pattern_is_refused_and_named(broker, pattern):
    answer = broker.get("/channels/" + pattern.replace("#", "%23"))
    assert answer.status == 400 and answer.type == "application/problem+json", answer
    target = "/stream?channel=" + pattern.replace("+", "%2B").replace("#", "%23")
    answer = broker.get(target, {"Accept": "text/event-stream"})
    assert answer.status == 400 and answer.json()["field"] == "channel", answer
    with pytest.raises(Refused) as refused:
        broker.websocket("/channels/" + pattern.replace("#", "%23"))
    assert refused.value.response.status == 400


def test_nobody_publishes_to_a_pattern(broker, channel):
    for name in (channel + "/*", channel + "/**"):
        answer = broker.post(name, b"1")
        assert answer.status == 400 and answer.type == "application/problem+json"
    assert broker.page(channel + "/**")["messages"] == []


def test_a_page_of_a_pattern_walks_both_ways(broker, channel):
    answers = [broker.publish(f"{channel}/{number % 7}", number) for number in range(40)]
    expected = [answer["id"] for answer in answers]
    pattern = channel + "/*"
    assert [one["id"] for one in broker.page(pattern, limit=9)["messages"]] == expected[-9:]
    seen, since = [], "earliest"
    while True:
        page = broker.page(pattern, since=since, limit=9)
        seen += [message["id"] for message in page["messages"]]
        since = page["next"]
        if page["at_head"]:
            break
    assert seen == expected
    page, back = broker.page(pattern, limit=9), []
    while page["messages"]:
        back = [message["id"] for message in page["messages"]] + back
        page = broker.page(pattern, before=page["prev"], limit=9)
    assert back == expected
    middle = broker.page(pattern, since=expected[4], before=expected[20])
    assert [message["id"] for message in middle["messages"]] == expected[5:20]


@pytest.mark.parametrize("kind", KINDS)
def test_a_pattern_starts_where_it_says(broker, channel, kind):
    pattern = channel + "/**"
    answers = [broker.publish(f"{channel}/{number % 3}", number) for number in range(10)]
    moment = broker.page(pattern, since=answers[3]["id"])["messages"][0]["time"]
    for since, expected in (("earliest", 0), (answers[4]["id"], 5), ("-1h", 0), (moment, None)):
        with KINDS[kind](broker, [pattern], since=since) as reader:
            first = reader.message()["data"]
            if expected is None:
                assert first <= 4
            else:
                assert first == expected
            assert [reader.message()["data"] for _ in range(9 - first)] == \
                list(range(first + 1, 10))


def test_an_expired_part_of_a_pattern_is_told_as_a_gap(start_broker):
    """{"pattern", "after", "resumed"}; what is between the two is what is missing, no more."""
    broker = start_broker(config="""
channels:
  - match: "short/**"
    history: { messages: 3 }
""")
    start = broker.publish("short/start", "s")
    for number in range(10):
        broker.publish(f"short/{number % 2}", number)
    wait_for(lambda: broker.page("short/0")["first"] > 1, what="the end of the first ones")
    for kind in KINDS:
        with KINDS[kind](broker, ["short/**"], since=start["id"]) as reader:
            gaps, seen = [], []
            while len(seen) < 6:
                entry = reader.entry()
                if "gap" in entry:
                    gaps.append(entry["gap"])
                elif "offset" in entry:
                    seen.append(entry["data"])
            assert seen == [4, 5, 6, 7, 8, 9], kind
            assert gaps and all(gap["pattern"] == "short/**" for gap in gaps), (kind, gaps)
            assert gaps[0]["after"] == start["id"] and gaps[0]["resumed"], (kind, gaps)
            assert {gap["reason"] for gap in gaps} == {"expired"}, (kind, gaps)


def test_a_pattern_of_which_nothing_was_lost_has_no_gap(start_broker):
    broker = start_broker(config="""
channels:
  - match: "short/**"
    history: { messages: 3 }
""")
    start = broker.publish("quiet/a", 1)
    broker.fill("short/a", 20)
    broker.publish("quiet/b", 2)
    for kind in KINDS:
        with KINDS[kind](broker, ["quiet/**"], since=start["id"]) as reader:
            entries = reader.until(lambda entry: "offset" in entry)
            assert entries[-1]["data"] == 2 and not any("gap" in one for one in entries), kind


@pytest.mark.deadline(90)
def test_a_reader_of_a_quiet_pattern_is_told_how_far_it_is(start_broker):
    """Ten thousand messages for others; who resumes from what was told does not walk them again."""
    broker = start_broker("--workers", "2")
    start = broker.publish("quiet/a", 1)["id"]
    lines = b"".join(b'{"n":%d}\n' % number for number in range(2000))
    for number in range(5):
        answer = broker.post(f"busy/{number}", lines, "application/x-ndjson")
        assert answer.status == 200, answer
    readers = {kind: STREAMS[kind](broker, ["quiet/**"], since=start, timeout_s=60)
               for kind in STREAMS}
    for kind, reader in readers.items():
        while reader.at in (start, None):
            assert "at" in reader.entry(50), kind
        with STREAMS[kind](broker, ["busy/**"], since=reader.at) as behind:
            assert behind.is_silent(0.2), f"{kind}: {reader.at} is behind what was walked"
    broker.publish("quiet/a", "on")
    for kind, reader in readers.items():
        assert reader.message()["data"] == "on", kind
        reader.close()


def test_readers_of_ten_thousand_channels_by_one_pattern(start_broker):
    """More channels than any merge takes: the walk gives the same."""
    broker = start_broker("--workers", "2")
    total = 6000
    for first in range(0, total, 1000):
        body = json.dumps([{"channel": f"many/{number}", "data": number}
                           for number in range(first, first + 1000)]).encode()
        answer = broker.request("POST", "/publish", {"Content-Type": "application/json"}, body)
        assert answer.status == 200, answer
    for kind in STREAMS:
        with STREAMS[kind](broker, ["many/*"], since="earliest") as reader:
            assert [message["data"] for message in reader.messages(total)] == list(range(total))
    assert len(pattern_history(broker, "many/*")) == total
    with SubscribedReader(broker, ["many/*"], since="earliest") as reader:
        half = reader.messages(total // 2)[-1]["id"]
    with EventReader(broker, ["many/*"], resume=half) as reader:
        assert reader.message()["data"] == total // 2
