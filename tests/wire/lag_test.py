# SPDX-License-Identifier: Apache-2.0
"""Readers that fall behind, by policy: what each is told adds up to what was published."""
import base64
import json
import os
import random
import threading

import pytest

from harness.broker import wait_for
from harness.readers import STREAMS, EventReader, SocketReader, Subscriptions
from harness.websocket import PeerClosed

KEYS = 12
MESSAGES = 600
BODY_BYTES = 4000  # 2.4 MB: far above a send budget and two kernels' buffers
NARROW_BYTES = 4096
BUDGET = "limits: { send_budget: 16KiB }\n"

# A reader of one channel by each way in; of a pattern by each.
WAYS = [(kind, pattern) for kind in STREAMS for pattern in (False, True)]
NAMES = [kind + (" of a pattern" if pattern else "") for kind, pattern in WAYS]


def open_slow(broker, kind, selector, policy, **options):
    return STREAMS[kind](broker, [selector], on_lag=policy, receive_bytes=NARROW_BYTES,
                         timeout_s=60, **options)


def stand_at_the_head(broker, reader, channel):
    """Until then it reads its history, with which it may be slow. Gives the message's id."""
    sent = broker.publish(channel, "first")
    assert reader.message()["id"] == sent["id"]
    return sent["id"]


def noise():
    """Text that no compression makes much smaller."""
    return base64.b64encode(os.urandom(BODY_BYTES * 3 // 4)).decode()


def publish_keyed(broker, channels, count, first=0, keys=KEYS):
    """Messages with a number that grows, each with a key or (every 16th) with none. Gives
    [(channel, key, number, id)]."""
    sent = []
    with broker.connect() as connection:
        for number in range(first, first + count):
            channel = random.choice(channels)
            key = None if number % 16 == 0 else f"k{random.randrange(keys)}"
            fields = {"Content-Type": "application/json"}
            if key is not None:
                fields["Tidings-Key"] = key
            body = json.dumps({"n": number, "x": noise()}).encode()
            answer = connection.request("POST", "/channels/" + channel, fields, body)
            assert answer.status == 200, answer
            sent.append((channel, key, number, answer.json()["id"]))
    return sent


def is_end(entry):
    return entry.get("key") == "end"


def publish_end(broker, channel):
    answer = broker.publish(channel, "end", {"Tidings-Key": "end"})
    return channel, "end", None, answer["id"]


def judge_conflated(entries, sent):
    """Delivered and skipped add up; no key goes backwards; each ends on its newest value."""
    assert not any("gap" in entry for entry in entries), "conflation tells no gap"
    messages = [entry for entry in entries if "offset" in entry]
    skipped = sum(entry.get("skipped", 0) for entry in messages)
    assert len(messages) + skipped == len(sent), (len(messages), skipped, len(sent))
    order = {one[3]: index for index, one in enumerate(sent)}
    places = [order[message["id"]] for message in messages]
    assert places == sorted(set(places)), "out of order, or twice"
    newest = {(channel, key): identity for channel, key, _, identity in sent}
    seen = {}
    for message in messages:
        seen[message["channel"], message.get("key")] = message["id"]
    assert seen == newest
    return skipped


@pytest.mark.parametrize("kind, is_pattern", WAYS, ids=NAMES)
def test_conflate_ends_on_the_newest_of_each_key_and_never_goes_back(start_broker, kind,
                                                                     is_pattern):
    broker = start_broker(config=BUDGET)
    channels = ["c/a", "c/b"] if is_pattern else ["c/a"]
    with open_slow(broker, kind, "c/*" if is_pattern else "c/a", "conflate") as reader:
        sent = publish_keyed(broker, channels, MESSAGES)
        sent.append(publish_end(broker, "c/a"))
        entries = reader.until(is_end, 80)
    skipped = judge_conflated(entries, sent)
    assert skipped > MESSAGES // 2, "the reader did not fall behind"


@pytest.mark.parametrize("kind", STREAMS)
def test_conflate_holds_while_more_is_published(start_broker, kind):
    """A reader slower than its publisher all the time, across folds and two workers."""
    broker = start_broker("--workers", "2", config=BUDGET)
    random.seed(kind)
    with open_slow(broker, kind, "c/*", "conflate") as reader:
        sent, entries = [], []

        def publish():
            sent.extend(publish_keyed(broker, ["c/a", "c/b"], MESSAGES // 2 + 1))
            sent.extend(publish_keyed(broker, ["c/a", "c/b"], MESSAGES, MESSAGES // 2 + 1))
            sent.append(publish_end(broker, "c/b"))

        publisher = threading.Thread(target=publish, daemon=True)
        publisher.start()
        pause = threading.Event()
        # Whoever is faster on this machine: by then more has been said than sockets hold.
        wait_for(lambda: len(sent) > MESSAGES // 2 or not publisher.is_alive(), 60, "half of them")
        while not entries or not is_end(entries[-1]):
            if publisher.is_alive() and random.random() < 0.1:
                pause.wait(0.05)
            entries.append(reader.entry(60))
        publisher.join()
    assert judge_conflated(entries, sent) > 0


def test_conflate_without_keys_keeps_the_newest_of_the_channel(start_broker):
    broker = start_broker(config=BUDGET)
    with open_slow(broker, "websocket", "c/a", "conflate") as reader:
        for number in range(800):
            assert broker.post("c/a", b'"%04d' % number + b"x" * BODY_BYTES + b'"').status == 200
        entries = reader.until(lambda entry: entry.get("data", "").startswith("0799"), 60)
    messages = [entry for entry in entries if "offset" in entry]
    offsets = [message["offset"] for message in messages]
    assert offsets == sorted(set(offsets)) and offsets[-1] == 800
    assert len(messages) + sum(message.get("skipped", 0) for message in messages) == 800
    assert len(messages) < 400


@pytest.mark.parametrize("kind", STREAMS)
def test_conflate_leaves_out_nothing_for_who_keeps_up(broker, channel, kind):
    with STREAMS[kind](broker, [channel], on_lag="conflate") as reader:
        for number in range(50):
            broker.publish(channel, number, {"Tidings-Key": "one"})
            message = reader.message()
            assert message["data"] == number and "skipped" not in message


def test_conflate_is_resumed_without_going_back(start_broker):
    """A slow reader that comes back with its last id, also where it left out much before it."""
    broker = start_broker(config=BUDGET)
    sent = publish_keyed(broker, ["c/a", "c/b"], 500)
    sent.append(publish_end(broker, "c/a"))
    order = {one[3]: index for index, one in enumerate(sent)}
    at, seen = None, []
    while not seen or not is_end(seen[-1]):
        start = {"since": "earliest"} if at is None else {"resume": at}
        with EventReader(broker, ["c/*"], on_lag="conflate", **start) as reader:
            for _ in range(random.randint(1, 6)):
                message = reader.message()
                seen.append(message)
                at = message["id"]
                if is_end(message):
                    break
    places = [order[message["id"]] for message in seen]
    assert places == sorted(set(places))
    newest = {(channel, key): identity for channel, key, _, identity in sent}
    assert {(message["channel"], message.get("key")): message["id"] for message in seen} == newest


def account(entries, channel):
    """Every offset of one channel is delivered or inside a gap, in order; gives the gaps."""
    expected, gaps = 1, []
    for entry in entries:
        if "gap" in entry:
            gap = entry["gap"]
            assert gap["channel"] == channel and gap["reason"] == "dropped", gap
            assert gap["from"] == expected and gap["to"] >= gap["from"], (expected, gap)
            expected = gap["to"] + 1
            gaps.append(gap)
        elif "offset" in entry:
            assert entry["offset"] == expected, (expected, entry["offset"])
            expected += 1
    return expected - 1, gaps


@pytest.mark.parametrize("kind", STREAMS)
def test_drop_tells_exactly_what_was_passed_over(start_broker, kind):
    broker = start_broker(config=BUDGET)
    with open_slow(broker, kind, "d/a", "drop") as reader:
        publish_keyed(broker, ["d/a"], MESSAGES)
        # It goes on at the head, so who was behind may not see what was last: more comes.
        entries, rounds = [], 0
        while not entries or not is_end(entries[-1]):
            publish_end(broker, "d/a")
            rounds += 1
            entries += reader.until(lambda entry: is_end(entry) or "gap" in entry, 60)
    last, gaps = account(entries, "d/a")
    assert gaps and MESSAGES < last <= MESSAGES + rounds


@pytest.mark.parametrize("kind", STREAMS)
def test_drop_of_a_pattern_tells_the_two_places_between_which_it_lost(start_broker, kind):
    broker = start_broker(config=BUDGET)
    with open_slow(broker, kind, "d/*", "drop") as reader:
        publish_keyed(broker, ["d/a", "d/b"], MESSAGES)
        entries = []
        while not entries or not is_end(entries[-1]):
            publish_end(broker, "d/a")
            entries += reader.until(lambda entry: is_end(entry) or "gap" in entry, 60)
    gaps = [entry["gap"] for entry in entries if "gap" in entry]
    assert gaps
    found = []
    for entry in entries:
        if "gap" in entry:
            gap = entry["gap"]
            assert gap["pattern"] == "d/*" and gap["reason"] == "dropped", gap
            lost, since = [], gap["after"]
            while True:
                page = broker.page("d/*", since=since, limit=1000)
                lost += [message["id"] for message in page["messages"]]
                since = page["next"]
                if page["at_head"]:
                    break
            rest, since = [], gap["resumed"]
            while True:
                page = broker.page("d/*", since=since, limit=1000)
                rest += [message["id"] for message in page["messages"]]
                since = page["next"]
                if page["at_head"]:
                    break
            found += lost[:len(lost) - len(rest)]
        elif "offset" in entry:
            found.append(entry["id"])
    whole = [message["id"] for message in broker.all_messages("d/*")[0]]
    assert found == whole[:len(found)] and whole.index(entries[-1]["id"]) == len(found) - 1


@pytest.mark.parametrize("kind", STREAMS)
def test_disconnect_closes_and_resuming_loses_nothing(start_broker, kind):
    """4008 on a WebSocket, a close event on an event stream; the last id is the place."""
    broker = start_broker(config=BUDGET)
    start = broker.publish("e/a", "start")["id"]
    sent = []
    with open_slow(broker, kind, "e/a", "disconnect", since=start) as reader:
        seen = [stand_at_the_head(broker, reader, "e/a")]
        broker.lag(lambda: sent.extend(publish_keyed(broker, ["e/a"], 20, len(sent))))
        with pytest.raises(PeerClosed) as closed:
            while True:
                entry = reader.entry(60)
                assert "gap" not in entry, entry
                if "offset" in entry:
                    seen.append(entry["id"])
        at = reader.at or start
    assert closed.value.code in (4008, "slow", "too-slow", "too_slow"), closed.value.code
    published = seen[:1] + [one[3] for one in sent]
    assert len(seen) < len(published)
    (told,) = broker.wait_logged("READER_TOO_SLOW")
    assert told["channels"] == 1 and 0 < told["positions"] <= len(sent), told
    with STREAMS[kind](broker, ["e/a"], since=at) as again:
        seen += [message["id"] for message in again.messages(len(published) - len(seen))]
    assert seen == published


def publish_bursts(broker, channel, count):
    """Each of 4 MB at once: more than a tail holds."""
    for number in range(count):
        body = b"".join(b'{"n":%d,"x":"%s"}\n' % (line, noise()[:2000].encode())
                        for line in range(2000))
        answer = broker.post(channel, body, "application/x-ndjson",
                             {"Tidings-Key": f"burst{number}"})
        assert answer.status == 200, answer


@pytest.mark.parametrize("kind", ["events", "websocket", "subscription"])
def test_a_burst_above_the_tail_is_dropped_too(start_broker, kind):
    """What is not in the tail any more is no history to read: the reader was at the head."""
    broker = start_broker()
    with open_slow(broker, kind, "d/a", "drop") as reader:
        stand_at_the_head(broker, reader, "d/a")
        publish_bursts(broker, "d/a", 4)
        lagged = 'tidings_readers_lagged_total{on_lag="drop"}'
        wait_for(lambda: broker.figures().get(lagged, 0) > 0, what="its socket to be full")
        entries = reader.until(lambda entry: "gap" in entry or entry.get("offset") == 8001, 60)
    assert "gap" in entries[-1] and len(entries) < 4000, len(entries)


@pytest.mark.parametrize("kind", ["events", "websocket", "subscription"])
def test_a_burst_above_the_tail_disconnects_too(start_broker, kind):
    broker = start_broker()
    with open_slow(broker, kind, "d/a", "disconnect") as reader:
        stand_at_the_head(broker, reader, "d/a")
        publish_bursts(broker, "d/a", 4)
        with pytest.raises(PeerClosed):
            while True:
                assert reader.entry(60).get("offset") != 8001, "it was let read them all"


@pytest.mark.parametrize("kind, is_pattern", WAYS, ids=NAMES)
@pytest.mark.parametrize("policy", ["catch_up", None])
def test_catch_up_loses_nothing(start_broker, kind, is_pattern, policy):
    broker = start_broker(config=BUDGET)
    with open_slow(broker, kind, "f/*" if is_pattern else "f/a", policy) if policy else \
            STREAMS[kind](broker, ["f/*" if is_pattern else "f/a"], timeout_s=60,
                          receive_bytes=NARROW_BYTES) as reader:
        sent = publish_keyed(broker, ["f/a", "f/b"] if is_pattern else ["f/a"], MESSAGES)
        assert [message["id"] for message in reader.messages(MESSAGES, 80)] == \
            [one[3] for one in sent]


@pytest.mark.parametrize("policy", ["", "none", "CONFLATE", "latest"])
def test_a_policy_that_means_nothing_is_refused_and_named(broker, channel, policy):
    for target in (f"/channels/{channel}?on_lag={policy}",
                   f"/stream?channel={channel}&on_lag={policy}"):
        answer = broker.get(target, {"Accept": "text/event-stream"})
        assert answer.status == 400 and answer.json()["field"] == "on_lag", answer


def test_the_rule_of_the_only_channel_decides_and_the_reader_above_it(start_broker):
    """By the rule c/** conflates; who reads more than that one channel catches up."""
    broker = start_broker(config=BUDGET + """
channels:
  - match: "c/**"
    on_lag: conflate
  - match: "d/**"
    on_lag: drop
""")
    slow = {"receive_bytes": NARROW_BYTES, "timeout_s": 60}
    by_rule = SocketReader(broker, ["c/a"], **slow)
    own = SocketReader(broker, ["c/a"], on_lag="catch_up", **slow)
    several = EventReader(broker, ["c/a", "d/a"], **slow)
    dropping = EventReader(broker, ["d/a"], **slow)
    sent = publish_keyed(broker, ["c/a"], MESSAGES)
    sent.append(publish_end(broker, "c/a"))
    assert judge_conflated(by_rule.until(is_end), sent) > 0
    for reader in (own, several):
        assert [message["id"] for message in reader.messages(len(sent))] == \
            [one[3] for one in sent]
    publish_keyed(broker, ["d/a"], MESSAGES)
    publish_end(broker, "d/a")
    entries = dropping.until(lambda entry: "gap" in entry)
    assert entries[-1]["gap"]["reason"] == "dropped"
    for reader in (by_rule, own, several, dropping):
        reader.close()


def test_a_slow_reader_on_one_socket_with_a_fast_one(start_broker):
    """Policies are of subscriptions, not of sockets: each keeps its own word."""
    broker = start_broker(config=BUDGET)
    with Subscriptions(broker, receive_bytes=NARROW_BYTES, timeout_s=60) as socket:
        conflated = socket.subscribe("g/a", on_lag="conflate")
        complete = socket.subscribe("g/a", on_lag="catch_up")
        dropping = socket.subscribe("g/a", on_lag="drop")
        sent = publish_keyed(broker, ["g/a"], MESSAGES)
        sent.append(publish_end(broker, "g/a"))
        assert [message["id"] for message in socket.messages(complete, len(sent), 80)] == \
            [one[3] for one in sent]
        entries = []
        while not entries or not is_end(entries[-1]):
            entries.append(socket.entry(conflated, 60))
        judge_conflated(entries, sent)
        told = []
        while account(told, "g/a")[0] < len(sent):
            told.append(socket.entry(dropping, 60))


def test_what_was_skipped_can_be_read_by_the_operator(start_broker):
    broker = start_broker(config=BUDGET)
    with open_slow(broker, "websocket", "c/a", "conflate") as reader:
        sent = publish_keyed(broker, ["c/a"], MESSAGES)
        sent.append(publish_end(broker, "c/a"))
        skipped = judge_conflated(reader.until(is_end), sent)
        one, = broker.row_of(reader.websocket.connection)["readers"]
        assert (one["skipped"], one["on_lag"]) == (skipped, "conflate")
        assert (one["lag_messages"], one["lag_bytes"]) == (0, 0)


SHORT = """
channels:
  - match: "none/**"
    history: { messages: 0 }
  - match: "short/**"
    history: { messages: 40 }
"""


@pytest.mark.parametrize("kind", STREAMS)
def test_a_channel_without_history_is_dropped_unless_told(start_broker, kind):
    """Nothing is kept that could be caught up with: what was passed over is told."""
    broker = start_broker(config=BUDGET + SHORT)
    with STREAMS[kind](broker, ["none/a"], receive_bytes=NARROW_BYTES, timeout_s=60) as reader:
        publish_keyed(broker, ["none/a"], MESSAGES)
        entries = []
        while not entries or not is_end(entries[-1]):
            publish_end(broker, "none/a")
            entries += reader.until(lambda entry: is_end(entry) or "gap" in entry, 60)
    expected, lost = 1, 0
    for entry in entries:
        if "gap" in entry:
            gap = entry["gap"]
            assert gap["reason"] in ("dropped", "expired") and gap["from"] == expected, gap
            lost += gap["to"] - gap["from"] + 1
            expected = gap["to"] + 1
        elif "offset" in entry:
            assert entry["offset"] == expected
            expected += 1
    assert lost > MESSAGES // 2


@pytest.mark.parametrize("policy", ["catch_up", "conflate", "drop"])
@pytest.mark.parametrize("kind", STREAMS)
def test_what_retention_took_from_a_slow_reader_is_accounted_for(start_broker, kind, policy):
    """Delivered, skipped and told as gaps are together what was published, whatever the policy."""
    broker = start_broker(config=BUDGET + SHORT)
    with open_slow(broker, kind, "short/a", policy) as reader:
        sent = publish_keyed(broker, ["short/a"], MESSAGES)
        rounds, entries = 0, []
        while not entries or not is_end(entries[-1]):
            publish_end(broker, "short/a")
            rounds += 1
            entries += reader.until(lambda entry: is_end(entry) or "gap" in entry, 60)
    newest, total = 0, 0
    for entry in entries:
        if "gap" in entry:
            gap = entry["gap"]
            assert gap["from"] > newest and gap["to"] >= gap["from"], (newest, gap)
            total += gap["to"] - gap["from"] + 1
            newest = gap["to"]
        elif "offset" in entry:
            assert entry["offset"] > newest, (newest, entry["offset"])
            total += 1 + entry.get("skipped", 0)
            newest = entry["offset"]
    assert newest == total and len(sent) < total <= len(sent) + rounds
