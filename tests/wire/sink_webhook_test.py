# SPDX-License-Identifier: Apache-2.0
"""Webhooks: what is sent, in which order, how often, and how it is signed."""
import email.utils
import json
import threading
import time

import pytest

from harness import npm
from harness.broker import wait_for
from harness.receiver import DROP, OK, OTHER_SECRET, SECRET, Answer, Receiver, redirect
from harness.sinks import (ask, configuration, dead_letters, events, wait_dead, wait_state,
                           webhook)


@pytest.fixture(name="receiver")
def start_receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(name="start")
def start_with_sink(start_broker, receiver):
    """start(key=…): a broker with one sink, which sends to the receiver."""
    def start(**keys):
        return start_broker(config=configuration(webhook(receiver.url, **keys)))
    return start


def names(requests):
    return [(request.json()["channel"], request.json()["data"]) for request in requests]


# --- what is sent -------------------------------------------------------------------------------


def test_a_message_is_sent_as_every_reader_gets_it(start, receiver):
    broker = start()
    broker.publish("a/b", {"n": 1}, {"Tidings-Event": "goal", "Tidings-Header-Trace": "x"})
    request = receiver.wait()[0]
    assert request.json() == broker.all_messages("a/b")[0][0]
    assert request.method == "POST" and request.target == "/hook"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("tidings/")
    assert request.id == "msg_" + request.json()["id"]
    assert request.is_signed()


def test_only_the_channels_that_it_names_are_sent(start, receiver):
    broker = start(channels=["a/*", "c"])
    for channel in ("a/b", "a/b/c", "b", "c"):
        broker.publish(channel, channel)
    assert {name for name, _ in names(receiver.wait(2))} == {"a/b", "c"}
    broker.publish("c", "last")
    assert len(receiver.wait(3)) == 3


def test_data_is_the_payload_alone_and_headers_tell_the_rest(start, receiver):
    broker = start(format="data")
    answer = broker.post("a/b", b"\x00\xff\r\n", "application/x-thing",
                         {"Tidings-Key": "k", "Tidings-Event": "e",
                          "Tidings-Header-Trace": "50%"}).json()
    request = receiver.wait()[0]
    assert request.body == b"\x00\xff\r\n"
    assert request.headers["content-type"] == "application/x-thing"
    told = {name: value for name, value in request.headers.items() if name.startswith("tidings-")}
    assert told == {"tidings-channel": "a/b", "tidings-offset": "1", "tidings-id": answer["id"],
                    "tidings-event": "e", "tidings-key": "k", "tidings-header-trace": "50%25"}
    assert request.is_signed()


def test_a_cloud_event_is_sent_structured(start, receiver):
    broker = start(format="cloudevents")
    broker.publish("a/b", {"n": 1}, {"Tidings-Event": "goal"})
    request = receiver.wait()[0]
    assert request.headers["content-type"].startswith("application/cloudevents+json")
    event = request.json()
    assert (event["specversion"], event["type"], event["data"]) == ("1.0", "goal", {"n": 1})


def test_headers_of_the_row_are_sent_and_shown_to_nobody(start, receiver):
    receiver.answer = lambda request: Answer(
        400, body=request.headers["authorization"].encode() + SECRET.encode())
    broker = start(waits=["10ms"], webhook={"headers": ["Authorization: Bearer hidden-thing"]})
    broker.publish("a/b", 1)
    wait_dead(broker)
    assert receiver.requests[0].headers["authorization"] == "Bearer hidden-thing"
    shown = json.dumps([dead_letters(broker), events(broker), broker.logged, broker.said])
    assert "hidden-thing" not in shown and SECRET not in shown


# --- lists --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["array", "ndjson", "cloudevents"])
def test_a_list_is_one_request(start, receiver, form):
    keys = {"format": "cloudevents"} if form == "cloudevents" else {"batch": {"form": form}}
    keys["batch"] = {"count": 5, "age": "1m", **keys.get("batch", {})}
    broker = start(**keys)
    broker.fill("a/b", 5)
    request = receiver.wait()[0]
    items = [json.loads(line) for line in request.body.splitlines()] if form == "ndjson" \
        else request.json()
    assert [item["data"]["n"] for item in items] == [1, 2, 3, 4, 5]
    assert request.id.startswith("bat_") and "." not in request.id
    assert request.is_signed()
    assert len(receiver.requests) == 1


def test_a_list_waits_no_longer_than_its_age(start, receiver):
    broker = start(batch={"count": 1000, "age": "100ms"})
    assert broker.post("a/b", b"1\n2\n3\n", "application/x-ndjson").status == 200
    wait_for(lambda: sum(len(request.json()) for request in receiver.requests) == 3)
    assert len(receiver.requests) < 3


def test_a_list_that_is_refused_is_sent_again_as_it_was(start, receiver):
    receiver.script = [Answer(500), DROP]
    broker = start(batch={"count": 3, "age": "1m"})
    broker.fill("a/b", 3)
    first, *others = receiver.wait(3)
    assert all((other.id, other.body) == (first.id, first.body) for other in others)


# --- signatures ---------------------------------------------------------------------------------


def test_the_library_of_the_specification_verifies_what_is_sent(start_broker):
    with Receiver() as receiver:
        rows = [webhook(receiver.url, name=name, **keys) for name, keys in {
            "envelope": {}, "data": {"format": "data"}, "events": {"format": "cloudevents"},
            "list": {"batch": {"count": 2, "age": "1m"}},
            "lines": {"batch": {"count": 2, "age": "1m", "form": "ndjson"}}}.items()]
        broker = start_broker(config=configuration(*rows))
        broker.publish("a/b", {"text": "grün \u2028 \U0001f600"})
        broker.post("a/b", "schön".encode(), "text/plain")
        requests = receiver.wait(8)
        assert npm.verify_webhooks(SECRET, requests) == [None] * 8
        assert npm.verify_webhooks(OTHER_SECRET, requests[:1]) == ["No matching signature found"]


def test_while_a_secret_changes_both_sign(start, receiver):
    broker = start(webhook={"secret": OTHER_SECRET, "secret_previous": SECRET})
    broker.publish("a/b", 1)
    request = receiver.wait()[0]
    assert request.is_signed(SECRET) and request.is_signed(OTHER_SECRET)
    assert npm.verify_webhooks(SECRET, [request]) == [None]
    assert npm.verify_webhooks(OTHER_SECRET, [request]) == [None]


def test_without_a_secret_nothing_is_signed(start, receiver):
    broker = start(secret=None)
    broker.publish("a/b", 1)
    request = receiver.wait()[0]
    assert "webhook-signature" not in request.headers and request.id


# --- again --------------------------------------------------------------------------------------


def test_each_attempt_is_the_same_message_signed_anew(start, receiver):
    receiver.script = [Answer(500), DROP, Answer(404)]
    broker = start()
    broker.publish("a/b", 1)
    requests = receiver.wait(4)
    assert len({request.id for request in requests}) == 1
    assert len({request.body for request in requests}) == 1
    assert all(request.is_signed(age_s=30) for request in requests)


def test_what_is_not_2xx_is_tried_again_and_then_a_dead_letter(start, receiver):
    answers = {1: Answer(500, body=b"no database"), 2: Answer(204), 3: redirect("/other"), 4: OK,
               5: Answer(304)}
    receiver.answer = lambda request: answers[request.json()["data"]["n"]]
    broker = start(waits=["10ms"])
    broker.fill("a/b", 5)
    letters = wait_dead(broker, 3)
    assert [letter["data"]["n"] for letter in letters] == [1, 3, 5]
    first = letters[0]["headers"]
    assert first["tidings-channel"] == "a/b" and first["tidings-offset"] == "1"
    assert first["tidings-status"] == "500" and first["tidings-detail"] == "no database"
    assert first["tidings-attempts"] == "2"
    assert first["tidings-id"] == broker.all_messages("a/b")[0][0]["id"]
    wait_for(lambda: [data["n"] for data in receiver.data()] == [2, 4])
    assert {request.target for request in receiver.requests} == {"/hook"}
    assert len(receiver.requests) == 2 * 3 + 2


def test_a_dead_letter_finds_a_channel_where_others_find_none(start_broker, receiver):
    receiver.answer = lambda request: Answer(500) if request.json()["data"] == 1 else OK
    broker = start_broker(config=configuration(webhook(receiver.url, waits=["10ms"]),
                                               limits={"channels": 1}))
    broker.publish("a/b", 1)
    broker.publish("a/b", 2)
    assert broker.post("a/c", b"3").status == 503
    assert [letter["data"] for letter in wait_dead(broker)] == [1]
    wait_for(lambda: receiver.data() == [2])


def test_retry_after_is_heeded(start, receiver):
    date = email.utils.formatdate(time.time() + 2, usegmt=True)
    receiver.script = [Answer(429, {"Retry-After": "1"}), Answer(503, {"Retry-After": date})]
    broker = start(waits=["10ms", "10ms"])
    broker.publish("a/b", 1)
    first, second, third = receiver.wait(3)
    # The broker counts whole milliseconds, from where the turn began that it is in.
    assert second.time - first.time > 0.9
    assert third.time > email.utils.parsedate_to_datetime(date).timestamp() - 0.1


def test_retry_after_has_an_end(start, receiver):
    receiver.script = [Answer(429, {"Retry-After": "86400"})]
    broker = start(waits=["10ms"], retry={"after_max": "1s"})
    broker.publish("a/b", 1)
    assert len(receiver.wait(2)) == 2


def test_gone_disables_at_once(start, receiver):
    receiver.script = [Answer(410)]
    broker = start()
    broker.publish("a/b", 1)
    assert wait_state(broker, "disabled")["status"] == 410
    broker.publish("a/b", 2)
    assert len(receiver.requests) == 1
    ask(broker, "POST", "/s/resume")
    wait_for(lambda: receiver.data() == [1, 2])
    assert receiver.requests[0].id == receiver.requests[1].id


# --- order and width ----------------------------------------------------------------------------


def test_in_order_one_that_fails_holds_back_its_channel_alone(start, receiver):
    first = threading.Event()
    receiver.answer = lambda request: OK if first.is_set() or request.json()["channel"] != "a/x" \
        else Answer(500)
    broker = start(waits=["100ms"] * 32)
    broker.publish("a/x", 1)
    broker.publish("a/x", 2)
    broker.publish("a/y", 3)
    wait_for(lambda: ("a/y", 3) in names(receiver.accepted()), what="the other channel")
    assert ("a/x", 2) not in names(receiver.requests)
    first.set()
    wait_for(lambda: ("a/x", 2) in names(receiver.accepted()))
    assert [data for name, data in names(receiver.accepted()) if name == "a/x"] == [1, 2]


def test_the_order_may_be_that_of_keys(start, receiver):
    receiver.answer = lambda request: Answer(500) if request.json().get("key") == "bad" else OK
    broker = start(order="key", waits=["100ms"] * 32)
    broker.publish("a/x", 1, {"Tidings-Key": "bad"})
    broker.publish("a/x", 2, {"Tidings-Key": "bad"})
    broker.publish("a/x", 3, {"Tidings-Key": "good"})
    receiver.wait_accepted()
    assert names(receiver.accepted()) == [("a/x", 3)]
    assert ("a/x", 2) not in names(receiver.requests)


def test_in_parallel_nothing_is_held_back(start, receiver):
    receiver.answer = lambda request: Answer(500) if request.json()["data"] == 1 else OK
    broker = start(mode="parallel", waits=["100ms"] * 32)
    for number in range(1, 6):
        broker.publish("a/x", number)
    receiver.wait_accepted(4)
    assert sorted(receiver.data()) == [2, 3, 4, 5]


def test_no_more_requests_are_under_way_than_may_be(start, receiver):
    receiver.answer = Answer(delay_s=0.3)
    broker = start(mode="parallel", concurrency=3)
    broker.fill("a/b", 9)
    requests = receiver.wait(9)
    moments = sorted(request.time for request in requests)
    at_once = max(sum(begun <= moment < begun + 0.29 for begun in moments) for moment in moments)
    assert 1 < at_once <= 3
    assert receiver.connections <= 3


def test_a_rate_is_kept(start, receiver):
    broker = start(mode="parallel", rate="20/s")
    begin = time.time()
    assert broker.post("a/b", b"1\n" * 20, "application/x-ndjson").status == 200
    assert receiver.wait(20)[-1].time - begin > 0.4  # 0.85 and more


def test_a_connection_is_used_again(start, receiver):
    broker = start()
    for number in range(10):
        broker.publish("a/b", number)
    receiver.wait(10)
    assert receiver.connections == 1


# --- restarts -----------------------------------------------------------------------------------


def test_what_was_sent_before_a_stop_is_not_sent_again(start, receiver):
    broker = start()
    broker.fill("a/b", 3)
    receiver.wait_accepted(3)
    broker.stop()
    broker.start()
    broker.publish("a/b", {"n": 4})
    receiver.wait_accepted(4)
    assert [data["n"] for data in receiver.data()] == [1, 2, 3, 4]


def test_a_kill_repeats_what_was_not_answered_with_the_same_id(start, receiver):
    receiver.answer = lambda request: Answer(status=0, closes=False, delay_s=60)
    broker = start()
    broker.publish("a/b", 1)
    receiver.wait()
    broker.kill()
    receiver.answer = OK
    broker.start()
    receiver.wait_accepted()
    assert receiver.requests[0].id == receiver.accepted()[0].id
    assert receiver.requests[0].body == receiver.accepted()[0].body


def test_a_wait_goes_on_behind_a_restart(start, receiver):
    receiver.script = [Answer(500)]
    broker = start(waits=["1h"])
    broker.publish("a/x", 1)
    receiver.wait()
    wait_for(lambda: receiver.requests[0].answer)
    broker.publish("a/y", 2)
    receiver.wait_accepted()
    broker.stop()
    broker.start()
    broker.publish("a/y", 3)
    receiver.wait_accepted(2)
    assert [data for _, data in names(receiver.requests)] == [1, 2, 3]


# --- what the operator asks for -----------------------------------------------------------------


def test_dead_letters_are_sent_again_as_the_messages_that_they_were(start, receiver):
    receiver.answer = Answer(500)
    broker = start(waits=["10ms"])
    broker.publish("a/b", {"n": 1}, {"Tidings-Event": "e", "Tidings-Key": "k"})
    wait_dead(broker)
    receiver.answer = OK
    ask(broker, "POST", "/s/replay", {"dead_letters": True})
    receiver.wait_accepted()
    first, *_, last = receiver.requests
    assert (last.id, last.json()) == (first.id, first.json())
    broker.publish("a/b", {"n": 2})
    wait_for(lambda: receiver.data() == [{"n": 1}, {"n": 2}])


def test_what_was_delivered_is_sent_once_more_with_the_same_ids(start, receiver):
    broker = start()
    broker.fill("a/b", 3)
    receiver.wait_accepted(3)
    ask(broker, "POST", "/s/replay", {"since": "earliest"})
    requests = receiver.wait_accepted(6)
    assert [request.id for request in requests[3:]] == [request.id for request in requests[:3]]


def test_a_message_to_try_things_out_comes_back_with_the_answer(start, receiver):
    receiver.script = [Answer(418, body=b"a teapot")]
    broker = start()
    told = ask(broker, "POST", "/s/test")
    assert (told["outcome"], told["status"], told["detail"]) == ("failed", 418, "a teapot")
    assert ask(broker, "POST", "/s/test")["outcome"] == "delivered"
    assert all(request.is_signed() for request in receiver.requests)
    assert receiver.requests[0].json()["data"]["test"] is True
