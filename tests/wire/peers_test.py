# SPDX-License-Identifier: Apache-2.0
"""Slow, silent and many: peers that cost no more than they are allowed to."""
import select
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest

from harness import http
from harness.broker import wait_for
from harness.websocket import CLOSE, PING

# What the rows of limits: say here, less than unless told.
HANDSHAKE_S = 3
BODY_S = 3
HASTY = f"limits: {{ handshake_timeout: {HANDSHAKE_S}s, body_timeout: {BODY_S}s }}\n"
SLACK_S = 20


@pytest.fixture(name="hasty")
def start_hasty_broker(start_broker):
    return start_broker(config=HASTY)


def seconds_until_closed(connection, limit_s):
    begin = time.monotonic()
    assert connection.is_closed_within(limit_s), f"still open after {limit_s} s"
    return time.monotonic() - begin


@pytest.mark.parametrize("said", [
    b"", b"\r\n", b"GET /channels/a HTT", b"GET /channels/a HTTP/1.1\r\nHost: x\r\n"])
def test_a_peer_without_a_whole_request_is_closed_in_time(hasty, said):
    with hasty.connect() as connection:
        connection.send(said)
        took = seconds_until_closed(connection, HANDSHAKE_S + SLACK_S)
        assert took > HANDSHAKE_S / 2


def test_a_head_sent_byte_by_byte_does_not_move_its_deadline(hasty):
    with hasty.connect() as connection:
        begin = time.monotonic()
        pause = threading.Event()
        text = b"GET /channels/a HTTP/1.1\r\nHost: " + b"x" * 1000
        with pytest.raises((OSError, http.Closed)):
            for index in range(len(text)):
                connection.send(text[index:index + 1])
                if select.select([connection.socket], [], [], 0)[0]:
                    connection.fill()
                pause.wait(0.1)
                assert time.monotonic() - begin < HANDSHAKE_S + SLACK_S


def test_a_body_that_stops_is_closed_in_time(hasty, channel):
    with hasty.connect() as connection:
        connection.send(http.request_bytes(connection.host, "POST", f"/channels/{channel}",
                                           {"Content-Length": "100"}) + b"{")
        assert connection.is_closed_within(BODY_S + SLACK_S)
    if connection.buffer:
        assert connection.buffer.startswith(b"HTTP/1.1 408")
    assert hasty.page(channel)["messages"] == []


def test_a_silent_websocket_and_a_silent_stream_stay_open(hasty, channel):
    """Beyond the handshake's deadline nothing is asked of a reader but its pongs."""
    with hasty.websocket(f"/channels/{channel}") as socket_, \
            hasty.events(f"/channels/{channel}") as stream:
        hasty.let_pass(HANDSHAKE_S + 2)
        hasty.publish(channel, "late")
        assert socket_.recv_message()["data"] == "late"
        assert stream.next().json()["data"] == "late"


@pytest.mark.deadline(180)
def test_pings_come_and_a_peer_that_does_not_answer_is_closed(broker, channel):
    with broker.websocket(f"/channels/{channel}", timeout_s=80) as good, \
            broker.websocket(f"/channels/{channel}", timeout_s=80) as mute:
        heard = []
        listener = threading.Thread(target=lambda: heard.append(good.recv_message()), daemon=True)
        listener.start()
        opcode = None
        while opcode != PING:
            _, opcode, payload = mute.recv_frame()
        begin = time.monotonic()
        while opcode != CLOSE:
            try:
                _, opcode, payload = mute.recv_frame()
            except http.Closed:
                break
        assert time.monotonic() - begin < 25 + SLACK_S
        broker.publish(channel, "here")
        listener.join(60)
        assert heard[0]["data"] == "here" and good.pings >= 1


def test_a_reader_that_does_not_read_is_closed_after_the_stall_timeout(start_broker):
    broker = start_broker(config="limits: { stall_timeout: 2s }\n")
    with broker.events("/channels/a") as stalled, broker.events("/channels/a") as good:
        stalled.connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        body = b'"' + b"x" * 500000 + b'"'
        for number in range(60):
            assert broker.post("a", body).status == 200
            assert good.next().json()["offset"] == number + 1
        ended = 'tidings_connections_closed_total{protocol="sse",reason="stalled"}'
        wait_for(lambda: broker.metric(ended) == 1, 60, "the end of the stalled one")
        broker.publish("a", "on")
        assert good.next().json()["data"] == "on"


def test_a_reader_one_byte_at_a_time_gets_everything(broker, channel):
    with broker.connect() as connection:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        broker.fill(channel, 50)
        connection.send(http.request_bytes(connection.host, "GET",
                                           f"/channels/{channel}?since=0"))
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.socket.recv(1)
        length = int(data.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        body = b""
        while len(body) < length:
            body += connection.socket.recv(1)
        assert body.count(b'"offset"') == 50


def open_idle(url, count, say=b""):
    """Connects `count` sockets from several loopback addresses; says the same on each."""
    parts = urlsplit(url)
    sockets = []
    for index in range(count):
        one = socket.socket()
        one.bind((f"127.0.0.{2 + index % 8}", 0))
        one.connect((parts.hostname, parts.port))
        if say:
            one.send(say)
        sockets.append(one)
    return sockets


@pytest.mark.heavy
def test_ten_thousand_that_never_send_a_request_disturb_nobody(start_broker):
    """Each side has a table of descriptors of its own, so that 10,000 fit the usual 20,000."""
    broker = start_broker()
    with broker.websocket("/channels/calm") as reader:
        sockets = open_idle(broker.public, 10000)
        try:
            begin = time.monotonic()
            while time.monotonic() - begin < 3:
                published = broker.publish("calm", "x")
                assert reader.recv_json()["offset"] == published["offset"]
            wait_for(lambda: broker.descriptor_count() < 1000, 60,
                     "the end of the silent ones")
            assert broker.publish("calm", "y")["offset"] == published["offset"] + 1
            assert reader.recv_json()["data"] == "y"
        finally:
            for one in sockets:
                one.close()


def test_when_descriptors_run_out_those_who_are_in_stay_in(start_broker):
    """And the log has its files: what connections may take leaves some for the rest of it."""
    broker = start_broker(descriptors=120)
    with broker.websocket("/channels/a") as reader:
        calm = broker.descriptor_count()
        sockets = open_idle(broker.public, 200)
        reader.send_json({"publish": {"data": "in"}, "ref": 1})
        while "ok" not in (answer := reader.recv_json()):
            assert "error" not in answer, answer
        for one in sockets:
            one.close()
        wait_for(lambda: broker.descriptor_count() <= calm + 10, what="room")
        assert broker.publish("a", "again")["offset"] == 2
    paused = [line for line in broker.logged if "ACCEPT_PAUSED" in line]
    assert len(paused) < 10, f"{len(paused)} lines tell one thing"


def test_connections_over_the_configured_number_wait_or_are_told(start_broker):
    broker = start_broker(config="limits: { connections: 20 }\n")
    sockets = [broker.websocket("/channels/a") for _ in range(20)]
    extra = [broker.connect(timeout_s=2) for _ in range(5)]
    try:
        answers = []
        for connection in extra:
            try:
                answers.append(connection.request("GET", "/channels/a").status)
            except (http.Closed, OSError):
                answers.append(None)
        assert set(answers) <= {None, 503}, answers
        http.request(broker.operator, "POST", "/channels/a", None, b"1")
        assert [one.recv_json()["data"] for one in sockets] == [1] * 20
    finally:
        for one in sockets + extra:
            one.close()

    def has_room():
        try:
            return broker.post("a", b"2").status == 200
        except (OSError, http.Closed):
            return False
    wait_for(has_room, what="room")
