# SPDX-License-Identifier: Apache-2.0
"""What npm has and Debian has not: files of the packages that clients/javascript locks."""
import base64
import fcntl
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLIENT = ROOT / "clients" / "javascript"
# A network that says nothing costs no minutes.
FETCH_TIMEOUT_S = 120  # some 10 on a machine that has none of them
ASK_TIMEOUT_S = 45
ASKED_FOR = "standardwebhooks"  # of the lock file, and small
PATIENCE = {"npm_config_fetch_timeout": "20000", "npm_config_fetch_retries": "1",
            "npm_config_fetch_retry_mintimeout": "1000", "npm_config_update_notifier": "false"}
CANNOT = ROOT / "build-check" / "npm-has-no-registry"  # when that was found: who asks soon, is told
CANNOT_S = 900
# What `npm ci` says of a lock file that is wrong: that is our fault. Whatever else it says is its
# registry's, which may answer once and then no more, or by halves.
OURS = re.compile(r"\b(EUSAGE|EINTEGRITY|EJSONPARSE)\b")


VERIFY = """
import { Webhook } from "standardwebhooks";
import { readFileSync } from "node:fs";
const { secret, requests } = JSON.parse(readFileSync(0, "utf8"));
const webhook = new Webhook(secret);
console.log(JSON.stringify(requests.map(({ headers, body }) => {
    try {
        webhook.verify(Buffer.from(body, "base64"), headers, { jsonParse: false });
        return null;
    } catch (error) {
        return error.message;
    }
})));
"""


def npm(*words, timeout):
    """What it complained of; None: it did that."""
    try:
        done = subprocess.run(["npm", *words, "--loglevel", "error"], cwd=CLIENT,
                              env=os.environ | PATIENCE, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return f"it takes more than {timeout} s"
    return None if done.returncode == 0 else \
        done.stderr.decode("utf-8", "replace").strip() or f"exit {done.returncode}"


def has_registry():
    """Not `npm ping`, which a mirror may lack; and not what is remembered, which says nothing of
    now."""
    with tempfile.TemporaryDirectory(prefix="tidings-npm-") as cache:
        return npm("view", "--cache", cache, ASKED_FOR, "version", timeout=ASK_TIMEOUT_S) is None


def install():
    """From a registry, or what was fetched before. What it complained of; None: it is there."""
    ci = "ci", "--ignore-scripts", "--no-audit", "--no-fund"
    if not has_registry():
        return npm(*ci, "--offline", timeout=FETCH_TIMEOUT_S) and "no registry answers npm"
    said = npm(*ci, timeout=FETCH_TIMEOUT_S) and npm(*ci, timeout=FETCH_TIMEOUT_S)
    assert not said or not OURS.search(said), said
    return said and "npm's registry breaks off: " + said[-300:]


def fetch():
    """Where the packages cannot be had the test is skipped, and so is whoever asks soon: all that
    run beside each other collect the same tests."""
    if not CANNOT.exists() or time.time() - CANNOT.stat().st_mtime > CANNOT_S:
        said = install()
        if said is None:
            return
        shutil.rmtree(CLIENT / "node_modules", ignore_errors=True)  # what is there by halves
        CANNOT.parent.mkdir(exist_ok=True)
        CANNOT.write_text(said, encoding="utf-8")
    pytest.skip(CANNOT.read_text(encoding="utf-8"), allow_module_level=True)


def find(name):
    """A file below node_modules, which are installed first where it is not. Whoever asks
    meanwhile, in another process too, waits for that."""
    path = CLIENT / "node_modules" / name
    with open(CLIENT / "package-lock.json", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            fetch()
        return path


def read_json(name):
    return json.loads(find(name).read_text(encoding="utf-8"))


def verify_webhooks(secret, requests):
    """What the library of Standard Webhooks says of each request: None, or what is wrong."""
    find("standardwebhooks/package.json")
    given = {"secret": secret, "requests": [
        {"headers": request.headers, "body": base64.b64encode(request.body).decode()}
        for request in requests]}
    done = subprocess.run(["node", "--input-type=module", "-e", VERIFY], cwd=CLIENT, check=True,
                          input=json.dumps(given).encode(), capture_output=True)
    return json.loads(done.stdout)
