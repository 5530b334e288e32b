# SPDX-License-Identifier: Apache-2.0
"""Pages that wait for what comes, that are asked for on conditions, and that are compressed."""
import gzip
import json
import os
import signal
import threading
import time
import zlib

import pytest

from harness import http

PORTS = ("public", "operator")
CLOCK_S = 0.1  # the broker counts whole milliseconds, from where the turn began that it is in


class Poll:
    """A request that is sent and not yet answered."""

    def __init__(self, url, target, headers=None):
        self.connection = http.Connection(url, timeout_s=90)
        self.begin = time.monotonic()
        self.connection.send(http.request_bytes(self.connection.host, "GET", target, headers))

    def answer(self):
        """The reply, and how long it took from when it was asked for."""
        try:
            return self.connection.read_response(), time.monotonic() - self.begin
        finally:
            self.connection.close()

    def has_answer_within(self, seconds):
        self.connection.socket.settimeout(seconds)
        try:
            self.connection.fill()
        except TimeoutError:
            return False
        finally:
            self.connection.socket.settimeout(90)
        return True


def offsets(page):
    return [message["offset"] for message in page["messages"]]


@pytest.mark.parametrize("port", PORTS)
def test_a_poll_is_answered_by_what_comes(broker, channel, port):
    broker.fill(channel, 2)
    poll = Poll(getattr(broker, port), f"/channels/{channel}?since=2&wait=30s")
    assert not poll.has_answer_within(0.3)
    broker.publish(channel, {"n": 3})
    answer, seconds = poll.answer()
    assert answer.status == 200 and offsets(answer.json()) == [3] and seconds < 25


@pytest.mark.parametrize("port", PORTS)
def test_a_poll_ends_in_time_with_where_to_go_on(broker, channel, port):
    broker.fill(channel, 2)
    answer, seconds = Poll(getattr(broker, port), f"/channels/{channel}?since=2&wait=1s").answer()
    page = answer.json()
    assert answer.status == 200 and offsets(page) == [] and page["at_head"] is True
    assert 1 - CLOCK_S < seconds < 25
    broker.fill(channel, 1, first=3)
    assert offsets(broker.page(channel, since=page["next"], wait="30s")) == [3]


def test_a_poll_without_a_start_is_the_newest_page_where_there_is_one(broker, channel):
    poll = Poll(broker.public, f"/channels/{channel}?wait=30s")
    assert not poll.has_answer_within(0.3)
    broker.fill(channel, 2)
    assert offsets(poll.answer()[0].json())[0] == 1
    assert offsets(broker.page(channel, wait="30s")) == [1, 2]


def test_a_poll_from_now_waits_for_what_comes(broker, channel):
    broker.fill(channel, 2)
    poll = Poll(broker.public, f"/channels/{channel}?since=now&wait=30s")
    assert not poll.has_answer_within(0.3)
    broker.fill(channel, 1, first=3)
    assert offsets(poll.answer()[0].json()) == [3]


def test_a_poll_is_not_woken_by_others_channels(broker, channel):
    poll = Poll(broker.public, f"/channels/{channel}?wait=30s")
    for number in range(20):
        broker.publish(f"{channel}/other{number}", number)
    assert not poll.has_answer_within(0.3)
    broker.fill(channel, 1)
    assert offsets(poll.answer()[0].json()) == [1]


def test_a_gap_is_worth_an_answer_at_once(broker, channel):
    answer, seconds = Poll(broker.public, f"/channels/{channel}?since=9&wait=30s").answer()
    assert answer.json()["gap"]["reason"] == "ahead" and seconds < 25


def test_polls_one_after_the_other_see_everything_once(broker, channel):
    count = 300
    start = broker.page(channel)["next"]
    publisher = threading.Thread(target=broker.fill, args=(channel, count))
    publisher.start()
    seen = []
    with broker.connect(timeout_s=60) as connection:
        while len(seen) < count:
            page = connection.request(
                "GET", f"/channels/{channel}?since={start}&wait=30s").json()
            assert page["messages"] and "gap" not in page
            seen += offsets(page)
            start = page["next"]
    publisher.join()
    assert seen == list(range(1, count + 1))


def test_many_polls_are_answered_by_one_message(broker, channel):
    polls = [Poll(broker.public if number % 4 else broker.operator,
                  f"/channels/{channel}?since=0&wait=30s") for number in range(80)]
    assert not polls[0].has_answer_within(0.3)
    broker.fill(channel, 1)
    for poll in polls:
        assert offsets(poll.answer()[0].json()) == [1]


def test_polls_whose_clients_leave_are_forgotten(broker, channel):
    for number in range(50):
        Poll(getattr(broker, PORTS[number % 2]),
             f"/channels/{channel}?wait=60s").connection.close()
    poll = Poll(broker.public, f"/channels/{channel}?wait=30s")
    assert not poll.has_answer_within(0.3)
    broker.fill(channel, 1)
    assert offsets(poll.answer()[0].json()) == [1]


def test_a_broker_that_goes_down_answers_its_polls(start_broker):
    broker = start_broker()
    polls = [Poll(broker.public, "/channels/a?wait=60s"),
             Poll(broker.operator, "/channels/a?wait=60s")]
    assert not polls[0].has_answer_within(0.3)
    begin = time.monotonic()
    broker.signal(signal.SIGTERM)
    for poll in polls:
        answer, _ = poll.answer()
        assert answer.status in (200, 503)
        assert answer.status == 503 or offsets(answer.json()) == []
    assert broker.wait() == 0 and time.monotonic() - begin < 30


@pytest.mark.parametrize("query", ["wait=61s", "wait=61", "wait=2m", "wait=", "wait=3s&before=4"])
def test_a_wait_that_means_nothing_is_refused_and_named(broker, channel, query):
    answer = broker.get(f"/channels/{channel}?{query}")
    assert answer.status == 400 and answer.json()["field"] == "wait"


# --- on conditions ----------------------------------------------------------------------------


def test_a_page_stays_known_while_others_are_published_to(broker, channel):
    broker.fill(channel, 3)
    for query in ("", "?since=earliest", "?since=-2", "?since=1&limit=1"):
        page = broker.get(f"/channels/{channel}{query}")
        assert page.json()["next"] == page.json()["messages"][-1]["id"]
        broker.publish(channel + "/other", 1)
        known = broker.get(f"/channels/{channel}{query}",
                           {"If-None-Match": page.headers["etag"]})
        assert known.status == 304, query


def test_a_known_page_is_304_for_get_and_head_and_for_a_star(broker, channel):
    broker.fill(channel, 1)
    target = f"/channels/{channel}"
    first = broker.get(target)
    tag = first.headers["etag"]
    for method in ("GET", "HEAD"):
        for known in (tag, "W/" + tag, '"x", ' + tag, "*"):
            answer = broker.request(method, target, {"If-None-Match": known})
            assert answer.status == 304 and answer.body == b"", (method, known)
            assert answer.headers["etag"] == tag
            assert "private" in answer.headers["cache-control"]
            assert answer.headers["vary"] == first.headers["vary"]
            assert "content-type" not in answer.headers
        assert broker.request(method, target, {"If-None-Match": '"x"'}).status == 200


def test_whatever_is_refused_says_what_it_varies_by(broker, channel):
    answer = broker.get(f"/channels/{channel}", {"Accept": "image/png"})
    assert answer.status == 406
    names = {name.strip().lower() for name in answer.headers["vary"].split(",")}
    assert {"accept", "authorization"} <= names


# --- compressed -------------------------------------------------------------------------------


@pytest.fixture(name="filled")
def fill_for_compression(broker, channel):
    for number in range(40):
        broker.publish(channel, {"n": number, "text": "fifteen love, " * 10})
    return channel


def unpacked(answer):
    coding = answer.headers.get("content-encoding")
    if coding == "gzip":
        return gzip.decompress(answer.body)
    return zlib.decompress(answer.body) if coding == "deflate" else answer.body


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("accepted, coding", [
    ("gzip", "gzip"), ("deflate", "deflate"), ("gzip, deflate, br", "gzip"), ("*", "gzip"),
    ("gzip;q=0.5, deflate", "deflate"), ("br", None), ("gzip;q=0", None), ("identity", None),
    ("", None), (None, None)])
def test_a_page_is_compressed_where_that_is_asked_for(broker, filled, port, accepted, coding):
    url = getattr(broker, port)
    plain = http.request(url, "GET", f"/channels/{filled}")
    answer = http.request(url, "GET", f"/channels/{filled}",
                          None if accepted is None else {"Accept-Encoding": accepted})
    assert answer.headers.get("content-encoding") == coding
    assert "accept-encoding" in answer.headers["vary"].lower()
    assert unpacked(answer) == plain.body and answer.type == "application/json"
    assert coding is None or len(answer.body) < len(plain.body) / 3
    assert (answer.headers["etag"] == plain.headers["etag"]) == (coding is None)


def test_either_coding_of_a_page_is_known_by_either_tag(broker, filled):
    target = f"/channels/{filled}"
    tags = {accepted: broker.get(target, {"Accept-Encoding": accepted}).headers["etag"]
            for accepted in ("identity", "gzip", "deflate")}
    assert len(set(tags.values())) == 3
    for tag in tags.values():
        for accepted in tags:
            answer = broker.get(target, {"Accept-Encoding": accepted, "If-None-Match": tag})
            assert answer.status == 304 and answer.headers["etag"] == tag
            assert "content-encoding" not in answer.headers


def test_a_small_page_is_not_worth_it_and_noise_is_not_either(broker, channel):
    broker.fill(channel, 1)
    gzip_please = {"Accept-Encoding": "gzip"}
    assert "content-encoding" not in broker.get(f"/channels/{channel}", gzip_please).headers
    only = broker.get(f"/channels/{channel}", {"Accept-Encoding": "gzip, identity;q=0"})
    assert only.headers["content-encoding"] == "gzip"
    assert json.loads(unpacked(only))["last"] == 1


def test_head_tells_the_length_of_the_compressed_page(broker, filled):
    asked = {"Accept-Encoding": "gzip"}
    answer = broker.get(f"/channels/{filled}", asked)
    head = broker.request("HEAD", f"/channels/{filled}", asked)
    assert head.headers["content-length"] == str(len(answer.body))
    assert head.headers["etag"] == answer.headers["etag"]


def test_the_largest_page_is_compressed_too(broker, channel):
    noise = os.urandom(300).hex()
    body = json.dumps([noise + str(number) for number in range(1500)]).encode()
    for _ in range(5):
        assert broker.post(channel, body).status == 200
    answer = broker.get(f"/channels/{channel}?since=earliest", {"Accept-Encoding": "gzip"})
    page = json.loads(unpacked(answer))
    assert answer.headers["content-encoding"] == "gzip" and len(page["messages"]) >= 4
    assert len(answer.body) < len(unpacked(answer)) / 5
