# SPDX-License-Identifier: Apache-2.0
"""Tenants have the same names and nothing of each other; and one that is at its quota is told so
while the others go on. Usage is counted, and outlives the process."""
import json
import re
import time

import pytest

from harness import http
from harness.broker import Broker, wait_for
from harness.mqtt import Client, connected
from harness.sse import EventStream
from harness.tokens import hash_of
from harness.websocket import Refused

TENANTS = ("acme", "bolt")
RULES = """
channels:
  - {{ match: "kept/**", history: {{ messages: 2 }} }}
  - {{ match: "**", history: {{ messages: unlimited }}, retain: {retain} }}
"""
ROW = """    - {{ name: {name}, hash: "{hash}", tenant: {tenant}, publish: ["**"],
        subscribe: ["**"], history: ["**"], delete: ["**"] }}
"""


def key_of(tenant):
    return f"the-key-of-{tenant}"


def config_of(quotas="", retain="flagged", tenants=TENANTS):
    rows = "".join(ROW.format(name=f"of-{name}", hash=hash_of(key_of(name)), tenant=name)
                   for name in tenants)
    rows += ROW.format(name="of-none", hash=hash_of(key_of("none")), tenant="").replace(
        "tenant: , ", "")
    return "auth:\n  keys:\n" + rows + RULES.format(retain=retain) + quotas


def fields(tenant, **more):
    return {"Authorization": "Bearer " + key_of(tenant), **more}


def post(broker, tenant, channel, value, **headers):
    return broker.post(channel, json.dumps(value),
                       headers=fields(tenant, **{name.replace("_", "-"): text
                                                 for name, text in headers.items()}))


def values(broker, tenant, target):
    answer = broker.get(target, fields(tenant))
    assert answer.status == 200, answer
    return [message["data"] for message in answer.json()["messages"]]


def ask(broker, target):
    answer = http.request(broker.operator, "GET", "/api/v1/" + target)
    assert answer.status == 200, answer
    return answer.json()


def usage(broker, tenant):
    return ask(broker, "tenants/" + tenant)


@pytest.fixture(scope="module", name="shared")
def a_broker_of_two_tenants():
    broker = Broker("--workers", "2", config=config_of()).start()
    try:
        yield broker
        broker.stop()
    finally:
        broker.close()


@pytest.fixture(name="start")
def a_broker_with_quotas():
    started = []

    def start(quotas="", **more):
        started.append(Broker("--workers", "2", config=config_of(quotas, **more)).start())
        return started[-1]
    yield start
    for broker in started:
        broker.close()


# --- apart -----------------------------------------------------------------------------------


def test_history_is_each_ones_own(shared, channel):
    for owner in ("acme", "bolt", "none"):
        assert post(shared, owner, channel, owner).json()["offset"] == 1
    for owner in ("acme", "bolt", "none"):
        assert values(shared, owner, f"/channels/{channel}?since=earliest") == [owner]


@pytest.mark.parametrize("pattern", ["{}", "{}/**", "{}/*", "**", "*/**"])
def test_a_page_by_pattern_has_the_own_alone(shared, channel, pattern):
    text = pattern.format(channel)
    name = channel if text == channel else channel + "/x"
    for owner in ("acme", "bolt", "none"):
        post(shared, owner, name, owner)
    for owner in ("acme", "bolt", "none"):
        seen = shared.get(f"/stream?channel={text.replace('*', '%2A')}&since=earliest&limit=1000",
                          fields(owner, Accept="application/json")).json()
        mine = [one for one in seen["messages"] if one["channel"].startswith(channel)]
        assert {one["data"] for one in mine} == {owner}
        assert {one["channel"] for one in mine} == {name}


def test_live_streams_by_pattern_have_the_own_alone(shared, channel):
    streams = {owner: EventStream(shared.public, "/stream?channel=%2A%2A&since=now",
                                  fields(owner)) for owner in ("acme", "bolt", "none")}
    for owner in ("none", "bolt", "acme"):
        post(shared, owner, channel, owner)
    for owner, stream in streams.items():
        event = stream.next().json()
        assert (event["channel"], event["data"]) == (channel, owner)
        stream.close()


def test_a_repeat_of_an_idempotency_key_is_of_one_tenant(shared, channel):
    for owner in ("acme", "bolt"):
        for _ in range(2):
            assert post(shared, owner, channel, "once", Idempotency_Key=channel).status == 200
        assert values(shared, owner, f"/channels/{channel}?since=earliest") == ["once"]


def test_deleting_takes_the_own_alone(shared, channel):
    for owner in ("acme", "bolt"):
        post(shared, owner, channel, owner)
    answer = shared.request("DELETE", f"/channels/{channel}", fields("acme"))
    assert answer.status in (200, 204), answer
    assert values(shared, "acme", f"/channels/{channel}?since=earliest") == []
    assert values(shared, "bolt", f"/channels/{channel}?since=earliest") == ["bolt"]


def connect(broker, tenant, client_id, **options):
    return connected(broker, client_id, user="", password=key_of(tenant), **options)


def test_the_same_client_id_is_two_clients_and_two_sessions(shared, channel):
    kept = {"clean": False, "values": {"session_expiry": 600}}
    clients = {}
    for owner in ("acme", "bolt"):
        clients[owner] = connect(shared, owner, "same-id", **kept)
        clients[owner].subscribe(channel, qos=1)
    for owner in ("acme", "bolt"):
        post(shared, owner, channel, owner)
        assert json.loads(clients[owner].message().payload) == owner
    rows = [row for row in ask(shared, "sessions?limit=1000")["sessions"]
            if row["client_id"] == "same-id"]
    assert sorted(row["tenant"] for row in rows) == ["acme", "bolt"]
    assert http.request(shared.operator, "DELETE",
                        "/api/v1/sessions/same-id?tenant=acme").status == 204
    wait_for(lambda: [row["tenant"] for row in ask(shared, "sessions?limit=1000")["sessions"]
                      if row["client_id"] == "same-id"] == ["bolt"])
    for client in clients.values():
        client.close()


def test_shared_subscriptions_of_one_name_are_two_groups(shared, channel):
    clients = {owner: connect(shared, owner, "member-" + owner) for owner in ("acme", "bolt")}
    for client in clients.values():
        client.subscribe(f"$share/group/{channel}")
    for owner in ("bolt", "acme"):
        for number in range(3):
            post(shared, owner, channel, [owner, number])
    for owner, client in clients.items():
        assert [json.loads(client.message().payload) for _ in range(3)] \
            == [[owner, number] for number in range(3)]
        client.close()


def test_retained_messages_and_conflation_keys_are_apart(start, channel):
    broker = start(retain="latest")
    for owner in ("acme", "bolt"):
        for number in range(3):
            assert post(broker, owner, channel, [owner, number], Tidings_Key="k").status == 200
    for owner in ("acme", "bolt"):
        client = connect(broker, owner, "reader-" + owner)
        client.subscribe("#")
        assert json.loads(client.message().payload) == [owner, 2]
        client.close()
    broker.stop()


def test_lists_show_the_tenant_apart_and_can_be_of_one(shared, channel):
    for owner in ("acme", "bolt", "none"):
        post(shared, owner, channel, owner)
    rows = ask(shared, "channels?limit=1000")["channels"]
    assert sorted((row.get("tenant") or "") for row in rows if row["channel"] == channel) \
        == ["", "acme", "bolt"]
    for owner in TENANTS:
        rows = ask(shared, f"channels?limit=1000&tenant={owner}&match={channel}")["channels"]
        assert [(row["channel"], row["tenant"]) for row in rows] == [(channel, owner)]
        assert ask(shared, f"channels/{channel}?tenant={owner}")["tenant"] == owner
        rows = ask(shared, f"channels?limit=1000&tenant={owner}")["channels"]
        assert {row["tenant"] for row in rows} == {owner}
    rows = ask(shared, "channels?limit=1000&tenant=")["channels"]
    assert not any("tenant" in row for row in rows)
    assert "tenant" not in ask(shared, f"channels/{channel}")
    with EventStream(shared.public, f"/channels/{channel}?since=now", fields("acme")):
        rows = ask(shared, f"connections?tenant=acme&channel={channel}")["connections"]
        assert [(row["tenant"], row["identity"], row["readers"][0]["channels"])
                for row in rows] == [("acme", "key of-acme", [channel])]
        assert ask(shared, f"connections?tenant=bolt&channel={channel}")["connections"] == []


def test_pages_of_the_list_of_channels_go_through_all_tenants(shared, channel):
    for owner in ("acme", "bolt", "none"):
        post(shared, owner, channel, owner)
    seen, query = [], ""
    while True:
        page = ask(shared, "channels?limit=1" + query)
        seen += [(row.get("tenant"), row["channel"]) for row in page["channels"]]
        if page["next"] is None:
            break
        query = f"&after={page['next']}&after_tenant={page.get('next_tenant', '')}"
    assert len(set(seen)) == len(seen)
    assert {(None, channel), ("acme", channel), ("bolt", channel)} <= set(seen)


@pytest.mark.parametrize("target", [
    "channels?tenant=a/b", "channels?match=%01x", "channels?after=%01x", "channels/%01x",
    "channels?match=%01acme/x", "connections?channel=%01x", "sessions?after=%01x",
    "sessions?tenant=%01"])
def test_a_scope_cannot_be_said_in_a_name(shared, target):
    assert http.request(shared.operator, "GET", "/api/v1/" + target).status == 400
    shared.assert_alive()


def test_a_line_of_the_log_names_the_tenant_apart(shared):
    with connect(shared, "acme", "twin"), connect(shared, "acme", "twin"):
        lines = wait_for(lambda: [line for line in shared.log_lines("SESSION_TAKEN_OVER")
                                  if line["client_id"] == "twin"])
    assert lines[0]["tenant"] == "acme"
    assert not [line for line in shared.logged if "\\u0001" in line]


def test_the_longest_name_of_the_longest_tenant_survives_a_kill(start):
    tenant, name = "t" * 28, "n" * 480
    broker = start(tenants=(tenant, "acme"))
    assert post(broker, tenant, name, 1).status == 200
    broker.kill()
    broker.start()
    assert values(broker, tenant, f"/channels/{name}?since=earliest") == [1]
    assert post(broker, tenant, name, 2).json()["offset"] == 2
    broker.stop()
    broker.start()
    assert values(broker, tenant, f"/channels/{name}?since=earliest") == [1, 2]
    assert ask(broker, f"channels/{name}?tenant={tenant}")["last"] == 2
    broker.stop()


# --- quotas ----------------------------------------------------------------------------------


def refused(answer):
    assert answer.status == 403, answer
    assert answer.json()["type"].endswith("/quota"), answer.json()
    return answer.json()["detail"]


def test_channels_of_a_tenant_are_counted_and_the_next_is_refused(start):
    broker = start("tenants: [ { name: acme, channels: 2 } ]\n")
    for name in ("a", "b"):
        assert post(broker, "acme", name, 1).status == 200
    assert "2 channels" in refused(post(broker, "acme", "c", 1))
    assert post(broker, "acme", "a", 2).status == 200
    for number in range(5):
        assert post(broker, "bolt", f"c{number}", 1).status == 200
    row = usage(broker, "acme")
    assert (row["channels"], row["quota"]["channels"], row["refused"]) == (2, 2, 1)
    text = http.request(broker.operator, "GET", "/metrics").body.decode()
    line = r'^tidings_limits_refused_total\{limit="tenant_channels",protocol="http"\} 1$'
    assert re.search(line, text, re.MULTILINE)
    assert (usage(broker, "bolt")["channels"], usage(broker, "bolt")["quota"]["channels"]) \
        == (5, 1000000)
    broker.kill()
    broker.start()
    refused(post(broker, "acme", "c", 1))
    assert usage(broker, "acme")["channels"] == 2
    broker.stop()


def test_a_publish_of_several_is_refused_whole(start):
    broker = start("tenants: [ { name: acme, channels: 2 } ]\n")
    body = json.dumps([{"channel": name, "data": 1} for name in "abc"])
    answer = broker.request("POST", "/publish", fields("acme", **{
        "Content-Type": "application/json"}), body.encode())
    refused(answer)
    assert (usage(broker, "acme")["channels"], usage(broker, "acme")["stored_bytes"]) == (0, 0)
    broker.stop()


def test_stored_bytes_hold_to_the_byte_also_after_a_kill(start):
    broker = start("tenants: [ { name: '*', stored_bytes: 1MiB } ]\n")
    big = "x" * 99998  # and two quotes
    for _ in range(10):
        assert post(broker, "acme", "a", big).status == 200
    assert "older messages" in refused(post(broker, "acme", "a", big))
    stored = usage(broker, "acme")["stored_bytes"]
    assert 1000000 <= stored <= 1048576
    assert post(broker, "bolt", "a", big).status == 200
    broker.kill()
    broker.start()
    assert usage(broker, "acme")["stored_bytes"] == stored
    refused(post(broker, "acme", "a", big))
    broker.stop()
    broker.start()
    assert usage(broker, "acme")["stored_bytes"] == stored
    broker.stop()


def test_a_tenant_at_its_limit_holds_up_nobody(start):
    """Counts, not times: all of bolt's publishes pass while acme's are refused beside them."""
    broker = start("tenants: [ { name: acme, channels: 1 } ]\n")
    assert post(broker, "acme", "only", 0).status == 200
    with EventStream(broker.public, "/channels/free?since=now", fields("bolt")) as stream:
        for number in range(50):
            refused(post(broker, "acme", f"new/{number}", number))
            assert post(broker, "bolt", "free", number).status == 200
        assert [stream.next().json()["data"] for _ in range(50)] == list(range(50))
    assert usage(broker, "acme")["refused"] == 50
    assert usage(broker, "bolt")["refused"] == 0
    broker.stop()


def test_mqtt_is_told_the_quota(start):
    broker = start("tenants: [ { name: acme, channels: 1 } ]\n")
    client = connect(broker, "acme", "publisher")
    client.publish("one", b"1", qos=1)
    client.publish("two", b"1", qos=1, expect=0x97)
    client.close()
    broker.stop()


def test_a_reload_brings_other_quotas(start, tmp_path):
    broker = start("tenants: [ { name: acme, channels: 1 } ]\n")
    path = broker.arguments[broker.arguments.index("--config") + 1]
    assert post(broker, "acme", "a", 1).status == 200
    refused(post(broker, "acme", "b", 1))
    with open(path, "w", encoding="utf-8") as file:
        file.write(config_of("tenants: [ { name: acme, channels: 2 } ]\n"))
    assert http.request(broker.operator, "POST", "/api/v1/configuration/reload").status == 200
    assert post(broker, "acme", "b", 1).status == 200
    refused(post(broker, "acme", "c", 1))
    broker.stop()


# --- usage -----------------------------------------------------------------------------------


def test_usage_is_counted_and_outlives_an_orderly_end(start):
    broker = start()
    with EventStream(broker.public, "/channels/a?since=now", fields("acme")) as stream:
        for number in range(5):
            assert post(broker, "acme", "a", number).status == 200
        for _ in range(5):
            stream.next()
    wait_for(lambda: usage(broker, "acme")["connections"] == 0)
    row = usage(broker, "acme")
    assert row["published_messages"] == 5 and row["published_bytes"] == 5
    assert row["delivered_messages"] == 5 and row["delivered_bytes"] > 5
    assert row["connections_peak"] >= 1 and row["channels"] == 1 and row["stored_bytes"] > 0
    assert abs(time.time() - time.mktime(time.strptime(row["since"][:19], "%Y-%m-%dT%H:%M:%S"))
               + time.timezone) < 60
    broker.stop()
    broker.start()
    again = usage(broker, "acme")
    for name in ("published_messages", "published_bytes", "delivered_messages",
                 "delivered_bytes", "connections_peak", "channels", "stored_bytes"):
        assert again[name] == row[name], name
    assert post(broker, "acme", "a", 5).status == 200
    assert usage(broker, "acme")["published_messages"] == 6
    broker.stop()


def test_what_a_group_gives_and_what_was_retained_are_counted_too(start):
    broker = start()
    with connect(broker, "acme", "one") as client, connect(broker, "acme", "two") as publisher:
        publisher.publish("kept", b"old", 1, retain=True)
        client.subscribe("kept", "$share/workers/jobs", qos=1)
        assert client.message().payload == b"old"
        for _ in range(3):
            publisher.publish("jobs", b"x", 1)
        assert client.payloads(3) == [b"x"] * 3
    row = wait_for(lambda: (found := usage(broker, "acme"))["delivered_messages"] == 4 and found)
    assert row["delivered_bytes"] > 40
    broker.stop()


def test_a_kill_loses_no_more_than_what_was_counted_since_the_last_store(start):
    broker = start()
    for number in range(3):
        assert post(broker, "acme", "a", number).status == 200
    stored = "/api/v1/status"
    assert http.request(broker.operator, "GET", stored).status == 200
    broker.let_pass(13)  # USAGE_INTERVAL_MS, and a beat
    assert post(broker, "acme", "a", 3).status == 200
    broker.kill()
    broker.start()
    row = usage(broker, "acme")
    assert 3 <= row["published_messages"] <= 4
    assert row["channels"] == 1
    broker.stop()


def test_pages_of_tenants_follow_each_other(start):
    names = [f"t{number}" for number in range(5)]
    broker = start(tenants=names)
    for name in names:
        assert post(broker, name, "a", 1).status == 200
    seen, after = [], ""
    while after is not None:
        page = ask(broker, f"tenants?limit=2&after={after}")
        seen += [row["tenant"] for row in page["tenants"]]
        after = page["next"]
    assert seen == names
    assert http.request(broker.operator, "GET", "/api/v1/tenants/other").status == 404
    broker.stop()


# --- what the limits of a tenant answer ---

QUOTA_EXCEEDED = 0x97


def turned_away(broker, limit, protocol):
    return broker.metric(f'tidings_limits_refused_total{{limit="{limit}",protocol="{protocol}"}}')


def test_the_connections_of_a_tenant_are_limited(start_broker):
    broker = start_broker(config=config_of("tenants: [ { name: acme, connections: 1 } ]\n"))
    with broker.websocket("/channels/a", headers=fields("acme")):
        with pytest.raises(Refused) as told:
            broker.websocket("/channels/a", headers=fields("acme"))
        assert told.value.response.status == 429
        assert "tenants[].connections" in told.value.response.json()["detail"]
        with Client(broker) as client:
            client.connect("c", user="x", password=key_of("acme"), expect=QUOTA_EXCEEDED)
        broker.websocket("/channels/a", headers=fields("bolt")).close()
    assert turned_away(broker, "tenant_connections", "http") == 1
    assert turned_away(broker, "tenant_connections", "mqtt") == 1


@pytest.mark.parametrize("quota, size, limit", [
    ("publish_rate: 3/s", 1, "tenant_publish_rate"),
    ("publish_bytes: 1KiB/s", 700000, "tenant_publish_bytes")])
def test_a_tenant_publishes_as_much_as_it_may(start_broker, quota, size, limit):
    broker = start_broker(config=config_of(f"tenants: [ {{ name: acme, {quota} }} ]\n"))
    one = ("POST", "/channels/a", fields("acme"), json.dumps("x" * size).encode())
    with broker.connect() as connection:
        answers = connection.burst(*[one] * 10) if size == 1 else [
            connection.request(*one) for _ in range(10)]
    assert answers[0].status == 200
    told = [answer for answer in answers if answer.status != 200]
    assert len(told) >= 5 and {answer.status for answer in told} == {429}, answers
    assert int(told[0].headers["retry-after"]) >= 1
    assert post(broker, "bolt", "a", "x" * size).status == 200
    assert turned_away(broker, limit, "http") == len(told)
