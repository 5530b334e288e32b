# SPDX-License-Identifier: Apache-2.0
"""Keys of issuers at a URL: by TLS, with the right answer, and from nowhere else; and how tokens
are held to them."""
import signal
import ssl

import pytest
from harness import certificates
from harness.broker import wait_for
from harness.tokens import ISSUER, Key, KeyServer, key_set, signed_with_public_key, unsigned

RIGHTS = {"history": ["chat/**"]}
CONFIG = """
auth:
  jwt:
    - {{ issuer: "{issuer}", audience: tidings, algorithms: [{algorithms}], jwks: "{jwks}"{more} }}
"""
ASYMMETRIC = ["RS256", "PS256", "ES256", "EdDSA"]


def config_of(jwks, algorithms="ES256", more=""):
    return CONFIG.format(issuer=ISSUER, jwks=jwks, algorithms=algorithms, more=more)


def read(broker, text):
    return broker.get("/channels/chat/1?since=earliest", {"Authorization": "Bearer " + text})


def detail_of(answer):
    assert answer.status == 401, answer
    assert 'error="invalid_token"' in answer.headers["www-authenticate"], answer
    return answer.json()["detail"]


@pytest.fixture(name="keys")
def start_key_server():
    with KeyServer(*[Key(algorithm, algorithm) for algorithm in ASYMMETRIC]) as server:
        yield server


def serve_tls(keys, pair):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(pair[0]), str(pair[1]))
    keys.server.socket = context.wrap_socket(keys.server.socket, server_side=True)
    keys.url = keys.url.replace("http://", "https://")


def test_each_algorithm_is_taken_by_its_key_at_the_url(start_broker, keys):
    broker = start_broker(config=config_of(keys.url, ", ".join(ASYMMETRIC)))
    for algorithm in ASYMMETRIC:
        assert read(broker, Key(algorithm, algorithm).token(rights=RIGHTS)).status == 200
    assert keys.requests <= 2


def test_an_algorithm_that_the_row_has_not_is_refused_though_its_key_is_there(start_broker, keys):
    broker = start_broker(config=config_of(keys.url))
    text = Key("RS256", "RS256").token(rights=RIGHTS)
    assert detail_of(read(broker, text)) == "header alg: auth.jwt[0].algorithms has no RS256"
    forged = signed_with_public_key(Key("RS256", "RS256"), rights=RIGHTS)
    assert detail_of(read(broker, forged)) == "header alg: auth.jwt[0].algorithms has no HS256"
    assert "without a signature" in detail_of(read(broker, unsigned(rights=RIGHTS)[:-1] + ".AA"))


def test_a_public_secret_is_taken_from_no_url(start_broker, keys):
    keys.keys.append(Key("HS256", "secret"))
    broker = start_broker(config=config_of(keys.url))
    assert "could not be fetched" in detail_of(read(broker, Key("ES256", "ES256").token()))
    broker.stop()
    assert any("JWKS_FAILED" in line and "public set" in line for line in broker.logged)


def test_a_key_set_by_tls_is_believed_by_the_authority_of_the_row(start_broker, keys):
    serve_tls(keys, certificates.server_pair())
    path = certificates.authority().certificate
    broker = start_broker(config=config_of(keys.url, more=f', ca: "{path}"'))
    assert read(broker, Key("ES256", "ES256").token(rights=RIGHTS)).status == 200


def test_a_certificate_that_nobody_knows_is_not_believed(start_broker, keys):
    serve_tls(keys, certificates.server_pair())
    broker = start_broker(config=config_of(keys.url))
    assert "could not be fetched" in detail_of(read(broker, Key("ES256", "ES256").token()))
    broker.stop()
    assert any("JWKS_FAILED" in line and "certificate" in line for line in broker.logged)


def test_what_was_fetched_is_counted(start_broker, keys):
    broker = start_broker(config=config_of(keys.url))
    assert read(broker, Key("ES256", "ES256").token(rights=RIGHTS)).status == 200
    assert broker.metric('tidings_jwks_fetches_total{result="ok"}') >= 1
    assert broker.metric("tidings_jwks_oldest_time_seconds") > 1700000000
    assert broker.metric('tidings_authentications_total{credentials="token",result="ok"}') == 1


def test_a_file_of_keys_is_read_again_at_a_reload(start_broker, tmp_path):
    path = tmp_path / "keys.json"
    old, new = Key("ES256", "old"), Key("ES256", "new")
    path.write_text(key_set(old), encoding="ascii")
    broker = start_broker(config=config_of(path))
    assert read(broker, old.token(rights=RIGHTS)).status == 200
    assert "no key `new`" in detail_of(read(broker, new.token(rights=RIGHTS)))
    path.write_text(key_set(new), encoding="ascii")
    broker.signal(signal.SIGHUP)
    assert wait_for(lambda: read(broker, new.token(rights=RIGHTS)).status == 200)
    assert read(broker, old.token(rights=RIGHTS)).status == 401
