# SPDX-License-Identifier: Apache-2.0
"""tests/bench/compare: its scenarios, its arithmetic, and one small round of it."""
import io
import json
import os
import pathlib
import subprocess
import sys

import pytest

from harness.broker import find_binary

ROOT = pathlib.Path(__file__).resolve().parents[2]
BENCH = ROOT / "tests" / "bench"
sys.path.insert(0, str(BENCH))

import figures  # noqa: E402  (the path comes first)
import peers  # noqa: E402
import scenarios  # noqa: E402

SMALL = """
readers: 20
rate: 200
duration: 1s
compare:
  title: a small round
  servers: [limit, nobody]
  targets:
    - delivered >= 100%
    - server.cpu_per_delivery <= 1000 x limit
"""


def small(tmp_path, text=SMALL):
    path = tmp_path / "small.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", sorted(BENCH.glob("scenarios/*.yaml")), ids=lambda path: path.stem)
def test_a_scenario_is_right_for_bench_and_for_compare(path):
    scenario = scenarios.load(path)
    assert scenario.settings["name"] == path.stem
    assert {subject.server for subject in scenario.subjects()} <= {*peers.PEERS, "append"}
    done = subprocess.run([str(find_binary()), "bench", str(path), "--check"], check=False,
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text", ["compare: {targets: [fast]}", "compare: {targets: [p50 < 1s]}",
                                  "compare: {kind: odd}", "compare: {sevrers: [limit]}",
                                  "compare: {tls: true, config: 'public: {}'}"])
def test_what_compare_does_not_know_is_refused(tmp_path, text):
    with pytest.raises(ValueError):
        scenarios.load(small(tmp_path, text))


def test_a_target_is_held_against_a_server_or_another_scenario(tmp_path):
    scenario = scenarios.load(small(tmp_path, """
compare:
  targets:
    - p50 <= 150us, aim 100us
    - server.cpu_per_delivery <= 1.10 x fanout-100, aim 1.00 x limit
"""))
    absolute, relative = scenario.targets
    assert (absolute.least.number, absolute.aim.number) == (150e3, 100e3)
    assert relative.least.subject("small") == scenarios.Subject("tidings", "fanout-100")
    assert relative.aim.subject("small") == scenarios.Subject("limit", "small")
    assert scenario.subjects() == [scenarios.Subject("tidings", "small"),
                                   scenarios.Subject("tidings", "fanout-100"),
                                   scenarios.Subject("limit", "small")]


def test_scenarios_that_share_a_subject_are_measured_together():
    groups = scenarios.group(scenarios.find(["fanout-100", "latency", "fanout-100-mqtt"]))
    assert sorted(sorted(one.name for one in group) for group in groups) == \
        [["fanout-100", "fanout-100-mqtt"], ["latency"]]


def test_a_ratio_is_the_median_of_the_rounds_ratios(tmp_path):
    scenario = scenarios.load(small(tmp_path))
    broker, limit = scenario.subjects()[:2]
    found = figures.Figures()
    for mine, its in ((10, 5), (100, 100), (9, 3)):  # the second round was disturbed
        found.add(broker, {"server.cpu_per_delivery": mine, "delivered": 1})
        found.add(limit, {"server.cpu_per_delivery": its})
    assert found.ratio(broker, limit, "server.cpu_per_delivery") == 2
    assert found.median(broker, "server.cpu_per_delivery") == 10
    assert [row[-1] for row in figures.targets_of(found, [scenario])] == ["yes", "yes"]


def test_what_was_not_measured_is_not_reached(tmp_path):
    scenario = scenarios.load(small(tmp_path))
    found = figures.Figures()
    found.add(scenario.subjects()[0], {"delivered": 0.99, "server.cpu_per_delivery": None})
    found.add(scenario.subjects()[1], None)
    assert [row[-1] for row in figures.targets_of(found, [scenario])] == ["short", "not measured"]


@pytest.mark.parametrize("words, told", [
    (["nothing-like-it"], "no scenario nothing-like-it"),
    (["fanout-100", "--servers", "natz"], "natz is no server"),
    (["{small}"], "is no scenario")])
def test_what_cannot_be_measured_is_told_in_a_line(tmp_path, words, told):
    path = small(tmp_path, "just a text")
    done = subprocess.run([BENCH / "compare", *(word.format(small=path) for word in words)],
                          check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and told in done.stderr
    assert done.stderr.count("\n") == 1 and done.stdout == ""


@pytest.mark.parametrize("disturbed, cost, told", [
    ("limit", 10, "disturbed"), ("tidings", 30, "disturbed"), ("tidings", 10, "yes"),
    ("nobody", 30, "short")])
def test_no_verdict_is_what_others_may_have_made_it(tmp_path, disturbed, cost, told):
    scenario = scenarios.load(small(tmp_path, """
compare:
  targets:
    - server.cpu_per_delivery <= 2 x limit
    - server.rss_per_connection <= 1KiB
"""))
    found = figures.Figures()
    broker, limit = scenario.subjects()
    for others in (0.8, 0.8, 0.0):
        for subject, spent in ((broker, cost), (limit, 10)):
            found.add(subject, {"server.cpu_per_delivery": spent,
                                "server.rss_per_connection": 2048,
                                "others": others if subject.server == disturbed else 0.1})
    assert [row[-1] for row in figures.targets_of(found, [scenario])] == [told, "short"]


def test_one_round_tells_both_servers_and_leaves_nothing_behind(tmp_path):
    left = tmp_path / "left"
    left.mkdir()
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- figures -->\nold\n<!-- /figures -->\nafter\n", encoding="utf-8")
    build = find_binary().parent
    done = subprocess.run(
        [BENCH / "compare", small(tmp_path), "--rounds", "1", "--build", build,
         "--json", tmp_path / "figures.json", "--markdown", page],
        check=False, capture_output=True, text=True, timeout=170,
        env={**os.environ, "TMPDIR": str(left)})
    assert done.returncode == 0, done.stdout + done.stderr
    servers = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("small ")]
    assert servers == ["tidings", "limit"], done.stdout
    assert "nobody (small): is no server" in done.stdout
    rows = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert all(row["rounds"][0]["delivered"] == 1 for row in rows)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- figures -->\n- Machine:") and "old" not in text
    assert text.endswith("<!-- /figures -->\nafter\n") and "| `small` | tidings |" in text
    assert list(left.iterdir()) == []


@pytest.mark.parametrize("read, peer", [("connection", "nchan"), ("mqtt-qos0", "mosquitto")])
def test_a_scenario_of_tls_is_measured_beside_those_who_speak_it(tmp_path, read, peer):
    path = small(tmp_path, f"""
read: {read}
publish: none
readers: 20
duration: 100ms
drain: 0s
compare: {{kind: connect, tls: true, servers: [{peer}, redis]}}
""")
    done = subprocess.run(
        [BENCH / "compare", path, "--rounds", "1", "--build", find_binary().parent,
         "--json", tmp_path / "figures.json"], check=False, capture_output=True, text=True,
        timeout=80)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "redis (small): has no TLS here" in done.stdout
    rows = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert [row["server"] for row in rows] == ["tidings", peer]
    assert all(row["rounds"][0]["unconnected"] == 0 for row in rows), rows


def test_a_curve_has_a_bar_a_point():
    stream = io.StringIO()
    figures.write_curve("cost", [("10", 1000.0), ("100", 500.0), ("1000", None)], stream)
    assert stream.getvalue().count("█") == figures.BAR_COLUMNS * 3 // 2
