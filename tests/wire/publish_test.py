# SPDX-License-Identifier: Apache-2.0
"""What can be published with one request, and what comes out again."""
import base64
import json
import re
import subprocess

import pytest

ID = re.compile(r"[A-Za-z][!-~]*\Z")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")


def newest(broker, channel):
    return broker.page(channel, limit=1)["messages"][0]


def test_the_curl_line_of_the_readme_stores_json(broker, channel):
    done = subprocess.run(
        ["curl", "-sS", "-d", '{"score":"40-15"}', f"{broker.host}/channels/{channel}"],
        capture_output=True, check=True, timeout=60)
    answer = json.loads(done.stdout)
    assert answer["channel"] == channel and answer["offset"] == 1 and ID.match(answer["id"])
    message = newest(broker, channel)
    assert message["data"] == {"score": "40-15"}
    assert "type" not in message and "data_base64" not in message


def test_an_envelope_has_its_fields_and_no_others(broker, channel):
    answer = broker.publish(channel, [1])
    message = newest(broker, channel)
    assert set(message) == {"channel", "offset", "id", "time", "data"}
    assert (message["channel"], message["offset"], message["id"]) == \
        (channel, 1, answer["id"])
    assert TIME.match(message["time"]) and set(answer) == {"channel", "offset", "id"}


def test_offsets_count_from_one_without_a_hole(broker, channel):
    assert [answer["offset"] for answer in broker.fill(channel, 10)] == list(range(1, 11))


@pytest.mark.parametrize("media_type", [
    None, "application/x-www-form-urlencoded", "application/octet-stream"])
@pytest.mark.parametrize("body, field, value, told", [
    (b'{"a":[1,2.50,"\xc3\xa9"]}', "data", {"a": [1, 2.5, "é"]}, None),
    (b"40-15", "data", "40-15", "text/plain"),
    (b"null", "data", None, None),
    (b"\xff\xfe\x00", "data_base64", base64.b64encode(b"\xff\xfe\x00").decode(),
     "application/octet-stream"),
    (b"", "data", "", "text/plain"),
])
def test_without_a_telling_type_it_is_json_else_text_else_bytes(
        broker, channel, media_type, body, field, value, told):
    assert broker.post(channel, body, media_type).status == 200
    message = newest(broker, channel)
    assert message[field] == value
    assert message.get("type", "").split(";")[0] == (told or "")


@pytest.mark.parametrize("media_type, body, expected", [
    ("application/json", b' {"a" : 1e2}\n', {"data": {"a": 100.0}}),
    ("application/json; charset=utf-8", b'"x"', {"data": "x"}),
    ("application/problem+json", b'{"title":"x"}', {"data": {"title": "x"}}),
    ("text/plain", b'{"a":1}', {"data": '{"a":1}', "type": "text/plain"}),
    ("text/plain; charset=utf-8", "tschüß".encode(), {"data": "tschüß"}),
    ("text/html", b"<p>\r\n</p>", {"data": "<p>\r\n</p>", "type": "text/html"}),
    ("image/png", b"\x89PNG\r\n\x1a\n\x00",
     {"data_base64": "iVBORw0KGgoA", "type": "image/png"}),
])
def test_a_message_of_a_type_comes_out_with_it(broker, channel, media_type, body, expected):
    assert broker.post(channel, body, media_type).status == 200
    message = newest(broker, channel)
    assert {key: message.get(key) for key in expected} == expected
    if media_type.startswith("application/json"):
        assert "type" not in message
    else:
        assert message["type"].split(";")[0] == media_type.split(";")[0]


def test_json_comes_out_byte_for_byte(broker, channel):
    body = (b'{ "n" : 1.50e+2,"big":123456789012345678901234567890,'
            b' "u":"\\u00e9\\/","\xc3\xa9":[ ] }')
    assert broker.post(channel, body).status == 200
    assert body in broker.get(f"/channels/{channel}").body


def test_json_that_does_not_parse_is_told_where(broker, channel):
    answer = broker.post(channel, b'{"a":1,}')
    assert answer.status == 400 and answer.type == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == 400 and re.search(r"\b[78]\b", problem["detail"]), problem
    assert broker.page(channel)["messages"] == []


@pytest.mark.parametrize("body", [
    b"", b"{", b"[1,]", b"01", b'"\x01"', b'"\\x"', b'"\xff"', b"nul", b"1 2", b'{"a" 1}',
    b"'a'", b"\xef\xbb\xbf{}", b"[" * 100000, b'"\\ud800"x', b"NaN", b"-", b"1.", b"+1"])
def test_bad_json_is_refused_and_stores_nothing(broker, channel, body):
    assert broker.post(channel, body).status == 400
    assert broker.page(channel)["messages"] == []


def test_text_that_is_not_utf8_is_refused(broker, channel):
    assert broker.post(channel, b"\xc0\x80", "text/plain").status in (400, 415)
    assert broker.page(channel)["messages"] == []


def test_event_key_and_headers_come_out(broker, channel):
    broker.publish(channel, 1, {"Tidings-Event": "goal", "Tidings-Key": "court-1",
                                "Tidings-Header-Origin-System": "scoreboard",
                                "tidings-header-b": "2"})
    message = newest(broker, channel)
    assert (message["event"], message["key"]) == ("goal", "court-1")
    assert {name.lower(): value for name, value in message["headers"].items()} == \
        {"origin-system": "scoreboard", "b": "2"}


def test_a_repeat_with_the_same_idempotency_key_stores_nothing(broker, channel):
    headers = {"Idempotency-Key": f"k-{channel}"}
    first = broker.publish(channel, {"a": 1}, headers)
    assert broker.publish(channel, {"a": 1}, headers) == first
    assert broker.post(channel, b'{"a":2}', headers=headers).status == 422
    assert len(broker.page(channel)["messages"]) == 1


def test_a_message_with_a_lifetime_is_gone_after_it(broker, channel):
    from harness.broker import wait_for
    broker.publish(channel, "short", {"Tidings-TTL": "1"})
    broker.publish(channel, "long")
    wait_for(lambda: [message["data"] for message in
                      broker.page(channel, since="earliest")["messages"]] == ["long"])


@pytest.mark.parametrize("value", ["x", "-1", "1.5.2", "99999999999999999999"])
def test_a_lifetime_that_means_nothing_is_refused(broker, channel, value):
    answer = broker.post(channel, b"1", headers={"Tidings-TTL": value})
    assert answer.status == 400 and answer.type == "application/problem+json"


@pytest.mark.parametrize("path, name", [
    ("a%20b", "a b"), ("%C3%A9/x", "é/x"), ("a%2Fb", "a/b"), ("a.b-c_d~e", "a.b-c_d~e"),
    ("a:b@c!d,e;f=g", "a:b@c!d,e;f=g"), ("x" * 440, "x" * 440), ("%41", "A"), ("a%25b", "a%b")])
def test_a_name_is_the_decoded_rest_of_the_path(broker, channel, path, name):
    prefix = channel + "/"
    answer = broker.request("POST", f"/channels/{prefix}{path}", None, b"1")
    assert answer.status == 200, answer
    assert answer.json()["channel"] == prefix + name


@pytest.mark.parametrize("path", [
    "", "a//b", "/a", "a/", "a%2F", "a+b", "a%23b", "a*b", "a%2Ab", "**", "x" * 481, "a%00b",
    "a%0Ab", "a%7Fb", "%ff", "%c3%28", "a%2", "a%zz", "$broker/x", "$"])
def test_a_name_against_the_rules_is_refused(broker, path):
    answer = broker.request("POST", "/channels/" + path, None, b"1")
    assert answer.status in (400, 403), answer
    assert answer.type == "application/problem+json"


def test_a_name_with_an_empty_segment_is_reached_through_the_query(broker, channel):
    name = channel + "//x"
    target = "/channels/?channel=" + name.replace("/", "%2F")
    answer = broker.request("POST", target, None, b"7")
    assert answer.status == 200 and answer.json()["channel"] == name


def test_a_body_at_the_limit_is_taken_and_above_it_refused(broker, channel):
    limit = 1048576
    assert broker.post(channel, b'"' + b"x" * (limit - 2) + b'"').status == 200
    answer = broker.post(channel, b'"' + b"x" * (limit - 1) + b'"')
    assert answer.status == 413 and answer.type == "application/problem+json"
    assert len(broker.page(channel)["messages"]) == 1
    assert len(newest(broker, channel)["data"]) == limit - 2


def test_a_rule_raises_and_lowers_the_limit(start_broker):
    broker = start_broker(config="""
channels:
  - match: "small/**"
    message_bytes_max: 10
  - match: "large/**"
    message_bytes_max: 16MiB
""")
    assert broker.post("small/a", b"1234567890", "text/plain").status == 200
    assert broker.post("small/a", b"12345678901", "text/plain").status == 413
    body = b"y" * (16 * 1048576)
    assert broker.post("large/a", body, "text/plain").status == 200
    assert broker.page("large/a")["messages"][0]["data"] == body.decode()


@pytest.mark.parametrize("media_type", ["nonsense", "*/*", "multipart/form-data; boundary=x"])
def test_a_type_that_is_not_taken_is_415(broker, channel, media_type):
    answer = broker.post(channel, b"--x--", media_type)
    assert answer.status == 415 and answer.type == "application/problem+json"
