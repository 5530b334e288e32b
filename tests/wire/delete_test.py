# SPDX-License-Identifier: Apache-2.0
"""Deleting from a channel: what is answered, and that nobody reads it again."""
import json

import pytest


def delete(broker, target, headers=None):
    return broker.request("DELETE", "/channels/" + target, headers)


def numbers(broker, channel, **query):
    return [message["data"]["n"] for message in broker.page(channel, **query)["messages"]]


def told(answer, channel, first, last):
    assert answer.status == 200, answer
    body = answer.json()
    assert set(body) == {"channel", "from", "to", "id"}
    assert (body["channel"], body["from"], body["to"]) == (channel, first, last)
    return body["id"]


# --- what goes -----------------------------------------------------------------------------------


def test_all_that_is_there_goes(broker, channel):
    broker.fill(channel, 5)
    told(delete(broker, channel), channel, 1, 5)
    assert numbers(broker, channel, since="earliest") == []
    assert broker.publish(channel, {"n": 6})["offset"] == 6
    assert numbers(broker, channel, since="earliest") == [6]


def test_what_stands_before_an_offset_goes(broker, channel):
    broker.fill(channel, 5)
    told(delete(broker, channel + "?before=4"), channel, 1, 3)
    assert numbers(broker, channel, since="earliest") == [4, 5]


def test_one_offset_goes(broker, channel):
    broker.fill(channel, 5)
    told(delete(broker, channel + "?offset=3"), channel, 3, 3)
    messages, gaps = broker.all_messages(channel)
    assert [message["offset"] for message in messages] == [1, 2, 4, 5]
    assert [(gap["reason"], gap["from"], gap["to"]) for gap in gaps] == [("deleted", 3, 3)]


def test_what_stands_before_an_id_goes_whichever_channel_it_is_of(broker, channel):
    ids = [answer["id"] for answer in broker.fill(channel, 4)]
    told(delete(broker, f"{channel}?before={ids[2]}"), channel, 1, 2)
    other = broker.publish(channel + "/other", 1)["id"]
    broker.fill(channel, 1, first=5)
    told(delete(broker, f"{channel}?before={other}"), channel, 1, 4)
    assert numbers(broker, channel, since="earliest") == [5]


def test_a_name_with_an_empty_segment_is_reached_through_the_query(broker, channel):
    name = channel + "//x"
    target = "?channel=" + name.replace("/", "%2F")
    broker.request("POST", "/channels/" + target, None, b"7")
    told(delete(broker, target), name, 1, 1)


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("query, status, field", [
    ("befor=2", 400, "befor"), ("before=2&offset=2", 400, "offset"), ("before=", 400, "before"),
    ("before=0", 400, "before"), ("before=1", 400, "before"), ("before=-5m", 400, "before"),
    ("offset=0", 400, "offset"), ("offset=x", 400, "offset"), ("offset=4", 404, "offset")])
def test_what_is_not_understood_deletes_nothing(broker, channel, query, status, field):
    broker.fill(channel, 3)
    answer = delete(broker, f"{channel}?{query}")
    assert answer.status == status and answer.json()["field"] == field, answer
    assert numbers(broker, channel, since="earliest") == [1, 2, 3]


def test_where_nothing_was_nothing_can_go(broker, channel):
    assert delete(broker, channel).status == 404
    foreign = broker.publish(channel + "/other", 1)["id"]
    assert delete(broker, f"{channel}?before={foreign}").status == 404
    assert delete(broker, "$x").status == 403
    assert delete(broker, channel + "/**").status == 400


def test_an_id_of_another_log_deletes_nothing(broker, channel, start_broker):
    foreign = start_broker().publish("a", 1)["id"]
    broker.fill(channel, 3)
    answer = delete(broker, f"{channel}?before={foreign}")
    assert answer.status == 400 and answer.json()["field"] == "before"
    assert numbers(broker, channel, since="earliest") == [1, 2, 3]


def test_a_page_of_another_origin_deletes_nothing(broker, channel):
    broker.fill(channel, 1)
    assert delete(broker, channel, {"Origin": "https://evil.example"}).status == 403
    assert numbers(broker, channel, since="earliest") == [1]
    answer = broker.request("OPTIONS", f"/channels/{channel}")
    assert "DELETE" in answer.headers["allow"].split(", ")


# --- who is told ---------------------------------------------------------------------------------


def test_a_page_from_before_tells_the_gap(broker, channel):
    broker.fill(channel, 5)
    told(delete(broker, channel + "?before=4"), channel, 1, 3)
    page = broker.page(channel, since=0)
    assert [message["offset"] for message in page["messages"]] == [4, 5]
    assert (page["gap"]["reason"], page["gap"]["from"], page["gap"]["to"]) == ("deleted", 1, 3)


def test_a_page_goes_on_behind_what_was_deleted(broker, channel):
    broker.fill(channel, 7)
    told(delete(broker, channel + "?offset=3"), channel, 3, 3)
    told(delete(broker, channel + "?offset=5"), channel, 5, 5)
    for name in (channel, channel + "/**"):
        page = broker.page(name, since="earliest")
        assert [message["offset"] for message in page["messages"]] == [1, 2, 4, 6, 7]
        assert page["at_head"] and page["gap"] == page["gaps"][0]
        assert [gap["reason"] for gap in page["gaps"]] == ["deleted", "deleted"]
    page = broker.page(channel, since=1, limit=3)
    assert [message["offset"] for message in page["messages"]] == [2, 4, 6]
    assert [(gap["from"], gap["to"]) for gap in page["gaps"]] == [(3, 3), (5, 5)]
    assert not page["at_head"] and numbers(broker, channel, since=page["next"]) == [7]


def test_a_gap_where_nothing_is_left_says_so(broker, channel):
    broker.fill(channel, 2)
    told(delete(broker, channel), channel, 1, 2)
    gap = broker.page(channel, since=0)["gap"]
    assert gap["first"] is None and gap["last"] is None


def test_a_live_reader_is_told_at_once(broker, channel):
    broker.fill(channel, 2)
    with broker.events(f"/channels/{channel}") as stream:
        broker.publish(channel, {"n": 3})
        assert next_of(stream).json()["data"] == {"n": 3}  # it is live
        place = told(delete(broker, channel), channel, 1, 3)
        broker.publish(channel, {"n": 4})
        gap = next_of(stream)
        assert gap.event == "gap"
        body = gap.json()
        assert (body["reason"], body["from"], body["to"], body["id"]) == ("deleted", 1, 3, place)
        assert next_of(stream).json()["data"] == {"n": 4}


def next_of(stream):
    """The next event with data."""
    while True:
        event = stream.next()
        if event.data is not None:
            return event


def test_a_delete_survives_kill_9(start_broker):
    broker = start_broker()
    broker.fill("a", 4)
    told(delete(broker, "a?before=3"), "a", 1, 2)
    told(delete(broker, "a?offset=4"), "a", 4, 4)
    broker.kill()
    broker.start()
    assert numbers(broker, "a", since="earliest") == [3]
    assert broker.publish("a", {"n": 5})["offset"] == 5
    assert json.loads(broker.get("/channels/a?since=earliest").body)["last"] == 5
