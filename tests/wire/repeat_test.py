# SPDX-License-Identifier: Apache-2.0
"""Idempotency: a repeat answers what the first answered and stores nothing, whoever asks how."""
import json
import threading

import pytest

NDJSON = "application/x-ndjson"


def post(broker, channel, body, key, media_type="application/json"):
    return broker.post(channel, body, media_type, {"Idempotency-Key": key})


def stored(broker, channel):
    return [message.get("data") for message in broker.page(channel, limit=1000)["messages"]]


def test_a_repeat_reaches_no_reader(broker, channel):
    with broker.websocket(f"/channels/{channel}") as reader:
        for _ in range(3):
            assert post(broker, channel, b"1", channel).status == 200
        broker.publish(channel, 2)
        assert [reader.recv_json()["data"] for _ in range(2)] == [1, 2]


def test_another_key_is_another_publish(broker, channel):
    for key in ("a", "b", "A"):
        assert post(broker, channel, b"1", channel + key).status == 200
    assert stored(broker, channel) == [1, 1, 1]


@pytest.mark.parametrize("body, media_type", [(b"1\n2\n3\n", NDJSON), (b"x" * 60000, "text/plain"),
                                              (b"\0\xff", "application/octet-stream")])
def test_a_repeat_of_any_body_answers_the_same(broker, channel, body, media_type):
    first = post(broker, channel, body, channel, media_type)
    again = post(broker, channel, body, channel, media_type)
    assert first.status == again.status == 200 and again.json() == first.json()
    assert len(stored(broker, channel)) == (3 if media_type == NDJSON else 1)


def test_a_repeat_of_a_batch_answers_each_place(broker, channel):
    body = json.dumps([{"channel": f"{channel}/{number % 3}", "data": number}
                       for number in range(9)]).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": channel}
    first = broker.request("POST", "/publish", headers, body)
    broker.publish(channel + "/1", "between")
    again = broker.request("POST", "/publish", headers, body)
    assert first.status == again.status == 200 and again.json() == first.json()
    assert len(broker.page(channel + "/*")["messages"]) == 10
    other = broker.request("POST", "/publish", headers, body.replace(b"8", b"9"))
    assert other.status == 422
    assert len(broker.page(channel + "/*")["messages"]) == 10


def test_a_repeat_over_a_websocket_is_one(broker, channel):
    with broker.websocket(f"/channels/{channel}") as socket:
        answers = []
        for ref in (1, 2, 3):
            data = 1 if ref < 3 else 2
            socket.send_json({"publish": {"data": data, "idempotency_key": channel}, "ref": ref})
            while (answer := socket.recv_json()).get("ref") != ref:
                pass
            answers.append(answer)
    assert answers[0]["ok"] == answers[1]["ok"] and "error" in answers[2]
    assert stored(broker, channel) == [1]


@pytest.mark.parametrize("size", [10, 200000])
def test_repeats_at_the_same_time_store_once(start_broker, size):
    """From many connections at both workers, while others publish."""
    broker = start_broker("--workers", "2")
    body = b'"' + b"x" * size + b'"'
    for number in range(20):
        answers, gate = [], threading.Barrier(8)

        def ask(answers=answers, gate=gate, number=number):
            with broker.connect() as connection:
                gate.wait(20)
                answers.append(connection.request(
                    "POST", "/channels/a", {"Content-Type": "application/json",
                                            "Idempotency-Key": f"k{number}"}, body))

        threads = [threading.Thread(target=ask, daemon=True) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(answers) == 8
        assert {answer.status for answer in answers} == {200}
        assert {answer.json()["offset"] for answer in answers} == {number + 1}
        assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(broker.page("a")["messages"]) == 20


def test_bodies_that_differ_at_the_same_time_store_one_of_them(start_broker):
    broker = start_broker("--workers", "2")
    for number in range(10):
        answers, gate = [], threading.Barrier(6)

        def ask(index, answers=answers, gate=gate, number=number):
            with broker.connect() as connection:
                gate.wait(20)
                answers.append((index, connection.request(
                    "POST", "/channels/a", {"Content-Type": "application/json",
                                            "Idempotency-Key": f"k{number}"}, b"%d" % index)))

        threads = [threading.Thread(target=ask, args=(index,), daemon=True) for index in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        taken = [index for index, answer in answers if answer.status == 200]
        assert len(taken) == 1 and len(answers) == 6
        assert {answer.status for index, answer in answers if index not in taken} == {422}
        assert stored(broker, "a")[number] == taken[0]
    assert len(stored(broker, "a")) == 10
