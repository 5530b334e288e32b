# SPDX-License-Identifier: Apache-2.0
"""Who is run once more, and who counts: on what pytest itself leaves, Node's runner, and Meson."""
import json
import pathlib
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BREAKS = "def test_{0}(): assert not {1!r}\n"
PASSES = "def test_{0}(): pass\n"
# A broker that ends by itself, of which its test knows no more than that nobody is there.
DIES = f"""
import os, sys
sys.path.insert(0, {str(HERE)!r})
os.environ["TIDINGS_BINARY"] = "/bin/false"
from harness.broker import Broker
def test_that_knows_little():
    broker = Broker().spawn()
    try:
        os.waitid(os.P_PID, broker.process.pid, os.WEXITED | os.WNOWAIT)
        assert not "connection refused"
    finally:
        broker.close()
"""


@pytest.fixture(name="leave")
def run_a_suite(tmp_path):
    """leave(name, text, *arguments): the results of tests/wire/some_test.py with this text."""
    def leave(name, text, *arguments):
        suite = tmp_path / "tests" / "wire" / "some_test.py"
        suite.parent.mkdir(parents=True, exist_ok=True)
        suite.write_text("import pytest\n" + text, encoding="utf-8")
        (tmp_path / "tests" / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        found = tmp_path / name
        subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c",
                        "tests/pytest.ini", f"--junitxml={found}", *arguments, "tests/wire"],
                       cwd=tmp_path, capture_output=True, check=False)
        return found
    return leave


def ask(verb, *files):
    return subprocess.run([sys.executable, HERE / "results.py", verb, *files], check=True,
                          text=True, capture_output=True).stdout.splitlines()


def ask_again(file):
    return ask("again", file)


def leave_meson(path, *tests):
    """(name, result, what cmocka said of its claims, what else there was) of each. As Meson has it,
    a signal is a failure, and only its number tells."""
    path.write_text("".join(json.dumps({
        "name": f"tidings:unit / {name}", "stdout": claims, "stderr": said,
        "result": "FAIL" if result == "SIGNAL" else result,
        "returncode": {"OK": 0, "SKIP": 77, "SIGNAL": -6, "ERROR": 99}.get(result, 1)}) + "\n"
        for name, result, claims, said in tests), encoding="utf-8")
    return path


def test_what_a_test_would_have_said_is_no_word_of_its_failure(leave):
    text = ("def test_a():\n    assert True, 'it is lost, and the broker ended with 1'\n"
            "    assert [] == [1]\n")
    assert ask_again(leave("first.xml", text)) == ["tests/wire/some_test.py::test_a"]


def test_what_failed_is_named_as_pytest_takes_it(leave):
    text = ('@pytest.mark.xdist_group("browser")\n'
            '@pytest.mark.parametrize("what", ["a/b", "x] @y"])\n'
            'def test_each(what): assert what == "a/b"\n'
            '@pytest.mark.xdist_group("browser")\n' + BREAKS.format("plain", 1) +
            PASSES.format("right"))
    expected = ["tests/wire/some_test.py::test_each[x] @y]", "tests/wire/some_test.py::test_plain"]
    assert ask_again(leave("first.xml", text, "-n", "2", "--dist", "loadgroup")) == expected


@pytest.mark.parametrize("text", [
    "".join(BREAKS.format(number, 1) for number in range(4)),
    BREAKS.format("memory", "ERROR: AddressSanitizer: heap-use-after-free"),
    BREAKS.format("race", "WARNING: ThreadSanitizer: data race"),
    BREAKS.format("steady", 1) + DIES,
    "def test_kept(): assert [], 'offset 7 was answered and is lost'\n",
    '@pytest.fixture(name="end")\ndef judge():\n    yield\n    assert False\n'
    "def test_with_an_end(end): assert False\n",
    "this is no Python\n",
    PASSES.format("right"),
], ids=["many", "memory", "race", "an end", "a loss", "a fixture", "no tests", "none"])
def test_nobody_else_is_asked_twice(leave, text):
    assert not ask_again(leave("first.xml", text))


def test_a_run_that_broke_off_is_not_asked_twice_and_has_failed(tmp_path):
    half = tmp_path / "half.xml"
    for text in (None, "", "<testsuites><testsuite>", '{"name": "tid'):
        if text is not None:
            half.write_text(text, encoding="utf-8")
        assert not ask_again(half)
        assert ask("count", half) == ["0 1 0", "failed: the runner of half.xml came to no end"]


def test_who_passes_alone_is_not_steady_and_who_fails_again_has_failed(leave):
    first = leave("first.xml", BREAKS.format("a", 1) + BREAKS.format("b", 1) + PASSES.format("c") +
                  "def test_d(): pytest.skip('not here')\n")
    again = leave("again.xml", PASSES.format("a") + BREAKS.format("b", 1))
    names = [f"tests/wire/some_test.py::test_{letter}" for letter in "ab"]
    failed = [f"failed: {name}" for name in names]
    assert ask("count", first, again) == ["2 1 1", f"unsteady: {names[0]}", failed[1]]
    assert ask("count", first, first) == ["1 2 1", *failed]
    assert ask("count", first) == ["1 2 1", *failed]
    skips = leave("skips.xml", "def test_a(): pytest.skip('no registry')\n" + PASSES.format("b"))
    assert ask("count", first, skips) == ["2 0 2", *(f"unsteady: {name}" for name in names)]
    assert ask("count", first, first.parent / "none.xml") == ["1 2 1", *failed]


def test_who_may_not_be_excused_has_failed_whatever_came_of_it_alone(leave):
    first = leave("first.xml", BREAKS.format("memory", "ERROR: AddressSanitizer: heap-use"))
    again = leave("again.xml", PASSES.format("memory"))
    assert ask("count", first, again) == ["0 1 0", "failed: tests/wire/some_test.py::test_memory"]


def test_a_hundredth_part_of_many_is_few(leave):
    text = ("@pytest.mark.parametrize('number', range(400))\n"
            "def test_one(number): assert number % {}\n")
    assert len(ask_again(leave("four.xml", text.format(100)))) == 4
    assert not ask_again(leave("five.xml", text.format(80)))


FAILED = "[  FAILED  ] b\n[  FAILED  ] b\n"
FAILURE = "[  ERROR   ] --- 0x1 != 0x2\n[   LINE   ] --- ../tests/b_test.c:7: error: Failure!\n"
PASSED = "[       OK ] a\n[       OK ] b\n"


def test_claims_of_a_program_are_counted_as_it_passed_alone(tmp_path):
    first = leave_meson(tmp_path / "first.json", ("wheel", "OK", PASSED, ""),
                        ("store of rows", "FAIL", "[       OK ] a\n" + FAILED, FAILURE),
                        ("kafka", "SKIP", "", ""))
    again = leave_meson(tmp_path / "again.json", ("store of rows", "OK", PASSED, ""))
    assert ask_again(first) == ["store of rows"]
    assert ask("count", first) == ["3 1 1", "failed: store of rows"]
    assert ask("count", first, again) == ["4 0 1", "unsteady: store of rows"]


LEAK = ("==7==ERROR: LeakSanitizer: detected memory leaks\n\nDirect leak of 9 byte(s) in 1 object\n"
        "SUMMARY: AddressSanitizer: 9 byte(s) leaked in 1 allocation(s).\n")
USE = "==7==ERROR: AddressSanitizer: heap-use-after-free\n"
RACE = "WARNING: ThreadSanitizer: data race (pid=7)\n"
CAUGHT = "[  ERROR   ] --- Test failed with exception: Segmentation fault(11)\n"


@pytest.mark.parametrize("result, said", [
    ("ERROR", LEAK), ("ERROR", USE), ("SIGNAL", RACE), ("TIMEOUT", "[ RUN      ] c\n"),
    ("FAIL", CAUGHT),
], ids=["a leak", "memory", "a race and a signal", "a hang", "a caught signal"])
def test_what_a_claim_that_failed_left_to_others_is_no_word_of_theirs(tmp_path, result, said):
    first = leave_meson(tmp_path / "first.json", ("store", result, FAILED, FAILURE + said))
    again = leave_meson(tmp_path / "again.json", ("store", "OK", PASSED, ""))
    worse = leave_meson(tmp_path / "worse.json", ("store", result, "", said))
    assert ask_again(first) == ["store"]
    assert ask("count", first, again) == ["2 0 0", "unsteady: store"]
    assert ask("count", first, worse)[1:] == ["failed: store"]


@pytest.mark.parametrize("result, claims, said", [
    ("SIGNAL", "", ""), ("ERROR", "", ""), ("TIMEOUT", "[ RUN      ] a\n", ""),
    ("FAIL", "", "x.c:7: runtime error: overflow\n"), ("ERROR", "", LEAK),
    ("ERROR", FAILED, USE + FAILURE), ("FAIL", FAILED, RACE + FAILURE), ("FAIL", FAILED, CAUGHT),
], ids=["a signal", "an error", "a hang", "a sanitizer", "a leak", "memory", "a race",
        "a caught signal"])
def test_a_program_that_broke_is_not_asked_twice(tmp_path, result, claims, said):
    first = leave_meson(tmp_path / "first.json", ("steady", "FAIL", FAILED, FAILURE),
                        ("broken", result, claims, said))
    assert not ask_again(first)
    assert ask("count", first) == ["0 2 0", "failed: steady", "failed: broken"]


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node")
def test_what_failed_in_node_is_named_by_its_title(tmp_path):
    program = tmp_path / "some_test.mjs"
    program.write_text("import test from 'node:test';\n"
                       "test('a title: with <words>', () => { throw new Error('late'); });\n"
                       "test('another', () => {});\n", encoding="utf-8")
    found = tmp_path / "node.xml"
    done = subprocess.run(["node", "--test", "--test-reporter=junit",
                           f"--test-reporter-destination={found}", program],
                          capture_output=True, check=False, cwd=tmp_path)
    if done.returncode == 9:
        pytest.skip("a Node without JUnit")
    assert ask_again(found) == ["a title: with <words>"]
    assert ask("count", found) == ["1 1 0", "failed: a title: with <words>"]
