# SPDX-License-Identifier: Apache-2.0
"""CloudEvents 1.0 as messages: structured, in batches, and in binary mode."""
import json

import pytest

EVENT = {"specversion": "1.0", "id": "A234-1234-1234", "source": "/mycontext",
         "type": "com.example.someevent", "time": "2018-04-05T17:31:00Z", "subject": None,
         "comexampleextension1": "value", "comexampleothervalue": 5, "partitionkey": "p",
         "data": {"appinfoA": "abc"}}
HEADERS = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "com.example.t"}


def post(broker, channel, body, media_type="application/cloudevents+json"):
    return broker.post(channel, json.dumps(body).encode(), media_type)


def without(name):
    return {key: value for key, value in EVENT.items() if key != name}


def test_an_event_is_a_message(broker, channel):
    answer = post(broker, channel, EVENT)
    assert answer.status == 200 and set(answer.json()) == {"channel", "offset", "id"}
    message = broker.page(channel)["messages"][0]
    assert message["data"] == EVENT["data"] and "type" not in message
    assert (message["event"], message["key"]) == ("com.example.someevent", "p")
    assert message["headers"] == {
        "ce-specversion": "1.0", "ce-id": "A234-1234-1234", "ce-source": "/mycontext",
        "ce-time": "2018-04-05T17:31:00Z", "ce-comexampleextension1": "value",
        "ce-comexampleothervalue": "5"}


@pytest.mark.parametrize("members, expected", [
    ({"data": "<a/>", "datacontenttype": "application/xml"},
     {"data": "<a/>", "type": "application/xml"}),
    ({"data": "{}", "datacontenttype": "application/json"}, {"data": "{}"}),
    ({"data_base64": "AAE=", "datacontenttype": "image/png"},
     {"data_base64": "AAE=", "type": "image/png"}),
    ({"data_base64": "AAE="}, {"data_base64": "AAE=", "type": "application/octet-stream"}),
    ({"data": 1.5}, {"data": 1.5}), ({"data": None}, {"data": None}), ({}, {"data": None})])
def test_data_is_what_its_type_says(broker, channel, members, expected):
    assert post(broker, channel, {**without("data"), **members}).status == 200
    message = broker.page(channel)["messages"][0]
    assert {key: message.get(key) for key in expected} == expected


@pytest.mark.parametrize("event, field", [
    (without("specversion"), "specversion"), (without("id"), "id"),
    (without("source"), "source"), (without("type"), "type"),
    ({**EVENT, "specversion": "0.3"}, "specversion"), ({**EVENT, "id": ""}, "id"),
    ({**EVENT, "data_base64": "AA=="}, "data"), ({**EVENT, "ext": {}}, "ext"),
    ({**EVENT, "Ext": "x"}, "Ext"), ({**EVENT, "time": "soon"}, "time")])
def test_an_event_against_the_rules_is_refused_by_name(broker, channel, event, field):
    answer = post(broker, channel, event)
    assert answer.status == 400 and answer.json()["field"] == field, answer
    answer = post(broker, channel, [EVENT, event], "application/cloudevents-batch+json")
    assert answer.status == 400 and answer.json()["field"] == f"[1].{field}", answer
    assert broker.page(channel)["messages"] == []


def test_a_batch_of_events_is_taken_whole(broker, channel):
    answer = post(broker, channel, [EVENT, {**EVENT, "id": "2"}],
                  "application/cloudevents-batch+json; charset=UTF-8")
    assert [result["offset"] for result in answer.json()["results"]] == [1, 2]
    assert [message["headers"]["ce-id"] for message in broker.page(channel)["messages"]] == \
        ["A234-1234-1234", "2"]
    assert post(broker, channel, [], "application/cloudevents-batch+json").status == 400


def test_headers_make_an_event_of_a_body(broker, channel):
    headers = {**HEADERS, "CE-Subject": "Euro%20%E2%82%AC", "ce-ext": '"a \\"b\\""',
               "Tidings-TTL": "600"}
    assert broker.post(channel, b"hi", "text/plain", headers).status == 200
    message = broker.page(channel)["messages"][0]
    assert (message["data"], message["type"], message["event"]) == \
        ("hi", "text/plain", "com.example.t")
    assert message["headers"] == {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s",
                                  "ce-subject": "Euro €", "ce-ext": 'a "b"'}


@pytest.mark.parametrize("headers, field", [
    ({"ce-id": "1"}, "ce-specversion"), ({**HEADERS, "ce-source": None}, "ce-source"),
    ({**HEADERS, "ce-datacontenttype": "text/plain"}, "ce-datacontenttype"),
    ({**HEADERS, "ce-ext": "%C0%A0"}, "ce-ext"), ({**HEADERS, "ce-ext": "%4"}, "ce-ext"),
    ({**HEADERS, "Tidings-Event": "x"}, "Tidings-Event")])
def test_headers_against_the_rules_are_refused_by_name(broker, channel, headers, field):
    answer = broker.post(channel, b"1", "text/plain", headers)
    assert answer.status == 400 and answer.json()["field"] == field, answer
    assert broker.page(channel)["messages"] == []
