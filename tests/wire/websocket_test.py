# SPDX-License-Identifier: Apache-2.0
"""The one-channel WebSocket: reading, publishing with ref, gaps, and every broken frame."""
import asyncio
import json
import struct

import pytest
import websockets

from harness.http import TIMEOUT_S
from harness.websocket import (BINARY, CLOSE, PING, PONG, TEXT, PeerClosed, Refused,
                               handshake_headers)


def test_a_reader_gets_envelopes_as_text(broker, channel):
    with broker.websocket(f"/channels/{channel}") as socket:
        broker.publish(channel, {"a": 1}, {"Tidings-Event": "goal"})
        assert socket.recv_json() == broker.page(channel)["messages"][0]


@pytest.mark.parametrize("since, expected", [
    ("earliest", [1, 2, 3, 4, 5]), ("0", [1, 2, 3, 4, 5]), ("3", [4, 5]), ("-2", [4, 5]),
    ("-1h", [1, 2, 3, 4, 5]), ("now", []), ("id", [3, 4, 5])])
def test_a_reader_starts_where_it_says(broker, channel, since, expected):
    answers = broker.fill(channel, 5)
    since = answers[1]["id"] if since == "id" else since
    with broker.websocket(f"/channels/{channel}?since={since}") as socket:
        assert [socket.recv_json()["data"]["n"] for _ in expected] == expected
        broker.fill(channel, 1, first=6)
        assert socket.recv_json()["data"]["n"] == 6


def test_publishing_is_answered_with_its_ref(broker, channel):
    with broker.websocket(f"/channels/{channel}") as socket:
        socket.send_json({"publish": {"data": {"text": "hi"}}, "ref": 7})
        answers = [socket.recv_json(), socket.recv_json()]
        ok = next(answer for answer in answers if "ref" in answer)
        message = next(answer for answer in answers if "ref" not in answer)
        assert ok["ref"] == 7 and ok["ok"]["offset"] == 1
        assert message["id"] == ok["ok"]["id"] and message["data"] == {"text": "hi"}


@pytest.mark.parametrize("command, expected", [
    ({"data": "x", "type": "text/plain"}, {"data": "x", "type": "text/plain"}),
    ({"data_base64": "AP8=", "type": "image/png"}, {"data_base64": "AP8=", "type": "image/png"}),
    ({"data": [1], "event": "e", "key": "k", "headers": {"a": "b"}},
     {"data": [1], "event": "e", "key": "k", "headers": {"a": "b"}}),
    ({"data": None}, {"data": None}),
])
def test_a_publish_has_the_fields_of_a_message(broker, channel, command, expected):
    with broker.websocket(f"/channels/{channel}") as socket:
        socket.send_json({"publish": command, "ref": "r"})
        while "ok" not in (answer := socket.recv_json()):
            pass
        assert answer["ref"] == "r"
    message = broker.page(channel)["messages"][0]
    assert {name: message.get(name, "missing") for name in expected} == expected


def test_a_publish_keeps_the_bytes_of_its_json(broker, channel):
    with broker.websocket(f"/channels/{channel}") as socket:
        socket.send_text('{"publish":{"data":{"n": 1.50e+2 , "u":"\\u00e9"}},"ref":1}')
        while '"ok"' not in socket.recv():
            pass
    assert b'{"n": 1.50e+2 , "u":"\\u00e9"}' in broker.get(f"/channels/{channel}").body


def test_a_publish_may_name_its_own_channel_only(broker, channel):
    with broker.websocket(f"/channels/{channel}") as socket:
        socket.send_json({"publish": {"channel": channel, "data": 1}, "ref": 1})
        while "ok" not in socket.recv_json():
            pass
        socket.send_json({"publish": {"channel": "a//+", "data": 1}, "ref": 2})
        while (answer := socket.recv_json()).get("ref") != 2:
            pass
        assert answer["error"]["code"] and answer["error"]["message"]


def test_a_repeat_with_the_same_idempotency_key_stores_nothing(broker, channel):
    with broker.websocket(f"/channels/{channel}?since=now") as socket:
        answers = []
        for ref in (1, 2):
            socket.send_json({"publish": {"data": 1, "idempotency_key": f"ws-{channel}"},
                              "ref": ref})
            while (answer := socket.recv_json()).get("ref") != ref:
                pass
            if answer.get("error", {}).get("code") == "not-implemented":
                pytest.skip("idempotency comes with a later version, and is refused until then")
            answers.append(answer["ok"])
    assert answers[0] == answers[1] and len(broker.page(channel)["messages"]) == 1


@pytest.mark.parametrize("text", [
    "", "x", "[]", "1", '"publish"', "{}", '{"publish":1,"ref":1}', '{"publish":{},"ref":1}',
    '{"publish":{"data":1,"data_base64":"AA=="},"ref":1}',
    '{"publish":{"data_base64":"!"},"ref":1}',
    '{"fly":{},"ref":1}', '{"publish":{"data":1}', pytest.param("{" * 5000, id="braces")])
def test_a_command_that_cannot_be_done_is_an_error_and_not_the_end(broker, channel, text):
    with broker.websocket(f"/channels/{channel}") as socket:
        socket.send_text(text)
        answer = socket.recv_json()
        assert answer["error"]["code"] and answer["error"]["message"]
        if '"ref":1' in text:
            assert answer["ref"] == 1
        socket.send_json({"publish": {"data": "still here"}, "ref": 2})
        while (answer := socket.recv_json()).get("ref") != 2:
            pass
        assert answer["ok"]["offset"] == 1


def test_a_publish_above_the_limit_is_an_error_or_1009_and_stores_nothing(broker, channel):
    with broker.websocket(f"/channels/{channel}") as socket:
        socket.send_json({"publish": {"data": "x" * 1048577}, "ref": 1})
        try:
            assert socket.recv_json()["error"]["code"] == "too-large"
        except PeerClosed as closed:
            assert closed.code == 1009
    assert broker.page(channel)["messages"] == []


def test_the_subprotocol_is_taken_where_it_is_offered(broker, channel):
    with broker.websocket(f"/channels/{channel}") as socket:
        assert "sec-websocket-protocol" not in socket.headers
    for offered in ("tidings.v1", "chat, tidings.v1"):
        with broker.websocket(f"/channels/{channel}",
                              headers={"Sec-WebSocket-Protocol": offered}) as socket:
            assert socket.headers["sec-websocket-protocol"] == "tidings.v1"
    with broker.websocket(f"/channels/{channel}",
                          headers={"Sec-WebSocket-Extensions": "permessage-bzip2"}) as socket:
        assert "sec-websocket-extensions" not in socket.headers


@pytest.mark.parametrize("changed, status", [
    ({"Sec-WebSocket-Version": "8"}, 426), ({"Sec-WebSocket-Version": None}, (400, 426)),
    ({"Sec-WebSocket-Key": None}, 400), ({"Sec-WebSocket-Key": "short"}, 400),
    ({"Sec-WebSocket-Key": "!" * 24}, 400)])
def test_a_bad_handshake_is_refused(broker, channel, changed, status):
    with pytest.raises(Refused) as refused:
        broker.websocket(f"/channels/{channel}", headers=changed)
    answer = refused.value.response
    assert answer.status in (status if isinstance(status, tuple) else (status,))
    if answer.status == 426:
        assert answer.headers["sec-websocket-version"] == "13"


def test_a_bad_start_is_refused_before_the_handshake(broker, channel):
    for query in ("since=x", "since=-"):
        with pytest.raises(Refused) as refused:
            broker.websocket(f"/channels/{channel}?{query}")
        assert refused.value.response.status == 400


def test_a_handshake_by_post_is_no_handshake(broker, channel):
    answer = broker.request("POST", f"/channels/{channel}", handshake_headers(), b"1")
    assert answer.status != 101


def test_an_offset_ahead_is_told_and_the_reader_goes_on(broker, channel):
    broker.fill(channel, 2)
    with broker.websocket(f"/channels/{channel}?since=40") as socket:
        assert socket.recv_json()["gap"]["reason"] == "ahead"
        broker.fill(channel, 1, first=3)
        assert socket.recv_json()["data"]["n"] == 3


def test_expired_offsets_are_told_exactly(start_broker):
    broker = start_broker(config="""
channels:
  - match: "short/**"
    history: { messages: 5 }
""")
    answers = broker.fill("short/a", 20)
    for since in (2, answers[1]["id"]):
        with broker.websocket(f"/channels/short/a?since={since}") as socket:
            gap = socket.recv_json()["gap"]
            assert (gap["from"], gap["to"], gap["reason"]) == (3, 15, "expired")
            assert (gap["first"], gap["last"], gap["channel"]) == (16, 20, "short/a")
            assert [socket.recv_json()["offset"] for _ in range(5)] == [16, 17, 18, 19, 20]
        with broker.websocket(f"/channels/short/a?since={gap['id']}") as socket:
            assert socket.recv_json()["offset"] == 16


def test_an_id_of_another_log_is_a_gap_of_reason_epoch(broker, channel, start_broker):
    foreign = start_broker().publish("a", 1)["id"]
    broker.fill(channel, 1)
    with broker.websocket(f"/channels/{channel}?since={foreign}") as socket:
        assert socket.recv_json()["gap"]["reason"] == "epoch"


# --- frames that break RFC 6455, each with its code --------------------------------------------


@pytest.mark.parametrize("name, code, frames", [
    ("first reserved bit", 1002, [dict(opcode=TEXT, payload=b"{}", rsv=4)]),
    ("second reserved bit", 1002, [dict(opcode=TEXT, payload=b"{}", rsv=2)]),
    ("third reserved bit", 1002, [dict(opcode=TEXT, payload=b"{}", rsv=1)]),
    ("opcode 3", 1002, [dict(opcode=3)]),
    ("opcode 11", 1002, [dict(opcode=11)]),
    ("unmasked", 1002, [dict(opcode=TEXT, payload=b"{}", is_masked=False)]),
    ("continuation of nothing", 1002, [dict(opcode=0, payload=b"x")]),
    ("message inside a message", 1002,
     [dict(opcode=TEXT, payload=b"{", fin=False), dict(opcode=TEXT, payload=b"}")]),
    ("fragmented ping", 1002, [dict(opcode=PING, fin=False)]),
    ("long ping", 1002, [dict(opcode=PING, payload=b"x" * 126)]),
    ("close of one byte", 1002, [dict(opcode=CLOSE, payload=b"\x03")]),
    ("close code 999", 1002, [dict(opcode=CLOSE, payload=struct.pack(">H", 999))]),
    ("close code 1005", 1002, [dict(opcode=CLOSE, payload=struct.pack(">H", 1005))]),
    ("close code 1006", 1002, [dict(opcode=CLOSE, payload=struct.pack(">H", 1006))]),
    ("close code 2999", 1002, [dict(opcode=CLOSE, payload=struct.pack(">H", 2999))]),
    ("close reason not UTF-8", 1007, [dict(opcode=CLOSE, payload=b"\x03\xe8\xff")]),
    ("text not UTF-8", 1007, [dict(opcode=TEXT, payload=b'{"a":"\xc0\x80"}')]),
    ("text not UTF-8 across frames", 1007,
     [dict(opcode=TEXT, payload=b'"\xe2\x82', fin=False), dict(opcode=0, payload=b'x"')]),
    ("text that ends inside a character", 1007, [dict(opcode=TEXT, payload=b'"\xe2\x82')]),
    ("binary", 1003, [dict(opcode=BINARY, payload=b"\x00")]),
    ("a length of 2^63", 1002, [dict(opcode=TEXT, length=1 << 63)]),
    ("a length far above the limit", 1009, [dict(opcode=TEXT, length=1 << 40)]),
])
def test_a_broken_frame_closes_with_its_code(broker, channel, name, code, frames):
    with broker.websocket(f"/channels/{channel}") as socket:
        for frame in frames:
            socket.send_frame(**frame)
        got = socket.recv_close()
        assert got == code or (code, got) == (1002, 1009) and "2^63" in name, (name, got)
        assert socket.connection.is_closed_within()
    assert broker.get(f"/channels/{channel}").json()["messages"] == []


def test_a_length_not_in_its_shortest_form_is_a_protocol_error(broker, channel):
    for head in (b"\x81\xfe\x00\x02", b"\x81\xff" + struct.pack(">Q", 2)):
        with broker.websocket(f"/channels/{channel}") as socket:
            socket.connection.send(head + b"\0\0\0\0{}")
            assert socket.recv_close() == 1002


def test_fragments_without_end_are_1009(broker, channel):
    with broker.websocket(f"/channels/{channel}") as socket:
        code = None
        try:
            socket.send_frame(TEXT, b'"', fin=False)
            for _ in range(3000):
                socket.send_frame(0, b"x" * 1024, fin=False)
        except OSError:
            pass
        code = socket.recv_close()
        assert code == 1009


def test_fragments_without_content_do_not_last_for_ever(broker, channel):
    """Empty fragments: legal, and they hold no memory; the message still arrives."""
    with broker.websocket(f"/channels/{channel}") as socket:
        text = b'{"publish":{"data":1},"ref":1}'
        socket.send_frame(TEXT, b"", fin=False)
        for byte in text:
            socket.send_frame(0, b"", fin=False)
            socket.send_frame(0, bytes([byte]), fin=False)
            socket.send_frame(PING, b"between")
        socket.send_frame(0, b"")
        pongs = 0
        while True:
            _, opcode, payload = socket.recv_frame()
            pongs += opcode == PONG and payload == b"between"
            if opcode == TEXT and b'"ok"' in payload:
                break
        assert pongs >= 1


def test_a_ping_is_answered_with_its_payload(broker, channel):
    with broker.websocket(f"/channels/{channel}") as socket:
        for payload in (b"", b"x" * 125):
            socket.send_frame(PING, payload)
            assert socket.recv_frame() == (True, PONG, payload)
        socket.send_frame(PONG, b"nobody asked")
        socket.send_frame(PING, b"here")
        assert socket.recv_frame() == (True, PONG, b"here")


@pytest.mark.parametrize("sent, code", [(1000, 1000), (1001, 1001), (3000, 3000), (4999, 4999)])
def test_a_close_is_answered_with_its_code(broker, channel, sent, code):
    with broker.websocket(f"/channels/{channel}") as socket:
        assert socket.finish(sent) in (code, 1000)
        assert socket.connection.is_closed_within()


def test_a_close_without_a_code_is_answered(broker, channel):
    with broker.websocket(f"/channels/{channel}") as socket:
        socket.send_frame(CLOSE)
        socket.sent_close = True
        assert socket.recv_close() in (None, 1000)


def test_a_frame_sent_byte_by_byte_arrives(broker, channel):
    frame = b"\x81\x9e\0\0\0\0" + b'{"publish":{"data":1},"ref":1}'
    with broker.websocket(f"/channels/{channel}") as socket:
        for index in range(len(frame)):
            socket.connection.send(frame[index:index + 1])
        while "ok" not in socket.recv_json():
            pass


def test_frames_behind_the_handshake_in_one_segment_are_read(broker, channel):
    from harness.http import request_bytes
    with broker.connect() as connection:
        connection.send(request_bytes(connection.host, "GET", f"/channels/{channel}",
                                      handshake_headers())
                        + b"\x81\x9e\0\0\0\0" + b'{"publish":{"data":1},"ref":1}')
        assert connection.read_head()[0] == 101
        while b'"ok"' not in connection.buffer:
            connection.fill()


def test_debians_client_library_reads_and_publishes(broker, channel):
    async def talk():
        url = broker.public.replace("http", "ws") + f"/channels/{channel}"
        async with websockets.connect(url, subprotocols=["tidings.v1"],
                                      open_timeout=TIMEOUT_S) as socket:
            assert socket.subprotocol == "tidings.v1"
            await socket.send(json.dumps({"publish": {"data": "hello"}, "ref": 1}))
            got = [json.loads(await asyncio.wait_for(socket.recv(), TIMEOUT_S)) for _ in range(2)]
            await (await socket.ping())
            return got

    got = asyncio.run(talk())
    assert any(answer.get("data") == "hello" for answer in got)
    assert any(answer.get("ref") == 1 and "ok" in answer for answer in got)


def test_a_message_of_a_megabyte_arrives_whole(broker, channel):
    text = "é" * 500000
    with broker.websocket(f"/channels/{channel}") as socket:
        assert broker.post(channel, text.encode(), "text/plain").status == 200
        assert socket.recv_json()["data"] == text
