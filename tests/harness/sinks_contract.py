# SPDX-License-Identifier: Apache-2.0
"""What openapi_test.py asks about sinks: a sink that may be changed, one of the configuration, and
how each status of each operation comes about. `world.ask` is that of its World."""
import json

from harness import http

SINK = {"name": "openapi", "channels": ["openapi/never"], "paused": True,
        "webhook": {"url": "http://127.0.0.1:9/"}}
PATH = "/api/v1/sinks"


def as_bytes(**changes):
    return json.dumps({**SINK, **changes}).encode()


# A request of each operation that does what it is for: (target, headers, body).
PLAIN = {
    "declareSink": (PATH, {}, as_bytes(name="declared")),
    "showSink": (PATH + "/openapi", {}, None),
    "changeSink": (PATH + "/openapi", {}, as_bytes()),
    "removeSink": (PATH + "/openapi", {}, None),
    "pauseSink": (PATH + "/openapi/pause", {}, b""),
    "resumeSink": (PATH + "/openapi/resume", {}, b""),
    "replaySink": (PATH + "/openapi/replay", {}, b'{"since":"earliest"}'),
    "testSink": (PATH + "/openapi/test", {}, b""),
}
OF_ONE = [operation for operation in PLAIN if operation != "declareSink"]
UNPROVOKED = {
    **{(operation, 503): "the sinks' mailbox would have to be full, or the last millisecond"
       for operation in (*PLAIN, "listSinks", "listSources")},
    **{(operation, 409): "two changes of one sink, or two tests, within a millisecond"
       for operation in ("pauseSink", "resumeSink", "testSink")},
}


def declare(broker):
    """The sink that may be changed is there, as it was declared first."""
    http.request(broker.operator, "DELETE", PATH + "/openapi")
    answer = http.request(broker.operator, "POST", PATH, {}, as_bytes())
    assert answer.status == 201, answer


def declare_anew(world, operation):
    world.ask("removeSink", target=PATH + "/declared")
    return world.ask(operation)


def remove(world, operation):
    answer = world.ask(operation)
    declare(world.broker)
    return answer


def ask_of(name):
    """The same of another sink."""
    def provoke(world, operation):
        target = PLAIN[operation][0].replace("/openapi", "/" + name)
        body = as_bytes(name=name) if operation == "changeSink" else None
        return world.ask(operation, target=target, body=body)
    return provoke


def replay_what_is_paused(world, operation):
    assert world.ask("pauseSink").status == 200
    return world.ask(operation, body=b'{"dead_letters":true}')


SPECIFIC = {
    ("declareSink", 201): declare_anew,
    ("declareSink", 409): lambda world, op: world.ask(op, body=as_bytes()),
    ("removeSink", 204): remove,
    ("removeSink", 409): ask_of("configured"),
    ("changeSink", 409): ask_of("configured"),
    ("replaySink", 409): replay_what_is_paused,
    ("replaySink", 413): lambda world, op: world.ask(op, body=b" " * 1025),
    **{(operation, 404): ask_of("nobody") for operation in OF_ONE},
    **{(operation, 413): lambda world, op: world.ask(op, body=b" " * 262145)
       for operation in ("declareSink", "changeSink")},
    **{(operation, 422): lambda world, op: world.ask(op, body=b"{}")
       for operation in ("declareSink", "changeSink", "replaySink")},
}
