# SPDX-License-Identifier: Apache-2.0
"""Pages as HTTP: long polls, conditional requests, Vary, compression; and messages that expire."""
import json
import time

import pytest

from harness import http
from harness.broker import wait_for
from harness.readers import KINDS, EventReader, Subscriptions

SHORT_S = 3  # a lifetime that leaves room for a look before its end
LARGE = 20000  # bytes: worth compressing


class Poll:
    """A long poll on its way."""

    def __init__(self, broker, target, headers=None):
        self.connection = broker.connect(timeout_s=40)
        self.connection.send(http.request_bytes(self.connection.host, "GET", target, headers))

    def answer(self):
        try:
            return self.connection.read_response()
        finally:
            self.connection.close()


# --- long poll ---------------------------------------------------------------------------------


@pytest.mark.parametrize("selector", ["{}", "{}/**"])
def test_a_long_poll_answers_with_what_comes(broker, channel, selector):
    target = "/channels/" + selector.format(channel)
    start = broker.get(target).json()["next"]
    poll = Poll(broker, f"{target}?since={start}&wait=30s")
    broker.publish(channel + "/x/other" if selector == "{}" else "x" + channel, 0)
    answer = broker.publish(channel, {"n": 1})
    page = poll.answer().json()
    assert [message["id"] for message in page["messages"]] == [answer["id"]]
    assert page["at_head"] is True and page["next"]


def test_many_long_polls_of_two_workers_all_answer(start_broker):
    broker = start_broker("--workers", "2")
    broker.publish("a/b", 0)
    start = broker.page("a/b")["next"]
    polls = [Poll(broker, f"/channels/{selector}?since={start}&wait=30s")
             for selector in ("a/b", "a/*", "a/**", "**") for _ in range(20)]
    answer = broker.publish("a/b", 1)
    for poll in polls:
        page = poll.answer().json()
        assert [message["id"] for message in page["messages"]] == [answer["id"]]


# --- conditional requests and Vary -------------------------------------------------------------


def test_a_page_that_has_not_changed_is_304(broker, channel):
    broker.fill(channel, 3)
    first = broker.get(f"/channels/{channel}")
    tag = first.headers["etag"]
    assert tag.startswith('"') or tag.startswith('W/"')
    again = broker.get(f"/channels/{channel}", {"If-None-Match": tag})
    assert again.status == 304 and again.body == b"" and again.headers["etag"] == tag
    assert "vary" in again.headers and "cache-control" in again.headers
    broker.fill(channel, 1, first=4)
    changed = broker.get(f"/channels/{channel}", {"If-None-Match": tag})
    assert changed.status == 200 and changed.headers["etag"] != tag
    assert len(changed.json()["messages"]) == 4


@pytest.mark.parametrize("form", ["*", '"other", {}', 'W/{}', '{}, "x"'])
def test_if_none_match_has_all_its_forms(broker, channel, form):
    broker.fill(channel, 1)
    tag = broker.get(f"/channels/{channel}").headers["etag"]
    strong = tag[2:] if tag.startswith("W/") else tag
    answer = broker.get(f"/channels/{channel}", {"If-None-Match": form.format(strong)})
    assert answer.status == 304


def test_another_tag_is_another_page(broker, channel):
    broker.fill(channel, 3)
    tags = {broker.get(f"/channels/{channel}{query}").headers["etag"]
            for query in ("", "?limit=1", "?since=1")}
    assert len(tags) == 3
    answer = broker.get(f"/channels/{channel}?limit=1", {"If-None-Match": '"nothing"'})
    assert answer.status == 200


def test_a_tag_of_a_pattern_changes_with_each_of_its_channels(broker, channel):
    broker.publish(channel + "/a", 1)
    tag = broker.get(f"/channels/{channel}/*").headers["etag"]
    assert broker.get(f"/channels/{channel}/*", {"If-None-Match": tag}).status == 304
    broker.publish(channel + "/b", 1)
    assert broker.get(f"/channels/{channel}/*", {"If-None-Match": tag}).status == 200


def test_a_tag_changes_when_a_message_goes(broker, channel):
    broker.fill(channel, 3)
    tag = broker.get(f"/channels/{channel}").headers["etag"]
    answer = broker.request("DELETE", f"/channels/{channel}?offset=2")
    assert answer.status in (200, 204), answer
    wait_for(lambda: broker.get(f"/channels/{channel}",
                                {"If-None-Match": tag}).status == 200)


def test_a_page_says_what_it_depends_on(broker, channel):
    for headers in ({}, {"Accept-Encoding": "gzip"}):
        answer = broker.get(f"/channels/{channel}", headers)
        named = {one.strip().lower() for one in answer.headers["vary"].split(",")}
        assert {"accept", "authorization"} <= named, named
        assert "private" in answer.headers["cache-control"]


# --- compression -------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["identity", "br", "gzip;q=0", "gzip;q=0.0, br", "", "*;q=0"])
def test_a_page_is_not_compressed_for_who_does_not(broker, channel, asked):
    broker.publish(channel, "wordy " * (LARGE // 6))
    answer = broker.get(f"/channels/{channel}", {"Accept-Encoding": asked})
    assert answer.status == 200 and "content-encoding" not in answer.headers
    assert len(answer.json()["messages"]) == 1


def test_a_compressed_page_has_a_tag_of_its_own_and_is_304_too(broker, channel):
    broker.publish(channel, "wordy " * (LARGE // 6))
    plain = broker.get(f"/channels/{channel}").headers["etag"]
    packed = broker.get(f"/channels/{channel}", {"Accept-Encoding": "gzip"}).headers["etag"]
    assert plain != packed or plain.startswith("W/"), "one strong tag for two bodies"
    answer = broker.get(f"/channels/{channel}", {"Accept-Encoding": "gzip",
                                                 "If-None-Match": packed})
    assert answer.status == 304


def test_an_event_stream_is_never_compressed(broker, channel):
    with broker.events(f"/channels/{channel}", headers={"Accept-Encoding": "gzip"}) as stream:
        assert "content-encoding" not in stream.headers
        broker.publish(channel, "x" * LARGE)
        assert len(stream.next().json()["data"]) == LARGE


# --- messages that expire ----------------------------------------------------------------------


def publish_short(broker, channel, value, ttl_s=1):
    return broker.publish(channel, value, {"Tidings-TTL": str(ttl_s)})


def is_gone(broker, channel, offset):
    return offset not in [one["offset"] for one in broker.page(channel, limit=1000)["messages"]]


def test_an_expired_message_is_on_no_page_and_its_hole_is_told(broker, channel):
    first = broker.publish(channel, "a")
    publish_short(broker, channel, "short", SHORT_S)
    broker.publish(channel, "b")
    assert [one["data"] for one in broker.page(channel)["messages"]] == ["a", "short", "b"]
    wait_for(lambda: is_gone(broker, channel, 2), what="its end")
    assert [one["data"] for one in broker.page(channel)["messages"]] == ["a", "b"]
    messages, gaps = broker.all_messages(channel, since=first["id"])
    assert [one["data"] for one in messages] == ["b"]
    gap, = gaps
    assert (gap["from"], gap["to"], gap["reason"], gap["channel"]) == (2, 2, "expired", channel)
    messages, gaps = broker.all_messages(channel, since="0")
    assert [one["offset"] for one in messages] == [1, 3] and len(gaps) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_an_expired_message_is_delivered_to_nobody_and_its_hole_is_told(broker, channel, kind):
    start = broker.publish(channel, "a")
    for _ in range(3):
        publish_short(broker, channel, "short")
    broker.publish(channel, "b")
    wait_for(lambda: is_gone(broker, channel, 4), what="the end of the last")
    with KINDS[kind](broker, [channel], since=start["id"]) as reader:
        entries = reader.until(lambda entry: "offset" in entry)
    assert entries[-1]["offset"] == 5
    gaps = [entry["gap"] for entry in entries if "gap" in entry]
    assert [gap["reason"] for gap in gaps] == ["expired"] * len(gaps)
    told = [offset for gap in gaps for offset in range(gap["from"], gap["to"] + 1)]
    assert told == [2, 3, 4]


def test_a_reader_at_the_head_gets_a_short_message_at_once(broker, channel):
    with EventReader(broker, [channel]) as reader:
        publish_short(broker, channel, "short", 60)
        assert reader.message()["data"] == "short"


def test_a_slow_reader_is_not_given_what_expired_while_it_slept(start_broker):
    """Delivered before its end, or told as expired: nothing else, and nothing in silence."""
    broker = start_broker(config="limits: { send_budget: 16KiB }\n")
    with KINDS["websocket"](broker, ["a"], receive_bytes=4096, timeout_s=60) as reader:
        for number in range(400):
            body = json.dumps({"n": number, "x": "x" * 5000}).encode()
            answer = broker.post("a", body, headers={"Tidings-TTL": "2"} if number % 2 else None)
            assert answer.status == 200
        wait_for(lambda: is_gone(broker, "a", 400), what="the end of the last")
        expected, expired = 1, 0
        while expected <= 400:
            entry = reader.entry(60)
            if "gap" in entry:
                gap = entry["gap"]
                assert gap["from"] == expected and gap["reason"] == "expired", (expected, gap)
                expired += gap["to"] + 1 - gap["from"]
                assert gap["to"] == gap["from"] and gap["from"] % 2 == 0, gap
                expected = gap["to"] + 1
            elif "offset" in entry:
                assert entry["offset"] == expected
                expected += 1
    assert expired > 50


def test_what_expired_while_no_broker_ran_is_given_to_nobody(start_broker):
    broker = start_broker()
    publish_short(broker, "a", "short")
    end = time.time() + 1
    broker.stop()
    wait_for(lambda: time.time() > end, what="the end of the message")
    broker.start()
    page = broker.page("a", since="0")
    assert page["messages"] == [] and page["gap"]["reason"] == "expired"


def test_an_expired_retained_message_leaves_the_rest(broker, channel):
    publish_short(broker, channel, "short")
    wait_for(lambda: is_gone(broker, channel, 1), what="the end of a second")
    assert broker.publish(channel, "next")["offset"] == 2
    page = broker.page(channel, since="earliest")
    assert [one["offset"] for one in page["messages"]] == [2]


@pytest.mark.parametrize("ttl", ["-1", "x", "1.5", "1e3", "99999999999999999999", ""])
def test_a_ttl_that_means_nothing_is_refused(broker, channel, ttl):
    answer = broker.post(channel, b"1", headers={"Tidings-TTL": ttl})
    assert answer.status == 400, answer
    assert broker.page(channel)["messages"] == []


def test_a_pattern_and_a_stream_tell_the_holes_too(broker, channel):
    start = broker.publish(channel + "/a", "a")
    publish_short(broker, channel + "/a", "short")
    broker.publish(channel + "/b", "b")
    wait_for(lambda: is_gone(broker, channel + "/a", 2), what="the end of a second")
    with Subscriptions(broker) as socket:
        for selector in (channel + "/*", channel + "/a"):
            number = socket.subscribe(selector, since=start["id"])
            broker.publish(channel + "/a", "end")
            entries = []
            while not entries or entries[-1].get("data") != "end":
                entries.append(socket.entry(number))
            assert "short" not in [entry.get("data") for entry in entries]
            gaps = [entry["gap"] for entry in entries if "gap" in entry]
            assert gaps and {gap["reason"] for gap in gaps} == {"expired"}, (selector, entries)
