# SPDX-License-Identifier: Apache-2.0
"""Sinks that send to receivers of the tests: their rows, their events, their dead letters."""
import contextlib
import json

from harness import http
from harness.broker import PATIENCE_S, wait_for
from harness.receiver import LOOPBACK, SECRET

SOON = ["50ms"] * 8  # waits between attempts that a test has time for


def webhook(url, name="s", channels=("a/**",), secret=SECRET, waits=SOON, **keys):
    """A row of `sinks`; of a key with a point in its name: `webhook={"timeout": "1s"}`."""
    row = {"name": name, "channels": list(channels), **keys}
    row["retry"] = {"schedule": list(waits), **keys.get("retry", {})}
    row["webhook"] = {"url": url, **({"secret": secret} if secret else {}),
                      **keys.get("webhook", {})}
    return row


def configuration(*rows, allow=LOOPBACK, **keys):
    """JSON, which is YAML."""
    return json.dumps({"egress": {"allow": list(allow)}, "sinks": list(rows), **keys})


def events(broker, name="s", kind="state"):
    """What the sink told of itself, of that kind, oldest first."""
    messages, _ = broker.all_messages(f"%24events/sinks/{name}")
    return [message["data"] for message in messages if message["data"]["event"] == kind]


def wait_state(broker, state, name="s", timeout_s=PATIENCE_S):
    """The event, once that is the sink's state."""
    def last():
        told = events(broker, name)
        return told and told[-1]["state"] == state and told[-1]
    return wait_for(last, timeout_s, f"{name} being {state}")


def dead_letters(broker, name="s"):
    return broker.all_messages(f"%24dlq/{name}")[0]


def wait_dead(broker, count=1, name="s", timeout_s=PATIENCE_S):
    def enough():
        found = dead_letters(broker, name)
        return len(found) >= count and found
    return wait_for(enough, timeout_s, f"{count} dead letters of {name}")


def ask(broker, method, target="", body=None):
    """A call of the operator's API below /api/v1/sinks; gives what it answers."""
    answer = http.request(broker.operator, method, "/api/v1/sinks" + target,
                          {"Content-Type": "application/json"},
                          None if body is None else json.dumps(body))
    assert answer.status < 300, answer
    return answer.json() if answer.body else None


@contextlib.contextmanager
def declared(broker, name):
    """A sink of the operator's that cannot reach its endpoint, because nothing allows it."""
    path, row = "/api/v1/sinks", webhook("http://127.0.0.1:9/hook", name=name, start="earliest")
    answer = http.request(broker.operator, "POST", path, {}, json.dumps(row).encode())
    assert answer.status == 201, answer
    yield
    assert http.request(broker.operator, "DELETE", f"{path}/{name}").status == 204
