# SPDX-License-Identifier: Apache-2.0
"""A broker is taken out of service while it serves, and back into it."""
import contextlib
import itertools
import random
import subprocess
import threading

import pytest

from harness import http
from harness.broker import find_binary, wait_for
from harness.ports import take_port
from harness.sse import EventStream
from harness.websocket import PeerClosed, WebSocket

FLOOD = 100  # messages of one publish
CLOSE_TIMEOUT_S = 2  # CLOSE_TIMEOUT_MS of broker/limits.h
PATIENT = "limits: { handshake_timeout: 1m }\n"  # with who has not asked yet


def drain(broker, over):
    answer = http.request(broker.operator, "POST", f"/api/v1/drain?over={over}", body=b"")
    assert answer.status == 202, answer
    return answer.json()


def undo(broker):
    answer = http.request(broker.operator, "DELETE", "/api/v1/drain")
    assert answer.status == 200, answer
    return answer.json()


def status(broker):
    return http.request(broker.operator, "GET", "/api/v1/drain").json()


def command(broker, *words):
    return subprocess.run([find_binary(), "drain", "--operator", broker.operator, *words],
                          capture_output=True, text=True, timeout=60, check=False)


def is_gone(broker):
    return status(broker)["connections"] == 0


def test_a_balancer_sees_it_at_once_and_back_again(start_broker):
    broker = start_broker()
    assert broker.metric("tidings_ready") == 1 and broker.metric("tidings_draining") == 0
    drain(broker, "1h")
    answer = http.request(broker.operator, "GET", "/readyz")
    assert answer.status == 503 and answer.json()["type"] == "/problems/draining"
    assert broker.metric("tidings_ready") == 0 and broker.metric("tidings_draining") == 1
    assert http.request(broker.operator, "GET", "/healthz").status == 200
    assert http.request(broker.operator, "GET", "/api/v1/connections").status == 200
    assert undo(broker)["draining"] is False
    assert broker.is_ready()
    assert broker.metric("tidings_ready") == 1 and broker.metric("tidings_draining") == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_readers_go_one_after_the_other_and_are_told_why(start_broker, workers):
    broker = start_broker("--workers", workers)
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(broker.websocket("/channels/a")) for _ in range(20)]
        streams = [stack.enter_context(broker.events("/channels/a")) for _ in range(20)]
        many = [stack.enter_context(broker.websocket("/stream?channel=a")) for _ in range(20)]
        assert drain(broker, "3s")["connections_at_begin"] == 60
        seen = set()
        threads = [threading.Thread(target=socket.recv_close) for socket in sockets + many]
        for thread in threads:
            thread.start()

        def look():
            seen.add(status(broker)["connections"])
            return 0 in seen
        for stream in streams:
            while True:
                look()
                with contextlib.suppress(TimeoutError):
                    event = stream.next(0.02)
                    break
            assert event.event == "close"
            assert event.json() == {"code": "draining", "reconnect": True}
        wait_for(look, what="the last connection")
        for thread in threads:
            thread.join()
        assert len(seen) > 5, seen  # far more than all at once
    closed = 'tidings_connections_closed_total{protocol="%s",reason="draining"}'
    assert broker.metric(closed % "sse") == 20 and broker.metric(closed % "websocket") == 40


def test_sockets_are_closed_with_1001(start_broker):
    broker = start_broker()
    with broker.websocket("/channels/a") as one, broker.websocket("/stream") as other:
        drain(broker, "0s")
        for socket in (one, other):
            with pytest.raises(PeerClosed) as closed:
                socket.recv()
            assert (closed.value.code, closed.value.reason) == (1001, "draining")


def test_nobody_is_told_to_go_before_what_was_published(start_broker):
    """Each reader's frames are its own, so that the fan-out takes longer than goodbyes are away."""
    broker = start_broker("--workers", "1")
    segments = [(name, "*") for name in "abcdefghij"]
    patterns = ["/".join(one) for one in itertools.product(*segments)]
    body = b"\n".join(b"%d" % number for number in range(FLOOD))
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(broker.websocket("/channels/" + one)) for one in patterns]
        broker.publish(patterns[0], "first")
        for one in sockets:
            assert one.recv_json()["data"] == "first"
        answer = broker.request("POST", "/channels/" + patterns[0],
                                {"Content-Type": "application/x-ndjson"}, body)
        assert answer.status == 200, answer
        drain(broker, "0s")
        for one in sockets:
            assert [one.recv_json()["data"] for _ in range(FLOOD)] == list(range(FLOOD))
            assert one.recv_close() == 1001


def test_what_comes_meanwhile_is_served_and_then_told_to_go(start_broker):
    broker = start_broker()
    drain(broker, "1h")
    for answer in (broker.post("a", b"1"), broker.get("/channels/a"),
                   http.request(broker.operator, "POST", "/channels/a", {}, b"2")):
        assert answer.status == 200 and answer.headers["connection"] == "close"
    assert "connection" not in http.request(broker.operator, "GET", "/healthz").headers
    with broker.websocket("/channels/a") as web, broker.events("/channels/a") as events:
        broker.publish("a", 3)
        assert web.recv_message()["offset"] == events.next().json()["offset"] == 3
        drain(broker, "0s")
        assert web.recv_close() == 1001 and events.next().json()["code"] == "draining"
    with broker.events("/channels/a") as late:
        assert late.next().json()["code"] == "draining"
    assert broker.publish("a", 4)["offset"] == 4


def test_a_long_poll_is_answered_and_an_idle_connection_ends(start_broker):
    broker = start_broker()
    broker.fill("a", 1)
    with broker.connect() as waiting, broker.connect() as idle:
        assert idle.request("GET", "/channels/a").status == 200
        waiting.send(http.request_bytes(waiting.host, "GET", "/channels/a?since=now&wait=60s"))
        wait_for(lambda: broker.metric("tidings_watches_open") == 1)
        drain(broker, "100ms")
        page = waiting.read_response()
        assert page.json()["messages"] == [] and page.headers["connection"] == "close"
        assert idle.is_closed_within()


def test_a_page_on_its_way_arrives_whole(start_broker):
    """Its client pauses for longer than a connection that is told to go may take."""
    broker = start_broker()
    with broker.ask_and_pause("a") as slow:
        with broker.websocket("/channels/a") as younger:
            drain(broker, "0s")
            assert younger.recv_close() == 1001  # and so the older was told too
        broker.let_pass(CLOSE_TIMEOUT_S)
        page = slow.read_response()
        assert [message["offset"] for message in page.json()["messages"]] == list(range(1, 41))
        assert slow.is_closed_within()
    closed = 'tidings_connections_closed_total{protocol="http",reason="draining"}'
    wait_for(lambda: broker.metric(closed) == 1)


def test_a_connection_that_has_not_asked_yet_is_answered(start_broker):
    broker = start_broker()
    with broker.connect() as fresh:
        wait_for(lambda: status(broker)["connections"] == 1)
        drain(broker, "0s")
        with broker.events("/channels/a") as other:  # told later than the fresh one
            assert other.next().json()["code"] == "draining"
        answer = fresh.request("POST", "/channels/a", {}, b"1")
        assert answer.status == 200 and answer.headers["connection"] == "close"


def test_who_was_not_told_stays_when_it_is_undone(start_broker):
    broker = start_broker()
    with broker.websocket("/channels/a") as web, broker.events("/channels/a") as events:
        drain(broker, "1h")
        undo(broker)
        drain(broker, "1h")
        undo(broker)
        broker.publish("a", 1)
        assert web.recv_message()["offset"] == events.next().json()["offset"] == 1
        assert "connection" not in broker.get("/channels/a").headers


def test_a_second_drain_tells_those_that_came_after_the_first(start_broker):
    broker = start_broker("--workers", "1")
    for _ in range(3):
        with broker.websocket("/channels/a") as web, broker.events("/channels/a") as events:
            drain(broker, "0s")
            assert web.recv_close() == 1001 and events.next().json()["code"] == "draining"
            undo(broker)
    wait_for(lambda: is_gone(broker))


def judge_farewell(client):
    """Of one that was told to go; who had not asked for anything yet may still do so."""
    if isinstance(client, EventStream):
        assert client.next().json()["code"] == "draining"
    elif isinstance(client, WebSocket):
        assert client.recv_close() == 1001
    else:
        answer = client.request("GET", "/channels/a?since=now")
        assert answer.status == 200 and answer.headers["connection"] == "close"
    client.close()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_who_is_owed_a_goodbye_stays_right_whoever_goes_and_when(start_broker, workers):
    """Clients of all kinds go by themselves, told or not, and drains are undone; so the next drain
    tells all, and one that has time hurries nobody."""
    broker = start_broker("--workers", workers, config=PATIENT)
    dice = random.Random(workers)
    ways = [broker.connect, lambda: broker.websocket("/channels/a"),
            lambda: broker.events("/channels/a")]
    for _ in range(12):
        clients = [dice.choice(ways)() for _ in range(dice.randrange(4, 24))]
        wait_for(lambda count=len(clients): status(broker)["connections"] == count)
        drain(broker, dice.choice(["0s", "100ms", "1h"]))
        dice.shuffle(clients)
        for _ in range(dice.randrange(len(clients))):
            clients.pop().close()
        if dice.random() < 0.5:
            undo(broker)
        drain(broker, "0s")
        silent = [client for client in clients if isinstance(client, http.Connection)]
        for client in clients:
            if client not in silent:
                judge_farewell(client)
        judge_farewell(broker.events("/channels/a"))  # came after the silent ones were told
        for client in silent:
            judge_farewell(client)
        wait_for(lambda: is_gone(broker))
        undo(broker)
    with broker.websocket("/channels/a") as web, broker.events("/channels/a") as events:
        drain(broker, "1h")
        broker.let_pass(1)  # many beats
        broker.publish("a", "stay")
        assert web.recv_message()["data"] == events.next().json()["data"] == "stay"


def test_the_process_ends_as_ever_while_it_drains(start_broker):
    broker = start_broker()
    with broker.websocket("/channels/a") as web, broker.events("/channels/a") as events:
        drain(broker, "1h")
        broker.stop()
        assert web.recv_close() == 1001 and events.next().json()["code"] == "draining"


# --- the command --------------------------------------------------------------------------------

def test_the_command_drains_waits_and_undoes(start_broker):
    broker = start_broker()
    with broker.websocket("/channels/a") as web, broker.events("/channels/a") as events:
        threads = [threading.Thread(target=web.recv_close), threading.Thread(target=events.next)]
        for thread in threads:
            thread.start()
        done = command(broker, "--over", "200ms", "--wait")
        assert done.returncode == 0, done
        assert done.stdout.splitlines() == ["draining connections=2", "draining connections=0"]
        for thread in threads:
            thread.join()
    assert not broker.is_ready()
    assert command(broker, "--undo").stdout == "in service connections=0\n"
    assert broker.is_ready()


def test_the_url_of_the_command_may_end_with_a_slash(start_broker):
    broker = start_broker()
    done = subprocess.run([find_binary(), "drain", "--operator", broker.operator + "/"],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stdout == "draining connections=0\n", done
    assert status(broker)["draining"] is True


def test_the_command_fails_where_it_could_not(start_broker):
    broker = start_broker("--operator", f"127.0.0.1:{take_port()}", config=PATIENT)
    with broker.connect():  # asks nothing, and so stays
        wait_for(lambda: status(broker)["connections"] == 1)
        done = command(broker, "--over", "0s", "--wait")
        assert done.returncode == 1 and "still open: 1" in done.stderr
    done = command(broker, "--over", "2h")
    assert done.returncode == 1 and "400" in done.stderr and "an hour" in done.stderr
    done = command(broker, "--undo", "--wait")
    assert done.returncode == 2 and "--undo goes alone" in done.stderr
    undo(broker)
    broker.stop()
    done = command(broker)
    assert done.returncode == 1 and "drain" in done.stderr
