# SPDX-License-Identifier: Apache-2.0
"""Who may use the operator's port: everyone on loopback, until a key says otherwise."""
import base64
import json
import os
import pathlib
import pwd
import signal
import subprocess
import tempfile

import pytest

from harness import http
from harness.broker import find_binary, wait_for
from harness.tokens import hash_of

KEY, OTHER = "operator-key-of-this-test", "key-of-a-back-end"
CONFIG = f"""
auth:
  keys:
    - {{name: admin, hash: "{hash_of(KEY)}", operator: true}}
    - {{name: backend, hash: "{hash_of(OTHER)}", publish: ["**"], subscribe: ["**"]}}
  anonymous: {{publish: ["**"], subscribe: ["**"], history: ["**"]}}
"""
PATHS = ["/metrics", "/api/v1/status", "/api/v1/connections", "/channels/a", "/console/", "/none"]


def basic(user, password):
    text = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": "Basic " + text}


def ask(broker, path, headers=None, method="GET"):
    return http.request(broker.operator, method, path, headers or {})


@pytest.fixture(name="broker")
def start_with_keys(start_broker):
    return start_broker(config=CONFIG)


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_told_without_the_key(broker, path):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic !!!"},
                    {"Authorization": "Digest x"}, basic("admin", "wrong")):
        answer = ask(broker, path, headers)
        assert answer.status == 401, (path, headers, answer)
        assert "Bearer" in answer.headers["www-authenticate"]
        assert "Basic" in answer.headers["www-authenticate"]
        assert answer.json()["type"] == "/problems/unauthorized"
    answer = ask(broker, path, {"Authorization": "Bearer " + OTHER})
    assert answer.status == 403, answer


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer " + KEY},
                                     {"Authorization": "bearer  " + KEY},
                                     basic("anybody", KEY), basic("", KEY)])
def test_the_key_opens_the_port(broker, headers):
    for path in PATHS[:3]:
        assert ask(broker, path, headers).status == 200
    assert ask(broker, "/api/v1/drain?over=1s", headers, "POST").status == 202
    assert ask(broker, "/api/v1/drain", headers, "DELETE").status in (200, 204)


def test_probes_need_no_key(broker):
    assert ask(broker, "/healthz").status == 200
    assert ask(broker, "/readyz").status == 200


def test_who_guesses_the_key_is_told_to_wait_and_leaves_a_trace(start_broker):
    broker = start_broker(
        config=CONFIG + "limits: {loopback: true, login_failures_per_address: 1/s}\n")
    right = {"Authorization": "Bearer " + KEY}
    for headers in ({"Authorization": "Bearer wrong"}, basic("admin", "wrong")):
        answer = ask(broker, "/metrics", headers)
        while answer.status == 401:
            answer = ask(broker, "/metrics", headers)
        assert answer.status == 429 and int(answer.headers["retry-after"]) >= 1
    assert ask(broker, "/healthz").status == 200
    assert ask(broker, "/metrics").status == 401, "who sends no key guesses none"
    wait_for(lambda: ask(broker, "/api/v1/status", right).status == 200, what="the wait's end")
    figures = ask(broker, "/metrics", right).body.decode().splitlines()
    for series in ('tidings_limits_refused_total{limit="login_failures_per_address",'
                   'protocol="other"}',
                   'tidings_authentications_total{credentials="key",result="unauthorized"}'):
        line, = (line for line in figures if line.startswith(series))
        assert float(line.split()[-1]) >= 2, line
    refused = broker.wait_logged("AUTH_REFUSED")[0]
    assert refused["protocol"] == "operator" and refused["credentials"] == "key", refused
    limit = broker.wait_logged("LIMIT_REACHED")[0]
    assert limit["limit"] == "limits.login_failures_per_address", limit
    assert limit["protocol"] == "operator", limit


def test_a_password_of_a_browser_does_not_serve_another_page(broker):
    headers = {**basic("x", KEY), "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert ask(broker, "/api/v1/drain?over=1s", headers, "POST").status == 403


def test_a_key_is_taken_back_by_its_row_and_by_no_revocation(start_broker, tmp_path):
    """A revocation ends with the tokens that it is of; a key would come back with that end."""
    rows = {name: f'    - {{name: {name}, hash: "{hash_of(key)}", operator: true}}\n'
            for name, key in (("admin", KEY), ("prometheus", OTHER))}
    config = tmp_path / "own.yaml"
    config.write_text("auth:\n  keys:\n" + "".join(rows.values()), encoding="ascii")
    broker = start_broker("--config", str(config))
    headers = {name: {"Authorization": "Bearer " + key}
               for name, key in (("admin", KEY), ("prometheus", OTHER))}
    body = {**headers["admin"], "Content-Type": "application/json"}
    assert http.request(broker.operator, "POST", "/api/v1/revoke", body,
                        json.dumps({"sub": "admin"}).encode()).status == 200
    assert ask(broker, "/metrics", headers["admin"]).status == 200
    config.write_text("auth:\n  keys:\n" + rows["prometheus"], encoding="ascii")
    broker.signal(signal.SIGHUP)
    wait_for(lambda: ask(broker, "/metrics", headers["admin"]).status == 401, what="the refusal")
    assert ask(broker, "/metrics", headers["prometheus"]).status == 200


def test_our_own_command_sends_the_key(broker):
    command = [str(find_binary()), "drain", "--operator", broker.operator, "--undo"]
    assert subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 1
    assert subprocess.run(command + ["--key", KEY], capture_output=True, timeout=30,
                          check=False).returncode == 0
    assert subprocess.run(command, capture_output=True, timeout=30, check=False,
                          env={**os.environ, "TIDINGS_OPERATOR_KEY": KEY}).returncode == 0


def test_without_such_a_key_loopback_is_enough(start_broker):
    broker = start_broker()
    assert ask(broker, "/metrics").status == 200
    assert ask(broker, "/metrics", {"Authorization": "Bearer any"}).status == 200


# --- root ---


@pytest.fixture(name="folder")
def make_folder():
    """One that everybody may enter."""
    with tempfile.TemporaryDirectory(prefix="tidings-test-") as name:
        os.chmod(name, 0o755)
        yield pathlib.Path(name)


def status_of(broker):
    lines = pathlib.Path(f"/proc/{broker.process.pid}/status").read_text(encoding="ascii")
    return dict(line.split(":\t", 1) for line in lines.splitlines() if ":\t" in line)


def test_no_program_gets_more_rights(start_broker):
    assert status_of(start_broker())["NoNewPrivs"] == "1"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_goes_on_as_the_account_that_is_named(start_broker, folder):
    broker = start_broker(data=folder / "held", config="user: nobody\n")
    account = pwd.getpwnam("nobody")
    for task in pathlib.Path(f"/proc/{broker.process.pid}/task").iterdir():
        lines = (task / "status").read_text(encoding="ascii")
        assert f"Uid:\t{account.pw_uid}\t{account.pw_uid}\t{account.pw_uid}" in lines
        assert "CapEff:\t0000000000000000" in lines
    assert broker.publish("a", 1)["offset"] == 1
    broker.fill("a", 100)
    assert not broker.log_lines("RUNS_AS_ROOT")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_account_that_does_not_exist_is_refused(tmp_path):
    done = subprocess.run([str(find_binary()), "serve", "--data", str(tmp_path / "d"), "--listen",
                           "127.0.0.1:0", "--operator", "127.0.0.1:0", "--mqtt", "off"],
                          capture_output=True, timeout=30, check=False,
                          env={**os.environ, "TIDINGS_USER": "no-such-account"})
    assert done.returncode == 1 and b"no account of this system" in done.stderr
