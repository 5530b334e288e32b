# SPDX-License-Identifier: Apache-2.0
"""SIGHUP swaps the channel rules under open connections."""
import hashlib
import pathlib
import signal

from harness import http
from harness.broker import wait_for

BEFORE = "channels: [{match: 'a/**', history: {messages: 100}}]\n"


def reload(broker, text):
    """Writes the configuration anew and waits until the broker has read it."""
    before = sum("event=RELOAD" in line for line in broker.logged)
    pathlib.Path(broker.scratch, "tidings.yaml").write_text(text, encoding="utf-8")
    broker.signal(signal.SIGHUP)
    wait_for(lambda: sum("event=RELOAD" in line for line in broker.logged) > before)
    return [line for line in broker.logged if "event=RELOAD" in line][-1]


def policies(broker):
    """{protocol: on_lag} of all readers."""
    rows = http.request(broker.operator, "GET", "/api/v1/connections").json()["connections"]
    return {row["protocol"]: reader["on_lag"] for row in rows for reader in row["readers"]}


def test_open_readers_live_through_a_reload(start_broker):
    broker = start_broker("--workers", "2", config=BEFORE)
    with broker.websocket("/channels/a/1") as web, broker.events("/channels/a/1") as events:
        broker.fill("a/1", 3)
        for number in range(1, 4):
            assert web.recv_message()["offset"] == events.next().json()["offset"] == number
        for text in ("channels: [{match: 'a/**', durability: fsync}]\n", "channels: []\n", BEFORE):
            assert "RELOADED" in reload(broker, text)
            answer = broker.fill("a/1", 1)[0]
            assert web.recv_message()["offset"] == answer["offset"]
            assert events.next().json()["offset"] == answer["offset"]
        assert broker.metric("tidings_connections_accepted_total") < 20
        assert broker.metric('tidings_readers_open{protocol="websocket"}') == 1
        assert broker.metric('tidings_readers_open{protocol="sse"}') == 1


def test_new_rules_decide_size_and_retention(start_broker):
    broker = start_broker(config=BEFORE)
    broker.fill("a/1", 50)
    assert broker.page("a/1")["first"] == 1
    reload(broker, "channels: [{match: 'a/**', history: {messages: 10}, message_bytes_max: 20}]\n")
    assert broker.page("a/1", since="earliest")["messages"][0]["offset"] == 41
    assert broker.post("a/1", b'"' + b"x" * 30 + b'"').status == 413
    assert broker.post("b", b'"' + b"x" * 30 + b'"').status == 200
    reload(broker, BEFORE)
    assert broker.post("a/1", b'"' + b"x" * 30 + b'"').status == 200


def test_a_history_of_none_keeps_nothing_and_still_delivers(start_broker):
    broker = start_broker(config=BEFORE)
    with broker.websocket("/channels/a/1") as web:
        broker.fill("a/1", 2)
        assert [web.recv_message()["offset"] for _ in range(2)] == [1, 2]  # and so it is live
        reload(broker, "channels: [{match: 'a/**', history: {messages: 0}}]\n")
        broker.fill("a/1", 2, first=3)
        assert [web.recv_message()["offset"] for _ in range(2)] == [3, 4]
        page = broker.page("a/1", since="earliest")
        assert page["messages"] == [] and page["first"] is page["last"] is None


def test_readers_that_come_later_take_the_new_policy(start_broker):
    broker = start_broker(config="channels: [{match: a, on_lag: conflate}]\n")
    with broker.websocket("/channels/a"):
        assert policies(broker) == {"websocket": "conflate"}
        reload(broker, "channels: [{match: a, history: {messages: 0}}]\n")
        with broker.events("/channels/a"):
            assert policies(broker) == {"websocket": "conflate", "sse": "drop"}


def test_a_configuration_with_faults_changes_nothing(start_broker):
    broker = start_broker(config=BEFORE)
    with broker.websocket("/channels/a/1") as web:
        said = reload(broker, "channels: [{match: 'a/**', history: {messages: 1}, on_lag: skip}]\n")
        assert "RELOAD_REFUSED" in said
        broker.fill("a/1", 5)
        assert len(broker.page("a/1", since="earliest")["messages"]) == 5
        assert web.recv_message()["offset"] == 1


def test_each_fault_of_a_reload_is_a_line(start_broker):
    broker = start_broker(config=BEFORE)
    reload(broker, "".join(f"nonsense-{number}: 1\n" for number in range(15)))
    refused, = broker.log_lines("RELOAD_REFUSED")
    assert refused["faults"] == 15
    assert [(line["line"], line["key"]) for line in broker.log_lines("CONFIGURATION_FAULT")] == \
        [(number + 1, f"nonsense-{number}") for number in range(15)]


def test_a_reload_adds_series_and_keeps_those_that_count(start_broker):
    name = 'tidings_match_published_messages_total{match="%s"}'
    broker = start_broker(config="channels: [{match: 'a/*', metrics: true}]\n")
    broker.fill("a/1", 2)
    reload(broker, "channels: [{match: 'b/*', metrics: true}, {match: 'a/*', metrics: true}]\n")
    broker.fill("a/1", 1)
    broker.fill("b/1", 4)
    assert broker.metric(name % "a/*") == 3 and broker.metric(name % "b/*") == 4
    reload(broker, "channels: []\n")
    broker.fill("a/1", 1)
    assert broker.metric(name % "a/*") == 3
    reload(broker, "channels: [{match: 'a/*', on_lag: wrong}]\n")
    assert broker.metric("tidings_reloads_total") == 2
    assert broker.metric("tidings_reloads_refused_total") == 1


def test_rules_without_a_series_left_are_told_and_not_counted(start_broker):
    rows = ", ".join(f"{{match: 'm/{number}', metrics: true}}" for number in range(65))
    broker = start_broker(config=f"channels: [{rows}]\n")
    broker.publish("m/63", 1)
    broker.publish("m/64", 1)
    assert broker.metric('tidings_match_published_messages_total{match="m/63"}') == 1
    text = http.request(broker.operator, "GET", "/metrics").body.decode()
    assert 'match="m/64"' not in text
    wait_for(lambda: [line for line in broker.logged if "METRICS_FULL" in line and "m/64" in line])


# --- asked over HTTP ----------------------------------------------------------------------------

def post_reload(broker):
    return http.request(broker.operator, "POST", "/api/v1/configuration/reload", body=b"")


def write(broker, text):
    pathlib.Path(broker.scratch, "tidings.yaml").write_text(text, encoding="utf-8")


def test_the_operator_reloads_and_is_told_what_changed(start_broker):
    broker = start_broker(config=BEFORE)
    assert post_reload(broker).json() == {"changed": [], "waiting": [], "rules": 1}
    write(broker, "storage: {bytes_max: 20GiB}\n"
                  "channels: [{match: 'a/**', history: {messages: 2}}]")
    assert post_reload(broker).json() == {
        "changed": ["channels"], "rules": 1,
        "waiting": [{"key": "storage.bytes_max", "value": "10GiB", "configured": "20GiB"}]}
    broker.fill("a/1", 5)
    wait_for(lambda: broker.page("a/1", since="earliest")["first"] == 4)
    shown = http.request(broker.operator, "GET", "/api/v1/configuration").json()
    row, = [row for row in shown["keys"] if row["key"] == "storage.bytes_max"]
    assert row == {"key": "storage.bytes_max", "value": "10GiB", "default": "10GiB",
                   "source": "default", "reloadable": False, "configured": "20GiB"}
    assert shown["channels"][0]["history.messages"] == 2


def test_the_operator_is_told_every_fault_and_nothing_changes(start_broker):
    broker = start_broker(config=BEFORE)
    write(broker, "nonsense: 1\nworkers: none\nchannels: [{match: b}]")
    answer = post_reload(broker)
    assert answer.status == 422 and answer.type == "application/problem+json"
    faults = answer.json()["faults"]
    assert [(fault["line"], fault["field"]) for fault in faults] == [(1, "nonsense"),
                                                                     (2, "workers")]
    shown = http.request(broker.operator, "GET", "/api/v1/configuration").json()
    assert [rule["match"] for rule in shown["channels"]] == ["a/**"]


def test_signals_and_questions_come_at_the_same_time(start_broker):
    broker = start_broker(config=BEFORE)
    connections = [http.Connection(broker.operator) for _ in range(20)]
    for number in range(20):
        write(broker, f"channels: [{{match: 'a/**', history: {{messages: {number + 1}}}}}]")
        for connection in connections:
            connection.send(http.request_bytes(connection.host, "POST",
                                               "/api/v1/configuration/reload", {}, b""))
        broker.signal(signal.SIGHUP)
        for connection in connections:
            assert connection.read_response().json()["rules"] == 1
    for connection in connections:
        connection.close()
    shown = http.request(broker.operator, "GET", "/api/v1/configuration").json()
    assert shown["channels"][0]["history.messages"] == 20


def test_a_reloadable_key_is_from_where_it_was_read_last(start_broker):
    broker = start_broker(config="log: {level: warning}\n")

    def shown():
        keys = http.request(broker.operator, "GET", "/api/v1/configuration").json()["keys"]
        return next((row["value"], row["source"]) for row in keys if row["key"] == "log.level")
    assert shown() == ("warning", "file")
    for text, expected in ((BEFORE, ("info", "default")),
                           ("log: {level: error}", ("error", "file"))):
        write(broker, text)
        assert post_reload(broker).status == 200
        assert shown() == expected


def test_each_key_is_from_where_it_was_set(start_broker):
    broker = start_broker("--workers", "3", config="limits: {connections: 77}\n",
                          environment={"TIDINGS_LIMITS_SEND_BUDGET": "8KiB"})
    shown = http.request(broker.operator, "GET", "/api/v1/configuration").json()
    rows = {row["key"]: (row["value"], row["source"]) for row in shown["keys"]}
    assert rows["workers"] == (3, "flag") and rows["limits.connections"] == (77, "file")
    assert rows["limits.send_budget"] == ("8KiB", "environment")
    assert rows["open"] == (False, "default")
    assert shown["file"].endswith("/tidings.yaml")


# --- who may do what ---

KEYS = {name: f"tdk_{name}" for name in ("kept", "changed", "gone")}


def auth(**rights):
    rows = "".join(f"  - {{name: {name}, hash: 'sha256:"
                   f"{hashlib.sha256(KEYS[name].encode()).hexdigest()}', {right}}}\n"
                   for name, right in rights.items())
    return f"auth:\n  keys:\n{rows}"


def bearer(name):
    return {"Authorization": f"Bearer {KEYS[name]}"}


def test_streams_end_with_the_row_that_let_them_in(start_broker):
    broker = start_broker("--workers", "2", config=auth(
        kept="subscribe: [a], publish: [a]", changed="subscribe: [a, b]", gone="subscribe: [a]"))
    with broker.events("/channels/a", headers=bearer("kept")) as kept, \
            broker.websocket("/channels/a", headers=bearer("changed")) as changed, \
            broker.websocket("/channels/a", headers=bearer("gone")) as gone:
        # The rows that stay are on other lines, at other places.
        reload(broker, "# moved\n" + auth(changed="subscribe: [a]",
                                          kept="subscribe: [a], publish: [a]"))
        broker.wait_logged("AUTH_RELOADED")
        assert changed.recv_close() == 4001
        assert gone.recv_close() == 1008
        assert broker.post("a", b"1", headers=bearer("kept")).status == 200
        assert kept.next().json()["data"] == 1
    assert broker.get("/channels/a", headers=bearer("gone")).status == 401
    with broker.websocket("/channels/a", headers=bearer("changed")):
        pass


def test_who_came_while_all_was_open_goes_when_it_is_not(start_broker):
    broker = start_broker(config="channels: []\n")
    with broker.websocket("/channels/a") as web:
        reload(broker, auth(kept="publish: [a]"))
        assert web.recv_close() == 1008
    assert broker.post("a", b"1").status == 401
    reload(broker, "channels: []\n")
    assert broker.post("a", b"1").status == 200


def test_a_reload_opens_no_port_to_the_world(start_broker):
    broker = start_broker("--listen", "0.0.0.0:0",
                          config=auth(kept="publish: [a]") + "public: {hosts: ['0.0.0.0']}\n")
    said = reload(broker, "channels: []\n")
    assert "RELOAD_REFUSED" in said and "credentials" in said
    assert broker.post("a", b"1").status == 401
    assert broker.post("a", b"1", headers=bearer("kept")).status == 200
