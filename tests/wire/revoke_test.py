# SPDX-License-Identifier: Apache-2.0
"""POST /api/v1/revoke: what it says, what it refuses, and that it outlives the process."""
import json
import time

import pytest

from harness import http
from harness.broker import Broker

RESOURCE = "/api/v1/revoke"
LEEWAY_S = 60
CLOCK_S = 60  # what may lie between two looks at a clock
DEFAULT_S = 3650 * 86400  # the longest there is


def revoke(broker, **members):
    return http.request(broker.operator, "POST", RESOURCE, {"Content-Type": "application/json"},
                        json.dumps(members).encode())


def rows(broker, query=""):
    answer = http.request(broker.operator, "GET", RESOURCE + query)
    assert answer.status == 200, answer
    return answer.json()


def lift(broker, query):
    return http.request(broker.operator, "DELETE", RESOURCE + query).status


def seconds(text):
    return time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone


def named(broker):
    return [(row["jti"], row["sub"], row["tenant"])
            for row in rows(broker, "?limit=1000")["revocations"]]


@pytest.fixture(name="own")
def an_own_broker():
    broker = Broker("--workers", "2").start()
    yield broker
    broker.close()


def test_each_kind_is_told_as_it_was_asked(own):
    assert revoke(own, jti="t-17").status == 200
    assert revoke(own, sub="alice").status == 200
    assert revoke(own, sub="alice", tenant="acme").status == 200
    assert revoke(own, tenant="acme").status == 200
    assert named(own) == [("t-17", None, None), (None, "alice", None), (None, "alice", "acme"),
                          (None, None, "acme")]
    own.stop()


def test_an_entry_lives_as_long_as_the_tokens_may(own):
    now = time.time()
    whole = revoke(own, sub="alice").json()
    assert abs(seconds(whole["revoked"]) - now) < CLOCK_S
    assert abs(seconds(whole["until"]) - now - DEFAULT_S - LEEWAY_S) < CLOCK_S
    short = revoke(own, sub="bob", expires_in=3600).json()
    assert abs(seconds(short["until"]) - now - 3600 - LEEWAY_S) < CLOCK_S
    exact = revoke(own, jti="t", until=int(now) + 100).json()
    assert seconds(exact["until"]) == int(now) + 100 + LEEWAY_S
    own.stop()


@pytest.mark.parametrize("body, status, field", [
    (b"", 400, None),
    (b"{", 400, None),
    (b"[]", 422, None),
    (b"{}", 422, None),
    (b'{"jti":"a","sub":"b"}', 422, "sub"),
    (b'{"jti":7}', 422, "jti"),
    (b'{"sub":""}', 422, "sub"),
    (b'{"tenant":"a/b"}', 422, "tenant"),
    (b'{"tenant":"' + b"x" * 29 + b'"}', 422, "tenant"),
    (b'{"jti":"' + b"x" * 129 + b'"}', 422, "jti"),
    (b'{"sub":"a","expires_in":0}', 422, "expires_in"),
    (b'{"sub":"a","expires_in":"1h"}', 422, "expires_in"),
    (b'{"sub":"a","expires_in":999999999999}', 422, "expires_in"),
    (b'{"sub":"a","until":5,"expires_in":5}', 422, "expires_in"),
    (b'{"subject":"a"}', 422, None),
    (b'{"sub":"' + b"x" * 5000 + b'"}', 413, None),
])
def test_what_means_nothing_is_refused(broker, body, status, field):
    answer = http.request(broker.operator, "POST", RESOURCE,
                          {"Content-Type": "application/json"}, body)
    assert answer.status == status, answer
    assert answer.json().get("field") == field


def test_a_revocation_is_taken_back(own):
    revoke(own, sub="alice smith", tenant="acme")
    assert lift(own, "?sub=alice%20smith") == 404
    assert lift(own, "?sub=alice%20smith&tenant=acme") == 204
    assert lift(own, "?sub=alice%20smith&tenant=acme") == 404
    assert lift(own, "") == 422
    assert named(own) == []
    own.stop()
    own.start()
    assert named(own) == []
    own.stop()


def test_pages_follow_each_other(own):
    for number in range(25):
        assert revoke(own, jti=f"t-{number:02}").status == 200
    seen, after = [], ""
    while True:
        page = rows(own, f"?limit=10&after={after}")
        seen += [row["jti"] for row in page["revocations"]]
        after = page["next"]
        if after is None:
            break
    assert seen == [f"t-{number:02}" for number in range(25)]
    assert http.request(own.operator, "GET", RESOURCE + "?after=!").status == 400
    own.stop()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_what_was_answered_is_there_after_the_end(own, end):
    for _ in range(3):
        count = len(named(own))
        assert revoke(own, sub=f"user-{count}", tenant="acme").status == 200
        before = rows(own)
        getattr(own, end)()
        own.start()
        assert rows(own) == before
    own.stop()


def test_an_entry_that_has_ended_is_told_no_more_and_leaves_the_disk(own):
    now = int(time.time())
    revoke(own, jti="past", until=now - LEEWAY_S - 10)
    revoke(own, jti="other")
    assert named(own) == [("other", None, None)]
    own.kill()
    own.start()
    assert named(own) == [("other", None, None)]
    own.stop()
