# SPDX-License-Identifier: Apache-2.0
"""What is deleted is gone: from pages, from readers, from the files; and the rest stays."""
import json
import mmap
import os
import pathlib
import random
import secrets
import threading

import pytest

from harness.broker import wait_for
from harness.readers import KINDS, STREAMS

GONE_S = 40  # the fold, and whatever must be written over; it takes a fraction of a second


def delete(broker, channel, query="", allowed=(200, 204)):
    answer = broker.request("DELETE", f"/channels/{channel}{query}")
    assert answer.status in allowed, answer
    return answer


def files_with(broker, needle):
    """The files of the data directory that hold these bytes anywhere."""
    found = []
    for folder, _, names in os.walk(broker.data):
        for name in names:
            path = pathlib.Path(folder, name)
            try:
                with open(path, "rb") as file:
                    if os.fstat(file.fileno()).st_size == 0:
                        continue
                    with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as content:
                        if content.find(needle) >= 0:
                            found.append(name)
            except FileNotFoundError:
                pass
    return found


def assert_gone(broker, needle, what=""):
    wait_for(lambda: not files_with(broker, needle), GONE_S,
             f"the end of {what or needle} in {files_with(broker, needle)}")


def secret():
    """Text that nothing else contains, not even a piece of a page by chance."""
    return "secret-" + secrets.token_hex(16)


def publish_secret(broker, channel, size=0, **headers):
    text = secret()
    body = json.dumps({"s": (text + "/") * max(1, size // 40)}).encode()
    answer = broker.post(channel, body, headers=headers)
    assert answer.status == 200, answer
    return text.encode(), answer.json()


def offsets(broker, channel):
    return [message["offset"] for message in broker.all_messages(channel)[0]]


def fold(broker, needle):
    """Waits until the store has it: bytes that only the journal holds prove nothing."""
    wait_for(lambda: any("journal" not in name for name in files_with(broker, needle)),
             GONE_S, "the fold")


@pytest.mark.parametrize("is_folded", [True, False], ids=["folded", "not-folded"])
@pytest.mark.parametrize("size", [0, 1000, 1900, 3000, 100000, 900000])
def test_a_deleted_message_cannot_be_found_in_the_files(start_broker, size, is_folded):
    broker = start_broker()
    kept, _ = publish_secret(broker, "a", size)
    gone, answer = publish_secret(broker, "a", size)
    later, _ = publish_secret(broker, "a", size)
    other, _ = publish_secret(broker, "b", size)
    if is_folded:
        for needle in (kept, gone, later, other):
            fold(broker, needle)
    assert files_with(broker, gone)
    delete(broker, "a", f"?offset={answer['offset']}")
    assert offsets(broker, "a") == [1, 3]
    assert_gone(broker, gone)
    for needle in (kept, later, other):
        assert files_with(broker, needle), "more than the deleted one is gone"
    assert offsets(broker, "a") == [1, 3] and offsets(broker, "b") == [1]
    broker.stop()
    assert not files_with(broker, gone)
    broker.start()
    assert offsets(broker, "a") == [1, 3] and not files_with(broker, gone)


@pytest.mark.parametrize("part", ["key", "event", "header", "type"])
def test_nothing_of_a_deleted_message_stays(start_broker, part):
    broker = start_broker()
    text = secret()
    fields = {"key": {"Tidings-Key": text}, "event": {"Tidings-Event": text},
              "header": {"Tidings-Header-X": text}, "type": {"Content-Type": "text/x-" + text}}
    broker.publish("a", 1)
    answer = broker.post("a", b"2", headers=fields[part])
    assert answer.status == 200, answer
    fold(broker, text.encode())
    delete(broker, "a", "?offset=2")
    assert_gone(broker, text.encode(), part)


def test_a_retained_message_that_is_deleted_is_gone_too(start_broker):
    broker = start_broker(config="channels: [ { match: \"r/**\", retain: latest } ]\n")
    for channel, headers in (("a", {"Tidings-Retain": "true"}), ("r/a", {})):
        gone, _ = publish_secret(broker, channel, 50, **headers)
        fold(broker, gone)
        delete(broker, channel)
        assert_gone(broker, gone, channel)


def test_a_whole_channel_is_deleted_and_goes_on_counting(start_broker):
    broker = start_broker()
    secrets_of_a = [publish_secret(broker, "a", size)[0] for size in (0, 500, 5000, 100000)]
    kept, _ = publish_secret(broker, "b")
    fold(broker, kept)
    delete(broker, "a")
    assert broker.page("a", since="earliest")["messages"] == []
    for needle in secrets_of_a:
        assert_gone(broker, needle)
    assert files_with(broker, kept)
    assert broker.publish("a", "next")["offset"] == 5
    assert offsets(broker, "a") == [5] and offsets(broker, "b") == [1]


def test_what_stands_before_an_offset_is_deleted(start_broker):
    broker = start_broker()
    needles = [publish_secret(broker, "a", 300)[0] for _ in range(10)]
    fold(broker, needles[-1])
    delete(broker, "a", "?before=6")
    assert offsets(broker, "a") == [6, 7, 8, 9, 10]
    for needle in needles[:5]:
        assert_gone(broker, needle)
    for needle in needles[5:]:
        assert files_with(broker, needle)


def test_what_stands_before_an_id_is_deleted(start_broker):
    broker = start_broker()
    answers = broker.fill("a", 10)
    delete(broker, "a", f"?before={answers[4]['id']}")
    assert offsets(broker, "a") == [5, 6, 7, 8, 9, 10]


def test_many_deletes_leave_what_is_between_them(start_broker):
    """Every other one of a thousand, in a random order, large ones among them."""
    broker = start_broker()
    needles = {}
    for number in range(1, 201):
        needles[number] = publish_secret(broker, "a", 20000 if number % 20 in (0, 1) else 200)[0]
    fold(broker, needles[200])
    doomed = sorted(range(2, 201, 2), key=lambda number: needles[number])
    for number in doomed:
        delete(broker, "a", f"?offset={number}")
    assert offsets(broker, "a") == list(range(1, 201, 2))
    for number in doomed:
        assert_gone(broker, needles[number])
    for number in range(1, 201, 2):
        message = broker.page("a", since=number - 1, limit=1)["messages"][0]
        assert needles[number] in message["data"]["s"].encode()


def test_a_delete_survives_a_kill(start_broker):
    """Answered is done, also where it was not folded yet; the bytes go then."""
    for is_folded in (True, False):
        broker = start_broker()
        broker.publish("a", "kept")
        gone, _ = publish_secret(broker, "a", 3000)
        if is_folded:
            fold(broker, gone)
        delete(broker, "a", "?offset=2")
        broker.kill()
        broker.start()
        assert offsets(broker, "a") == [1]
        assert_gone(broker, gone)
        assert broker.publish("a", "next")["offset"] == 3


@pytest.mark.parametrize("kind", KINDS)
def test_who_asks_for_what_was_deleted_is_told(start_broker, kind):
    broker = start_broker()
    answers = broker.fill("a", 10)
    delete(broker, "a", "?before=4")
    delete(broker, "a", "?offset=7")
    for since in (answers[0]["id"], 1):
        with KINDS[kind](broker, ["a"], since=since) as reader:
            entries = reader.until(lambda entry: entry.get("offset") == 10)
        messages = [entry["offset"] for entry in entries if "offset" in entry]
        gaps = [entry["gap"] for entry in entries if "gap" in entry]
        assert messages == [4, 5, 6, 8, 9, 10]
        assert [(gap["from"], gap["to"], gap["reason"], gap["channel"]) for gap in gaps] == \
            [(2, 3, "deleted", "a"), (7, 7, "deleted", "a")]


@pytest.mark.parametrize("kind", STREAMS)
def test_readers_at_the_head_are_told_of_a_delete(start_broker, kind):
    """Of what they were already given: a copy that somebody keeps can be thrown away."""
    broker = start_broker("--workers", "2")
    with STREAMS[kind](broker, ["a"]) as reader, STREAMS[kind](broker, ["a/**"]) as wide, \
            STREAMS[kind](broker, ["b"]) as other:
        broker.fill("a", 5)
        for one in (reader, wide):
            one.messages(5)
        delete(broker, "a", "?offset=3")
        broker.publish("a", "on")
        broker.publish("b", "on")
        for one in (reader, wide):
            entries = one.until(lambda entry: entry.get("data") == "on")
            gap, = [entry["gap"] for entry in entries if "gap" in entry]
            assert gap["reason"] == "deleted", gap
            assert (gap.get("channel"), gap.get("from"), gap.get("to")) == ("a", 3, 3), gap
        assert other.message()["data"] == "on"


def test_pages_and_tags_forget_it(start_broker):
    broker = start_broker()
    broker.fill("a", 5)
    delete(broker, "a", "?offset=5")
    page = broker.page("a")
    assert [message["offset"] for message in page["messages"]] == [1, 2, 3, 4]
    assert "gap" not in broker.page("a", since="earliest", limit=2)
    page = broker.page("a", since=4)
    assert page["messages"] == []
    told = broker.all_messages("a", since="0")[1]
    assert [(gap["from"], gap["to"], gap["reason"]) for gap in told] in ([], [(5, 5, "deleted")])


@pytest.mark.parametrize("query", ["?offset=x", "?offset=-1", "?before=x", "?offset=1&before=2",
                                   "?offset=", "?ofset=1"])
def test_a_delete_that_means_nothing_deletes_nothing(broker, channel, query):
    broker.fill(channel, 3)
    answer = broker.request("DELETE", f"/channels/{channel}{query}")
    assert answer.status == 400 and answer.type == "application/problem+json", answer
    assert offsets(broker, channel) == [1, 2, 3]


def test_a_pattern_is_not_deleted(broker, channel):
    broker.publish(channel + "/a", 1)
    for name in ("*", "**"):
        answer = broker.request("DELETE", f"/channels/{channel}/{name}")
        assert answer.status == 400, answer
    assert offsets(broker, channel + "/a") == [1]


def test_deleting_nothing_is_no_error_and_tells_nobody(broker, channel):
    delete(broker, channel, allowed=(200, 204, 404))
    broker.fill(channel, 2)
    with STREAMS["websocket"](broker, [channel]) as reader:
        delete(broker, channel, "?offset=77", (200, 204, 404))
        broker.publish(channel, "on")
        entries = reader.until(lambda entry: entry.get("data") == "on")
        assert not any("gap" in entry for entry in entries), entries
    assert offsets(broker, channel) == [1, 2, 3]


def test_deletes_under_load_leave_nothing_behind(start_broker):
    """Pages of the store are copied and reused all the time meanwhile."""
    broker = start_broker("--workers", "2")
    is_over, faults = threading.Event(), []

    def publish(name):
        try:
            with broker.connect() as connection:
                while not is_over.is_set():
                    body = json.dumps("x" * random.randint(10, 6000)).encode()
                    answer = connection.request("POST", f"/channels/{name}", None, body)
                    assert answer.status == 200, answer
        except Exception as fault:  # pylint: disable=broad-except
            faults.append(fault)

    threads = [threading.Thread(target=publish, args=(name,), daemon=True)
               for name in ("a", "b", "c/d")]
    for thread in threads:
        thread.start()
    gone, kept = [], []
    for number in range(40):
        needle, answer = publish_secret(broker, "a", random.choice([0, 500, 2500, 50000]))
        if number % 2:
            kept.append((needle, answer["offset"]))
            continue
        gone.append(needle)
        is_over.wait(random.uniform(0, 0.1))
        delete(broker, "a", f"?offset={answer['offset']}")
    is_over.set()
    for thread in threads:
        thread.join(20)
    assert faults == []
    for needle in gone:
        assert_gone(broker, needle)
    for needle, offset in kept:
        message = broker.page("a", since=offset - 1, limit=1)["messages"][0]
        assert message["offset"] == offset and needle in message["data"]["s"].encode()


@pytest.mark.deadline(200)
def test_a_kill_at_any_moment_of_a_delete_ends_in_a_delete(start_broker):
    random.seed(6)
    broker = start_broker()
    gone, kept = [], []
    for _ in range(12):
        secrets_now = [publish_secret(broker, "a", random.choice([0, 700, 3000, 60000]))
                       for _ in range(6)]
        threading.Event().wait(random.uniform(0, 0.3))
        for needle, answer in secrets_now[::2]:
            delete(broker, "a", f"?offset={answer['offset']}")
            gone.append(needle)
        kept += secrets_now[1::2]
        threading.Event().wait(random.uniform(0, 0.3))
        broker.kill()
        assert not broker.bad_words(), broker.logged[-40:]
        broker.start()
        assert offsets(broker, "a") == [answer["offset"] for _, answer in kept]
    for needle in gone:
        assert_gone(broker, needle)
    for needle, answer in kept:
        message = broker.page("a", since=answer["offset"] - 1, limit=1)["messages"][0]
        assert message["id"] == answer["id"] and needle in message["data"]["s"].encode()


@pytest.mark.heavy
@pytest.mark.beside
@pytest.mark.deadline(300)
def test_what_was_kept_cold_is_deleted_too(start_broker):
    """A retained message outlives its segment; then it is deleted."""
    broker = start_broker(config="""
channels:
  - match: "flood/**"
    history: { messages: 1000 }
""")
    gone, _ = publish_secret(broker, "a", 2500, **{"Tidings-Retain": "true"})
    kept, _ = publish_secret(broker, "a", 2500)
    lines = b"".join(b'{"n":%d}\n' % number for number in range(10000))
    for number in range(130):  # more than two segments of 500,000
        answer = broker.post("flood/a", lines, "application/x-ndjson")
        assert answer.status == 200, answer
    assert offsets(broker, "a") == [1, 2]
    delete(broker, "a", "?offset=1")
    assert_gone(broker, gone)
    assert offsets(broker, "a") == [2] and files_with(broker, kept)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("selector", ["s/a", "s/*"])
def test_a_slow_reader_is_told_what_was_deleted_before_it_came_to_it(start_broker, kind, selector):
    """What it was not given it is told; what it was given before may be told as well."""
    broker = start_broker("--workers", "2", config="limits: { send_budget: 16KiB }\n")
    start = broker.publish("s/a", "start")["id"]
    with KINDS[kind](broker, [selector], since=start, receive_bytes=4096, timeout_s=60) as reader:
        broker.fill("s/b", 3)
        for number in range(500):
            body = json.dumps({"n": number, "x": secrets.token_hex(1500)}).encode()
            assert broker.post("s/a", body).status == 200
        reader.messages(3)
        for offset in (450, 499, 470, 471):
            delete(broker, "s/a", f"?offset={offset}")
        broker.publish("s/a", "end")
        entries = reader.until(lambda entry: entry.get("data") == "end", 80)
    seen = [entry["offset"] for entry in entries if entry.get("channel") == "s/a"]
    gaps = [entry["gap"] for entry in entries if "gap" in entry]
    assert {gap["reason"] for gap in gaps} == {"deleted"}, gaps
    assert sorted(seen) == seen == sorted(set(seen)) and seen[-1] == 502
    missing = set(range(seen[0], 503)) - set(seen)
    assert missing <= {450, 470, 471, 499}
    told = {offset for gap in gaps if "from" in gap
            for offset in range(gap["from"], gap["to"] + 1)}
    assert missing <= told or any("pattern" in gap for gap in gaps), gaps
    assert told <= {450, 470, 471, 499}


def test_a_repeat_of_what_was_deleted_stores_nothing(start_broker):
    broker = start_broker()
    headers = {"Idempotency-Key": "k"}
    first = broker.post("a", b'{"n":1}', headers=headers).json()
    delete(broker, "a", "?offset=1")
    for _ in range(2):
        assert broker.post("a", b'{"n":1}', headers=headers).json() == first
        assert broker.page("a", since="earliest")["messages"] == []
        broker.kill()
        broker.start()
    assert broker.publish("a", 2)["offset"] == 2


def test_what_is_deleted_is_skipped_by_nobody(start_broker):
    """A conflating reader counts what it left out, and is told apart what was deleted."""
    broker = start_broker(config="limits: { send_budget: 16KiB }\n")
    with KINDS["websocket"](broker, ["a"], on_lag="conflate", receive_bytes=4096,
                            timeout_s=60) as reader:
        for number in range(400):
            body = json.dumps({"n": number, "x": secrets.token_hex(1500)}).encode()
            answer = broker.post("a", body, headers={"Tidings-Key": f"k{number % 5}"})
            assert answer.status == 200
        for offset in (398, 399):
            delete(broker, "a", f"?offset={offset}")
        broker.publish("a", "end", {"Tidings-Key": "end"})
        entries = reader.until(lambda entry: entry.get("data") == "end", 60)
    messages = [entry for entry in entries if "offset" in entry]
    newest = {message.get("key"): message["offset"] for message in messages}
    places = [message["offset"] for message in messages]
    assert places == sorted(set(places)) and not {398, 399} & set(places)
    assert {key: newest[key] for key in ("k0", "k1", "k4", "end")} == \
        {"k0": 396, "k1": 397, "k4": 400, "end": 401}
    gaps = [entry["gap"] for entry in entries if "gap" in entry]
    told = {offset for gap in gaps for offset in range(gap["from"], gap["to"] + 1)}
    skipped = sum(message.get("skipped", 0) for message in messages)
    assert {398, 399} <= told and {gap["reason"] for gap in gaps} == {"deleted"}
    assert len(places) + skipped + len(told) == 401, (len(places), skipped, gaps)
