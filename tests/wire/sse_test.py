# SPDX-License-Identifier: Apache-2.0
"""Server-Sent Events: the envelope and the bare payload, resume, gaps, heartbeats."""
import json

import pytest


def test_a_stream_starts_from_now_and_carries_the_envelope(broker, channel):
    broker.fill(channel, 2)
    with broker.events(f"/channels/{channel}") as stream:
        assert stream.status == 200
        assert stream.headers["content-type"].split(";")[0] == "text/event-stream"
        assert "no-cache" in stream.headers["cache-control"] or \
            "no-store" in stream.headers["cache-control"]
        answer = broker.publish(channel, {"n": 3}, {"Tidings-Event": "goal"})
        event = stream.next()
        assert event.id == answer["id"] and event.event is None
        page = broker.page(channel, since=2)
        assert event.json() == page["messages"][0]


@pytest.mark.parametrize("query, header, expected", [
    ("?since=earliest", None, [1, 2, 3, 4, 5]),
    ("?since=0", None, [1, 2, 3, 4, 5]),
    ("?since=3", None, [4, 5]),
    ("?since=-2", None, [4, 5]),
    ("?since=-1h", None, [1, 2, 3, 4, 5]),
    ("", 1, [3, 4, 5]),
    ("?since=earliest", 3, [5]),
])
def test_a_stream_resumes_and_last_event_id_beats_since(broker, channel, query, header, expected):
    answers = broker.fill(channel, 5)
    last = None if header is None else answers[header]["id"]
    with broker.events(f"/channels/{channel}{query}", last_event_id=last) as stream:
        assert [stream.next().json()["data"]["n"] for _ in expected] == expected
        broker.fill(channel, 1, first=6)
        assert stream.next().json()["data"]["n"] == 6


def test_ids_of_a_stream_resume_pages_and_the_other_way_round(broker, channel):
    broker.fill(channel, 4)
    with broker.events(f"/channels/{channel}?since=earliest") as stream:
        ids = [stream.next().id for _ in range(4)]
    for index, text in enumerate(ids):
        page = broker.page(channel, since=text)
        assert [message["offset"] for message in page["messages"]] == \
            list(range(index + 2, 5))


def test_without_an_envelope_it_is_the_bare_payload(broker, channel):
    with broker.events(f"/channels/{channel}?envelope=none") as stream:
        broker.post(channel, b'{"a": 1.0}', headers={"Tidings-Event": "goal"})
        broker.post(channel, "eins\nzwei\r\n\ndrei".encode(), "text/plain")
        broker.post(channel, b"", "text/plain")
        broker.post(channel, b": no\ndata: x\nid: 7", "text/plain")
        first = stream.next()
        assert (first.event, first.data) == ("goal", '{"a": 1.0}') and first.id
        second = stream.next()
        assert second.event is None
        assert second.data.replace("\r", "") == "eins\nzwei\n\ndrei"
        third = stream.next()
        assert third.data in ("", ": no\ndata: x\nid: 7")
        if third.data == "":
            third = stream.next()
        assert third.data == ": no\ndata: x\nid: 7"


def test_json_over_several_lines_arrives_whole(broker, channel):
    body = b'{\n  "a":\r\n [1,\n2]\n}'
    with broker.events(f"/channels/{channel}") as stream:
        broker.post(channel, body)
        assert stream.next().json()["data"] == {"a": [1, 2]}
    with broker.events(f"/channels/{channel}?since=0&envelope=none") as stream:
        assert json.loads(stream.next().data) == {"a": [1, 2]}


def test_an_event_name_with_a_line_end_cannot_be_published(broker, channel):
    answer = broker.request("POST", f"/channels/{channel}", {"Tidings-Event": "a\rdata: x"}, b"1")
    assert answer.status == 400


def test_binary_in_the_envelope_is_base64_and_without_it_406(broker, channel):
    broker.post(channel, b"\x00\xff", "image/png")
    with broker.events(f"/channels/{channel}?since=earliest") as stream:
        assert stream.next().json()["data_base64"] == "AP8="
    with broker.events(f"/channels/{channel}?since=earliest&envelope=none") as stream:
        if stream.status == 200:
            event = stream.next()  # too late for a status: the stream is closed with the reason
            assert event.event == "close" and event.json()["reconnect"] is False
        else:
            assert stream.status == 406


def test_an_envelope_that_does_not_exist_is_refused(broker, channel):
    with broker.events(f"/channels/{channel}?envelope=some") as stream:
        assert stream.status == 400
        assert stream.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["since", "last_event_id"])
def test_a_start_that_means_nothing_is_refused(broker, channel, name):
    if name == "since":
        stream = broker.events(f"/channels/{channel}?since=x")
    else:
        stream = broker.events(f"/channels/{channel}", last_event_id="x y")
    with stream:
        assert stream.status == 400


def test_an_offset_ahead_is_told_and_the_stream_goes_on(broker, channel):
    broker.fill(channel, 2)
    with broker.events(f"/channels/{channel}?since=40") as stream:
        event = stream.next()
        assert event.event == "gap" and event.json()["reason"] == "ahead"
        assert event.id == event.json()["id"] or event.id is None
        broker.fill(channel, 1, first=3)
        assert stream.next().json()["data"]["n"] == 3


def test_expired_offsets_are_told_exactly(start_broker):
    broker = start_broker(config="""
channels:
  - match: "short/**"
    history: { messages: 5 }
""")
    answers = broker.fill("short/a", 20)
    for query, last in (("?since=2", None), ("", answers[1]["id"])):
        with broker.events(f"/channels/short/a{query}", last_event_id=last) as stream:
            event = stream.next()
            gap = event.json()
            assert event.event == "gap"
            assert (gap["from"], gap["to"], gap["reason"]) == (3, 15, "expired")
            assert (gap["first"], gap["last"]) == (16, 20)
            assert [stream.next().json()["offset"] for _ in range(5)] == [16, 17, 18, 19, 20]
        with broker.events("/channels/short/a", last_event_id=gap["id"]) as stream:
            assert stream.next().json()["offset"] == 16


def test_an_id_of_another_log_is_a_gap_of_reason_epoch(broker, channel, start_broker):
    foreign = start_broker().publish("a", 1)["id"]
    broker.fill(channel, 1)
    with broker.events(f"/channels/{channel}", last_event_id=foreign) as stream:
        event = stream.next()
        assert event.event == "gap" and event.json()["reason"] == "epoch"


def test_a_quiet_stream_has_a_heartbeat(broker, channel):
    broker.fill(channel, 1)
    with broker.events(f"/channels/{channel}") as stream:
        block = stream.block(60)
        while not (block.comments or block.id):  # the first block tells `retry:`
            block = stream.block(60)
        assert block.data is None


def test_a_reader_far_from_its_messages_is_told_its_progress(broker, channel):
    with broker.events(f"/channels/{channel}") as stream:
        newest = broker.publish(channel + "/other", 1)["id"]
        seen = None
        while seen is None:
            seen = stream.block(60).id
    page = broker.page(channel + "/other", since=seen)
    assert page["messages"] == [] or page["messages"][0]["id"] == newest
    assert "gap" not in page


def test_a_stream_of_an_empty_log_begins_with_an_id_that_resumes_it(start_broker):
    broker = start_broker()
    with broker.events("/channels/a") as stream:
        begin = stream.block(60).id
    assert begin is not None
    broker.fill("a", 2)
    with broker.events("/channels/a", last_event_id=begin) as stream:
        assert [stream.next().json()["offset"] for _ in range(2)] == [1, 2]


def test_head_of_a_stream_has_no_body(broker, channel):
    answer = broker.request("HEAD", f"/channels/{channel}", {"Accept": "text/event-stream"})
    assert answer.status == 200 and answer.type == "text/event-stream"


def test_a_stream_over_http_1_0_ends_with_its_connection(broker, channel):
    with broker.connect() as connection:
        connection.send(f"GET /channels/{channel}?since=0 HTTP/1.0\r\nHost: {broker.host}\r\n"
                        "Accept: text/event-stream\r\n\r\n")
        head = connection.read_until(b"\r\n\r\n").lower()
        assert head.split(b" ")[1] == b"200" and b"transfer-encoding" not in head
        broker.publish(channel, "x")
        connection.read_until(b'"x"')


def test_a_message_of_a_megabyte_arrives_whole(broker, channel):
    text = "é" * 500000
    with broker.events(f"/channels/{channel}") as stream:
        assert broker.post(channel, text.encode(), "text/plain").status == 200
        assert stream.next().json()["data"] == text
