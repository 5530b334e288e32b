# SPDX-License-Identifier: Apache-2.0
"""`tidings key`, `tidings token` and `tidings explain`: what they make is what the broker takes,
and what they say is what it does."""
import hashlib
import json
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from harness import http
from harness.broker import find_binary

OK, FAILED, USAGE, REFUSED = 0, 1, 2, 3
SECRET = "base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
KINDS = {"RS256": lambda: rsa.generate_private_key(65537, 2048),
         "PS256": lambda: rsa.generate_private_key(65537, 2048),
         "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
         "EdDSA": ed25519.Ed25519PrivateKey.generate}


def tidings(*words):
    return subprocess.run([str(find_binary()), *words], capture_output=True, text=True, timeout=60,
                          check=False)


def printed(*words):
    done = tidings(*words)
    assert done.returncode == OK and done.stderr == "", done
    return done.stdout


def explain(broker, *words):
    done = tidings("explain", "--operator", broker.operator, *words)
    assert done.returncode in (OK, REFUSED), done
    assert done.stdout.startswith("allowed" if done.returncode == OK else "refused"), done
    return done.returncode, done.stdout


def write_pair(folder, kind):
    """The paths of a private and a public key."""
    private = KINDS[kind]()
    paths = folder / f"{kind}.pem", folder / f"{kind}.pub"
    paths[0].write_bytes(private.private_bytes(serialization.Encoding.PEM,
                                               serialization.PrivateFormat.PKCS8,
                                               serialization.NoEncryption()))
    paths[1].write_bytes(private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    return [str(path) for path in paths]


def test_the_row_of_a_key_lets_it_in_and_nothing_else(start_broker):
    key, *row = printed("key", "--name", "back \"end\"", "--publish", "a/**", "--publish", "b,c",
                        "--subscribe", "u/{sub}").splitlines()
    assert key.startswith("tdk_") and len(key) == 47
    assert hashlib.sha256(key.encode()).hexdigest() in row[1]
    assert printed("key").splitlines()[0] != key
    rows = "\n".join("    " + line for line in row)
    broker = start_broker(config=f"auth:\n  keys:\n{rows}\n")
    bearer = {"Authorization": f"Bearer {key}"}
    assert broker.post("a/1", b"1", headers=bearer).status == 200
    assert broker.post("c", b"1", headers=bearer).status == 403
    assert broker.post("a/1", b"1").status == 401
    assert explain(broker, "--key", key, "--publish", "b,c") == (
        OK, "allowed  publish of `b,c` is allowed by `b,c` of auth.keys[0].publish (line 3)\n"
            "who      key back \"end\"\n")
    status, said = explain(broker, "--key", key, "--delete", "a/1")
    assert status == REFUSED and "auth.keys[0].delete (line 3) allows nothing" in said
    status, said = explain(broker, "--key", key + "x", "--publish", "a/1")
    assert status == REFUSED and "is none of auth.keys" in said
    for line in broker.logged:
        assert key not in line


def test_tokens_of_each_algorithm_are_taken(start_broker, tmp_path):
    pairs = {kind: write_pair(tmp_path, kind) for kind in KINDS}
    rows = "".join(f"    - {{issuer: {kind}, key: '{pair[1]}', algorithms: [{kind}],\n"
                   "       publish: ['chat/**']}\n" for kind, pair in pairs.items())
    broker = start_broker(config=f"auth:\n  jwt:\n{rows}    - {{issuer: HS256, key: '{SECRET}'}}\n")
    for kind, (private, _) in pairs.items():
        token = printed("token", "--sub", "alice", "--issuer", kind, "--alg", kind, "--key",
                        private, "--publish", "**").strip()
        status, said = explain(broker, "--token", token, "--publish", "chat/7")
        assert status == OK and "`**` of claim tidings.publish" in said, said
        status, said = explain(broker, "--token", token, "--publish", "news")
        assert status == REFUSED and "auth.jwt[" in said and "(line " in said, said
        bearer = {"Authorization": f"Bearer {token}"}
        assert broker.post("chat/7", b"1", headers=bearer).status == 200
        assert broker.post("news", b"1", headers=bearer).status == 403
    token = printed("token", "--issuer", "HS256", "--key", SECRET, "--subscribe", "t/**").strip()
    assert explain(broker, "--token", token, "--subscribe", "t/*/**")[0] == OK
    assert explain(broker, "--token", token, "--subscribe", "**")[0] == REFUSED
    assert explain(broker, "--token", token, "--history", "t/1")[0] == REFUSED
    for line in broker.logged:
        assert token not in line and SECRET not in line


def test_a_bad_token_is_explained_by_its_claim(start_broker, tmp_path):
    private, public = write_pair(tmp_path, "ES256")
    broker = start_broker(config="auth: {jwt: [{issuer: a, audience: b, algorithms: [ES256],\n"
                                 f"  key: '{public}'}}], anonymous: {{subscribe: [x]}}}}\n")
    cases = [(("--issuer", "z", "--audience", "b"), "iss"),
             (("--issuer", "a", "--audience", "z"), "aud"), (("--issuer", "a"), "aud")]
    for words, claim in cases:
        token = printed("token", "--key", private, "--publish", "x", *words).strip()
        status, said = explain(broker, "--token", token, "--publish", "x")
        assert status == REFUSED and claim in said, said
    other, _ = write_pair(tmp_path, "RS256")
    token = printed("token", "--key", other, "--issuer", "a", "--audience", "b").strip()
    status, said = explain(broker, "--token", token, "--publish", "x")
    assert status == REFUSED and "RS256" in said
    assert explain(broker, "--subscribe", "x")[0] == OK
    status, said = explain(broker, "--publish", "x")
    assert status == REFUSED and "auth.anonymous.publish" in said


def test_an_open_broker_says_that_it_is_open_but_for_its_own_channels(broker):
    status, said = explain(broker, "--publish", "x")
    assert status == OK and "no credentials are configured" in said
    status, said = explain(broker, "--publish", "$SYS/x")
    assert status == REFUSED and "begin with $" in said
    assert broker.post("%24SYS/x", b"1").status == 403


def test_the_rate_of_a_channel_is_told(start_broker):
    broker = start_broker(config="channels: [ { match: 'slow/*', publish_rate: 3/s } ]\n")
    assert "the channel takes 3 messages a second" in explain(broker, "--publish", "slow/a")[1]
    assert "takes" not in explain(broker, "--publish", "fast")[1]
    assert "takes" not in explain(broker, "--subscribe", "slow/a")[1]


def test_a_certificate_is_explained_by_its_subject(start_broker):
    broker = start_broker(config="auth: {certificates: [{subject: 'CN=d-*,O=E', name: '{cn}',\n"
                                 "  publish: ['d/{sub}']}]}\n")
    assert explain(broker, "--certificate", "CN=d-7,O=E", "--publish", "d/d-7")[0] == OK
    status, said = explain(broker, "--certificate", "CN=d-7,O=E", "--publish", "d/d-8")
    assert status == REFUSED and "certificate d-7" in said
    assert explain(broker, "--certificate", "CN=d-7,O=E,O=E", "--publish", "d/d-7")[0] == REFUSED


def test_a_revoked_token_is_explained(start_broker):
    broker = start_broker(config=f"auth: {{jwt: [{{key: '{SECRET}'}}]}}\n")
    token = printed("token", "--sub", "alice", "--jti", "one", "--key", SECRET, "--publish",
                    "x").strip()
    assert explain(broker, "--token", token, "--publish", "x")[0] == OK
    answer = http.request(broker.operator, "POST", "/api/v1/revoke",
                          {"Content-Type": "application/json"}, b'{"jti":"one"}')
    assert answer.status == 200
    status, said = explain(broker, "--token", token, "--publish", "x")
    assert status == REFUSED and "revoked" in said


@pytest.mark.parametrize("body, status, words", [
    (b"{", 400, "byte 1"),
    (b'{"publish":1}', 422, "string"),
    (b'{"token":"a"}', 422, "what is to be done"),
    (b'{"publish":"a","subscribe":"b"}', 422, "one question"),
    (b'{"publish":"a/*"}', 400, "*"),
    (b'{"subscribe":"a*"}', 400, "whole segments"),
    (b'{"who":"a"}', 422, "`token`, `key` or `certificate`"),
])
def test_a_question_that_is_none_is_refused(broker, body, status, words):
    answer = http.request(broker.operator, "POST", "/api/v1/explain",
                          {"Content-Type": "application/json"}, body)
    assert answer.status == status and words in answer.json()["detail"], answer


def test_the_command_line_is_looked_at_first(tmp_path):
    short = tmp_path / "short"
    short.write_text("secret")
    ec_key, _ = write_pair(tmp_path, "ES256")
    cases = [(("explain",), USAGE), (("explain", "--publish", "a", "--delete", "a"), USAGE),
             (("explain", "--token", "a", "--key", "b", "--publish", "c"), USAGE),
             (("token",), USAGE), (("token", "--key", ec_key, "--ttl", "1"), USAGE),
             (("token", "--key", ec_key, "--ttl", "99999999d"), USAGE),
             (("token", "--key", ec_key, "--alg", "none"), USAGE),
             (("drain", "--over", "abc"), USAGE), (("drain", "--over", "20"), USAGE),
             (("token", "--key", ec_key, "--alg", "HS256"), FAILED),
             (("token", "--key", ec_key, "--alg", "RS256"), FAILED),
             (("token", "--key", str(short)), FAILED), (("token", "--key", "base64:A"), FAILED),
             (("token", "--key", "/nowhere"), FAILED),
             (("explain", "--operator", "http://127.0.0.1:1", "--publish", "a"), FAILED)]
    for words, status in cases:
        done = tidings(*words)
        assert done.returncode == status and done.stderr and not done.stdout, (words, done)
        assert "secret" not in done.stderr.replace("a secret", "")
    for command in ("key", "token", "explain"):
        assert printed(command, "--help").startswith(f"Usage: tidings {command}")


@pytest.mark.parametrize("command", [("key",), ("token", "--key", SECRET)], ids=["key", "token"])
def test_rights_that_the_broker_refuses_are_not_given(command):
    done = tidings(*command, "--tenant", "A/B", "--publish", "a/**/b", "--publish", "good",
                   "--delete", "a+")
    assert done.returncode == USAGE and not done.stdout, done
    lines = done.stderr.splitlines()
    assert [line.split(": ")[1] for line in lines] == ["--tenant A/B", "--publish a/**/b",
                                                       "--delete a+"], lines
    assert "last segment" in lines[1]


def test_no_secret_is_shown_by_the_configuration(start_broker):
    key = printed("key", "--name", "a").splitlines()
    broker = start_broker(config="auth:\n  keys:\n" +
                          "".join(f"    {line}\n" for line in key[1:]) +
                          f"  jwt: [{{key: '{SECRET}'}}]\n"
                          "  webhook: {url: 'http://127.0.0.1:1/', secret: hunter2}\n")
    shown = http.request(broker.operator, "GET", "/api/v1/configuration")
    text = shown.body.decode()
    assert SECRET not in text and "hunter2" not in text and "sha256:" not in text
    assert shown.json()["auth.keys"][0]["hash"] == "set"
    assert shown.json()["auth.jwt"][0]["key"] == "set"
    rows = {row["key"]: row["value"] for row in shown.json()["keys"]}
    assert rows["auth.webhook.secret"] == "set" and rows["auth.anonymous.publish"] is None
    checked = http.request(broker.operator, "POST", "/api/v1/configuration/check", {},
                           f"auth: {{keys: [{{name: a, hash: '{key[0]}'}}]}}".encode())
    assert checked.status == 422 and key[0] not in json.dumps(checked.json())
