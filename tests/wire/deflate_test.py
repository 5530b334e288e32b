# SPDX-License-Identifier: Apache-2.0
"""permessage-deflate (RFC 7692): what is agreed on, what is compressed, and what breaks it."""
import asyncio
import json
import struct
import zlib

import pytest
import websockets

from harness.http import TIMEOUT_S
from harness.websocket import BINARY, TEXT, PeerClosed

OFFER = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
LONG = {"text": "thirty love, forty love, game; " * 40}


@pytest.mark.parametrize("offer, answer", [
    ("permessage-deflate", "permessage-deflate; server_no_context_takeover; "
                           "client_no_context_takeover"),
    ("permessage-deflate; client_max_window_bits; server_max_window_bits=14",
     "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
     "server_max_window_bits=12"),
    ("permessage-deflate; server_max_window_bits=9, permessage-deflate",
     "permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
    ("permessage-deflate; server_max_window_bits=9", None),
    ("permessage-deflate; unknown", None),
    ("permessage-deflate; client_max_window_bits=7", None),
    ("x-webkit-deflate-frame", None)])
def test_an_offer_is_kept_or_declined(broker, channel, offer, answer):
    with broker.websocket(f"/channels/{channel}",
                          headers={"Sec-WebSocket-Extensions": offer}) as socket:
        assert socket.headers.get("sec-websocket-extensions") == answer
        broker.publish(channel, LONG)
        assert socket.recv_json()["data"] == LONG
        assert socket.deflated_messages == (answer is not None)


def test_long_frames_are_compressed_and_short_ones_are_not(start_broker, channel):
    broker = start_broker()
    before = broker.metric('tidings_sent_bytes_total{protocol="websocket"}')
    with broker.websocket(f"/channels/{channel}", headers=OFFER) as socket:
        broker.publish(channel, 1)
        assert socket.recv_json()["data"] == 1
        assert socket.deflated_messages == 0
        broker.publish(channel, LONG)
        assert socket.recv_json()["data"] == LONG
        assert socket.deflated_messages == 1
    sent = broker.metric('tidings_sent_bytes_total{protocol="websocket"}') - before
    assert sent < len(json.dumps(LONG))


def test_plain_and_compressed_readers_of_a_channel_see_the_same(broker, channel):
    sockets = [broker.websocket(f"/channels/{channel}", headers=OFFER if i % 2 else None)
               for i in range(6)]
    sockets += [broker.websocket(f"/stream?channel={channel}", headers=OFFER if i % 2 else None)
                for i in range(4)]
    try:
        broker.fill(channel, 1)
        for n in range(2, 40):
            broker.publish(channel, {"n": n, **LONG})
        for i, socket in enumerate(sockets):
            got = [socket.recv_message() for _ in range(39)]
            assert [message["data"]["n"] for message in got] == list(range(1, 40))
            assert [message.get("sub") for message in got] == [None if i < 6 else 1] * 39
            # the first one may be long enough too, by its channel's name
            assert socket.deflated_messages in ((38, 39) if i % 2 else (0,))
    finally:
        for socket in sockets:
            socket.close()


@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_a_compressed_command_is_obeyed(broker, channel, pieces):
    with broker.websocket(f"/channels/{channel}", headers=OFFER) as socket:
        socket.send_deflated(json.dumps({"publish": {"data": LONG}, "ref": 1}), pieces)
        while "ok" not in socket.recv_json():
            pass
    assert broker.page(channel)["messages"][0]["data"] == LONG


def closed_with(socket):
    with pytest.raises(PeerClosed) as closed:
        while True:
            socket.recv()
    return closed.value.code


@pytest.mark.parametrize("payload, opcode, rsv, code", [
    (b"\xff\xff\xff\xff", TEXT, 4, 1007),              # no compressed data
    (b"\xf2\x48\xcd", TEXT, 4, 1007),                  # breaks off
    (b"\x00\x01\x00\xfe\xff\xff\x00", TEXT, 4, 1007),  # ff is not UTF-8
    (b"\xf2\x48\xcd\xc9\xc9\x07\x00", BINARY, 4, 1003),
    (b"\x00", TEXT, 6, 1002),                          # RSV2
    (b"", 9, 4, 1002)])                                # a compressed ping
def test_what_is_broken_ends_the_socket_with_its_code(broker, channel, payload, opcode, rsv, code):
    with broker.websocket(f"/channels/{channel}", headers=OFFER) as socket:
        socket.send_frame(opcode, payload, rsv=rsv)
        assert closed_with(socket) == code


def test_only_the_first_frame_says_that_a_message_is_compressed(broker, channel):
    with broker.websocket(f"/channels/{channel}", headers=OFFER) as socket:
        socket.send_frame(TEXT, b"\xf2\x48", fin=False, rsv=4)
        socket.send_frame(0, b"\xcd\xc9\xc9\x07\x00", rsv=4)
        assert closed_with(socket) == 1002


def test_a_compressed_frame_where_nothing_was_agreed_on_is_1002(broker, channel):
    with broker.websocket(f"/channels/{channel}") as socket:
        socket.send_frame(TEXT, b"\x00", rsv=4)
        assert closed_with(socket) == 1002


def test_a_bomb_is_1009_and_costs_no_memory(start_broker, channel):
    broker = start_broker()
    packer = zlib.compressobj(9, wbits=-15)
    data = b"".join(packer.compress(bytes(1 << 20)) for _ in range(256))
    data += packer.flush(zlib.Z_SYNC_FLUSH)
    before = broker.rss_anon_bytes()
    with broker.websocket(f"/channels/{channel}", headers=OFFER) as socket:
        socket.send_frame(TEXT, data[:-4], rsv=4)
        assert closed_with(socket) == 1009
    assert broker.rss_anon_bytes() - before < 64 << 20


def test_a_rule_forbids_it_to_its_channels_alone(start_broker):
    broker = start_broker(config="channels: [{match: plain/**, deflate: false}]")
    with broker.websocket("/channels/plain/a", headers=OFFER) as socket:
        assert not socket.deflates
    with broker.websocket("/stream?channel=plain/a&channel=other", headers=OFFER) as socket:
        broker.publish("plain/a", LONG)
        broker.publish("other", LONG)
        assert {socket.recv_json()["channel"] for _ in range(2)} == {"plain/a", "other"}
        assert socket.deflated_messages == 1


def test_pages_of_history_and_the_tail_are_compressed_alike(broker, channel):
    for n in range(200):
        broker.publish(channel, {"n": n, **LONG})
    with broker.websocket(f"/channels/{channel}?since=earliest", headers=OFFER) as socket:
        assert [socket.recv_json()["data"]["n"] for _ in range(200)] == list(range(200))
        assert socket.deflated_messages == 200


@pytest.mark.parametrize("options", [{}, {"server_max_window_bits": 12}])
def test_the_python_library_speaks_it(broker, channel, options):
    from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

    async def talk():
        url = f"ws://{broker.host}/channels/{channel}"
        extensions = [ClientPerMessageDeflateFactory(**options)]
        async with websockets.connect(url, compression=None, extensions=extensions,
                                      open_timeout=TIMEOUT_S) as socket:
            await socket.send(json.dumps({"publish": {"data": LONG}, "ref": 1}))
            got = [json.loads(await asyncio.wait_for(socket.recv(), TIMEOUT_S)) for _ in range(2)]
            return [extension.name for extension in socket.extensions], got

    names, got = asyncio.run(talk())
    assert names == ["permessage-deflate"]
    assert sorted("ok" in entry for entry in got) == [False, True]
    assert LONG in [entry.get("data") for entry in got]


def test_a_cut_frame_of_a_stalled_reader_is_still_whole(broker, channel):
    """Noise compresses little: frames fill the socket and are cut anywhere."""
    with broker.websocket(f"/channels/{channel}", headers=OFFER) as socket:
        payloads = [f"{n:04d}" + "".join(chr(97 + (n * i * i + i) % 25) for i in range(30000))
                    for n in range(60)]
        for payload in payloads:
            broker.publish(channel, payload)
        assert [socket.recv_message()["data"] for _ in payloads] == payloads


def test_close_codes_stay_readable(broker, channel):
    with broker.websocket(f"/channels/{channel}", headers=OFFER) as socket:
        socket.send_frame(8, struct.pack(">H", 1000))
        assert closed_with(socket) == 1000
