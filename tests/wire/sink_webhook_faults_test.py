# SPDX-License-Identifier: Apache-2.0
"""Webhooks whose endpoint is down, slow, broken or not allowed: each is told and tried again, and
nothing is lost."""
import json
import pathlib
import re
import signal

import pytest

from harness import certificates
from harness.broker import Broker, wait_for
from harness.receiver import DROP, GARBAGE, HANG, HUGE, RESET, SECRET, Answer, Receiver
from harness.sinks import configuration, dead_letters, events, wait_dead, wait_state, webhook

MANY = ["100ms"] * 32
QUICK = {"timeout": "200ms", "connect_timeout": "200ms"}


@pytest.fixture(name="receiver")
def start_receiver():
    with Receiver() as receiver:
        yield receiver


def attempts(broker, name="s"):
    """{outcome: how many}, without those that there were none of."""
    found = re.compile(rf'tidings_sink_attempts_total{{sink="{name}",outcome="(\w+)"}}')
    counted = {found.fullmatch(key): value for key, value in broker.figures().items()}
    return {match[1]: value for match, value in counted.items() if match and value}


# --- what an endpoint does ----------------------------------------------------------------------

DRIP = Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly so much")
LONG_HEAD = Answer(raw=b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 200_000 + b"\r\n\r\n", closes=True)
ENDLESS_HEAD = Answer(raw=b"HTTP/1.1 200 OK\r\nX: y\r\n")


@pytest.mark.parametrize("name, answer, outcome", [
    ("reset", RESET, "failed"),
    ("closed", DROP, "failed"),
    ("garbage", GARBAGE, "failed"),
    ("500", Answer(500), "failed"),
    ("redirect", Answer(302, {"Location": "/"}), "failed"),
    ("503", Answer(503), "throttled"),
    ("silent", HANG, "unreached"),
    ("slow", Answer(delay_s=30), "unreached"),
    ("long_head", LONG_HEAD, "failed"),
    ("endless_head", ENDLESS_HEAD, "unreached"),
    ("interim", Answer(raw=b"HTTP/1.1 100 Continue\r\n\r\n", closes=True), "failed")])
def test_what_fails_is_counted_and_sent_again_and_not_lost(start_broker, receiver, name, answer,
                                                           outcome):
    receiver.script = [answer, answer]
    broker = start_broker(config=configuration(
        webhook(receiver.url, waits=MANY, webhook=QUICK if outcome == "unreached" else {})))
    broker.publish("a/b", name)
    receiver.wait(3)
    requests = receiver.wait_accepted()
    assert {request.id for request in receiver.requests} == {requests[0].id}
    if outcome == "unreached":  # what is quick here may be too quick for the good answer as well
        wait_for(lambda: attempts(broker).get("delivered") == 1, what="the figures")
        counted = attempts(broker)
        assert counted.keys() == {outcome, "delivered"} and counted[outcome] >= 2, counted
    else:
        wait_for(lambda: attempts(broker) == {outcome: 2, "delivered": 1}, what="the figures")
    assert not dead_letters(broker)


@pytest.mark.parametrize("answer, keys", [(HUGE, {"timeout": "30s"}), (DRIP, QUICK)])
def test_200_is_success_whatever_its_body_is(start_broker, receiver, answer, keys):
    """No more is read than 64 KiB, and for no longer than a request may take."""
    receiver.answer = answer
    broker = start_broker(config=configuration(webhook(receiver.url, webhook=keys)))
    before = broker.rss_anon_bytes()
    for number in range(4):
        broker.publish("a/b", number)
    wait_for(lambda: list(dict.fromkeys(receiver.data())) == [0, 1, 2, 3])
    assert broker.rss_anon_bytes() - before < 20_000_000
    numbers = [request.connection for request in list(receiver.requests)]
    assert len(set(numbers)) == len(numbers), "one is used again"
    assert not dead_letters(broker)


def test_an_endpoint_that_is_down_costs_no_attempts_and_gets_all_when_it_is_back(
        start_broker, receiver):
    """Six attempts each, which would be used up in a moment without the breaker, which five open:
    on a slow machine those five may all be the first message's."""
    receiver.stop()
    broker = start_broker(config=configuration(
        webhook(receiver.url, name="down", mode="parallel", waits=["10ms"] * 5)))
    broker.fill("a/b", 200)
    told = wait_state(broker, "broken", "down")
    assert "onnect" in told["detail"]
    receiver.start()
    wait_for(lambda: sorted(data["n"] for data in receiver.data()) == list(range(1, 201)), 60,
             "all of them")
    wait_state(broker, "live", "down")
    assert not dead_letters(broker, "down")


def test_a_name_that_does_not_resolve_is_told(start_broker):
    broker = start_broker(config=configuration(
        webhook("http://no-such-host.invalid/", waits=MANY), allow=["127.0.0.0/8"]))
    broker.publish("a/b", 1)
    assert "resolve" in wait_state(broker, "broken")["detail"]
    assert not dead_letters(broker)


def test_a_message_larger_than_a_request_may_be_goes_alone(start_broker, receiver):
    broker = start_broker(config=configuration(
        webhook(receiver.url, batch={"bytes": "1KiB", "count": 10, "age": "100ms"})))
    for size in (10, 5000, 10, 700, 700):
        broker.publish("a/b", "x" * size)
    wait_for(lambda: sum(len(request.json()) for request in receiver.requests) == 5)
    sizes = [[len(item["data"]) for item in request.json()] for request in receiver.requests]
    assert [5000] in sizes
    assert all(len(request) == 1 or sum(request) <= 1024 for request in sizes)


def test_a_secret_is_said_nowhere(start_broker, receiver):
    receiver.answer = Answer(400, body=f"bad: {SECRET}".encode())
    url = receiver.url + "?token=capability"
    broker = start_broker(config=configuration(webhook(url, waits=["10ms"]),
                                               log={"level": "debug"}))
    broker.publish("a/b", 1)
    wait_dead(broker)
    receiver.stop()
    broker.publish("a/b", 2)
    wait_dead(broker, 2)
    shown = json.dumps([dead_letters(broker), events(broker), broker.logged, broker.said])
    assert SECRET not in shown and "capability" not in shown


# --- TLS ----------------------------------------------------------------------------------------


def make_certificate(kind):
    """(certificate, key) of a server, and the file of the authority that the sink believes."""
    authority = certificates.authority()
    if kind == "expired":
        return authority.issue("expired", "/CN=old", "IP:127.0.0.1", days=-1), authority
    if kind == "other_name":
        return authority.issue("other-name", "/CN=else", "DNS:else.example"), authority
    if kind == "unknown":
        return certificates.server_pair(), certificates.authority("Another CA")
    return certificates.server_pair(), authority


@pytest.mark.parametrize("kind, detail", [
    ("expired", "expired"), ("other_name", "match"), ("unknown", "certificate")])
def test_a_certificate_that_is_not_believed_is_told(start_broker, kind, detail):
    pair, authority = make_certificate(kind)
    with Receiver(tls=pair) as receiver:
        broker = start_broker(config=configuration(
            webhook(receiver.url, waits=MANY, webhook={"ca": str(authority.certificate)})))
        broker.publish("a/b", 1)
        assert detail in wait_state(broker, "broken")["detail"]
        assert not receiver.requests and not dead_letters(broker)


def test_a_certificate_of_the_authority_that_is_named_is_believed(start_broker):
    pair, authority = make_certificate("right")
    with Receiver(tls=pair) as receiver:
        broker = start_broker(config=configuration(
            webhook(receiver.url, webhook={"ca": str(authority.certificate)})))
        for number in range(3):
            broker.publish("a/b", number)
        receiver.wait_accepted(3)
        assert receiver.connections == 1


def test_the_systems_authorities_do_not_believe_ours(start_broker):
    pair, _ = make_certificate("right")
    with Receiver(tls=pair) as receiver:
        broker = start_broker(config=configuration(webhook(receiver.url, waits=MANY)))
        broker.publish("a/b", 1)
        assert "certificate" in wait_state(broker, "broken")["detail"]
        assert not receiver.requests


def test_a_file_of_authorities_that_cannot_be_read_is_refused_at_the_start():
    broker = Broker(config=configuration(
        webhook("https://example.org/", webhook={"ca": "/nonexistent.pem"})))
    try:
        with pytest.raises(AssertionError, match="webhook.ca.*No such file"):
            broker.start()
    finally:
        broker.close()


# --- where it may go ----------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]",
                                  "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254"])
def test_what_is_behind_the_broker_is_not_reached(start_broker, receiver, host):
    broker = start_broker(config=configuration(
        webhook(f"http://{host}:{receiver.port}/", waits=MANY), allow=["10.0.0.0/8"]))
    broker.publish("a/b", 1)
    assert "egress.allow" in wait_state(broker, "broken")["detail"]
    assert receiver.connections == 0


def test_where_it_may_go_changes_with_a_reload(start_broker, receiver):
    row = webhook(receiver.url, waits=MANY)
    broker = start_broker(config=configuration(row))
    path = pathlib.Path(broker.scratch, "tidings.yaml")

    def reload(allow):
        count = len(broker.log_lines("RELOADED"))
        path.write_text(configuration(row, allow=allow), encoding="utf-8")
        broker.signal(signal.SIGHUP)
        wait_for(lambda: len(broker.log_lines("RELOADED")) > count, what="the reload")

    broker.publish("a/b", 1)
    receiver.wait_accepted(1)
    reload(["10.0.0.0/8"])
    broker.publish("a/b", 2)
    assert "egress.allow" in wait_state(broker, "broken")["detail"]
    assert len(receiver.requests) == 1
    reload(["127.0.0.0/8"])
    wait_for(lambda: receiver.data() == [1, 2], what="what had waited")
    assert receiver.connections == 2
