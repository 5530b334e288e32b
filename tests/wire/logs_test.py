# SPDX-License-Identifier: Apache-2.0
"""The log says what an operator asks, in lines that no stranger can forge and no flood can fill.

That each line is one of the reference, with the keys that stand there, is checked for every broker
of every test when it stops (harness/logs.py).
"""
import pathlib
import signal

import pytest

from harness import http
from harness.broker import wait_for

FORMATS = ["logfmt", "json"]
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
FLOOD = 300
BURST = 10  # lines of an event at once, then one a second

# What a stranger may put into a header: it is to come back as it was, from its own key.
FORGERIES = [
    'x" level=error event=STARTED y="',
    '","level":"error","event":"STARTED","x":"',
    "a=b c=d",
    "\\",
    '\\"',
    "x" * 512,
    "plain",
]


def start_logging(start_broker, form, level="debug", **options):
    return start_broker(environment={"TIDINGS_LOG_FORMAT": form, "TIDINGS_LOG_LEVEL": level},
                        **options)


def but_for_machines(lines):
    """Without the warnings that only some machines see, or only now and then."""
    return [line for line in lines if line["event"] not in ("RUNS_AS_ROOT", "DISK_SLOW")]


@pytest.mark.parametrize("form", FORMATS)
def test_a_life_is_told_in_lines_of_the_chosen_format(start_broker, form):
    broker = start_logging(start_broker, form, "info", config="workers: 2\n")
    broker.fill("a", 3)
    broker.stop()
    assert all(line.startswith("{" if form == "json" else "time=") for line in broker.logged)
    opened, started, stopping, stopped = but_for_machines(broker.log_lines())
    assert [line["event"] for line in (opened, started, stopping, stopped)] == \
        ["STORAGE_OPENED", "STARTED", "STOPPING", "STOPPED"]
    assert (opened["clean"], opened["position"]) == (True, 0)
    assert broker.public == "http://" + started["public_listen"] and started["workers"] == 2
    assert stopping["signal"] == signal.SIGTERM and stopped["exit_code"] == 0


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("forgery", FORGERIES, ids=range(len(FORGERIES)))
def test_a_header_cannot_forge_a_line(start_broker, form, forgery):
    broker = start_logging(start_broker, form)
    answer = broker.get("/channels/a", {"Origin": forgery, "Sec-Fetch-Site": forgery,
                                        "User-Agent": forgery})
    assert answer.status == 403
    (refused,) = broker.wait_logged("ORIGIN_REFUSED")
    assert refused["origin"] == refused["fetch_site"] == forgery
    assert refused["host"] == broker.host and refused["path"] == "/channels/a"
    broker.stop()
    assert len(broker.log_lines("ORIGIN_REFUSED")) == len(broker.log_lines("STARTED")) == 1


@pytest.mark.parametrize("form", FORMATS)
def test_bytes_that_are_no_text_leave_the_line_whole(start_broker, form):
    broker = start_logging(start_broker, form)
    with broker.connect() as connection:
        connection.send(b"GET /channels/a HTTP/1.1\r\nHost: " + broker.host.encode() +
                        b"\r\nOrigin: gr\xfc\xdfe \xc3\xa9 \xc2\x9b[2J\r\n\r\n")
        assert connection.read_response().status == 403
    (refused,) = broker.wait_logged("ORIGIN_REFUSED")
    assert refused["origin"] == "gr\ufffd\ufffde \u00e9 \u009b[2J"
    assert not any("\x9b" in line for line in broker.logged)  # no terminal is told anything


@pytest.mark.parametrize("form", FORMATS)
def test_a_text_that_is_too_long_is_cut_and_the_line_is_whole(start_broker, form):
    broker = start_logging(start_broker, form)
    assert broker.get("/channels/a", {"Origin": '"' * 3000}).status == 403
    (refused,) = broker.wait_logged("ORIGIN_REFUSED")
    assert refused["origin"] == '"' * 254 + "\u2026"
    assert refused["path"] == "/channels/a"


def test_a_request_is_a_line_at_debug_and_none_at_info(start_broker):
    for level, expected in (("debug", 20), ("info", 0)):
        broker = start_logging(start_broker, "logfmt", level)
        for number in range(20):
            broker.publish("a", number, {"traceparent": f"00-{TRACE_ID}-{'2' * 16}-00"})
        broker.stop()
        lines = [line for line in broker.log_lines("REQUEST") if line["method"] == "POST"]
        assert len(lines) == expected
        assert all((line["path"], line["status"], line["trace_id"]) ==
                   ("/channels/a", 200, TRACE_ID) for line in lines)


def test_what_a_page_was_asked_with_is_not_logged(start_broker):
    """A query may hold what only its client should know."""
    broker = start_logging(start_broker, "json")
    broker.get("/channels/a?since=earliest&secret=4711")
    http.request(broker.operator, "GET", "/healthz?secret=4711")
    broker.stop()
    assert len([line for line in broker.log_lines("REQUEST")
                if line["path"] in ("/channels/a", "/healthz")]) == 2
    assert not any("4711" in line for line in broker.logged)


def told_of(broker, event):
    """How often it happened, by the lines that were written and those that were held back."""
    return sum(line.get("suppressed", 0) + (line["event"] == event)
               for line in broker.log_lines() if event in (line["event"], line.get("of")))


def test_a_flood_is_held_back_and_counted_to_the_line(start_broker):
    broker = start_broker("--workers", "2")
    with broker.connect() as connection:
        for _ in range(FLOOD):
            assert connection.request("GET", "/channels/a",
                                      {"Origin": "https://evil.example"}).status == 403
    broker.stop()
    assert told_of(broker, "ORIGIN_REFUSED") == FLOOD
    assert BURST <= len(broker.log_lines("ORIGIN_REFUSED")) < FLOOD // 2


def test_what_was_held_back_is_told_before_long_where_nothing_follows(start_broker):
    broker = start_broker("--workers", "1")
    for _ in range(BURST * 3):
        assert broker.get("/channels/a", {"Origin": "https://evil.example"}).status == 403
    wait_for(lambda: told_of(broker, "ORIGIN_REFUSED") == BURST * 3,
             what="what was held back")


def reload(broker, text):
    pathlib.Path(broker.scratch, "tidings.yaml").write_text(text, encoding="utf-8")
    before = len(broker.log_lines("RELOADED") + broker.log_lines("RELOAD_REFUSED"))
    broker.signal(signal.SIGHUP)
    wait_for(lambda: len(broker.log_lines("RELOADED") + broker.log_lines("RELOAD_REFUSED"))
             > before, what="the reload")


@pytest.mark.parametrize("form", FORMATS)
def test_a_reload_tells_its_faults_or_what_waits_for_a_start(start_broker, form):
    broker = start_logging(start_broker, form, "info", config="workers: 2\n")
    reload(broker, "workers: 3\nlimits: {connections: 7}\nchannels: [{match: a}]\n")
    (done,) = broker.log_lines("RELOADED")
    assert done["rules"] == 1 and done["waiting"] == "workers,limits.connections"
    reload(broker, 'workers: 2\nchanels: []\nopen: "x\\"\\n"\n')
    faults = broker.log_lines("CONFIGURATION_FAULT")
    assert [(fault["key"], fault["line"]) for fault in faults] == [("chanels", 2), ("open", 3)]
    assert 'channels' in faults[0]["reason"]
    assert broker.log_lines("RELOAD_REFUSED")[0]["faults"] == 2


def test_a_reload_changes_the_level_at_once(start_broker):
    broker = start_broker(config="log: {level: warning}\n")
    assert not but_for_machines(broker.log_lines())
    reload(broker, "log: {level: debug}\n")
    broker.publish("a", 1)
    broker.stop()
    assert [line["path"] for line in broker.log_lines("REQUEST")] == ["/channels/a"]


def test_a_start_behind_a_kill_says_what_came_back(start_broker):
    broker = start_broker("--workers", "1")
    generation = broker.wait_logged("STORAGE_OPENED")[0]["generation"]
    broker.fill("a", 500)
    broker.kill()
    broker.start()
    (opened,) = broker.wait_logged("STORAGE_OPENED")
    assert opened["clean"] is False and opened["generation"] == generation + 1
    assert opened["position"] >= 500 and opened["replayed"] <= opened["position"]


def test_connections_beyond_the_limits_are_told(start_broker):
    broker = start_broker(config="limits: {connections: 3, connections_per_address: 2, "
                                 "loopback: true}\n")
    with broker.connect() as one, broker.connect() as two:
        assert one.request("GET", "/channels/a").status == 200
        assert two.request("GET", "/channels/a").status == 200
        with broker.connect():
            (refused,) = broker.wait_logged("CONNECTION_REFUSED")
        with broker.connect(source="127.0.0.2") as other:
            assert other.request("GET", "/channels/a").status == 200
            with broker.connect(source="127.0.0.3"):
                full = broker.wait_logged("CONNECTIONS_FULL")[0]
    (limit,) = broker.log_lines("LIMIT_REACHED")
    assert refused["reason"] == "too_many"
    assert limit["limit"] == "limits.connections_per_address" and limit["most"] == 2
    assert limit["peer"].startswith("127.0.0.1:")
    assert full["connections"] == 3


def test_a_peer_that_takes_nothing_is_told(start_broker):
    broker = start_broker(config="limits: {stall_timeout: 1s, send_budget: 16KiB}\n")
    with broker.websocket("/channels/a", receive_bytes=4096):
        wait_for(lambda: broker.post("a", b'"' + b"x" * 200000 + b'"').status == 200 and
                 broker.log_lines("CONNECTION_STALLED"), what="the stall")
    (stalled,) = broker.log_lines("CONNECTION_STALLED")
    assert stalled["protocol"] == "websocket" and stalled["unsent_bytes"] > 0


def test_the_end_of_a_connection_is_a_line_at_debug(start_broker):
    broker = start_logging(start_broker, "logfmt")
    with broker.connect() as connection:
        connection.request("GET", "/channels/a", {"Connection": "close"})
    with broker.websocket("/channels/a"):
        pass
    broker.stop()
    ends = {(line["protocol"], line["reason"]) for line in broker.log_lines("CONNECTION_CLOSED")}
    assert ("http", "replied") in ends and any(kind == "websocket" for kind, _ in ends), ends


def test_peers_that_do_not_go_are_cut_off_and_counted(start_broker):
    broker = start_broker("--workers", "2")
    with broker.websocket("/channels/a"), broker.websocket("/channels/a"):
        broker.stop()
    assert sum(line["connections"] for line in broker.log_lines("DRAIN_OVER")) == 2
