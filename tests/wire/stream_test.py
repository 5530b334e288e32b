# SPDX-License-Identifier: Apache-2.0
"""Many channels as one: pages and event streams of patterns, /stream with one id, and what happens
to readers that fall behind."""
import json
import random
import threading

import pytest

from harness import http
from harness.broker import Broker, wait_for

PADDING = "x" * 20000
JSON = {"Accept": "application/json"}


def names(channel, count):
    return [f"{channel}/{number}" for number in range(count)]


def selectors_of(channels):
    return "&".join("channel=" + name for name in channels)


def values(page):
    return [message["data"]["n"] for message in page["messages"]]


def publish_round_robin(broker, channels, count, first=1):
    """{"n": 1} … over all channels in turn; gives the answers."""
    answers = []
    with broker.connect() as connection:
        for number in range(first, first + count):
            answer = connection.request(
                "POST", "/channels/" + channels[number % len(channels)],
                {"Content-Type": "application/json"}, b'{"n":%d}' % number)
            assert answer.status == 200
            answers.append(answer.json())
    return answers


# --- pages ------------------------------------------------------------------------------------


def test_a_page_of_a_pattern_is_in_the_order_of_the_log(broker, channel):
    publish_round_robin(broker, names(channel, 3), 12)
    page = broker.page(channel + "/*")
    assert values(page) == list(range(1, 13)) and page["at_head"] is True
    assert page["first"] is None and page["last"] is None and "gap" not in page
    assert {message["channel"] for message in page["messages"]} == set(names(channel, 3))


@pytest.mark.parametrize("pattern, seen", [
    ("*", ["a", "b"]), ("**", ["", "a", "b", "a/c"]), ("a/**", ["a", "a/c"]), ("*/c", ["a/c"]),
    ("a", ["a"])])
def test_a_pattern_is_segments(broker, channel, pattern, seen):
    for name in ("", "/a", "/b", "/a/c"):
        broker.publish(channel + name, {})
    broker.publish(channel + "x/a", {})
    page = broker.page(f"{channel}/{pattern}")
    assert [message["channel"] for message in page["messages"]] == \
        [channel + ("/" + name if name else "") for name in seen]


def test_pages_of_a_pattern_walk_both_ways(broker, channel):
    publish_round_robin(broker, names(channel, 7), 50)
    seen, since = [], "earliest"
    while True:
        page = broker.page(channel + "/**", since=since, limit=7)
        seen += values(page)
        since = page["next"]
        if page["at_head"]:
            break
    assert seen == list(range(1, 51))
    page = broker.page(channel + "/**", limit=8)
    assert values(page) == list(range(43, 51))
    back = broker.page(channel + "/**", before=page["prev"], limit=8)
    assert values(back) == list(range(35, 43))


def test_since_of_a_pattern_is_an_id_or_a_time(broker, channel):
    answers = publish_round_robin(broker, names(channel, 3), 9)
    pattern = channel + "/*"
    assert values(broker.page(pattern, since=answers[3]["id"])) == list(range(5, 10))
    assert values(broker.page(pattern, since="-4")) == [6, 7, 8, 9]
    assert values(broker.page(pattern, since="-1h")) == list(range(1, 10))
    assert values(broker.page(pattern, since="now")) == []
    assert values(broker.page(pattern, before=answers[3]["id"], limit=2)) == [2, 3]


@pytest.mark.parametrize("target, field", [
    ("/channels/a/*?since=3", "since"), ("/channels/a/*?before=3", "before"),
    ("/channels/a/**/b", "channel"), ("/channels/a*", "channel"),
    ("/stream?channel=a&channel=b&since=3", "since"), ("/stream", "channel"),
    ("/stream?channel=", "channel"), ("/stream?channel=a&channel=b%2", "channel"),
    ("/stream?channel=a&on_lag=wait", "on_lag")])
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_what_means_nothing_of_many_is_refused_and_named(broker, target, field, accept):
    if "before" in target and accept != "application/json":
        return
    answer = broker.get(target, {"Accept": accept})
    assert answer.status == 400 and answer.json()["field"] == field


def test_nobody_publishes_to_a_pattern(broker, channel):
    assert broker.post(channel + "/*", b"1").status == 400
    assert broker.post("**", b"1").status == 400


def test_a_page_of_several_channels_holds_each_once(broker, channel):
    publish_round_robin(broker, names(channel, 4), 12)
    one, two = names(channel, 2)
    target = f"/stream?{selectors_of([one, two, one, channel + '/1/**'])}"
    page = broker.get(target + "&since=earliest", JSON).json()
    assert values(page) == [n for n in range(1, 13) if n % 4 < 2]
    assert broker.request("HEAD", target, JSON).status == 200


def test_a_poll_on_a_pattern_is_answered_by_any_of_its_channels(broker, channel):
    start = broker.page(channel + "/**")["next"]
    found = []
    poll = threading.Thread(target=lambda: found.append(
        broker.get(f"/channels/{channel}/**?since={start}&wait=30s").json()))
    poll.start()
    wait_for(lambda: broker.metric("tidings_watches_open") >= 1, what="the poll")
    broker.publish(channel + "/new/one", {"n": 1})
    poll.join(60)
    assert values(found[0]) == [1]


# --- event streams ----------------------------------------------------------------------------


@pytest.mark.parametrize("live", [False, True])
def test_a_pattern_reader_and_channel_readers_see_the_same(broker, channel, live):
    channels = names(channel, 5)
    before = broker.page(channel + "/*")["next"]
    if not live:
        publish_round_robin(broker, channels, 100)
    streams = [broker.events(f"/channels/{name}?since={before}") for name in channels]
    whole = broker.events(f"/channels/{channel}/*?since={before}")
    if live:
        publish_round_robin(broker, channels, 100)
    events = [whole.next() for _ in range(100)]
    assert [event.json()["data"]["n"] for event in events] == list(range(1, 101))
    for name, stream in zip(channels, streams):
        own = [(event.id, event.data) for event in events if event.json()["channel"] == name]
        assert [(event.id, event.data) for event in (stream.next() for _ in own)] == own
        stream.close()
    whole.close()


def test_a_channel_that_is_new_is_of_the_pattern_at_once(broker, channel):
    with broker.events(f"/channels/{channel}/**") as stream:
        broker.publish(channel + "/a/b", {"n": 1})
        broker.publish(channel, {"n": 2})
        assert [stream.next().json()["data"]["n"] for _ in range(2)] == [1, 2]


def test_a_stream_may_have_names_that_no_path_has(broker, channel):
    answer = broker.request("POST", f"/channels/?channel={channel}//x",
                            {"Content-Type": "application/json"}, b'{"n":1}')
    assert answer.status == 200
    with broker.events(f"/stream?channel={channel}%2F%2Fx&since=0") as stream:
        assert stream.next().json()["data"]["n"] == 1


def test_without_accept_a_stream_is_events(broker, channel):
    with broker.events(f"/stream?channel={channel}", headers={"Accept": "*/*"}) as stream:
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream"
    assert broker.get(f"/stream?channel={channel}", {"Accept": "image/png"}).status == 406


def test_a_stream_on_the_operators_port_is_a_page_or_406(broker, channel):
    broker.fill(channel, 2)
    target = f"/stream?channel={channel}"
    assert values(http.request(broker.operator, "GET", target, JSON).json()) == [1, 2]
    assert http.request(broker.operator, "GET", target,
                        {"Accept": "text/event-stream"}).status == 406


def resume_at_random(broker, channel, rounds):
    """Reads 51 channels, of which one is a thousand times busier, and breaks off at random."""
    quiet = names(channel, 50)
    busy = channel + "/busy"
    dice = random.Random(channel)
    target = f"/stream?{selectors_of([busy, *quiet[:25]])}&channel={channel}%2F*"
    start = broker.page(channel + "/**")["next"]
    expected = []

    def publish():
        with broker.connect(timeout_s=60) as connection:
            for number in range(4 * rounds):
                name = dice.choice(quiet) if number % 1000 == 0 or dice.random() < 0.001 else busy
                answer = connection.request("POST", "/channels/" + name,
                                            {"Content-Type": "application/json"}, b"{}")
                expected.append(answer.json()["id"])

    publisher = threading.Thread(target=publish)
    publisher.start()
    seen, last = [], start
    while len(seen) < 4 * rounds:
        with broker.events(target, last_event_id=last) as stream:
            for _ in range(min(random.randrange(1, 12), 4 * rounds - len(seen))):
                event = stream.next()
                assert event.event is None
                seen.append(event.id)
                last = event.id
    publisher.join()
    assert seen == expected


def test_random_resumes_lose_and_repeat_nothing(broker, channel):
    resume_at_random(broker, channel, 150)


@pytest.mark.heavy
@pytest.mark.beside
@pytest.mark.deadline(300)
def test_a_thousand_random_resumes_lose_and_repeat_nothing(broker, channel):
    resume_at_random(broker, channel, 1500)


def test_a_heartbeat_tells_progress_of_many(broker, channel):
    with broker.events(f"/stream?channel={channel}&channel={channel}/*") as stream:
        first = stream.block()
        assert first.id is not None and first.data is None
        last = broker.publish("elsewhere/" + channel, {})["id"]
        told = stream.block(60)
        assert told.data is None and told.id is not None
    with broker.events(f"/stream?channel=elsewhere/{channel}", last_event_id=told.id) as stream:
        broker.publish("elsewhere/" + channel, {"n": 2})
        event = stream.next()
        assert event.json()["data"] == {"n": 2} and event.id != last


# --- falling behind ---------------------------------------------------------------------------

SMALL = """
limits: { send_budget: 16KiB }
channels:
  - match: "scores/**"
    on_lag: conflate
  - match: "unkept/**"
    history: { messages: 0 }
"""


@pytest.fixture(scope="module", name="small")
def start_broker_of_small_budgets():
    broker = Broker(config=SMALL)
    try:
        broker.start()
        yield broker
        broker.stop()
    finally:
        broker.close()


def publish_large(broker, channel, count, keys=1):
    """`count` messages of 20 kB, {"n": 1} …, with keys in turn."""
    with broker.connect(timeout_s=60) as connection:
        for number in range(1, count + 1):
            body = json.dumps({"n": number, "k": number % keys, "x": PADDING}).encode()
            answer = connection.request("POST", "/channels/" + channel, {
                "Content-Type": "application/json", "Tidings-Key": f"k{number % keys}"}, body)
            assert answer.status == 200
    return answer.json()["id"]


def read_to(stream, last):
    """All events up to the one of that id, or up to the farewell."""
    events = []
    while not events or events[-1].id != last:
        events.append(stream.next(30))
        if events[-1].event == "close":
            break
    return events


def test_a_reader_that_catches_up_misses_nothing(small, channel):
    with small.events(f"/channels/{channel}") as stream:
        last = publish_large(small, channel, 600)
        events = read_to(stream, last)
    assert [event.json()["offset"] for event in events] == list(range(1, 601))


@pytest.mark.parametrize("target", ["/channels/{0}?on_lag=conflate", "/channels/scores/{0}",
                                    "/stream?channel={0}&channel={0}/*&on_lag=conflate"])
def test_a_reader_that_conflates_ends_on_the_newest_of_each_key(small, channel, target):
    name = f"scores/{channel}" if "scores" in target else channel
    with small.events(target.format(channel)) as stream:
        last = publish_large(small, name, 600, keys=7)
        events = [event.json() for event in read_to(stream, last)]
    numbers = [event["data"]["n"] for event in events]
    assert numbers == sorted(set(numbers)) and len(numbers) < 600
    assert {event["key"]: event["data"]["n"] for event in events} == \
        {f"k{n % 7}": n for n in range(594, 601)}
    assert len(events) + sum(event.get("skipped", 0) for event in events) == 600


@pytest.mark.parametrize("target", ["/channels/{0}?on_lag=drop", "/channels/unkept/{0}"])
def test_a_reader_that_drops_is_told_what_it_missed(small, channel, target):
    name = f"unkept/{channel}" if "unkept" in target else channel
    with small.events(target.format(channel)) as stream:
        publish_large(small, name, 600)
        seen, missed, last = [], 0, 0
        while last < 600:
            event = stream.next(30)
            if event.event == "gap":
                gap = event.json()
                assert gap["reason"] in ("dropped", "expired") and gap["from"] == last + 1
                missed += gap["to"] - gap["from"] + 1
                last = gap["to"]
            else:
                last = event.json()["offset"]
                seen.append(last)
        assert missed > 0 and len(seen) + missed == 600 and seen == sorted(set(seen))
        small.publish(name, {})
        assert stream.next().json()["offset"] == 601


def test_a_reader_that_wants_no_lag_is_cut_off_and_resumes(small, channel):
    seen, sent = [], []
    with small.events(f"/channels/{channel}?on_lag=disconnect") as stream:
        small.lag(lambda: sent.append(publish_large(small, channel, 10)))
        events = read_to(stream, sent[-1])
    close = events.pop()
    assert close.event == "close" and close.json() == {"code": "too-slow", "reconnect": True}
    seen += [event.json()["offset"] for event in events]
    with small.events(f"/channels/{channel}", last_event_id=events[-1].id if events else "0") \
            as stream:
        seen += [event.json()["offset"] for event in read_to(stream, sent[-1])]
    assert seen == list(range(1, 10 * len(sent) + 1))
