# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 itself: methods, statuses, bodies in chunks, pipelines, and bytes that are none."""
import contextlib
import os
import select
import signal
import socket
import subprocess
import threading

import pytest

from harness import http

CLOSE_TIMEOUT_S = 2  # CLOSE_TIMEOUT_MS of broker/limits.h


def exchange(broker, data, method="GET"):
    """Sends raw bytes on a new connection; gives the first whole response."""
    with broker.connect() as connection:
        connection.send(data)
        return connection.read_response(method)


def is_problem(answer, status):
    """RFC 9457: the members, and the status twice."""
    assert answer.status == status, answer
    assert answer.type == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status and problem["title"] and problem["type"]
    assert isinstance(problem["detail"], str)
    return problem


# --- methods -----------------------------------------------------------------------------------


def test_head_tells_what_get_would(broker, channel):
    broker.fill(channel, 3)
    got, head = (broker.request(method, f"/channels/{channel}") for method in ("GET", "HEAD"))
    assert head.status == 200 and head.body == b""
    for name in ("content-type", "content-length", "etag", "vary", "cache-control"):
        assert head.headers[name] == got.headers[name], name


def test_options_tell_the_methods(broker, channel):
    answer = broker.request("OPTIONS", f"/channels/{channel}")
    assert answer.status in (200, 204)
    assert {"GET", "HEAD", "POST", "DELETE", "OPTIONS"} <= set(answer.headers["allow"].split(", "))
    answer = broker.request("OPTIONS", "*")
    assert answer.status in (200, 204), answer


def test_an_unknown_resource_is_404(broker):
    for path in ("/", "/nothing", "/channel/a", "/channels", "/CHANNELS/a"):
        answer = broker.get(path)
        if answer.status not in (301, 302, 307, 308):
            is_problem(answer, 404)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "PROPFIND", "TRACE"])
def test_another_method_is_405_with_allow(broker, channel, method):
    answer = broker.request(method, f"/channels/{channel}", None, None)
    if answer.status == 501:
        return  # a method that no resource here knows (RFC 9110, 9.1)
    is_problem(answer, 405)
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))


def test_a_method_in_small_letters_is_another_method(broker, channel):
    assert broker.request("get", f"/channels/{channel}").status in (405, 501)


@pytest.mark.parametrize("accept", ["text/html", "image/*", "application/xml;q=1, text/csv",
                                    "application/json;q=0, text/event-stream;q=0"])
def test_a_form_that_does_not_exist_is_406(broker, channel, accept):
    is_problem(broker.get(f"/channels/{channel}", {"Accept": accept}), 406)


@pytest.mark.parametrize("accept, expected", [
    (None, "application/json"), ("*/*", "application/json"), ("", "application/json"),
    ("application/*", "application/json"), ("text/event-stream", "text/event-stream"),
    ("text/html, */*;q=0.8", "application/json"), ("TEXT/Event-Stream", "text/event-stream"),
    ("application/json, text/event-stream;q=0.5", "application/json"),
    ("application/json;q=0.5, text/event-stream", "text/event-stream"),
    ("application/json;q=0, text/event-stream", "text/event-stream")])
def test_accept_chooses_the_form(broker, channel, accept, expected):
    with broker.connect() as connection:
        connection.send(http.request_bytes(connection.host, "GET", f"/channels/{channel}",
                                           {"Accept": accept}))
        status, _, headers = connection.read_head()
        assert status == 200 and headers["content-type"].split(";")[0] == expected


# --- heads at and over their bounds ------------------------------------------------------------


def test_an_address_that_is_too_long_is_414(broker):
    is_problem(broker.get("/channels/a?x=" + "y" * 9000), 414)


def test_headers_that_are_too_large_are_431(broker, channel):
    target = f"/channels/{channel}"
    is_problem(broker.get(target, {"X-Long": "y" * 20000}), 431)
    is_problem(broker.get(target, {f"X-{number}": "y" for number in range(150)}), 431)
    assert broker.get(target, {"X-Long": "y" * 8000}).status == 200
    assert broker.get(target, {f"X-{number}": "y" for number in range(60)}).status == 200


def test_a_head_without_end_is_answered_and_closed(broker):
    with broker.connect() as connection:
        try:
            connection.send("GET / HTTP/1.1\r\nHost: x\r\nX-Long: ")
            for _ in range(300):
                connection.send(b"y" * 1024)
        except OSError:
            pass
        try:
            assert connection.read_response().status == 431
        except http.Closed:
            pass  # the answer was overtaken by the reset that our own bytes caused
        assert connection.is_closed_within()


@pytest.mark.parametrize("line, status", [
    ("GET /channels/a HTTP/2.0", 505), ("GET /channels/a HTTP/1.2", (200, 505)),
    ("GET /channels/a HTTP/0.9", 505), ("GET /channels/a", 400), ("GET", 400), ("", 400),
    ("GET  /channels/a HTTP/1.1", 400), ("GET /channels/a  HTTP/1.1", 400),
    (" GET /channels/a HTTP/1.1", 400), ("GET /channels/a HTTP/1.1 ", 400),
    ("GET /channels/\x01 HTTP/1.1", 400), ("GET /channels/a\x7f HTTP/1.1", 400),
    ("GET channels/a HTTP/1.1", 400), ("G@T /channels/a HTTP/1.1", 400),
    ("GET /channels/a b HTTP/1.1", 400), ("GET /channels/a http/1.1", 400),
    ("GET /channels/a HTTP/1.10", (400, 505)), ("GET /channels/a XTTP/1.1", 400),
    ("\x16\x03\x01\x02\x00\x01", 400), ("CONNECT a:80 HTTP/1.1", (400, 405, 501))])
def test_a_bad_request_line_is_refused(broker, line, status):
    with broker.connect() as connection:
        connection.send(line.encode("latin-1") + b"\r\nHost: " + broker.host.encode()
                        + b"\r\n\r\n")
        if line == "":  # RFC 9112, 2.2: one empty line before a request may be ignored
            connection.send("GET /channels/a HTTP/1.1\r\n\r\n")
        answer = connection.read_response()
        assert answer.status in (status if isinstance(status, tuple) else (status,)), answer
        if answer.status == 400:
            assert answer.headers["connection"].lower() == "close"
            assert connection.is_closed_within()


@pytest.mark.parametrize("name, head", [
    ("two lengths that differ", "Content-Length: 1\r\nContent-Length: 2\r\n"),
    ("two lengths in one", "Content-Length: 1, 2\r\n"),
    ("both lengths", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
    ("both lengths the other way", "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"),
    ("a length with a sign", "Content-Length: +1\r\n"),
    ("a negative length", "Content-Length: -1\r\n"),
    ("a hexadecimal length", "Content-Length: 0x1\r\n"),
    ("an empty length", "Content-Length:\r\n"),
    ("a length beyond 64 bits", "Content-Length: 18446744073709551617\r\n"),
    ("a folded header", "X-A: b\r\n c\r\nContent-Length: 1\r\n"),
    ("a folded first header", " X-A: b\r\nContent-Length: 1\r\n"),
    ("a blank before the colon", "Content-Length : 1\r\n"),
    ("no colon", "Content-Length 1\r\n"),
    ("no name", ": 1\r\nContent-Length: 1\r\n"),
    ("a name that is no token", "X(a): 1\r\nContent-Length: 1\r\n"),
    ("a bare line feed", "X-A: b\nContent-Length: 1\r\n"),
    ("a bare carriage return", "X-A: b\rContent-Length: 1\r\n"),
    ("NUL in a value", "X-A: b\0c\r\nContent-Length: 1\r\n"),
    ("two hosts", "Host: {host}\r\nContent-Length: 1\r\n"),
    ("chunked not last", "Transfer-Encoding: chunked, gzip\r\n"),
    ("chunked twice", "Transfer-Encoding: chunked, chunked\r\n"),
    ("chunked in quotes", 'Transfer-Encoding: "chunked"\r\n'),
])
def test_a_bad_head_is_refused_and_ends_the_connection(broker, channel, name, head):
    with broker.connect() as connection:
        connection.send(f"POST /channels/{channel} HTTP/1.1\r\nHost: {broker.host}\r\n"
                        + head.replace("{host}", broker.host) + "\r\n1")
        answer = connection.read_response()
        assert answer.status in ((400, 501) if "chunked" in name else (400,)), (name, answer)
        assert connection.is_closed_within(), name
    assert broker.page(channel)["messages"] == []


def test_a_bare_line_feed_as_the_only_line_end_is_refused(broker, channel):
    with broker.connect() as connection:
        connection.send(f"GET /channels/{channel} HTTP/1.1\nHost: {broker.host}\n\n")
        assert connection.read_response().status == 400
        assert connection.is_closed_within()


def test_a_coding_that_is_not_known_is_501(broker, channel):
    answer = exchange(broker, f"POST /channels/{channel} HTTP/1.1\r\nHost: {broker.host}\r\n"
                      "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")
    is_problem(answer, 501)


def test_an_encoded_body_is_415(broker, channel):
    answer = broker.post(channel, b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    is_problem(answer, 415)


def test_a_request_without_host_is_refused_and_with_http_1_0_taken(broker, channel):
    assert broker.get(f"/channels/{channel}", {"Host": None}).status == 400
    with broker.connect() as connection:
        connection.send(f"GET /channels/{channel} HTTP/1.0\r\n\r\n")
        assert connection.read_response().status in (200, 400, 421)
        assert connection.is_closed_within()


def test_an_absolute_address_is_understood(broker, channel):
    broker.fill(channel, 1)
    answer = broker.get(f"http://{broker.host}/channels/{channel}")
    assert answer.status == 200 and len(answer.json()["messages"]) == 1


# --- bodies ------------------------------------------------------------------------------------


def test_a_publish_without_a_length_is_411(broker, channel):
    is_problem(broker.request("POST", f"/channels/{channel}"), 411)


def test_a_declared_length_over_the_limit_is_413_before_the_body(broker, channel):
    is_problem(broker.request("POST", f"/channels/{channel}", {"Content-Length": "1048577"}), 413)
    is_problem(broker.request("POST", f"/channels/{channel}",
                              {"Content-Length": "9223372036854775807"}), 413)


CHUNKED = {"Transfer-Encoding": "chunked", "Content-Type": "application/json"}


@pytest.mark.parametrize("body", [
    b"7\r\n{\"a\":1}\r\n0\r\n\r\n", b"1\r\n{\r\n6\r\n\"a\":1}\r\n0\r\n\r\n",
    b"7;x=y;z=\"q\"\r\n{\"a\":1}\r\n0;last\r\n\r\n", b"007\r\n{\"a\":1}\r\n000\r\n\r\n",
    b"7\r\n{\"a\":1}\r\n0\r\nX-Trailer: 1\r\n\r\n"])
def test_a_body_in_chunks_is_put_together(broker, channel, body):
    with broker.connect() as connection:
        connection.send(http.request_bytes(connection.host, "POST", f"/channels/{channel}",
                                           CHUNKED) + body)
        assert connection.read_response().status == 200
        page = connection.request("GET", f"/channels/{channel}").json()
    assert [message["data"] for message in page["messages"]] == [{"a": 1}]


def test_a_body_in_chunks_may_come_byte_by_byte(broker, channel):
    with broker.connect() as connection:
        whole = http.request_bytes(connection.host, "POST", f"/channels/{channel}", CHUNKED) \
            + b"3\r\n[1,\r\n3\r\n2] \r\n0\r\n\r\n"
        for index in range(len(whole)):
            connection.send(whole[index:index + 1])
        assert connection.read_response().status == 200
    assert broker.page(channel)["messages"][0]["data"] == [1, 2]


@pytest.mark.parametrize("body", [
    b"x\r\n1\r\n0\r\n\r\n", b"-1\r\n1\r\n0\r\n\r\n", b"1\n1\r\n0\r\n\r\n", b"1\r\n12\r\n0\r\n\r\n",
    b"1\r\n1\n0\r\n\r\n", b"\r\n1\r\n0\r\n\r\n", b"FFFFFFFFFFFFFFFFF\r\n1\r\n",
    b" 1\r\n1\r\n0\r\n\r\n",
    b"0x1\r\n1\r\n0\r\n\r\n", b"1;" + b"x" * 5000 + b"\r\n1\r\n0\r\n\r\n",
    b"1\r\n1\r\n0\r\n" + b"X: y\r\n" * 5000 + b"\r\n", b"1 \r\n1\r\n0\r\n\r\n",
    b"1;a\rb\r\n1\r\n0\r\n\r\n"])
def test_bad_chunks_are_refused_and_end_the_connection(broker, channel, body):
    with broker.connect() as connection:
        connection.send(http.request_bytes(connection.host, "POST", f"/channels/{channel}",
                                           CHUNKED) + body)
        assert connection.read_response().status in (400, 413, 431)
        assert connection.is_closed_within()
    assert broker.page(channel)["messages"] == []


def test_chunks_over_the_limit_are_413(broker, channel):
    with broker.connect() as connection:
        connection.send(http.request_bytes(connection.host, "POST", f"/channels/{channel}",
                                           CHUNKED))
        try:
            for _ in range(20):
                connection.send(b"20000\r\n" + b"1" * 0x20000 + b"\r\n")
        except OSError:
            pass
        try:
            is_problem(connection.read_response(), 413)
        except http.Closed:
            pass  # the answer was overtaken by the reset that our own bytes caused
    assert broker.page(channel)["messages"] == []


def test_expect_100_continue_is_answered_before_the_body(broker, channel):
    with broker.connect() as connection:
        head = {"Content-Length": "7", "Expect": "100-continue"}
        connection.send(http.request_bytes(connection.host, "POST", f"/channels/{channel}", head))
        assert connection.read_response(skip_interim=False).status == 100
        connection.send(b'{"a":1}')
        assert connection.read_response().status == 200
        assert connection.request("GET", f"/channels/{channel}").status == 200


def test_expect_is_not_continued_where_the_head_is_refused_already(broker, channel):
    with broker.connect() as connection:
        head = {"Content-Length": "99999999", "Expect": "100-continue"}
        connection.send(http.request_bytes(connection.host, "POST", f"/channels/{channel}", head))
        assert connection.read_response(skip_interim=False).status == 413


def test_another_expectation_is_417(broker, channel):
    answer = broker.post(channel, b"1", headers={"Expect": "200-maybe"})
    is_problem(answer, 417)


@pytest.mark.parametrize("options, size", [
    (["-H", "Expect: 100-continue"], 100000), (["-H", "Transfer-Encoding: chunked"], 100000),
    (["-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue"], 1000000),
    ([], 1048574), (["--http1.0"], 1000), (["--http2"], 1000)])
def test_real_curl_sends_bodies_in_every_way(broker, channel, options, size, tmp_path):
    path = tmp_path / "body"
    path.write_bytes(b'"' + b"x" * size + b'"')
    done = subprocess.run(
        ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--data-binary", f"@{path}",
         *options, f"{broker.public}/channels/{channel}"],
        capture_output=True, check=True, timeout=30)
    assert done.stdout == b"200", done
    assert len(broker.page(channel)["messages"][0]["data"]) == size


# --- connections -------------------------------------------------------------------------------


def test_a_connection_is_kept_and_one_that_asks_is_closed(broker, channel):
    with broker.connect() as connection:
        for _ in range(5):
            assert connection.request("GET", f"/channels/{channel}").status == 200
            assert connection.request("GET", "/nothing").status == 404
        answer = connection.request("GET", f"/channels/{channel}", {"Connection": "close"})
        assert answer.status == 200 and answer.headers["connection"].lower() == "close"
        assert connection.is_closed_within()


def test_pipelined_requests_are_answered_in_order(broker, channel):
    with broker.connect() as connection:
        batch = b"".join(
            http.request_bytes(connection.host, "POST", f"/channels/{channel}", None, b"%d" % n)
            + http.request_bytes(connection.host, "GET", f"/channels/{channel}?limit=1")
            for n in range(1, 51))
        connection.send(batch)
        for number in range(1, 51):
            published = connection.read_response()
            assert published.json()["offset"] == number
            page = connection.read_response().json()
            assert [message["data"] for message in page["messages"]] == [number]


def post_bytes(connection, channel, body, headers=None):
    return http.request_bytes(connection.host, "POST", f"/channels/{channel}", headers, body)


def test_a_thousand_pipelined_publishes_have_as_many_answers_in_order(broker, channel):
    with broker.connect() as connection:
        connection.send(b"".join(post_bytes(connection, channel, b"%d" % number)
                                 for number in range(1, 1001)))
        for number in range(1, 1001):
            answer = connection.read_response()
            assert (answer.status, answer.json()["offset"]) == (200, number)
    messages, _ = broker.all_messages(channel)
    assert [message["data"] for message in messages] == list(range(1, 1001))


def test_answers_keep_their_order_under_mixed_outcomes(broker, channel):
    json, key = {"Content-Type": "application/json"}, {"Idempotency-Key": f'"{channel}"'}
    parts = [(b"1", None, 200), (b"{", json, 400), (b"2", None, 200),
             (b"3\n4\n", {"Content-Type": "application/x-ndjson"}, 200),
             (b"5", {"Tidings-TTL": "never"}, 400), (b"6", key, 200),
             (b"6", key, 200), (b"7", key, 422),
             (b"8", {"Expect": "100-continue"}, 200), (b"9", None, 200)]
    with broker.connect() as connection:
        connection.send(b"".join(post_bytes(connection, channel, body, headers)
                                 for body, headers, _ in parts * 20))
        answers = [connection.read_response() for _ in parts * 20]
    assert [answer.status for answer in answers] == [status for _, _, status in parts] * 20
    assert answers[6].json() == answers[5].json() == answers[15].json()
    messages, _ = broker.all_messages(channel)
    assert [message["data"] for message in messages] == [1, 2, 3, 4, 6, 8, 9] + [
        1, 2, 3, 4, 8, 9] * 19


def test_a_body_that_is_too_large_ends_a_pipeline_behind_the_answers_before_it(broker, channel):
    with broker.connect() as connection:
        connection.send(post_bytes(connection, channel, b"1") * 10
                        + post_bytes(connection, channel, b"", {"Content-Length": "99999999"})
                        + post_bytes(connection, channel, b"2") * 10)
        statuses = [connection.read_response().status for _ in range(11)]
        assert statuses == [200] * 10 + [413]
        assert connection.is_closed_within()
    assert len(broker.page(channel)["messages"]) == 10


def test_a_bad_request_ends_a_pipeline_behind_the_answers_before_it(broker, channel):
    with broker.connect() as connection:
        connection.send(post_bytes(connection, channel, b"1") * 10 + b"GET /\n\n"
                        + post_bytes(connection, channel, b"2") * 10)
        statuses = [connection.read_response().status for _ in range(11)]
        assert statuses == [200] * 10 + [400]
        assert connection.is_closed_within()
    assert len(broker.page(channel)["messages"]) == 10


def test_the_last_request_of_a_pipeline_is_the_last_that_counts(broker, channel):
    with broker.connect() as connection:
        connection.send(post_bytes(connection, channel, b"1")
                        + post_bytes(connection, channel, b"2", {"Connection": "close"})
                        + post_bytes(connection, channel, b"3"))
        first, last = connection.read_response(), connection.read_response()
        assert (first.status, last.status) == (200, 200)
        assert "connection" not in first.headers and last.headers["connection"] == "close"
        assert connection.is_closed_within()
    assert [message["data"] for message in broker.page(channel)["messages"]] == [1, 2]


def test_who_pipelines_without_reading_is_held_back(broker, channel):
    """What it is owed stays bounded: sooner or later its socket takes no more requests."""
    with broker.connect(receive_bytes=4096) as connection:
        connection.socket.settimeout(2)
        batch = post_bytes(connection, channel, b"1") * 100
        sent = 0
        try:
            while sent < 1_000_000:
                sent += connection.socket.send(batch) // (len(batch) // 100)
        except TimeoutError:
            pass
        assert sent < 1_000_000
        connection.socket.settimeout(http.TIMEOUT_S)
        for number in range(1, 1001):
            assert connection.read_response().json()["offset"] == number
    assert broker.get("/channels/a").status == 200


def send_what_is_taken(connections, data):
    """Until no socket has taken anything for a while."""
    rest = {connection.socket: data for connection in connections}
    for sock in rest:
        sock.setblocking(False)
    while writable := select.select([], rest, [], 3)[1]:
        for sock in writable:
            rest[sock] = rest[sock][sock.send(rest[sock]):] or data


def test_those_who_pipeline_without_reading_keep_no_more_than_their_room(start_broker):
    """Each may have over 1 MiB of requests without an answer, and all together 16 MiB and one."""
    broker = start_broker("--workers", "1")
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(broker.connect(receive_bytes=4096)) for _ in range(40)]
        lines = {"Content-Type": "application/x-ndjson"}
        batch = post_bytes(connections[0], "c" * 200, b"1\n" * 500, lines)
        send_what_is_taken(connections, batch)
        figures = [broker.metric("tidings_bodies_bytes") for _ in range(3)]
    print("MiB kept:", max(figures) / 1048576)
    assert 1048576 < max(figures) < 17 * 1048576


def test_a_pipeline_that_is_cut_off_is_stored_up_to_a_request(broker, channel):
    with broker.connect() as connection:
        connection.send(post_bytes(connection, channel, b"1") * 50
                        + post_bytes(connection, channel, b"22222")[:-2])
        for _ in range(50):
            assert connection.read_response().status == 200
    messages, _ = broker.all_messages(channel)
    assert [message["offset"] for message in messages] == list(range(1, 51))


SYNCED = 'channels: [ { match: "**", durability: fsync } ]'


# They connect to a broker that is stopped until all is on its way, and a handshake has its time.
PATIENT = "\nlimits: { handshake_timeout: 1m }\n"


# To write 240 MB twice, in the journal and behind the fold: 3 s here, and as long as a disk takes.
# The time of a sendall() is that of all that is sent.
SLOW_DISK_S = 200


def start_sending(connection, data):
    """What the kernel takes now is on its way when this returns; the thread sends the rest."""
    connection.socket.setblocking(False)
    sent = connection.socket.send(data)
    connection.socket.settimeout(SLOW_DISK_S)
    sender = threading.Thread(target=connection.send, args=(data[sent:],), daemon=True)
    sender.start()
    return sender


@pytest.mark.deadline(2 * SLOW_DISK_S)
def test_pipelines_that_are_more_than_the_log_can_hold_have_no_refusal_and_no_hole(start_broker):
    """200 connections send 240 MB, and the log holds 64 MiB. Who waits for each answer would not be
    refused, so who does not is not either: its next publish waits."""
    broker, count = start_broker(config=SYNCED + PATIENT), 60
    body = b'"' + b"x" * 19998 + b'"'
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(broker.connect()) for _ in range(200)]
        names = [f"a{number}" for number in range(len(connections))]
        os.kill(broker.process.pid, signal.SIGSTOP)
        senders = [start_sending(connection, post_bytes(connection, name, body) * count)
                   for connection, name in zip(connections, names)]
        os.kill(broker.process.pid, signal.SIGCONT)
        answers = [[connection.read_response() for _ in range(count)]
                   for connection in connections]
        for sender in senders:
            sender.join()
    assert {answer.status for row in answers for answer in row} == {200}
    for row in answers:
        assert [answer.json()["offset"] for answer in row] == list(range(1, count + 1))


def test_a_half_closed_pipeline_with_a_cut_body_gets_the_answers_before_it(start_broker):
    broker, channel = start_broker(config=SYNCED), "a"
    for number in range(10):
        with broker.connect() as connection:
            connection.send(post_bytes(connection, channel, b"1") * 5
                            + post_bytes(connection, channel, b"22222")[:-2])
            connection.socket.shutdown(socket.SHUT_WR)
            for offset in range(1, 6):
                assert connection.read_response().json()["offset"] == number * 5 + offset


def test_a_half_closed_pipeline_still_gets_all_its_answers(broker, channel):
    with broker.connect() as connection:
        connection.send(post_bytes(connection, channel, b"1") * 300)
        connection.socket.shutdown(socket.SHUT_WR)
        for number in range(1, 301):
            assert connection.read_response().json()["offset"] == number


def test_what_follows_a_stream_in_a_pipeline_is_not_a_request(broker, channel):
    with broker.connect() as connection:
        connection.send(
            http.request_bytes(connection.host, "GET", f"/channels/{channel}",
                               {"Accept": "text/event-stream"})
            + http.request_bytes(connection.host, "POST", f"/channels/{channel}", None, b"1"))
        assert connection.read_head()[0] == 200
    assert broker.page(channel)["messages"] == []


def test_a_client_that_leaves_in_the_middle_disturbs_nobody(broker, channel):
    for cut in (b"GET /chan", b"POST /channels/x HTTP/1.1\r\nHost: " + broker.host.encode()
                + b"\r\nContent-Length: 100\r\n\r\n{"):
        with broker.connect() as connection:
            connection.send(cut)
    for _ in range(20):
        with broker.connect() as connection:
            connection.send(http.request_bytes(connection.host, "POST", f"/channels/{channel}",
                                               None, b"1"))
    broker.publish(channel, 1)
    messages, _ = broker.all_messages(channel)
    assert [message["offset"] for message in messages] == list(range(1, len(messages) + 1))


def test_a_half_closed_client_still_gets_its_answer(broker, channel):
    with broker.connect() as connection:
        connection.send(http.request_bytes(connection.host, "POST", f"/channels/{channel}",
                                           None, b"1"))
        connection.socket.shutdown(socket.SHUT_WR)
        assert connection.read_response().status == 200
        assert connection.is_closed_within()


def test_health_metrics_and_readiness_are_on_the_operators_port(broker):
    for path in ("/healthz", "/readyz"):
        assert http.request(broker.operator, "GET", path).status == 200
    metrics = http.request(broker.operator, "GET", "/metrics")
    assert metrics.status == 200 and metrics.type == "text/plain"
    samples = [line for line in metrics.body.decode().splitlines()
               if line and not line.startswith("#")]
    assert samples and all(line.startswith("tidings_") or line.startswith("process_")
                           for line in samples)
    for line in samples:
        float(line.rsplit(" ", 1)[1])
    is_problem(http.request(broker.operator, "GET", "/nothing"), 404)


# --- the end of a connection --------------------------------------------------------------------


def test_a_large_page_arrives_whole_before_its_connection_ends(start_broker):
    """Its client pauses for longer than a connection that is told to go may take."""
    broker = start_broker()
    with broker.ask_and_pause("a", {"Connection": "close"}) as slow:
        broker.let_pass(CLOSE_TIMEOUT_S)
        page = slow.read_response()
        assert page.headers["connection"] == "close"
        assert [message["offset"] for message in page.json()["messages"]] == list(range(1, 41))
        assert slow.is_closed_within()
