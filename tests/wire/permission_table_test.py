# SPDX-License-Identifier: Apache-2.0
"""Who may do what: one table, played on every protocol; each protocol answers with its own code."""
import json
import ssl

import pytest
from harness import certificates, tokens
from harness.broker import Broker
from harness.http import Closed
from harness.tokens import Key, hash_of, key_set, signed_with_public_key, tampered, unsigned
from harness.trust import TLS_TRIES, TRIES, Who, expected

ES, RSA, PSS, EDDSA, HS = (Key(name) for name in ("ES256", "RS256", "PS256", "EdDSA", "HS256"))
OTHER = Key("ES256", "two")
ALL = '["**"]'
EVERYTHING = f"publish: {ALL}, subscribe: {ALL}, history: {ALL}, delete: {ALL}"

CONFIG = """
auth:
  keys:
    - {{ name: backend, hash: "{backend}", {everything} }}
    - {{ name: watcher, hash: "{watcher}", subscribe: ["**", "$SYS/**"] }}
    - {{ name: sensor-7, hash: "{sensor}", publish: ["sensors/{{sub}}/**"] }}
    - {{ name: acme, hash: "{acme}", tenant: acme, {everything} }}
  jwt:
    - {{ issuer: "{issuer}", audience: tidings, algorithms: [ES256], jwks: "{folder}/es.json" }}
    - {{ issuer: "https://capped.example", audience: tidings, algorithms: [ES256],
        jwks: "{folder}/es.json", publish: ["chat/**"], subscribe: ["chat/**", "news/*"] }}
    - {{ issuer: "https://rows.example", audience: tidings, algorithms: [ES256],
        jwks: "{folder}/es.json", publish: ["users/{{sub}}/out"], subscribe: ["users/{{sub}}/**"],
        history: ["teams/{{tenant}}/**"] }}
    - {{ issuer: "https://bare.example", audience: tidings, algorithms: [ES256],
        jwks: "{folder}/es.json" }}
    - {{ issuer: "https://ps.example", audience: tidings, algorithms: [PS256],
        key: "{folder}/rsa.pem" }}
    - {{ issuer: "https://rs.example", audience: tidings, algorithms: [RS256],
        key: "{folder}/rsa.pem" }}
    - {{ issuer: "https://ed.example", audience: tidings, algorithms: [EdDSA],
        key: "{folder}/ed.pem" }}
    - {{ issuer: "https://hs.example", audience: tidings, algorithms: [HS256], key: "{secret}" }}
  certificates:
    - {{ subject: "CN=device-*,O=Example", publish: ["devices/**"], subscribe: ["orders/**"] }}
  anonymous: {{ subscribe: ["public/**"], history: ["public/news"] }}
"""
TLS = """
public: {{ tls: {{ certificate: "{pair[0]}", key: "{pair[1]}", client_ca: "{ca}",
                  client_certificates: optional }} }}
mqtt: {{ tls_listen: "127.0.0.1:0" }}
"""


def write_config(folder):
    (folder / "es.json").write_text(key_set(ES), encoding="ascii")
    (folder / "rsa.pem").write_bytes(RSA.pem())
    (folder / "ed.pem").write_bytes(EDDSA.pem())
    return CONFIG.format(
        everything=EVERYTHING, issuer=tokens.ISSUER, folder=folder, secret=HS.configured_secret(),
        **{name: hash_of(f"key-of-{name}") for name in ("backend", "watcher", "sensor", "acme")})


@pytest.fixture(scope="module", name="trusting")
def start_trusting_broker(tmp_path_factory):
    broker = Broker(config=write_config(tmp_path_factory.mktemp("trust")))
    try:
        yield broker.start()
        broker.stop()
    finally:
        broker.close()


@pytest.fixture(scope="module", name="encrypted")
def start_encrypted_broker(tmp_path_factory):
    config = write_config(tmp_path_factory.mktemp("trust")) + TLS.format(
        pair=certificates.server_pair(), ca=certificates.authority().certificate)
    broker = Broker(config=config, context=certificates.client_context())
    try:
        yield broker.start()
        broker.stop()
    finally:
        broker.close()


def token(key=ES, issuer=tokens.ISSUER, subject="alice", **options):
    return key.token(subject, iss=issuer, **options)


ROOM = {"publish": ["chat/7"], "subscribe": ["chat/7"], "history": ["chat/7"]}
WIDE = {"publish": ["**"], "subscribe": ["**"], "history": ["**"], "delete": ["**"]}
CAPPED, ROWS = "https://capped.example", "https://rows.example"

# Who: how the caller is made. None: no credentials.
CALLERS = {
    "nobody": lambda: None,
    "key": lambda: "key-of-backend",
    "a key of nobody": lambda: "key-of-nobody",
    "watcher": lambda: "key-of-watcher",
    "sensor": lambda: "key-of-sensor",
    "member": lambda: token(rights=ROOM),
    "wide": lambda: token(rights=WIDE),
    "stars": lambda: token(rights={"publish": ["a/*/c"], "subscribe": ["a/*/c", "b/**", "*"],
                                   "history": ["b/**"]}),
    "no rights": lambda: token(rights={}),
    "no claim": lambda: token(issuer="https://bare.example"),
    "claim of the bare": lambda: token(issuer="https://bare.example", rights=ROOM),
    "capped": lambda: token(issuer=CAPPED, rights=WIDE),
    "capped and small": lambda: token(issuer=CAPPED, rights=ROOM),
    "rows": lambda: token(issuer=ROWS, tenant=None),
    "rows of all": lambda: token(issuer=ROWS, subject="**"),
    "rows of star": lambda: token(issuer=ROWS, subject="*"),
    "rows of hash": lambda: token(issuer=ROWS, subject="#"),
    "rows of plus": lambda: token(issuer=ROWS, subject="+"),
    "rows of slash": lambda: token(issuer=ROWS, subject="bob/x"),
    "rows of nobody": lambda: token(issuer=ROWS, subject=None),
    "claimed subject": lambda: token(rights={"publish": ["users/{sub}/out"]}),
    "claimed star": lambda: token(rights={"publish": ["users/{sub}/out"]}, subject="*"),
    "ps256": lambda: token(PSS, "https://ps.example", rights=ROOM),
    "rs256": lambda: token(RSA, "https://rs.example", rights=ROOM),
    "eddsa": lambda: token(EDDSA, "https://ed.example", rights=ROOM),
    "hs256": lambda: token(HS, "https://hs.example", rights=ROOM),
    "rs256 where ps256 is due": lambda: token(RSA, "https://ps.example", rights=ROOM),
    "ps256 where rs256 is due": lambda: token(PSS, "https://rs.example", rights=ROOM),
    "hs256 where es256 is due": lambda: token(HS, rights=ROOM),
    "none": lambda: unsigned(rights=ROOM),
    "None": lambda: unsigned(rights=ROOM, algorithm="NoNe"),
    "hs256 with the public key": lambda: signed_with_public_key(RSA, iss="https://rs.example",
                                                                rights=ROOM),
    "hs256 with the public key of es256": lambda: signed_with_public_key(ES, rights=ROOM),
    "expired": lambda: token(rights=ROOM, ttl_s=-3600),
    "expired within the leeway": lambda: token(rights=ROOM, ttl_s=-20),
    "not yet": lambda: token(rights=ROOM, nbf=tokens.time.time() + 3600),
    "soon": lambda: token(rights=ROOM, nbf=int(tokens.time.time()) + 20),
    "no end": lambda: token(rights=ROOM, exp=None),
    "an end that is no number": lambda: token(rights=ROOM, exp="tomorrow"),
    "another audience": lambda: token(rights=ROOM, aud="other"),
    "audiences": lambda: token(rights=ROOM, aud=["other", "tidings"]),
    "no audience": lambda: token(rights=ROOM, aud=None),
    "another issuer": lambda: token(rights=ROOM, issuer="https://evil.example"),
    "no issuer": lambda: token(rights=ROOM, issuer=None),
    "unknown kid": lambda: token(OTHER, rights=ROOM),
    "another's key": lambda: token(OTHER, rights=ROOM, header={"kid": "one"}),
    "changed": lambda: tampered(token(rights=ROOM), sub="root"),
    "cut": lambda: token(rights=ROOM)[:-4],
    "longer": lambda: token(rights=ROOM) + "AAAA",
    "two dots": lambda: "..",
    "critical": lambda: token(rights=ROOM, header={"crit": ["b64"], "b64": False}),
    "acme": lambda: "key-of-acme",
    "of acme": lambda: token(rights=WIDE, tenant="acme"),
    "a tenant that is none": lambda: token(rights=WIDE, tenant="ac/me"),
}

# Caller, what is asked, with which channel or pattern, and the word (harness/trust.py).
TABLE = [
    # API keys
    ("key", "publish", "chat/7", "yes"),
    ("key", "subscribe", "chat/**", "yes"),
    ("key", "subscribe", "**", "yes"),
    ("key", "history", "chat/7", "yes"),
    ("key", "delete", "chat/9", "yes"),
    ("key", "subscribe", "$SYS/**", "no"),
    ("key", "publish", "$SYS/x", "no"),
    ("watcher", "subscribe", "$SYS/**", "yes"),
    ("watcher", "history", "chat/7", "no"),
    ("watcher", "publish", "chat/7", "no"),
    ("watcher", "delete", "chat/7", "no"),
    ("a key of nobody", "publish", "chat/7", "invalid"),
    ("a key of nobody", "subscribe", "public/news", "invalid"),
    ("sensor", "publish", "sensors/sensor-7/t", "yes"),
    ("sensor", "publish", "sensors/sensor-8/t", "no"),
    # no credentials
    ("nobody", "subscribe", "public/news", "yes"),
    ("nobody", "subscribe", "public/**", "yes"),
    ("nobody", "subscribe", "**", "lacks"),
    ("nobody", "subscribe", "chat/7", "lacks"),
    ("nobody", "history", "public/news", "yes"),
    ("nobody", "history", "public/other", "lacks"),
    ("nobody", "publish", "public/news", "lacks"),
    ("nobody", "delete", "public/news", "lacks"),
    # a token's own claim
    ("member", "publish", "chat/7", "yes"),
    ("member", "publish", "chat/8", "no"),
    ("member", "publish", "chat/7/x", "no"),
    ("member", "subscribe", "chat/7", "yes"),
    ("member", "subscribe", "chat/*", "no"),
    ("member", "history", "chat/7", "yes"),
    ("member", "history", "chat/8", "no"),
    ("member", "delete", "chat/7", "no"),
    ("member", "subscribe", "public/news", "no"),
    ("wide", "publish", "any/thing", "yes"),
    ("wide", "subscribe", "**", "yes"),
    ("wide", "subscribe", "$SYS/**", "no"),
    ("wide", "delete", "any/other", "yes"),
    ("no rights", "publish", "chat/7", "no"),
    ("no rights", "subscribe", "chat/7", "no"),
    # patterns: all of what is asked must be covered by one that is granted
    ("stars", "publish", "a/b/c", "yes"),
    ("stars", "publish", "a/b/d", "no"),
    ("stars", "publish", "a/b/b/c", "no"),
    ("stars", "subscribe", "a/b/c", "yes"),
    ("stars", "subscribe", "a/*/c", "yes"),
    ("stars", "subscribe", "a/*/*", "no"),
    ("stars", "subscribe", "a/**", "no"),
    ("stars", "subscribe", "b", "yes"),
    ("stars", "subscribe", "b/x/*", "yes"),
    ("stars", "subscribe", "b/**", "yes"),
    ("stars", "subscribe", "*", "yes"),
    ("stars", "subscribe", "*/**", "no"),
    ("stars", "subscribe", "**", "no"),
    ("stars", "history", "b/1", "yes"),
    ("stars", "history", "a/b/c", "no"),
    # the cap of the issuer's row
    ("no claim", "publish", "chat/7", "no"),
    ("no claim", "subscribe", "chat/7", "no"),
    ("claim of the bare", "publish", "chat/7", "yes"),
    ("capped", "publish", "chat/7", "yes"),
    ("capped", "publish", "news/1", "no"),
    ("capped", "subscribe", "news/*", "yes"),
    ("capped", "subscribe", "news/**", "no"),
    ("capped", "subscribe", "**", "no"),
    ("capped", "delete", "chat/9", "yes"),
    ("capped and small", "publish", "chat/7", "yes"),
    ("capped and small", "publish", "chat/8", "no"),
    # placeholders
    ("rows", "publish", "users/alice/out", "yes"),
    ("rows", "publish", "users/bob/out", "no"),
    ("rows", "publish", "users/{sub}/out", "no"),
    ("rows", "subscribe", "users/alice/**", "yes"),
    ("rows", "subscribe", "users/**", "no"),
    ("rows", "history", "teams/acme/x", "no"),
    ("rows of all", "publish", "users/bob/out", "no"),
    ("rows of all", "subscribe", "users/bob/in", "no"),
    ("rows of star", "subscribe", "users/*/**", "no"),
    ("rows of star", "publish", "users/bob/out", "no"),
    ("rows of hash", "subscribe", "users/bob/in", "no"),
    ("rows of plus", "subscribe", "users/bob/in", "no"),
    ("rows of slash", "publish", "users/bob/x/out", "no"),
    ("rows of nobody", "publish", "users/bob/out", "no"),
    ("rows of nobody", "subscribe", "users/**", "no"),
    ("claimed subject", "publish", "users/alice/out", "yes"),
    ("claimed subject", "publish", "users/bob/out", "no"),
    ("claimed star", "publish", "users/bob/out", "no"),
    # algorithms
    ("ps256", "publish", "chat/7", "yes"),
    ("rs256", "publish", "chat/7", "yes"),
    ("eddsa", "publish", "chat/7", "yes"),
    ("hs256", "publish", "chat/7", "yes"),
    ("ps256", "subscribe", "chat/7", "yes"),
    ("rs256", "history", "chat/7", "yes"),
    ("hs256", "publish", "chat/8", "no"),
    *((name, action, "chat/7", "invalid") for action in ("publish", "subscribe", "history")
      for name in ("rs256 where ps256 is due", "ps256 where rs256 is due",
                   "hs256 where es256 is due", "none", "None", "hs256 with the public key",
                   "hs256 with the public key of es256")),
    # times, audiences, issuers, keys, bytes
    *((name, "publish", "chat/7", "invalid")
      for name in ("expired", "not yet", "an end that is no number", "another audience",
                   "no audience", "another issuer", "no issuer", "unknown kid", "another's key",
                   "changed", "cut", "longer", "two dots", "critical", "a tenant that is none")),
    *((name, "subscribe", "public/news", "invalid")
      for name in ("expired", "not yet", "another audience", "another issuer", "unknown kid",
                   "changed")),
    ("expired within the leeway", "publish", "chat/7", "yes"),
    ("soon", "publish", "chat/7", "yes"),
    ("audiences", "publish", "chat/7", "yes"),
    # tenants
    ("acme", "publish", "chat/7", "yes"),
    ("acme", "subscribe", "**", "yes"),
    ("acme", "subscribe", "$SYS/**", "no"),
    ("of acme", "publish", "chat/7", "yes"),
    ("of acme", "history", "chat/7", "yes"),
]
TENANTS = {"acme": "acme", "of acme": "acme"}


def rows(table, tries):
    """(caller, try, text, word) of each row on each protocol that can do what it asks."""
    return [pytest.param(caller, action, name, text, word,
                         id=f"{caller}: {action} {text} by {name}: {word}")
            for caller, action, text, word in table
            for (does, name) in tries if does == action and can_say(name, text)]


def can_say(name, text):
    """A publish and a delete are of channels. To MQTT a topic of the broker's own is a wrong name,
    whoever says it."""
    if name.startswith("mqtt") and "qos" in name and text.startswith("$"):
        return False
    return "*" not in text or name not in ("post", "batch", "delete")


@pytest.mark.parametrize("caller, action, name, text, word", rows(TABLE, TRIES))
def test_who_may_do_what(trusting, caller, action, name, text, word):
    who = Who(caller, CALLERS[caller](), tenant=TENANTS.get(caller))
    assert TRIES[action, name](trusting, who, text) == expected(word, name)


CERTIFIED = [
    ("device-7", "Example CA", "publish", "devices/7/t", "yes"),
    ("device-7", "Example CA", "publish", "orders/7", "no"),
    ("device-7", "Example CA", "subscribe", "orders/**", "yes"),
    ("device-7", "Example CA", "subscribe", "public/news", "no"),
    ("person-7", "Example CA", "subscribe", "public/news", "yes"),  # no row: as without
    ("person-7", "Example CA", "publish", "devices/7/t", "lacks"),
]


@pytest.mark.parametrize("device, signer, action, name, text, word", [
    pytest.param(device, signer, action, name, text, word,
                 id=f"{device}: {action} {text} by {name}: {word}")
    for device, signer, action, text, word in CERTIFIED
    for (does, name) in TLS_TRIES if does == action and can_say(name, text)])
def test_who_may_do_what_with_a_certificate(encrypted, device, signer, action, name, text, word):
    pair = certificates.client_pair(device, signer)
    encrypted.context = certificates.client_context(pair)
    try:
        assert TLS_TRIES[action, name](encrypted, Who(device), text) == expected(word, name)
    finally:
        encrypted.context = certificates.client_context()


def test_a_token_beats_the_certificate_of_its_connection(encrypted):
    encrypted.context = certificates.client_context(certificates.client_pair("device-7"))
    try:
        who = Who("member", token(rights=ROOM))
        assert TRIES["publish", "post"](encrypted, who, "chat/7") == "yes"
        assert TRIES["publish", "post"](encrypted, who, "devices/7/t") == "no"
    finally:
        encrypted.context = certificates.client_context()


def test_a_certificate_of_another_authority_does_not_get_in(encrypted):
    context = certificates.client_context(certificates.client_pair("device-7", "Other CA"))
    with pytest.raises((ssl.SSLError, ConnectionError, Closed)):
        encrypted.request("GET", "/channels/public/news", context=context)
    assert encrypted.get("/channels/public/news").status == 200


def test_tenants_have_the_same_names_and_not_the_same_channels(trusting):
    """What one publishes no other reads, however it asks."""
    acme, backend = Who("acme", "key-of-acme"), Who("key", "key-of-backend")
    assert trusting.post("apart/1", b'"acme"', headers=acme.fields()).status == 200
    assert trusting.post("apart/1", b'"backend"', headers=backend.fields()).status == 200
    for who, seen in ((acme, "acme"), (backend, "backend")):
        for target in ("/channels/apart/1", "/channels/apart/*", "/channels/**"):
            page = trusting.get(target + "?limit=1000", who.fields()).json()
            here = [one["data"] for one in page["messages"] if one["channel"] == "apart/1"]
            assert here == [seen], (who.name, target, page)


@pytest.mark.parametrize("caller, rule", [
    ("member", "claim tidings.publish"), ("watcher", "auth.keys[1]"), ("capped", "auth.jwt[1]")])
def test_a_refusal_names_the_claim_or_the_row(trusting, caller, rule):
    answer = trusting.post("news/1", b"1", headers=Who(caller, CALLERS[caller]()).fields())
    assert answer.status == 403 and rule in answer.json()["detail"], answer


def test_bad_credentials_are_not_repeated_to_anyone(trusting):
    """Neither in the answer nor in the log."""
    secret = "sekrit-" + "x" * 20
    for target in ("/channels/chat/7", f"/channels/chat/7?access_token={secret}"):
        fields = {} if "?" in target else {"Authorization": "Bearer " + secret}
        answer = trusting.get(target, fields)
        assert answer.status == 401 and secret not in json.dumps(answer.headers) \
            and secret.encode() not in answer.body
    assert not [line for line in trusting.logged if secret in line]
