# SPDX-License-Identifier: Apache-2.0
"""Many messages with one request: all or none, in order, each fault by its place."""
import base64
import json
import threading

import pytest

LINES = {"Content-Type": "application/x-ndjson"}


def publish(broker, messages, headers=None):
    body = json.dumps(messages).encode()
    return broker.request("POST", "/publish", {"Content-Type": "application/json",
                                               **(headers or {})}, body)


def refused(answer, status, field=None):
    assert answer.status == status and answer.type == "application/problem+json", answer
    if field:
        assert answer.json()["field"] == field, answer


# --- lines ---------------------------------------------------------------------------------------


def test_a_line_is_a_message(broker, channel):
    body = b'{"n": 1.50e+2}\r\n\n"x"\n \t\n[3]'
    answer = broker.request("POST", f"/channels/{channel}", LINES, body)
    assert answer.status == 200
    results = answer.json()["results"]
    assert [result["offset"] for result in results] == [1, 2, 3]
    assert all(set(result) == {"channel", "offset", "id"} for result in results)
    messages = broker.page(channel)["messages"]
    assert [message["data"] for message in messages] == [{"n": 150.0}, "x", [3]]
    assert [message["id"] for message in messages] == [result["id"] for result in results]
    assert b'{"n": 1.50e+2}' in broker.get(f"/channels/{channel}").body


def test_headers_of_the_request_are_those_of_each_line(broker, channel):
    headers = {**LINES, "Tidings-Key": "k", "Tidings-Event": "e", "Tidings-Header-A": "b"}
    assert broker.request("POST", f"/channels/{channel}", headers, b"1\n2\n").status == 200
    for message in broker.page(channel)["messages"]:
        assert (message["key"], message["event"], message["headers"]) == ("k", "e", {"a": "b"})


@pytest.mark.parametrize("body, field", [
    (b'1\n2\n{"a":\n4', "line 3"), (b"\n\n1 2", "line 3"), (b"nul", "line 1"),
    (b'"\xff"', "line 1"), (b"\xef\xbb\xbf1", "line 1"), (b"", None), (b"\r\n \n", None)])
def test_a_line_that_is_no_json_refuses_them_all(broker, channel, body, field):
    refused(broker.request("POST", f"/channels/{channel}", LINES, body), 400, field)
    assert broker.page(channel)["messages"] == []


def test_lines_come_in_chunks_too(broker, channel):
    with broker.connect() as connection:
        connection.send(f"POST /channels/{channel} HTTP/1.1\r\nHost: {broker.host}\r\n"
                        "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (b"1\n", b'{"a"', b":2}\r", b"\n3"):
            connection.send(b"%x\r\n%s\r\n" % (len(part), part))
        connection.send(b"0\r\n\r\n")
        assert len(connection.read_response().json()["results"]) == 3
    assert [message["data"] for message in broker.page(channel)["messages"]] == [1, {"a": 2}, 3]


# --- bounds --------------------------------------------------------------------------------------


def test_ten_thousand_messages_are_one_publish_and_one_more_is_none(broker, channel):
    body = b"\n".join(b"%d" % number for number in range(10000))
    answer = broker.request("POST", f"/channels/{channel}", LINES, body)
    assert answer.status == 200
    assert [result["offset"] for result in answer.json()["results"]] == list(range(1, 10001))
    refused(broker.request("POST", f"/channels/{channel}", LINES, body + b"\n1"), 413)
    messages, gaps = broker.all_messages(channel)
    assert [message["data"] for message in messages] == list(range(10000)) and not gaps


def test_a_body_of_more_than_16_mib_is_413(broker, channel):
    with broker.connect() as connection:
        connection.send(f"POST /channels/{channel} HTTP/1.1\r\nHost: {broker.host}\r\n"
                        "Content-Type: application/x-ndjson\r\nContent-Length: 16777217\r\n"
                        "Expect: 100-continue\r\n\r\n")
        answer = connection.read_response(skip_interim=False)
    refused(answer, 413, "Content-Length")
    assert "16777216" in answer.json()["detail"]


def test_a_batch_may_be_larger_than_one_message_but_no_message_may(broker, channel):
    large = b'"' + b"x" * 1048574 + b'"'
    answer = broker.request("POST", f"/channels/{channel}", LINES, b"\n".join([large] * 3))
    assert answer.status == 200 and len(answer.json()["results"]) == 3
    answer = broker.request("POST", f"/channels/{channel}", LINES,
                            large + b'\n"' + b"x" * 1048575 + b'"')
    refused(answer, 413, "line 2")
    assert broker.page(channel, limit=1)["last"] == 3


# --- many channels -------------------------------------------------------------------------------


def test_one_publish_goes_to_many_channels(broker, channel):
    messages = [
        {"channel": channel + "/a", "data": {"n": 1}, "event": "e", "key": "k",
         "headers": {"Name": "ü"}, "ttl": 600, "retain": True},
        {"channel": channel + "/b", "data_base64": base64.b64encode(b"\0\1").decode(),
         "type": "image/png"},
        {"channel": channel + "//empty", "data": "text", "type": "text/plain"},
        {"channel": channel + "/a", "data": None}]
    answer = publish(broker, messages)
    assert answer.status == 200, answer
    results = answer.json()["results"]
    assert [(result["channel"], result["offset"]) for result in results] == [
        (messages[0]["channel"], 1), (messages[1]["channel"], 1),
        (messages[2]["channel"], 1), (messages[3]["channel"], 2)]
    first, last = broker.page(channel + "/a")["messages"]
    assert (first["data"], first["event"], first["key"], first["headers"], first["id"]) == \
        ({"n": 1}, "e", "k", {"Name": "ü"}, results[0]["id"])
    assert last["data"] is None
    message = broker.page(channel + "/b")["messages"][0]
    assert (message["data_base64"], message["type"]) == ("AAE=", "image/png")


def test_one_object_needs_no_array(broker, channel):
    answer = publish(broker, {"channel": channel, "data": 1})
    assert [result["offset"] for result in answer.json()["results"]] == [1]


@pytest.mark.parametrize("message, status, field", [
    ({"data": 1}, 400, "[1].channel"),
    ({"channel": "a/+", "data": 1}, 400, "[1].channel"),
    ({"channel": "$x", "data": 1}, 403, "[1].channel"),
    ({"channel": "a"}, 400, "[1].data"),
    ({"channel": "a", "data": 1, "data_base64": "AA=="}, 400, "[1].data"),
    ({"channel": "a", "data_base64": "!"}, 400, "[1].data_base64"),
    ({"channel": "a", "data": 1, "kye": 1}, 400, "[1].kye"),
    ({"channel": "a", "data": 1, "ttl": -1}, 400, "[1].ttl"),
    ({"channel": "a", "data": {}, "type": "text/plain"}, 400, "[1].data"),
    (7, 400, "[1]")])
def test_a_fault_names_its_message_and_refuses_them_all(broker, channel, message, status, field):
    refused(publish(broker, [{"channel": channel, "data": 1}, message]), status, field)
    assert broker.page(channel)["messages"] == []


@pytest.mark.parametrize("body", [b"", b"[]", b"[{]", b"1", b'"x"', b"{}"])
def test_what_holds_no_message_is_refused(broker, body):
    refused(broker.request("POST", "/publish", None, body), 400)


def test_what_describes_one_message_has_no_place_there(broker, channel):
    message = {"channel": channel, "data": 1}
    refused(publish(broker, [message], {"Tidings-Key": "k"}), 400, "Tidings-Key")
    refused(publish(broker, [message], {"Content-Type": "text/plain"}), 415, "Content-Type")
    answer = broker.request("GET", "/publish")
    assert answer.status == 405 and "POST" in answer.headers["allow"]


def test_a_batch_to_a_durable_and_a_quick_channel_is_answered(start_broker):
    broker = start_broker(config='channels:\n  - match: "safe/**"\n    durability: fsync\n')
    answer = publish(broker, [{"channel": "quick", "data": 1}, {"channel": "safe/a", "data": 2}])
    assert [result["offset"] for result in answer.json()["results"]] == [1, 1]


def test_batches_of_many_publishers_do_not_mix(broker, channel):
    def run(name):
        with broker.connect() as connection:
            for turn in range(20):
                body = b"\n".join(b'["%s",%d,%d]' % (name, turn, n) for n in range(50))
                answer = connection.request("POST", f"/channels/{channel}", LINES, body)
                assert answer.status == 200

    threads = [threading.Thread(target=run, args=(name,)) for name in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    messages, _ = broker.all_messages(channel)
    assert [message["offset"] for message in messages] == list(range(1, 3001))
    for start in range(0, 3000, 50):
        group = [message["data"] for message in messages[start:start + 50]]
        assert [data[2] for data in group] == list(range(50))
        assert len({(data[0], data[1]) for data in group}) == 1
