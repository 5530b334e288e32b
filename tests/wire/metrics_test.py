# SPDX-License-Identifier: Apache-2.0
"""Figures say what happened: each claim does something and looks at what was counted."""
import os
import pathlib

from harness import http
from harness.broker import wait_for
from harness.readers import Subscriptions

CENSUS_S = 60  # a census takes 5 s; more on a busy machine


def grown(broker, before):
    """What is larger than before: {name: by how much}."""
    return {name: number - before[name] for name, number in broker.figures().items()
            if number > before[name]}


def test_requests_are_told_apart_by_what_they_ask_for(start_broker):
    broker = start_broker()
    before = broker.figures()
    broker.publish("a", 1)
    broker.page("a")
    broker.page("a", since="0", wait="1s")
    broker.get("/channels/a/%zz")
    assert broker.request("DELETE", "/channels/a?offset=1").status in (200, 204)
    broker.request("OPTIONS", "/channels/a")
    with broker.events("/channels/a"):
        after = grown(broker, before)
    for route, status in (("publish", "2xx"), ("page", "2xx"), ("poll", "2xx"), ("page", "4xx"),
                          ("delete", "2xx"), ("stream", "2xx"), ("other", "2xx")):
        assert after[f'tidings_http_requests_total{{route="{route}",status="{status}"}}'] == 1
    assert after['tidings_http_request_duration_seconds_count{route="page"}'] == 2
    assert after['tidings_http_request_duration_seconds_count{route="stream"}'] == 1


def test_a_poll_takes_as_long_as_it_waits(start_broker):
    broker = start_broker()
    before = broker.figures()
    assert broker.page("a", since="now", wait="300ms")["messages"] == []
    after = grown(broker, before)
    # The broker counts whole milliseconds, from where the turn began that it is in.
    assert after['tidings_http_request_duration_seconds_sum{route="poll"}'] > 0.2


def test_commands_of_a_socket_are_counted_by_verb_and_result(start_broker):
    broker = start_broker()
    before = broker.figures()
    with Subscriptions(broker) as socket:
        number = socket.subscribe("a")
        socket.ask({"publish": {"channel": "a", "data": 1}})
        socket.ask({"unsubscribe": number})
    with broker.websocket("/channels/a") as socket:
        socket.send_json({"auth": "x", "ref": 1})  # nobody asks for it: no harm
        assert socket.recv_json() == {"ref": 1, "ok": {}}
        for text in ("nonsense", '{"what":1}', '{"subscribe":"b"}',
                     '{"publish":{"channel":"$x","data":1}}'):
            socket.send_text(text)
            assert "error" in socket.recv_json()
    after = grown(broker, before)
    for command, result in (("subscribe", "ok"), ("publish", "ok"), ("unsubscribe", "ok"),
                            ("none", "bad-json"), ("none", "bad-request"),
                            ("auth", "ok"), ("subscribe", "bad-request"),
                            ("publish", "forbidden")):
        name = f'tidings_websocket_commands_total{{command="{command}",result="{result}"}}'
        assert after[name] == 1, name
    assert after['tidings_publishes_total{protocol="websocket",result="ok"}'] == 1
    assert after['tidings_publish_duration_seconds_count{protocol="websocket"}'] == 1


def test_a_fan_out_is_timed_where_somebody_reads(start_broker):
    broker = start_broker("--workers", "1")
    name = "tidings_publish_to_write_seconds_count"
    broker.publish("a", 1)
    assert broker.figures()[name] == 0
    with broker.events("/channels/a") as stream:
        broker.publish("a", 2)
        stream.next()
        assert wait_for(lambda: broker.figures()[name]) == 1
        broker.publish("b", 2)
        assert broker.figures()[name] == 1


def test_what_the_disk_does_is_timed(start_broker):
    broker = start_broker(config="channels: [{match: 'safe/**', durability: fsync}]\n")
    before = broker.figures()
    broker.fill("safe/a", 3)
    broker.page("safe/a")
    wait_for(lambda: broker.figures()["tidings_fold_records_sum"] >= 3)
    after = grown(broker, before)
    for name in ("tidings_journal_append_duration_seconds_count",
                 "tidings_journal_sync_duration_seconds_count", "tidings_commit_records_sum"):
        assert after[name] >= 3, name
    for name in ("tidings_fold_duration_seconds_count", "tidings_fold_bytes_sum",
                 "tidings_read_duration_seconds_count", "tidings_read_wait_seconds_count"):
        assert after[name] > 0, name
    wait_for(lambda: grown(broker, before).get("tidings_retention_duration_seconds_count"))
    now = broker.figures()
    disk = os.statvfs(broker.data)
    assert now["tidings_disk_size_bytes"] == disk.f_blocks * disk.f_frsize
    assert 0 < now["tidings_disk_free_bytes"] < now["tidings_disk_size_bytes"]
    assert now["tidings_store_limit_bytes"] == 10 * 2**30
    wait_for(lambda: broker.figures()["tidings_read_transactions_open"] == 0)


def thread_names(broker):
    tasks = pathlib.Path(f"/proc/{broker.process.pid}/task")
    return {(task / "comm").read_text(encoding="ascii").strip() for task in tasks.iterdir()}


def test_each_thread_has_a_name_and_works(start_broker):
    broker = start_broker("--workers", "2")
    broker.fill("a", 5)
    broker.page("a")
    names = {"log", "sync", "store", "operator", "read-0", "read-1", "worker-0", "worker-1"}
    wait_for(lambda: names <= thread_names(broker), what="the names, which threads give themselves")
    for figure in ("busy_seconds", "cpu_seconds", "turns"):
        for thread in ("main", "log", "store", "operator", "worker-0", "worker-1"):
            name = f'tidings_thread_{figure}_total{{thread="{thread}"}}'
            wait_for(lambda name=name: broker.figures()[name] > 0, what=name)
    reads = 'tidings_thread_busy_seconds_total{thread="read-%d"}'
    wait_for(lambda: broker.figures()[reads % 0] + broker.figures()[reads % 1] > 0)
    now = broker.figures()
    assert now['tidings_thread_letters_total{thread="log"}'] >= 5
    assert now['tidings_mailbox_letters_limit{thread="worker-1"}'] == 65536
    assert now["process_threads"] >= len(names)


def test_what_a_worker_does_for_its_sockets_is_busy_time(start_broker):
    """Requests that nobody else has a part in: their processor time is spent while awake."""
    broker = start_broker("--workers", "1")
    before = broker.figures()
    with broker.connect() as connection:
        burst = http.request_bytes(connection.host, "GET", "/channels/a/%zz") * 200
        for _ in range(20):
            connection.send(burst)
            for _ in range(200):
                assert connection.read_response().status == 400
    after = grown(broker, before)
    busy, used = (after[f'tidings_thread_{figure}_seconds_total{{thread="worker-0"}}']
                  for figure in ("busy", "cpu"))
    assert busy >= used / 2, (busy, used)


def test_a_reader_that_does_not_keep_up_is_in_the_census(start_broker):
    broker = start_broker("--workers", "1")
    with broker.events("/channels/a?on_lag=catch_up", receive_bytes=4096) as slow, \
            broker.websocket("/channels/b"):
        wait_for(lambda: broker.figures()['tidings_reader_lag_positions_bucket{le="1"}'] > 0,
                 CENSUS_S)
        assert broker.figures()["tidings_readers_behind"] == 0
        before = broker.figures()
        body = b'"' + b"x" * 200000 + b'"'
        for _ in range(60):
            assert broker.post("a", body).status == 200
        wait_for(lambda: broker.figures()["tidings_readers_behind"] == 1, CENSUS_S)
        after = grown(broker, before)
        assert after["tidings_reader_lag_positions_count"] > \
            after.get('tidings_reader_lag_positions_bucket{le="4"}', 0)
        lagged = 'tidings_readers_lagged_total{on_lag="catch_up"}'
        wait_for(lambda: broker.figures().get(lagged, 0) >= 1)
        for _ in range(60):
            slow.next()
        wait_for(lambda: broker.figures()["tidings_readers_behind"] == 0, CENSUS_S)


def test_what_a_reader_lost_is_counted_by_reason(start_broker):
    broker = start_broker(config="channels: [{match: a, history: {messages: 5}}]\n")
    broker.fill("a", 20)
    before = broker.figures()
    with broker.events("/channels/a?since=0") as stream:
        gap = stream.next()
        assert gap.event == "gap" and (gap.json()["from"], gap.json()["to"]) == (1, 15)
        after = grown(broker, before)
    assert after['tidings_gaps_total{reason="expired"}'] == 1
    assert after['tidings_gap_messages_total{reason="expired"}'] == 15


def test_channels_show_only_as_the_pattern_of_a_rule_that_asks_for_it(start_broker):
    broker = start_broker(config="""
channels:
  - { match: "tennis/*", metrics: true }
  - { match: "tennis/**" }
""")
    first = set(broker.figures())
    for name in [f"tennis/{n}" for n in range(50)] + ["tennis/1/2", "chat/1"]:
        broker.publish(name, "12345")
    after = broker.figures()
    assert set(after) == first
    assert after['tidings_match_published_messages_total{match="tennis/*"}'] == 50
    assert after['tidings_match_published_bytes_total{match="tennis/*"}'] == 50 * 7
    assert [name for name in after if "/" in name or "chat" in name or "tennis" in name] == [
        'tidings_match_published_messages_total{match="tennis/*"}',
        'tidings_match_published_bytes_total{match="tennis/*"}']
