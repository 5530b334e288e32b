# SPDX-License-Identifier: Apache-2.0
"""A publish that comes again under its key: the first answer, and nothing stored."""
import threading

import pytest

LINES = {"Content-Type": "application/x-ndjson"}


def key(channel, suffix=""):
    return {"Idempotency-Key": f'"{channel}{suffix}"'}


def test_quotes_make_no_other_key(broker, channel):
    first = broker.publish(channel, 1, {"Idempotency-Key": f'"{channel}"'})
    assert broker.publish(channel, 1, {"Idempotency-Key": channel}) == first
    assert len(broker.page(channel)["messages"]) == 1


@pytest.mark.parametrize("value", ["", '""', '"a', "a b", "a,b", "x" * 256, '"a";p=1', '"\\a"'])
def test_a_key_that_is_none_is_refused(broker, channel, value):
    answer = broker.post(channel, b"1", headers={"Idempotency-Key": value})
    assert answer.status == 400 and answer.json()["field"] == "Idempotency-Key", answer


@pytest.mark.parametrize("headers, body", [
    ({}, b"2"), ({"Tidings-Key": "k"}, b"1"), ({"Tidings-Event": "e"}, b"1"),
    ({"Tidings-TTL": "60"}, b"1"), ({"Tidings-Header-A": "b"}, b"1"),
    ({"Content-Type": "text/plain"}, b"1")])
def test_the_same_key_with_another_message_is_422(broker, channel, headers, body):
    broker.publish(channel, 1, key(channel))
    answer = broker.post(channel, body, headers={**key(channel), **headers})
    assert answer.status == 422 and answer.type == "application/problem+json"
    answer = broker.post(channel + "/other", b"1", headers=key(channel))
    assert answer.status == 422
    assert len(broker.page(channel)["messages"]) == 1


def test_a_batch_has_one_key(broker, channel):
    headers = {**LINES, **key(channel)}
    first = broker.request("POST", f"/channels/{channel}", headers, b"1\n2\n3")
    broker.publish(channel, "between")
    again = broker.request("POST", f"/channels/{channel}", headers, b"1\n2\n3")
    assert first.status == again.status == 200 and first.body == again.body
    assert len(broker.page(channel)["messages"]) == 4
    body = f'[{{"channel":"{channel}/a","data":1}},{{"channel":"{channel}/b","data":1}}]'
    first = broker.request("POST", "/publish", key(channel, "x"), body)
    again = broker.request("POST", "/publish", key(channel, "x"), body)
    assert first.status == 200 and first.body == again.body
    assert len(broker.page(channel + "/a")["messages"]) == 1


def test_a_publish_that_was_refused_leaves_its_key_free(broker, channel):
    assert broker.post(channel, b"{", headers=key(channel)).status == 400
    assert broker.post(channel, b"{}", headers=key(channel)).status == 200


def test_repeats_at_the_same_time_are_one(broker, channel):
    answers = []

    def run():
        answers.append(broker.post(channel, b'{"n":1}', headers=key(channel)).body)

    threads = [threading.Thread(target=run) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 1 and len(broker.page(channel)["messages"]) == 1


@pytest.mark.parametrize("is_killed", [True, False])
def test_a_repeat_after_a_restart_stores_nothing(start_broker, is_killed):
    broker = start_broker()
    first = broker.publish("a", 1, key("a"))
    batch = broker.request("POST", "/channels/b", {**LINES, **key("b")}, b"1\n2")
    if is_killed:
        broker.kill()
    else:
        broker.stop()
    broker.start()
    assert broker.publish("a", 1, key("a")) == first
    again = broker.request("POST", "/channels/b", {**LINES, **key("b")}, b"1\n2")
    assert again.status == 200 and again.body == batch.body
    assert broker.post("a", b"2", headers=key("a")).status == 422
    assert len(broker.page("a")["messages"]) == 1 and len(broker.page("b")["messages"]) == 2
