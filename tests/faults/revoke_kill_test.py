# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the broker amid revocations and publishes of tenants: what was answered is revoked,
and what a tenant stores is counted to the byte, however often."""
import json
import random
import threading

import pytest

from harness import http
from harness.broker import Broker
from harness.http import Closed
from harness.tokens import hash_of

ROUNDS = 10
GONE = (OSError, Closed, EOFError)
PAYLOAD = b'"' + b"x" * 98 + b'"'
CONFIG = """
auth:
  keys: [ {{ name: acme, hash: "{hash}", tenant: acme, publish: ["**"], history: ["**"] }} ]
channels: [ {{ match: "**", history: {{ messages: unlimited, age: unlimited }} }} ]
"""


def revoke_until_gone(broker, answered):
    try:
        while True:
            name = f"user-{len(answered)}"
            answer = http.request(broker.operator, "POST", "/api/v1/revoke", {
                "Content-Type": "application/json"}, json.dumps({"sub": name}).encode())
            if answer.status == 200:
                answered.append(name)
    except GONE:
        pass


def publish_until_gone(broker, answered):
    try:
        while True:
            channel = f"c/{random.randrange(20)}"
            if broker.request("POST", "/channels/" + channel, {
                    "Content-Type": "application/json",
                    "Authorization": "Bearer key-of-acme"}, PAYLOAD).status == 200:
                answered.append(channel)
    except GONE:
        pass


def listed(broker):
    names, after = set(), ""
    while after is not None:
        page = http.request(broker.operator, "GET",
                            f"/api/v1/revoke?limit=1000&after={after}").json()
        names |= {row["sub"] for row in page["revocations"]}
        after = page["next"]
    return names


@pytest.mark.deadline(200)
def test_kills_lose_no_revocation_and_no_byte():
    random.seed("revoke")
    broker = Broker("--workers", "2", config=CONFIG.format(hash=hash_of("key-of-acme")))
    revoked, published = [], []
    try:
        broker.start()
        for _ in range(ROUNDS):
            threads = [threading.Thread(target=work, args=(broker, answered), daemon=True)
                       for work, answered in ((revoke_until_gone, revoked),
                                              (publish_until_gone, published))]
            for thread in threads:
                thread.start()
            threading.Event().wait(random.uniform(0.05, 0.4))
            broker.kill()
            for thread in threads:
                thread.join(20)
            assert not broker.bad_words(), broker.logged[-40:]
            broker.start()
            assert set(revoked) <= listed(broker) <= set(revoked) | {f"user-{len(revoked)}"}
            rows = http.request(broker.operator, "GET",
                                "/api/v1/channels?tenant=acme&limit=1000").json()["channels"]
            tenant = http.request(broker.operator, "GET", "/api/v1/tenants/acme").json()
            assert tenant["channels"] == len(rows)
            assert tenant["stored_bytes"] == sum(row["bytes"] for row in rows)
            assert len(published) <= sum(row["messages"] for row in rows)
        broker.stop()
    finally:
        broker.close()
