# SPDX-License-Identifier: Apache-2.0
"""docs/asyncapi.yaml against the wire: its references lead somewhere, and it names what is sent."""
import pathlib

import pytest
import yaml

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "asyncapi.yaml"


@pytest.fixture(scope="module", name="document")
def read_document():
    return yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))


def follow(document, node):
    while isinstance(node, dict) and "$ref" in node:
        reference = node["$ref"]
        assert reference.startswith("#/"), reference
        node = document
        for part in reference[2:].split("/"):
            node = node[part]
    return node


def properties(document, node):
    """All members that a schema names, and those that it requires."""
    node = follow(document, node)
    names, required = dict(node.get("properties", {})), set(node.get("required", []))
    for part in node.get("allOf", []):
        more, more_required = properties(document, part)
        names.update(more)
        required |= more_required
    return names, required


def check(document, message, entry):
    """The entry has what the message's payload requires, and nothing that it does not name."""
    names, required = properties(document, document["components"]["messages"][message]["payload"])
    assert required <= set(entry) <= set(names), (message, entry)
    for name, value in entry.items():
        inner, inner_required = properties(document, names[name])
        if isinstance(value, dict) and inner:
            assert inner_required <= set(value) <= set(inner), (message, name, value)


def test_every_reference_leads_somewhere(document):
    def walk(node):
        if isinstance(node, dict):
            follow(document, node)
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    assert document["asyncapi"] == "3.0.0"
    walk(document)


def test_what_a_socket_says_is_described(document, broker, channel):
    with broker.websocket("/stream") as socket:
        commands = [
            ("subscribe", {"subscribe": channel, "since": "earliest", "on_lag": "catch_up",
                           "limit": 1, "ref": 1}, "subscribed"),
            ("publish", {"publish": {"channel": channel, "data": 1, "event": "e", "key": "k",
                                     "headers": {"a": "b"}, "ttl": 60,
                                     "idempotency_key": channel}, "ref": 2}, "published"),
            ("unsubscribe", {"unsubscribe": 9, "ref": 3}, "error"),
            ("subscribe", {"subscribe": channel, "since": 99, "ref": 4}, "subscribed"),
            ("unsubscribe", {"unsubscribe": 2, "ref": 5}, "unsubscribed")]
        seen = set()
        for verb, command, expected in commands:
            check(document, verb, command)
            socket.send_json(command)
            while True:
                entry = socket.recv_json()
                kind = (expected if "ref" in entry else "done" if "done" in entry else
                        "subscribedGap" if "gap" in entry else "subscribedEnvelope")
                check(document, kind, entry)
                seen.add(kind)
                if "ref" in entry:
                    break
        assert seen >= {"subscribed", "published", "error", "unsubscribed", "subscribedEnvelope"}
    with broker.websocket(f"/channels/{channel}?since=99") as socket:
        check(document, "gap", socket.recv_json())
    with broker.websocket(f"/channels/{channel}?since=earliest") as socket:
        check(document, "envelope", socket.recv_json())
