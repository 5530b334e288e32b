# SPDX-License-Identifier: Apache-2.0
"""The ways that credentials come by: header, cookie, ticket, query; and none of them in the log."""
import json
from urllib.parse import urlsplit

import pytest
from harness import http, mqtt
from harness.broker import wait_for
from harness.mqtt import Client, each_version
from harness.tokens import ISSUER, Key, base64url, hash_of, key_set
from harness.trust import judge_status
from harness.websocket import Refused

KEY = Key()
SITE = "https://app.example"
CONFIG = """
public: {{ origins: ["{site}"] }}
auth:
  keys: [ {{ name: backend, hash: "{hash}", publish: ["**"], subscribe: ["**"], history: ["**"] }} ]
  jwt:
    - {{ issuer: "{issuer}", audience: tidings, algorithms: [ES256], jwks: "{folder}/es.json" }}
"""
RIGHTS = {"publish": ["chat/**"], "subscribe": ["chat/**"], "history": ["chat/**"]}


@pytest.fixture(name="trusting")
def start_trusting_broker(start_broker, tmp_path):
    (tmp_path / "es.json").write_text(key_set(KEY), encoding="ascii")
    return start_broker(config=CONFIG.format(site=SITE, hash=hash_of("key-of-backend"),
                                             issuer=ISSUER, folder=tmp_path))


def token(**options):
    return KEY.token(rights=RIGHTS, **options)


def bearer(text):
    return {"Authorization": "Bearer " + text}


def cookie(text):
    return {"Cookie": f"theme=dark; tidings_token={text}; other=1"}


def take_ticket(broker, fields):
    answer = broker.request("POST", "/token", fields, b"")
    assert answer.status == 200, answer
    assert answer.headers["cache-control"] == "no-store", answer
    value = answer.json()
    assert value["expires_in"] == 60, value
    return value["ticket"]


# How each door is opened: (broker, query, fields) -> the word of harness/trust.py.
def read(broker, query, fields):
    return judge_status(broker.get("/channels/chat/1?since=earliest" + query, fields))


def write(broker, query, fields):
    return judge_status(broker.request("POST", "/channels/chat/1?" + query[1:], {
        "Content-Type": "application/json", **fields}, b"1"))


def watch(broker, query, fields):
    stream = broker.events("/channels/chat/1?since=now" + query, headers=fields)
    stream.close()
    return {200: "yes", 401: "refused", 403: "refused"}[stream.status]


def talk(target):
    def open_socket(broker, query, fields):
        try:
            with broker.websocket(f"{target}?" + query[1:], headers=fields):
                return "yes"
        except Refused as refused:
            return judge_status(refused.response)
    return open_socket


DOORS = {"page": read, "publish": write, "sse": watch, "websocket": talk("/channels/chat/1"),
         "stream": talk("/stream")}
each_door = pytest.mark.parametrize("door", DOORS)


@each_door
def test_each_way_opens_each_door(trusting, door):
    enter = DOORS[door]
    own = {"Origin": SITE}
    assert enter(trusting, "", bearer(token())) == "yes"
    assert enter(trusting, "", bearer("key-of-backend")) == "yes"
    assert enter(trusting, "&access_token=" + token(), {}) == "yes"
    assert enter(trusting, "&ticket=" + take_ticket(trusting, bearer(token())), {}) == "yes"
    assert enter(trusting, "", {**cookie(token()), **own}) == "yes"
    assert enter(trusting, "", {}) in ("needed", "refused")


@each_door
def test_a_ticket_opens_one_door_once(trusting, door):
    ticket = take_ticket(trusting, bearer(token()))
    assert DOORS[door](trusting, "&ticket=" + ticket, {}) == "yes"
    assert DOORS[door](trusting, "&ticket=" + ticket, {}) in ("invalid", "refused")
    assert DOORS[door](trusting, "&ticket=" + ticket[:-1], {}) in ("invalid", "refused")


def test_a_ticket_is_for_whom_it_was_given_and_no_longer(trusting):
    ticket = take_ticket(trusting, bearer(KEY.token(rights={"subscribe": ["chat/1"]})))
    assert read(trusting, "&ticket=" + ticket, {}) == "no"
    assert trusting.request("POST", "/token", {}, b"").status == 401
    assert trusting.request("POST", "/token", bearer("nonsense"), b"").status == 401


@pytest.mark.parametrize("door", ["publish", "sse", "websocket", "stream"])
def test_a_cookie_needs_the_origin_of_a_known_page(trusting, door):
    """Else any page that the user visits could use the browser's cookie."""
    enter = DOORS[door]
    assert enter(trusting, "", {**cookie(token()), "Origin": "https://evil.example"}) != "yes"
    if door != "sse":  # a browser sends none where a page reads what is its own origin's
        assert enter(trusting, "", cookie(token())) != "yes"
    assert enter(trusting, "", {**cookie(token()), "Origin": f"http://{trusting.host}"}) == "yes"


def test_an_expired_cookie_is_no_good(trusting):
    fields = {**cookie(token(ttl_s=-3600)), "Origin": SITE}
    assert trusting.get("/channels/chat/1", fields).status == 401


def test_more_than_one_kind_of_credentials_is_refused(trusting):
    one, other = token(), token(subject="bob")
    for query, fields in [("&access_token=" + one, bearer(other)),
                          ("&ticket=x", bearer(one)),
                          (f"&access_token={one}&access_token={other}", {})]:
        answer = trusting.get("/channels/chat/1?since=earliest" + query, fields)
        assert answer.status == 400, (query, fields, answer)


def test_any_other_credentials_beat_a_cookie(trusting):
    """The browser adds that one by itself, whatever the page says."""
    for query, fields in [("&access_token=" + token(), {}), ("", bearer(token()))]:
        fields = {**fields, **cookie("nonsense"), "Origin": SITE}
        assert trusting.get("/channels/chat/1?since=earliest" + query, fields).status == 200


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "bearer", "Basic YTpi", "Token x",
                                   "Bearer a b", "Bearer \x01", "Bearer " + "a" * 9000])
def test_a_header_that_is_no_credential_is_refused(trusting, value):
    answer = trusting.get("/channels/chat/1", {"Authorization": value})
    assert answer.status in (400, 401), answer


def test_the_scheme_has_no_case(trusting):
    assert trusting.get("/channels/chat/1", {"Authorization": "bEARER " + token()}).status == 200


def test_two_headers_are_refused(trusting):
    with trusting.connect() as connection:
        connection.send(f"GET /channels/chat/1 HTTP/1.1\r\nHost: {connection.host}\r\n"
                        f"Authorization: Bearer {token()}\r\n"
                        f"Authorization: Bearer {token(subject='bob')}\r\n\r\n")
        assert connection.read_response().status == 400


def test_no_credential_is_in_any_line_of_the_log(start_broker, tmp_path):
    (tmp_path / "es.json").write_text(key_set(KEY), encoding="ascii")
    broker = start_broker(config=CONFIG.format(site=SITE, hash=hash_of("key-of-backend"),
                                               issuer=ISSUER, folder=tmp_path) +
                          "log: { level: debug }\n")
    good, bad = token(), token(ttl_s=-3600)
    ticket = take_ticket(broker, bearer(good))
    secrets = [good, bad, ticket, "key-of-backend", "pass-of-nobody"]
    for enter in DOORS.values():
        for secret in (good, bad, "key-of-backend", "pass-of-nobody"):
            enter(broker, "&access_token=" + secret, {})
            enter(broker, "", bearer(secret))
            enter(broker, "", {**cookie(secret), "Origin": SITE})
        enter(broker, "&ticket=" + ticket, {})
    broker.request("GET", f"/nothing/{'x' * 9000}?access_token={good}")
    broker.request("BREW", f"/channels/chat/1?access_token={good}")
    for secret in (good, bad, "pass-of-nobody"):
        with Client(broker) as client:
            client.send(mqtt.packets.connect(version=5, user="u", password=secret))
            client.expect(mqtt.CONNACK)
    broker.stop()
    said = "\n".join(broker.logged)
    # A token's parts, too: none is long enough to be there by chance.
    for secret in secrets:
        for part in secret.split("."):
            assert len(part) < 12 or part not in said, part


def test_the_operators_lists_do_not_tell_credentials_either(trusting):
    secret = token()
    with trusting.websocket("/channels/chat/1?access_token=" + secret), \
            trusting.events("/channels/chat/1?access_token=" + secret):
        def listing():
            text = http.request(trusting.operator, "GET", "/api/v1/connections").body.decode()
            return text if text.count('"peer"') >= 2 else None
        text = wait_for(listing)
        assert secret not in text and secret.split(".")[2] not in text
        assert "alice" in text


@each_version
def test_mqtt_takes_a_key_or_a_token_as_password(trusting, version):
    for user, password in (("", token()), ("alice", token()), ("backend", "key-of-backend"),
                           ("", "key-of-backend")):
        with Client(trusting, version) as client:
            client.connect(user=user, password=password)
            client.subscribe("chat/1")


def test_mqtt_over_websocket_may_bring_them_either_way(trusting):
    with Client(trusting, transport="websocket") as client:
        client.connect(user="", password=token())
        client.subscribe("chat/1")
    with Client(trusting, transport="websocket") as client:
        client.connect("", expect=0x87)


@pytest.mark.parametrize("values", [{"authentication_method": "SCRAM-SHA-256"},
                                    {"authentication_method": "x",
                                     "authentication_data": b"\0" * 1000}])
def test_enhanced_authentication_is_refused_cleanly(trusting, values):
    with Client(trusting) as client:
        client.connect(expect=0x8C, user="", password=token(), values=values)
        assert client.end() is None


def test_a_preflight_needs_no_credentials_and_says_which_may_come(trusting):
    answer = trusting.request("OPTIONS", "/channels/chat/1", {
        "Origin": SITE, "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type"})
    assert answer.status in (200, 204), answer
    assert "authorization" in answer.headers["access-control-allow-headers"].lower()
    assert answer.headers["access-control-allow-origin"] == SITE


def test_a_page_may_read_why_it_was_refused(trusting):
    """A refusal without the CORS fields would be a network error to the page."""
    answer = trusting.get("/channels/chat/1", {"Origin": SITE})
    assert answer.status == 401
    assert answer.headers["access-control-allow-origin"] == SITE, answer


def test_what_an_answer_says_is_for_its_caller_alone(trusting):
    trusting.post("chat/1", b"1", headers=bearer(token()))
    answer = trusting.get("/channels/chat/1", bearer(token()))
    assert "private" in answer.headers["cache-control"], answer
    assert "authorization" in answer.headers["vary"].lower(), answer
    # What one may read is not given to another because its ETag is known.
    etag = answer.headers.get("etag")
    if etag:
        assert trusting.get("/channels/chat/1", {"If-None-Match": etag}).status == 401


def test_the_url_of_the_log_line_has_no_query(trusting):
    """The peer is told by address and port, not by what it asked for."""
    secret = token()
    trusting.get("/channels/chat/1?access_token=" + secret)
    assert not any(urlsplit(secret).path[:40] in line for line in trusting.logged)
    assert json.dumps(trusting.logged).count("access_token=ey") == 0


def test_a_refusal_is_text_also_where_a_character_of_the_token_is_cut(trusting):
    """What is cut stands in the sentence of the refusal; half a character ends a WebSocket."""
    name = "x" + "é" * 40
    twice = f'{{"{name}": 1, "{name}": 2}}'.encode()
    socket = trusting.websocket("/stream", headers=bearer(token()))
    socket.send_json({"auth": f"{base64url(twice)}.e30.AAAA", "ref": 1})
    error = socket.recv_json()["error"]
    assert error["code"] == "unauthorized" and name[:30] in error["message"], error
    socket.close()
