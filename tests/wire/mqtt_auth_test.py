# SPDX-License-Identifier: Apache-2.0
"""Who may do what over MQTT, where the answer is MQTT's own: return codes, sessions and their
owners, wills, groups, tenants. The table of all protocols is in permission_table_test.py."""
import json
import subprocess
import time

import pytest
from harness import http
from harness import mqtt_packets as packets
from harness.broker import Broker, wait_for
from harness.mosquitto import command, run
from harness.mqtt import PUBREC, V3, V5, Client, each_version, name_of, proves
from harness.tokens import ISSUER, Key, hash_of, key_set
from harness.websocket import BINARY, WebSocket

KEY = Key()
LEEWAY_S = 60  # broker/limits.h
SOON_S = 3  # room for a connection to be made with a token before it ends
HOUR = {"session_expiry": 3600}
NOT_AUTHORIZED, BAD_PASSWORD = 0x87, 0x86
CONNACKS = {V3: {NOT_AUTHORIZED: 5, BAD_PASSWORD: 4}, V5: {}}
CONFIG = """
auth:
  keys:
    - {{ name: backend, hash: "{backend}", publish: ["**"], subscribe: ["**"], history: ["**"] }}
    - {{ name: watcher, hash: "{watcher}", subscribe: ["$SYS/**"] }}
    - {{ name: acme, hash: "{acme}", tenant: acme, publish: ["**"], subscribe: ["**"],
        history: ["**"] }}
  jwt: [ {{ issuer: "{issuer}", audience: tidings, algorithms: [ES256], jwks: "{jwks}" }} ]
  anonymous: {{ subscribe: ["open/**"] }}
"""


def write_config(folder):
    (folder / "es.json").write_text(key_set(KEY), encoding="ascii")
    return CONFIG.format(issuer=ISSUER, jwks=folder / "es.json", **{
        name: hash_of(f"key-of-{name}") for name in ("backend", "watcher", "acme")})


@pytest.fixture(scope="module", name="trusting")
def start_trusting_broker(tmp_path_factory):
    broker = Broker(config=write_config(tmp_path_factory.mktemp("trust")))
    try:
        yield broker.start()
        broker.stop()
    finally:
        broker.close()


def token(subject="alice", publish=(), subscribe=(), history=(), **claims):
    rights = {"publish": list(publish), "subscribe": list(subscribe), "history": list(history)}
    return KEY.token(subject, rights=rights, **claims)


def login(broker, password, client_id="", version=V5, transport="tcp", **options):
    """A client that is connected with that key or token."""
    return Client(broker, version, transport).connect(client_id, user="me", password=password,
                                                      **options)


def reason_of(version, reason):
    return CONNACKS[version].get(reason, reason)


# --- CONNECT ------------------------------------------------------------------------------------


@proves(v3="3.2.2-5", v5="3.2.2-7")
@each_version
@pytest.mark.parametrize("options, reason", [
    ({"user": "me", "password": "key-of-nobody"}, BAD_PASSWORD),
    ({"user": "me", "password": "a.b.c"}, BAD_PASSWORD),
    ({"user": "eyJ.e30.x"}, BAD_PASSWORD)])
def test_a_wrong_password_is_told_and_ends_the_connection(trusting, version, options, reason):
    with Client(trusting, version) as client:
        client.connect(expect=reason_of(version, reason), **options)
        assert client.end() is None


@each_version
def test_a_token_may_be_the_user_name(trusting, version):
    with Client(trusting, version) as client:
        client.connect(user=token(subscribe=["a"]))
        client.subscribe("a")


@each_version
def test_a_user_name_alone_is_nobody(trusting, version):
    """Anonymous may read here, and no more."""
    with Client(trusting, version) as client:
        client.connect(user="root")
        assert client.subscribe("open/1", "closed/1", expect=False).reasons == [
            0, 0x80 if version == V3 else NOT_AUTHORIZED]


@each_version
def test_nobody_gets_in_where_there_is_no_anonymous(start_broker, version):
    broker = start_broker(
        config=f'auth: {{ keys: [ {{ name: k, hash: "{hash_of("k")}", publish: ["**"] }} ] }}')
    with Client(broker, version) as client:
        client.connect(expect=reason_of(version, NOT_AUTHORIZED))
    with Client(broker, version) as client:
        client.connect(user="", password="k")


@proves(v3="3.1.4-5", v5="3.1.4-6")
@each_version
def test_what_stands_behind_a_refused_connect_is_not_done(trusting, version, channel):
    """Not even what the credentials of nobody might do."""
    with login(trusting, "key-of-backend") as reader, Client(trusting, version) as intruder:
        reader.subscribe(channel)
        intruder.send(packets.connect("", version=version, user="me", password="wrong"),
                      packets.publish(channel, b"intruder", version=version),
                      packets.publish(channel, b"intruder", 1, 1, version=version))
        assert intruder.end() == reason_of(version, BAD_PASSWORD)
        assert not reader.nothing_until(reader, channel)


def test_a_refusal_says_why_and_nothing_of_the_password(trusting):
    secret = "sekrit-" + "x" * 20
    with Client(trusting) as client:
        client.connect(expect=BAD_PASSWORD, user="me", password=secret)
        assert client.connack.values["reason_string"]
        assert secret not in client.connack.values["reason_string"]
    assert not [line for line in trusting.logged if secret in line]


@proves(v5="4.12.0-7")
def test_an_auth_packet_is_a_protocol_error(trusting):
    with login(trusting, "key-of-backend") as client:
        client.send(packets.packet(packets.AUTH, b"\x18\x00"))
        assert client.end() == 0x82


@pytest.mark.parametrize("target, fields, password, allowed", [
    ("/mqtt", {"Authorization": "Bearer key-of-backend"}, None, True),
    ("/mqtt?access_token=key-of-backend", {}, None, True),
    ("/mqtt", {}, "key-of-backend", True),
    ("/mqtt", {"Authorization": "Bearer key-of-backend"}, "key-of-watcher", False),
    ("/mqtt", {"Authorization": "Bearer key-of-watcher"}, "key-of-backend", True)])
def test_a_websocket_may_bring_credentials_by_http_and_those_of_connect_win(
        trusting, channel, target, fields, password, allowed):
    with WebSocket(trusting.public, target, {"Sec-WebSocket-Protocol": "mqtt", **fields}) as socket:
        options = {} if password is None else {"user": "", "password": password}
        socket.send_frame(BINARY, packets.connect("", version=V5, **options))
        assert packets.Packet(V5, 0x20, socket.recv(15)[2:]).reason == 0
        socket.send_frame(BINARY, packets.publish(channel, b"x", 1, 1, version=V5))
        answer = socket.recv(15)
        assert (answer[4] if len(answer) > 4 else 0) in ((0, 0x10) if allowed else (0x87,))


# --- PUBLISH ------------------------------------------------------------------------------------


@proves(v5="4.3.3-9")
def test_a_refused_id_of_qos_2_can_be_used_again_at_once(trusting, channel):
    with login(trusting, token(publish=[channel])) as client:
        refused = client.publish("elsewhere", b"x", 2, expect=NOT_AUTHORIZED, number=7)
        assert refused.kind == PUBREC
        client.publish(channel, b"x", 2, number=7)


def test_a_publish_is_refused_by_what_its_alias_stands_for(trusting, channel):
    with login(trusting, token(publish=[channel])) as client:
        client.publish(channel, b"x", 1, values={"topic_alias": 1})
        client.publish("", b"x", 1, values={"topic_alias": 1})
        client.publish("elsewhere", b"x", 1, expect=NOT_AUTHORIZED, values={"topic_alias": 2})
        client.publish("", b"x", 1, expect=NOT_AUTHORIZED, values={"topic_alias": 2})
        client.publish("", b"x", 1, values={"topic_alias": 1})


@proves(v3="3.3.5-2")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_3_1_1_counts_a_refused_publish_as_done(trusting, channel, qos):
    """It has no word for it; the log and a counter have."""
    before = refused_count(trusting)
    with login(trusting, token(publish=[channel]), version=V3) as client:
        client.publish("elsewhere/" + channel, b"x", qos)
        client.publish(channel, b"x", qos)
        client.ping()
    assert refused_count(trusting) == before + 1
    wait_for(lambda: any(line.get("channel") == "elsewhere/" + channel
                         for line in trusting.log_lines("MQTT_PUBLISH_DROPPED")), what="the line")


def refused_count(broker):
    return broker.metric('tidings_mqtt_refused_total{result="forbidden"}')


def test_what_is_retained_stays_where_a_publish_is_refused(trusting, channel):
    with login(trusting, "key-of-backend") as owner, login(trusting, token()) as other:
        owner.publish(channel, b"kept", 1, retain=True)
        other.publish(channel, b"", 1, expect=NOT_AUTHORIZED, retain=True)
        other.publish(channel, b"changed", 1, expect=NOT_AUTHORIZED, retain=True)
        owner.subscribe(channel)
        assert owner.message().payload == b"kept"


def test_a_request_is_answered_where_the_response_topic_is_allowed(trusting, channel):
    asks = token("asks", publish=[channel], subscribe=[channel + "/answers/{sub}"])
    answers = token("answers", publish=[channel + "/answers/*"], subscribe=[channel])
    with login(trusting, asks) as left, login(trusting, answers) as right:
        left.subscribe(channel + "/answers/asks")
        right.subscribe(channel)
        left.publish(channel, b"?", 1, values={"response_topic": channel + "/answers/asks",
                                               "correlation_data": b"7"})
        asked = right.message()
        right.publish(asked.values["response_topic"], b"!", 1,
                      values={"correlation_data": asked.values["correlation_data"]})
        answer = left.message()
        assert (answer.payload, answer.values["correlation_data"]) == (b"!", b"7")


# --- SUBSCRIBE ----------------------------------------------------------------------------------


@proves(v3="3.8.4-5", v5="3.8.4-6")
@each_version
def test_each_filter_is_answered_for_itself(trusting, channel, version):
    no = 0x80 if version == V3 else NOT_AUTHORIZED
    with login(trusting, token(subscribe=[channel + "/a/**", channel + "/b/*"]),
               version=version) as client:
        filters = {"/a": 1, "/a/#": 1, "/a/+/x": 1, "/b/+": 1, "/b/#": no, "/b/x": 1, "/+": no,
                   "/#": no, "/c": no}
        answer = client.subscribe(*(channel + one for one in filters), "#", "$SYS/#", qos=1,
                                  expect=False)
        assert answer.reasons == [*filters.values(), no, no]


@pytest.mark.parametrize("form, allowed", [("$share/g/{}/a", True), ("$share/g/{}/#", False),
                                           ("$share/g/#", False), ("$gap/#", True)])
def test_a_shared_filter_is_asked_for_by_what_it_reads(trusting, channel, form, allowed):
    with login(trusting, token(subscribe=[channel + "/a"])) as client:
        reason, = client.subscribe(form.format(channel), expect=False).reasons
        assert reason == (0 if allowed else NOT_AUTHORIZED)


def test_the_brokers_figures_are_for_who_may_read_them(trusting):
    with login(trusting, "key-of-watcher") as client:
        client.subscribe("$SYS/broker/version")
        assert client.message().topic == "$SYS/broker/version"
    with login(trusting, "key-of-backend") as client:
        assert client.subscribe("$SYS/#", expect=False).reasons == [NOT_AUTHORIZED]


@pytest.mark.parametrize("since, allowed", [
    ("now", True), ("id", True), ("earliest", False), ("0", False), ("-5", False), ("-5m", False)])
def test_a_start_in_the_past_is_history(trusting, channel, since, allowed):
    with login(trusting, "key-of-backend") as publisher, \
            login(trusting, token(subscribe=[channel])) as reader:
        publisher.publish(channel, b"1", 1)
        if since == "id":
            publisher.subscribe(channel, values={"user": [("id", "true")]})
            publisher.publish(channel, b"2", 0)
            since = dict(publisher.message().values["user"])["id"]
            publisher.publish(channel, b"3", 1)
        values = {"user": [("since", since)]}
        assert reader.subscribe(channel, values=values, expect=False).reasons == \
            [0 if allowed else NOT_AUTHORIZED]
        if since.startswith("t"):
            assert reader.message().payload == b"3"


# --- wills --------------------------------------------------------------------------------------


@each_version
def test_a_will_that_may_not_be_published_is_refused_at_once(trusting, channel, version):
    with Client(trusting, version) as client:
        client.connect(expect=reason_of(version, NOT_AUTHORIZED), user="",
                       password=token(publish=["elsewhere"]),
                       will={"topic": channel, "payload": b"gone"})


@proves(v3="3.1.2-8", v5="3.1.2-8")
@each_version
def test_a_token_that_ends_ends_the_connection_and_leaves_the_will(trusting, channel, version):
    with login(trusting, "key-of-backend") as reader:
        reader.subscribe(channel)
        ends = int(time.time()) + SOON_S - LEEWAY_S
        client = login(trusting, token(publish=[channel], exp=ends), version=version,
                       will={"topic": channel, "payload": b"gone"})
        assert client.end() == (None if version == V3 else 0xA0)
        assert reader.message().payload == b"gone"
        client.close()


@pytest.mark.parametrize("version, delay_s", [(V3, None), (V5, None), (V5, 1)],
                         ids=["3.1.1", "5.0", "5.0 delayed"])
def test_who_is_revoked_leaves_no_will(trusting, channel, version, delay_s):
    will = {"topic": channel, "payload": b"gone"}
    if delay_s is not None:
        will["values"] = {"will_delay": delay_s}
    with login(trusting, "key-of-backend") as reader:
        reader.subscribe(channel)
        client = login(trusting, token("mallory", publish=[channel], jti=channel), version=version,
                       will=will, **({"values": HOUR} if version == V5 else {}))
        assert http.request(trusting.operator, "POST", "/api/v1/revoke",
                            {"Content-Type": "application/json"},
                            json.dumps({"jti": channel}).encode()).status == 200
        assert client.end() == (None if version == V3 else NOT_AUTHORIZED)
        client.close()
        trusting.let_pass(delay_s or 0)
        reader.publish(channel, b"next", qos=1)
        assert reader.message().payload == b"next"


# --- whose a session is -------------------------------------------------------------------------


@each_version
@pytest.mark.parametrize("clean", [False, True])
def test_a_session_that_is_away_is_its_owners_alone(trusting, channel, version, clean):
    options = {"version": version, "clean": False, "values": HOUR if version == V5 else None}
    alice, bob = (token(one, subscribe=[channel]) for one in ("alice", "bob"))
    with login(trusting, alice, name_of(channel), **options) as client:
        client.subscribe(channel, qos=1)
    with Client(trusting, version) as client:
        client.connect(name_of(channel), user="", password=bob, clean=clean,
                       expect=reason_of(version, NOT_AUTHORIZED))
    with Client(trusting, version) as client: # nobody in particular
        client.connect(name_of(channel), clean=clean,
                       expect=reason_of(version, NOT_AUTHORIZED))
    with login(trusting, "key-of-backend") as publisher:
        publisher.publish(channel, b"kept", 1)
    with login(trusting, token("alice", subscribe=[channel]), name_of(channel),
               **options) as client:
        assert client.connack.is_present
        assert client.message().payload == b"kept"


@each_version
def test_who_is_connected_hears_nothing_of_anothers_claim(trusting, channel, version):
    with login(trusting, token("alice"), name_of(channel), version=version) as client:
        with Client(trusting, version) as other:
            other.connect(name_of(channel), user="", password=token("bob"),
                          expect=reason_of(version, NOT_AUTHORIZED))
        assert client.is_open()
        with login(trusting, token("alice"), name_of(channel), version=version) as again:
            assert client.end() == (None if version == V3 else 0x8E)
            assert again.is_open()


def test_an_owner_outlives_the_process(start_broker, tmp_path, channel):
    broker = start_broker(config=write_config(tmp_path))
    for end in (broker.stop, broker.kill):
        with login(broker, token("alice", subscribe=[channel]), name_of(channel), clean=False,
                   values=HOUR) as client:
            client.subscribe(channel, qos=1)
            end()
        broker.start()
        with Client(broker) as other:
            other.connect(name_of(channel), clean=False, expect=NOT_AUTHORIZED, user="",
                          password=token("bob"))
    with login(broker, token("alice"), name_of(channel), clean=False, values=HOUR) as client:
        assert client.connack.is_present


def test_a_session_of_an_open_broker_is_the_first_ones_who_comes_with_credentials(
        start_broker, tmp_path, channel):
    """And whose it is then is kept, even where the broker is open for a while."""
    data = tmp_path / "data"
    client_id = name_of(channel)

    def run(config, password, **options):
        broker = start_broker(config=config, data=data)
        with Client(broker) as client:
            client.connect(client_id, clean=False, values=HOUR, user="", password=password,
                           **options)
            found = client.connack.is_present
        broker.stop()
        return found

    guarded, is_open = write_config(tmp_path), "{}"
    assert not run(is_open, "anything")
    assert run(guarded, token("bob"))
    assert not run(guarded, token("alice"), expect=NOT_AUTHORIZED)
    assert run(is_open, "anything")
    assert not run(guarded, token("alice"), expect=NOT_AUTHORIZED)
    assert run(guarded, token("bob"))


@each_version
def test_a_session_loses_the_filters_that_it_may_not_read_any_more(trusting, channel, version):
    options = {"version": version, "clean": False, "values": HOUR if version == V5 else None}
    wide = token(subscribe=[channel + "/**"])
    narrow = token(subscribe=[channel + "/a"])
    before = trusting.metric("tidings_mqtt_filters_dropped_total")
    with login(trusting, wide, name_of(channel), **options) as client:
        client.subscribe(channel + "/a", channel + "/b", channel + "/+", qos=1)
    with login(trusting, "key-of-backend") as publisher:
        for one in "ba":
            publisher.publish(f"{channel}/{one}", one.encode(), 1)
        with login(trusting, narrow, name_of(channel), **options) as client:
            assert client.connack.is_present
            assert client.message().payload == b"a"
            publisher.publish(channel + "/b", b"b", 1)
            publisher.publish(channel + "/a", b"mark", 1)
            assert client.message().payload == b"mark"
    assert trusting.metric("tidings_mqtt_filters_dropped_total") == before + 2
    wait_for(lambda: [line["filter"] for line in trusting.log_lines("MQTT_FILTER_DROPPED")
                      if line["client_id"] == name_of(channel)] ==
             [channel + "/b", channel + "/+"], what="both lines")


def test_what_is_in_flight_for_a_lost_filter_is_not_sent_again(trusting, channel):
    """For one that the client may still read, and for one that it dropped itself, it is."""
    wide = token(subscribe=[channel + "/**"])
    narrow = token(subscribe=[channel + "/a", channel + "/c"])
    with login(trusting, wide, name_of(channel), clean=False, values=HOUR) as client, \
            login(trusting, "key-of-backend") as publisher:
        client.subscribe(channel + "/a", channel + "/b", channel + "/c", qos=1)
        for one in "abc":
            publisher.publish(f"{channel}/{one}", one.encode(), 1)
        assert [client.raw_message().payload for _ in "abc"] == [b"a", b"b", b"c"]
        client.unsubscribe(channel + "/c")
    with login(trusting, wide, name_of(channel), clean=False, values=HOUR) as client:
        assert [client.raw_message().payload for _ in "abc"] == [b"a", b"b", b"c"]
    with login(trusting, narrow, name_of(channel), clean=False, values=HOUR) as client:
        again = client.raw_message()
        assert (again.payload, again.dup) == (b"a", True)
        client.ping()
        assert not client.inbox


@pytest.mark.parametrize("password", ["key-of-acme", "key-of-backend"])
@pytest.mark.parametrize("qos", [1, 2])
def test_what_is_in_flight_comes_again_to_each_tenant(trusting, channel, password, qos):
    options = {"clean": False, "values": HOUR}
    with login(trusting, password, name_of(channel), **options) as client, \
            login(trusting, password) as publisher:
        client.subscribe(channel + "/#", qos=qos)
        publisher.publish(channel + "/x", b"1", qos)
        assert client.raw_message().payload == b"1"
    with login(trusting, password, name_of(channel), **options) as client:
        again = client.message()
        assert (again.topic, again.payload, again.dup) == (channel + "/x", b"1", True)


def test_a_group_waits_no_longer_for_a_member_that_may_not_read_it(trusting, channel):
    """The group was kept for her, and so it goes with her: the next who comes begins a new one."""
    shared = f"$share/{name_of(channel)}/{channel}"
    with login(trusting, token("alice", subscribe=[channel]), name_of(channel) + "-alice",
               clean=False, values=HOUR) as alice:
        alice.subscribe(shared, qos=1)
    with login(trusting, "key-of-backend") as publisher:
        publisher.publish(channel, b"while she was away", 1)
        with login(trusting, token("alice"), name_of(channel) + "-alice", clean=False,
                   values=HOUR) as alice, \
                login(trusting, token("bob", subscribe=[channel])) as bob:
            bob.subscribe(shared, qos=1)
            publisher.publish(channel, b"for bob", 1)
            assert bob.message().payload == b"for bob"
            alice.ping()
            assert not alice.inbox


# --- tenants ------------------------------------------------------------------------------------


def test_tenants_have_the_same_client_ids(trusting, channel):
    with login(trusting, "key-of-acme", name_of(channel)) as one, \
            login(trusting, token(tenant="other"), name_of(channel)) as two, \
            login(trusting, "key-of-backend", name_of(channel)) as three:
        assert one.is_open() and two.is_open() and three.is_open()


@each_version
@pytest.mark.parametrize("form", ["{}", "{}/#", "#", "+/#", "$share/g/{}"])
def test_tenants_have_the_same_topics_and_do_not_read_each_other(trusting, channel, form, version):
    if form.startswith("$share") and version == V3:
        pytest.skip("shared subscriptions came with 5.0")
    with login(trusting, "key-of-acme", version=version) as acme, \
            login(trusting, "key-of-backend", version=version) as nobodys:
        for client in (acme, nobodys):
            client.subscribe(form.format(channel), qos=1)
        acme.publish(channel, b"of acme", 1)
        nobodys.publish(channel, b"of nobody", 1)
        for client, payload in ((acme, b"of acme"), (nobodys, b"of nobody")):
            while (got := client.message()).topic != channel:
                pass  # of other tests, under `#`
            assert got.payload == payload
            client.ping()
            assert not [got for got in client.inbox if got.topic == channel]


def test_what_is_retained_is_a_tenants(trusting, channel):
    with login(trusting, "key-of-acme") as acme, login(trusting, "key-of-backend") as nobodys:
        acme.publish(channel, b"of acme", 1, retain=True)
        nobodys.subscribe(channel, qos=1)
        nobodys.publish(channel, b"mark", 1)
        assert nobodys.message().payload == b"mark"
        acme.subscribe(channel, qos=1)
        got = acme.message()
        assert (got.topic, got.payload, got.retain) == (channel, b"of acme", True)


def test_a_kept_session_and_a_will_are_a_tenants(trusting, channel):
    options = {"clean": False, "values": HOUR}
    with login(trusting, "key-of-acme", name_of(channel), **options) as client:
        client.subscribe(channel + "/#", qos=1)
    with login(trusting, "key-of-acme", will={"topic": channel + "/w", "payload": b"will"}), \
            login(trusting, "key-of-backend") as nobodys:
        nobodys.publish(channel + "/w", b"of nobody", 1)
    with login(trusting, "key-of-backend", name_of(channel), **options) as other:
        assert not other.connack.is_present
    with login(trusting, "key-of-acme", name_of(channel), **options) as client:
        assert client.connack.is_present
        got = client.message()
        assert (got.topic, got.payload) == (channel + "/w", b"will")


def test_a_client_id_cannot_name_a_tenant(trusting):
    for client_id in ("\x01acme/x", "\x01", "\x01x"):
        with Client(trusting) as client:
            client.connect(client_id, expect=0x85, user="", password="key-of-backend")


def test_a_client_is_told_its_own_name(trusting):
    with login(trusting, "key-of-acme") as client:
        assert client.client_id.startswith("auto-")


def test_a_gap_is_told_by_the_name_that_the_tenant_says(trusting, channel):
    with login(trusting, "key-of-acme") as client:
        client.publish(channel, b"1", 1)
        client.subscribe(channel, values={"user": [("since", "99")]})
        got = client.message()
        assert got.topic == "$gap/" + channel
        assert b'"channel":"%s"' % channel.encode() in got.payload


# --- clients of the field -----------------------------------------------------------------------


@pytest.mark.parametrize("version", ["3.1.1", "5.0"])
def test_mosquitto_brings_a_key_or_a_token(trusting, channel, version):
    may = token(publish=[channel], subscribe=[channel])
    run(command(trusting, "mosquitto_pub", version, "-t", channel, "-m", "hi", "-q", "1", "-r",
                "-u", "alice", "-P", may))
    got = run(command(trusting, "mosquitto_sub", version, "-t", channel, "-C", "1", "-W", "20",
                      "-u", "backend", "-P", "key-of-backend"))
    assert got == b"hi\n"


@pytest.mark.parametrize("version", ["3.1.1", "5.0"])
def test_mosquitto_is_told_that_it_is_not_allowed(trusting, channel, version):
    words = command(trusting, "mosquitto_pub", version, "-t", channel, "-m", "hi", "-u", "x",
                    "-P", "wrong")
    done = subprocess.run(words, capture_output=True, timeout=30, check=False)
    assert done.returncode != 0 and b"ad user" in done.stderr.lower(), done


def test_paho_reads_what_it_may(trusting, channel):
    paho = pytest.importorskip("paho.mqtt.client")
    granted, came = [], []
    client = paho.Client("", protocol=paho.MQTTv5)
    client.username_pw_set("alice", token(publish=[channel], subscribe=[channel]))
    client.on_subscribe = lambda *args: granted.append([int(code.value) for code in args[3]])
    client.on_message = lambda _, __, message: came.append(message.payload)
    client.connect("127.0.0.1", trusting.mqtt_port)
    client.loop_start()
    try:
        client.subscribe([(channel, 1), ("elsewhere", 1)])
        wait_for(lambda: granted, what="SUBACK")
        assert granted == [[1, NOT_AUTHORIZED]]
        client.publish(channel, b"hi", 1)
        wait_for(lambda: came, what="the message")
        assert came == [b"hi"]
    finally:
        client.disconnect()
        client.loop_stop()
