# SPDX-License-Identifier: Apache-2.0
"""Who is run once more, and who is not: on what pytest itself leaves."""
import pathlib
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


def ask(*files):
    return subprocess.run([sys.executable, HERE / "again.py", *files], check=True, text=True,
                          capture_output=True).stdout.splitlines()


def test_what_a_test_would_have_said_is_no_word_of_its_failure(leave):
    text = ("def test_a():\n    assert True, 'it is lost, and the broker ended with 1'\n"
            "    assert [] == [1]\n")
    assert ask(leave("first.xml", text)) == ["tests/wire/some_test.py::test_a"]


def test_what_failed_is_named_as_pytest_takes_it(leave):
    text = ('@pytest.mark.xdist_group("browser")\n'
            '@pytest.mark.parametrize("what", ["a/b", "x] @y"])\n'
            'def test_each(what): assert what == "a/b"\n'
            '@pytest.mark.xdist_group("browser")\n' + BREAKS.format("plain", 1) +
            PASSES.format("right"))
    expected = ["tests/wire/some_test.py::test_each[x] @y]", "tests/wire/some_test.py::test_plain"]
    assert ask(leave("first.xml", text, "-n", "2", "--dist", "loadgroup")) == expected


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
    assert not ask(leave("first.xml", text))


def test_a_run_that_broke_off_is_not_asked_twice(tmp_path):
    half = tmp_path / "half.xml"
    assert not ask(half)
    half.write_text("<testsuites><testsuite>", encoding="utf-8")
    assert not ask(half)


def test_who_passes_alone_is_not_steady_and_who_fails_again_has_failed(leave):
    first = leave("first.xml", BREAKS.format("a", 1) + BREAKS.format("b", 1))
    again = leave("again.xml", PASSES.format("a") + BREAKS.format("b", 1))
    assert ask(first, again) == ["tests/wire/some_test.py::test_a"]
    assert not ask(first, first)
    assert not ask(first, first.parent / "none.xml")
