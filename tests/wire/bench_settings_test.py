# SPDX-License-Identifier: Apache-2.0
"""`tidings bench`: its flags and scenario files. Nothing here is connected to."""
import os
import pathlib
import subprocess

import pytest

from harness.broker import find_binary

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/reference/bench.md"


def bench(*words, **environment):
    return subprocess.run([str(find_binary()), "bench", *words], capture_output=True, text=True,
                          check=False, timeout=30, stdin=subprocess.DEVNULL,
                          env={**os.environ, **environment})


def check(*words, **environment):
    return bench("--check", *words, **environment)


@pytest.fixture(name="scenario")
def write_scenario(tmp_path):
    def write(text):
        path = tmp_path / "scenario.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)
    return write


def test_every_fault_is_told_at_once_with_its_line(scenario):
    path = scenario("name: bad\nreders: 5\nrate: fast\nreaders: 0\nread: pigeon\nprofile: ramp\n"
                    "assert:\n  - p99 < 30ms\n  - p99 is fine\n  - server.rss_max < 1MiB\n")
    done = check(path, "--payload-bytes", "1", "--nonsense=1")
    assert done.returncode == 2
    told = done.stderr.splitlines()
    for place in (f"{path}:2: reders is no key; the nearest is `readers`", f"{path}:3: rate",
                  f"{path}:4: readers", f"{path}:5: read", f"{path}:9: assert",
                  f"{path}:10: assert", "tidings bench: --payload-bytes",
                  "tidings bench: --nonsense", "tidings bench: --rate-to"):
        assert any(line.startswith(place) for line in told), (place, told)
    assert told[-1].startswith("tidings bench: 9 faults")
    assert done.stdout == ""


def test_flags_win_over_the_scenario(scenario):
    path = scenario("readers: 0\n")
    assert check(path).returncode == 2
    path = scenario("profile: ramp\nrate_to: 10\n")
    assert check(path).returncode == 0
    assert check(path, "--profile", "constant", "--rate-to=0").returncode == 0
    assert check("--profile", "constant", path).returncode == 2
    assert f"{path}:2: rate_to" in check("--profile", "constant", path).stderr


def test_the_environment_may_say_where_the_server_is():
    assert check(TIDINGS_URL="nonsense").returncode == 2
    assert check("--url", "http://localhost", TIDINGS_URL="nonsense").returncode == 0


def test_help_tells_every_flag_protocol_and_measure():
    done = bench("--help", "--nonsense")
    assert done.returncode == 0
    for word in ("--payload-bytes N", "--assert", "websocket", "mqtt-qos1", "p99", "lost", "Exit:"):
        assert word in done.stdout, word
    assert max(len(line) for line in done.stdout.splitlines()) <= 110


def test_a_fault_of_a_url_is_told_once():
    for url, word in (("rediss://localhost", "http://, https://, mqtt://, mqtts://, nats"),
                      ("localhost:8080", "http://, https://, mqtt://"),
                      ("nats://localhost", "--url is for neither publish rest nor read websocket")):
        done = check("--url", url)
        assert done.returncode == 2
        told = done.stderr.splitlines()
        assert len(told) == 2 and word in told[0], told


def test_the_value_of_a_misspelt_flag_is_no_scenario():
    told = check("--reders", "3").stderr.splitlines()
    assert told[0] == "tidings bench: --reders is no flag; the nearest is --readers"
    assert told[1].startswith("tidings bench: 1 fault;"), told
    told = check("--payload_bytes", "--quiet").stderr.splitlines()
    assert told[0].endswith("the nearest is --payload-bytes") and len(told) == 2, told


def test_a_file_that_is_not_there_has_no_lines(tmp_path):
    path = tmp_path / "none.yaml"
    told = check(str(path)).stderr.splitlines()
    assert told[0] == f"{path}: cannot be read: No such file or directory"


def test_a_file_that_is_no_scenario_is_refused(scenario, tmp_path):
    for path in (scenario("- a\n"), scenario("a: [\n"), str(tmp_path), str(tmp_path / "none.yaml")):
        done = check(path)
        assert done.returncode == 2 and path in done.stderr


def test_the_reference_page_is_what_the_tables_say():
    done = bench("--reference")
    assert done.returncode == 0
    assert PAGE.read_text(encoding="utf-8") == done.stdout, \
        "tidings bench --reference > docs/reference/bench.md"
