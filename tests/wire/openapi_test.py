# SPDX-License-Identifier: Apache-2.0
"""What docs/openapi.yaml says is there, with the members that it names."""
import json

import pytest

from harness import http
from harness.broker import ROOT

yaml = pytest.importorskip("yaml")
CONTRACT = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text(encoding="utf-8"))
METHODS = ("get", "post", "delete")
OPERATIONS = [(path, method) for path, item in CONTRACT["paths"].items() for method in METHODS
              if method in item]


def check(value, name):
    """Holds the object all members that the schema requires, and none that it does not name?"""
    schema = CONTRACT["components"]["schemas"][name]
    assert set(schema["required"]) <= set(value) <= set(schema["properties"]), value


def ask(broker, path, method, headers=None, body=None, query=""):
    item = CONTRACT["paths"][path]
    url = broker.operator if "servers" in item else broker.public
    target = path.replace("{channel}", "openapi/a").replace("{id}", "999999999") + query
    return http.request(url, method.upper(), target, headers, body)


@pytest.mark.parametrize("path, method", OPERATIONS)
def test_every_operation_is_there(broker, path, method):
    body = b'[{"channel":"openapi/a","data":1}]' if path == "/publish" else b"1"
    query = "?channel=openapi/a" if path == "/stream" else ""
    ask(broker, "/channels/{channel}", "post", {"Accept": "application/json"}, b"1")
    answer = ask(broker, path, method, {"Accept": "application/json"},
                 body if method == "post" else None, query)
    known = CONTRACT["paths"][path][method]["responses"]
    assert str(answer.status) in known and answer.status not in (405, 501), answer
    if "{id}" not in path:
        assert answer.status == 200, answer


@pytest.mark.parametrize("path", CONTRACT["paths"])
def test_no_other_method_is_there(broker, path):
    for method in METHODS:
        if method not in CONTRACT["paths"][path]:
            answer = ask(broker, path, method, None, b"" if method == "post" else None)
            assert answer.status == 405, (method, answer)
            check(answer.json(), "Problem")


def test_replies_have_the_members_that_are_written_down(broker, channel):
    given = {"Tidings-Event": "e", "Tidings-Key": "k", "Tidings-Header-A": "b"}
    check(broker.post(channel, b"text", "text/plain", given).json(), "Published")
    broker.fill(channel, 3)
    page = broker.page(channel, since=0)
    check(page, "Page")
    for message in page["messages"]:
        check(message, "Message")
    check(broker.request("DELETE", f"/channels/{channel}?offset=1").json(), "Deleted")
    page = broker.page(channel, since=0)
    check(page["gap"], "ChannelGap")
    with broker.websocket(f"/channels/{channel}"):
        rows = http.request(broker.operator, "GET",
                            f"/api/v1/connections?channel={channel}").json()["connections"]
        for row in rows:
            check(row, "Connection")
            check(row["readers"][0], "Reader")
        assert len(rows) == 1
    answer = broker.request("POST", "/publish", {}, json.dumps(
        [{"channel": channel, "data": 1}]).encode())
    check(answer.json(), "PublishedList")


def test_channels_have_the_members_that_are_written_down(broker, channel):
    broker.fill(channel, 1)
    rows = http.request(broker.operator, "GET", f"/api/v1/channels?match={channel}").json()
    check(rows["channels"][0], "Channel")
