# SPDX-License-Identifier: Apache-2.0
"""The administration's resources: what channels keep, who is connected and how far behind, and the
end of one connection."""
import json
import signal
import socket
import statistics
import struct
import threading
import time

import pytest

from harness import http
from harness.broker import wait_for
from harness.websocket import PeerClosed

SHARE = 4  # of a survey is more than a message may wait for it; without any it is some 80
BIG = b'"' + b"x" * 200000 + b'"'


def ask(broker, method, target, headers=None):
    return http.request(broker.operator, method, target, headers)


def get(broker, target):
    answer = ask(broker, "GET", target)
    assert answer.status == 200 and answer.type == "application/json", answer
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def connections(broker, query=""):
    return get(broker, "/api/v1/connections" + query)["connections"]


def settle(broker):
    """Waits until every reader has got to the head and follows it."""
    wait_for(lambda: all(reader["live"] for row in connections(broker, "?limit=1000")
                         for reader in row["readers"]))


def find(broker, client):
    """The row of a client's own connection."""
    return wait_for(lambda: broker.row_of(client), what="its row")


def stall(broker, channel, count=30):
    """An event stream that reads nothing, and `count` large messages for it."""
    stream = broker.events(f"/channels/{channel}")
    for _ in range(count):
        assert broker.post(channel, BIG).status == 200
    return stream


@pytest.fixture(name="pair", params=["1", "2"])
def start_pair(request, start_broker):
    return start_broker("--workers", request.param)


def test_every_kind_of_connection_is_listed_with_its_readers(pair):
    pair.fill("a", 5)
    with pair.websocket("/channels/a?since=2") as web, pair.events("/channels/b") as events, \
            pair.connect() as plain:
        for _ in range(3):
            last = web.recv_message()
        settle(pair)
        rows = {row["protocol"]: row for row in connections(pair)}
        assert set(rows) == {"websocket", "sse", "http"}
        assert rows["websocket"] == find(pair, web.connection)
        assert rows["sse"] == find(pair, events.connection)
        assert rows["http"] == find(pair, plain) and rows["http"]["readers"] == []
        reader, = rows["websocket"]["readers"]
        assert reader["channels"] == ["a"] and reader["live"] and reader["lag_exact"]
        assert reader["lag_messages"] == reader["lag_bytes"] == reader["lag_positions"] == 0
        assert reader["on_lag"] == "catch_up" and reader["skipped"] == 0
        assert reader["budget"] == rows["websocket"]["budget"] == 262144
        assert reader["position"] == 5
        assert pair.page("a", since=reader["id"])["messages"] == [] and last["offset"] == 5
        assert rows["sse"]["bytes_sent"] > 100 and rows["sse"]["blocked"] is False


def test_who_is_furthest_behind_comes_first_and_its_lag_is_exact(pair):
    with pair.websocket("/channels/a") as quick, stall(pair, "a") as stalled, \
            pair.events("/channels/b"):
        for _ in range(30):
            quick.recv_message()
        first, *others = connections(pair, "?sort=lag")
        assert first["peer"].endswith(f":{stalled.connection.socket.getsockname()[1]}")
        assert first["blocked"] and first["bytes_unsent"] > 0
        reader, = first["readers"]
        stood, _ = pair.all_messages("a", since=reader["id"])
        assert 0 < reader["lag_messages"] == len(stood) <= 30
        assert reader["lag_bytes"] >= len(stood) * 200000
        for row in others:
            assert all(not one["lag_messages"] for one in row["readers"])
        for _ in range(30):
            stalled.next()
        wait_for(lambda: find(pair, stalled.connection)["readers"][0]["lag_messages"] == 0)


def test_pages_hold_every_connection_once(pair):
    sockets = [pair.websocket("/channels/a") for _ in range(25)]
    for order in ("age", "bytes", "lag"):
        seen, after = [], ""
        while after is not None:
            page = get(pair, f"/api/v1/connections?sort={order}&limit=10{after}")
            assert len(page["connections"]) <= 10
            seen += [row["id"] for row in page["connections"]]
            after = page["next"] and f"&after={page['next']}"
        assert len(seen) == len(set(seen)) == 25
        if order == "age":
            assert seen == sorted(seen)
    for one in sockets:
        one.close()


def test_the_readers_of_one_channel_can_be_asked_for(pair):
    with pair.websocket("/channels/a") as one, pair.events("/channels/b"), pair.connect():
        settle(pair)
        row, = connections(pair, "?channel=a")
        assert row == find(pair, one.connection)
        assert connections(pair, "?channel=c") == []


def test_each_subscription_of_a_socket_is_a_reader(pair):
    pair.fill("a/1", 2)
    with pair.websocket("/stream") as web:
        for ref, (selector, on_lag) in enumerate((("a/1", "conflate"), ("a/**", "drop"),
                                                  ("b", "disconnect"))):
            web.send_json({"subscribe": selector, "on_lag": on_lag, "ref": ref})
            while web.recv_json().get("ref") != ref:
                pass
        settle(pair)
        row, = connections(pair)
        assert [(reader["sub"], reader["channels"], reader["on_lag"])
                for reader in row["readers"]] == [
                    (1, ["a/1"], "conflate"), (2, ["a/**"], "drop"), (3, ["b"], "disconnect")]
        row, = connections(pair, "?channel=a/2")
        assert [reader["sub"] for reader in row["readers"]] == [2]
        row, = get(pair, "/api/v1/channels")["channels"]
        assert (row["channel"], row["readers"]) == ("a/1", 2)
        web.send_json({"unsubscribe": 2, "ref": 9})
        while web.recv_json().get("ref") != 9:
            pass
        assert connections(pair, "?channel=a/2") == []
        row, = connections(pair)
        assert [reader["sub"] for reader in row["readers"]] == [1, 3]


def test_a_dismissed_connection_says_goodbye_and_is_gone(pair):
    with pair.websocket("/channels/a") as web, pair.events("/channels/a") as events, \
            pair.connect() as plain:
        for client in (web.connection, events.connection, plain):
            row = find(pair, client)
            path = f"/api/v1/connections/{row['id']}"
            answer = ask(pair, "DELETE", path)
            assert answer.status == 204 and answer.body == b""
            assert ask(pair, "DELETE", path).status == 404
        assert web.recv_close() == 1001
        event = events.next()
        assert event.event == "close" and event.json() == {"code": "operator", "reconnect": True}
        assert plain.is_closed_within()
        wait_for(lambda: connections(pair) == [])
        for protocol in ("websocket", "sse", "http"):
            name = f'tidings_connections_closed_total{{protocol="{protocol}",reason="operator"}}'
            wait_for(lambda name=name: pair.metric(name) == 1)


def test_a_stalled_connection_can_be_dismissed(pair):
    with stall(pair, "a") as stalled:
        row = find(pair, stalled.connection)
        assert ask(pair, "DELETE", f"/api/v1/connections/{row['id']}").status == 204
        wait_for(lambda: connections(pair) == [])


@pytest.mark.parametrize("target", [
    "/api/v1/connections?sort=x", "/api/v1/connections?limit=0", "/api/v1/connections?after=1",
    "/api/v1/connections?channel=a/*", "/api/v1/channels?limit=1001",
    "/api/v1/channels?match=a/**/b", "/api/v1/channels?after=%zz"])
def test_a_query_that_means_nothing_names_its_field(broker, target):
    answer = ask(broker, "GET", target)
    assert answer.status == 400 and answer.type == "application/problem+json"


@pytest.mark.parametrize("path", ["/api/v1/connections", "/api/v1/channels"])
@pytest.mark.parametrize("headers, status", [
    ({"Host": "evil.example"}, 421), ({"Origin": "https://evil.example"}, 403)])
def test_no_page_reads_or_ends_connections(broker, path, headers, status):
    assert ask(broker, "GET", path, headers).status == status
    assert ask(broker, "DELETE", "/api/v1/connections/1", headers).status == status


def test_the_public_port_has_no_administration(broker):
    for path in ("/api/v1/connections", "/api/v1/channels", "/api/"):
        assert broker.get(path).status == 404


def test_questions_during_the_end_are_answered_or_cut(start_broker):
    broker = start_broker("--workers", "2")
    sockets = [broker.websocket("/channels/a") for _ in range(50)]
    is_over, answers = threading.Event(), []

    def keep_asking():
        while not is_over.is_set():
            try:
                answers.append(ask(broker, "GET", "/api/v1/connections"))
                answers.append(ask(broker, "GET", "/api/v1/channels"))
            except (OSError, http.Closed):
                pass

    threads = [threading.Thread(target=keep_asking, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(answers) > 40, what="many answers")
    broker.signal(signal.SIGTERM)
    try:
        assert broker.wait() == 0 and not broker.bad_words(), "\n".join(broker.logged[-40:])
    finally:
        is_over.set()
        for thread in threads:
            thread.join(60)
        for one in sockets:
            one.close()


def test_channels_are_listed_with_depth_rate_and_readers(pair):
    pair.fill("a/1", 30)
    pair.fill("a/2", 3)
    pair.fill("b", 1)
    with pair.websocket("/channels/a/1"), pair.events("/channels/a/1"), \
            pair.events("/channels/a/*"):
        def listed():
            rows = {row["channel"]: row for row in get(pair, "/api/v1/channels")["channels"]}
            return rows if [row["readers"] for row in rows.values()] == [3, 1, 0] else None
        rows = wait_for(listed, what="all readers")
        assert list(rows) == ["a/1", "a/2", "b"]
        assert [row["messages"] for row in rows.values()] == [30, 3, 1]
        row = rows["a/1"]
        assert (row["first"], row["last"], row["rate"]) == (1, 30, 0.5)
        assert row["bytes"] > 30 and row["time_last"] == pair.page("a/1")["messages"][-1]["time"]


def test_channels_are_chosen_by_pattern_and_paged_by_name(broker, channel):
    names = [f"{channel}/{number:02}" for number in range(12)]
    for name in names:
        broker.publish(name, 1)
    seen, after = [], ""
    while after is not None:
        page = get(broker, f"/api/v1/channels?match={channel}/*&limit=5{after}")
        assert len(page["channels"]) <= 5
        seen += [row["channel"] for row in page["channels"]]
        after = page["next"] and "&after=" + page["next"]
    assert seen == names
    assert get(broker, f"/api/v1/channels?match={names[3]}")["channels"][0]["channel"] == names[3]
    assert get(broker, f"/api/v1/channels?match={channel}/none") == {"channels": [], "next": None}


@pytest.mark.heavy
def test_a_survey_of_many_connections_delays_no_message(start_broker):
    """While one is asked for after the other, a message does not wait for one to be answered."""
    broker = start_broker("--workers", "2")
    readers = [broker.websocket("/channels/quiet") for _ in range(4000)]
    assert len(connections(broker, "?limit=1000")) == 1000
    delays, surveys = [], []
    with broker.websocket("/channels/a") as socket_, broker.connect() as publisher:
        is_over = threading.Event()

        def keep_asking():
            while not is_over.is_set():
                begin = time.monotonic()
                assert ask(broker, "GET", "/api/v1/connections?limit=1000").status == 200
                surveys.append(time.monotonic() - begin)

        thread = threading.Thread(target=keep_asking, daemon=True)
        thread.start()
        for _ in range(300):
            body = json.dumps(time.monotonic()).encode()
            publisher.request("POST", "/channels/a", {"Content-Type": "application/json"}, body)
            delays.append(time.monotonic() - socket_.recv_message()["data"])
        is_over.set()
        thread.join(30)
    for one in readers:
        one.close()
    delay_s, survey_s = statistics.median(delays), statistics.median(surveys)
    print(f"a message took {delay_s * 1e3:.2f} ms, each of {len(surveys)} surveys "
          f"{survey_s * 1e3:.2f} ms")
    assert delay_s < survey_s / SHARE


def test_a_slow_survey_does_not_stop_the_probes(pair):
    with pair.websocket("/channels/a"):
        for _ in range(20):
            assert ask(pair, "GET", "/api/v1/connections").status == 200
            assert ask(pair, "GET", "/readyz").status == 200


def test_a_client_that_leaves_before_its_answer_harms_nothing(pair):
    pair.fill("a", 1)
    targets = ["/api/v1/connections", "/api/v1/channels", "/api/v1/channels/a"]
    for number, target in enumerate(targets * 20):  # more than may be under way at a time
        with http.Connection(pair.operator) as hasty:
            if number % 2 == 0:  # with a reset, which ends it at once
                hasty.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                        struct.pack("ii", 1, 0))
            hasty.send(http.request_bytes(hasty.host, "GET", target))
    assert ask(pair, "GET", "/readyz").status == 200
    for target in targets:
        wait_for(lambda target=target: ask(pair, "GET", target).status == 200, what=target)


def test_a_head_request_has_no_body(broker):
    answer = ask(broker, "HEAD", "/api/v1/connections")
    assert answer.status == 200 and answer.body == b""


def test_a_close_code_is_what_the_table_says(pair):
    web = pair.websocket("/channels/a")
    row = find(pair, web.connection)
    assert ask(pair, "DELETE", f"/api/v1/connections/{row['id']}").status == 204
    with pytest.raises(PeerClosed) as closed:
        web.recv()
    assert closed.value.reason == "closed by the operator"
    web.close()
