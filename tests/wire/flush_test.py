# SPDX-License-Identifier: Apache-2.0
"""How often readers are written to: one write for all that a socket lacks, and `flush_interval`."""
import contextlib
import json
import pathlib
import signal
import threading
import time

import pytest

from harness import http
from harness.mqtt import connected
from harness.readers import EventReader, SocketReader, Subscriptions
from harness.websocket import PeerClosed

INTERVAL_S = 1
PACED = "channels: [{match: 'paced/**', flush_interval: 1s}]\n"
COUNT = 30


def writes(broker, protocol):
    """So far. The one worker has counted them all once it answers something else."""
    assert broker.get("/channels/else?limit=1").status == 200
    return broker.metric(f'tidings_writes_total{{protocol="{protocol}"}}')


def most_in(seconds):
    """Intervals begin with the turn that wrote, so two writes may be a turn's length nearer."""
    return 2 + seconds / INTERVAL_S


def write_to(broker, protocol, reader, channel):
    """Publishes COUNT messages, each when the one before is answered; how many writes they took at
    most if each interval had one, and how many they took."""
    broker.publish(channel, 0)
    assert reader.message()["data"] == 0
    before, begin = writes(broker, protocol), time.monotonic()
    for number in range(1, COUNT + 1):
        broker.publish(channel, number)
    assert [message["data"] for message in reader.messages(COUNT)] == list(range(1, COUNT + 1))
    took_s = time.monotonic() - begin
    return most_in(took_s), writes(broker, protocol) - before


@pytest.mark.parametrize("kind, protocol", [(SocketReader, "websocket"), (EventReader, "sse")])
@pytest.mark.parametrize("selector", ["paced/a", "paced/*"])
def test_readers_are_written_to_once_an_interval(start_broker, kind, protocol, selector):
    broker = start_broker("--workers", "1", config=PACED)
    with kind(broker, [selector]) as reader:
        allowed, taken = write_to(broker, protocol, reader, "paced/a")
        assert 1 <= taken <= allowed


def publish_rounds(broker, rounds, each, size):
    """Publishes without a pause; all messages are told apart by their offset."""
    body = b"\n".join([b'"' + b"x" * size + b'"'] * each)
    with broker.connect() as connection:
        for _ in range(rounds):
            connection.send(http.request_bytes(
                connection.host, "POST", "/channels/paced/a",
                {"Content-Type": "application/x-ndjson"}, body))
            assert connection.read_response().status == 200


@pytest.mark.parametrize("history, size, each, rounds",
                         [("{messages: 100}", 3000, 20, 20),
                          ("{messages: 100}", 10, 20, 30),  # a tail has room for these
                          ("{messages: 1000}", 100, 500, 8)])
@pytest.mark.parametrize("selector", ["paced/a", "paced/*"])
def test_what_waits_is_not_lost_to_a_short_history(
        start_broker, history, size, each, rounds, selector):
    """Within an interval comes more than tail and history keep, but no more than a tail and the
    sockets do: so nothing may get lost, however slowly this test reads."""
    broker = start_broker("--workers", "1", config=f"channels: [{{match: 'paced/**', "
                          f"flush_interval: 1s, history: {history}}}]\n")
    with SocketReader(broker, [selector]) as reader:
        broker.publish("paced/a", 0)
        assert reader.message()["offset"] == 1
        publisher = threading.Thread(target=publish_rounds, args=(broker, rounds, each, size))
        publisher.start()
        messages = reader.messages(each * rounds)
        publisher.join()
        assert [message["offset"] for message in messages] == list(range(2, each * rounds + 2))
        assert broker.metric("tidings_catch_up_reads_total") == 0


def test_what_waits_is_not_lost_to_one_large_message(start_broker):
    broker = start_broker("--workers", "1", config="channels: [{match: 'paced/**', "
                          "flush_interval: 1s, history: {messages: 1}}]\n")
    with SocketReader(broker, ["paced/a"]) as reader:
        broker.publish("paced/a", 0)
        assert reader.message()["offset"] == 1  # it is live
        for size in (1, 2, 3, 1048576 - 64, 4):
            broker.publish("paced/a", "x" * size)
        assert [message["offset"] for message in reader.messages(5)] == [2, 3, 4, 5, 6]


def test_other_channels_do_not_wait(start_broker):
    """A reader of both is sent what waits along with what does not, in the log's order."""
    broker = start_broker("--workers", "1", config=PACED)
    with EventReader(broker, ["paced/a", "b"]) as reader:
        for number in range(5):
            broker.publish("paced/a", number)
            broker.publish("b", number)
            assert [reader.message()["data"] for _ in range(2)] == [number] * 2


def test_a_reload_takes_it_away(start_broker):
    broker = start_broker("--workers", "1", config=PACED)
    with SocketReader(broker, ["paced/a"]) as reader:
        allowed, taken = write_to(broker, "websocket", reader, "paced/a")
        assert taken <= allowed
        pathlib.Path(broker.scratch, "tidings.yaml").write_text("channels: []\n", encoding="utf-8")
        broker.signal(signal.SIGHUP)
        broker.wait_logged("RELOADED")
        before = writes(broker, "websocket")
        for number in range(COUNT):
            broker.publish("paced/a", number)
            assert reader.message()["data"] == number
        assert writes(broker, "websocket") - before == COUNT


@pytest.mark.parametrize("how", ["stop", "drain"])
def test_what_waits_is_sent_before_goodbye(start_broker, how):
    broker = start_broker("--workers", "1", config=PACED)
    with SocketReader(broker, ["paced/a"]) as reader:
        broker.publish("paced/a", 0)
        assert reader.message()["data"] == 0
        for number in range(1, 4):
            broker.publish("paced/a", number)
        if how == "stop":
            broker.signal(signal.SIGTERM)
        else:
            assert http.request(broker.operator, "POST", "/api/v1/drain?over=1s",
                                body=b"").status == 202
        assert [message["data"] for message in reader.messages(3)] == [1, 2, 3]
        with pytest.raises(PeerClosed):
            reader.message()
        if how == "stop":
            broker.wait()


def test_mqtt_subscribers_wait_too(start_broker):
    broker = start_broker("--workers", "1", config=PACED)
    with connected(broker) as client:
        client.subscribe("paced/a")
        broker.publish("paced/a", 0)
        assert client.payloads(1) == [b"0"]
        before, begin = writes(broker, "mqtt"), time.monotonic()
        for number in range(1, COUNT + 1):
            broker.publish("paced/a", number)
        assert client.payloads(COUNT) == [str(n).encode() for n in range(1, COUNT + 1)]
        taken = writes(broker, "mqtt") - before
        assert 1 <= taken <= most_in(time.monotonic() - begin)


def publish_at_once(broker, channels):
    """One publish, so one commit and one turn of the worker."""
    messages = json.dumps([{"channel": channel, "data": channel} for channel in channels])
    answer = broker.request("POST", "/publish", {"Content-Type": "application/json"},
                            messages.encode())
    assert answer.status == 200, answer


def test_the_subscriptions_of_a_socket_share_a_write(start_broker):
    broker = start_broker("--workers", "1")
    channels = [f"s/{index}" for index in range(10)]
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(Subscriptions(broker)) for _ in range(3)]
        numbers = [[socket.subscribe(channel) for channel in channels] for socket in sockets]
        for _ in range(2):  # by the second time all of them are live
            before = writes(broker, "websocket")
            publish_at_once(broker, channels)
            for socket, own in zip(sockets, numbers):
                assert [socket.message(number)["data"] for number in own] == channels
        assert writes(broker, "websocket") == before + len(sockets)
