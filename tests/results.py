#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a test runner left, in words for ./check.

    tests/results.py again FILE          the tests that may be run once more, alone: a name a line
    tests/results.py count FILE [AGAIN]  `passed failed skipped`, then `unsteady: NAME` and
                                         `failed: NAME`, a line each

FILE is of tests that ran side by side, AGAIN of those that ran once more: JUnit of pytest or of
Node's runner, or Meson's testlog.json, a test of which is a program with several claims.

Once more run those that failed, if they are few, and if nothing went wrong that another run must
not excuse. Those of them that pass then, or are skipped with a word (a registry that has gone
away), count as that. They are not steady, and to be mended.
"""
import json
import os
import re
import sys
import typing
import xml.etree.ElementTree as ElementTree

from harness.broker import BAD_END, BAD_WORDS

FEW = 3  # of one step, or its hundredth part: more are no accident
# What no neighbour is the cause of: a sanitizer's word and a signal that cmocka caught; and, as
# what was raised and not in a line of the test, a broker that ended and a message that is lost.
NEVER = re.compile(f"{BAD_WORDS.pattern}|Test failed with exception|"
                   f"^E .*({BAD_END}| is lost)", re.MULTILINE)
MESON_OUTCOMES = {"OK": "passed", "EXPECTEDFAIL": "passed", "FAIL": "failed", "SKIP": "skipped"}


class Case(typing.NamedTuple):
    name: str  # as its runner takes it
    outcome: str  # passed, failed or skipped; broken where another run excuses nothing
    said: str
    passed: int  # claims
    failed: int


def name_of_pytest(case):
    """What stands behind @ is the group that pytest-xdist runs it in."""
    path = case.get("classname").replace(".", "/")
    test, bracket, rest = case.get("name").rpartition("]")
    test = test + bracket if bracket else rest.partition("@")[0]
    return f"tests/{path}.py::{test}"


def read_junit(text):
    """A fixture's failure, which pytest calls an error, judges the broker at its end."""
    for case in ElementTree.fromstring(text).iter("testcase"):
        is_node = case.get("classname") == "test"  # Node's runner knows no more of it
        failure = case.find("failure")
        said = "" if failure is None else failure.get("message", "") + "".join(failure.itertext())
        outcome = ("broken" if case.find("error") is not None else
                   "failed" if failure is not None else
                   "passed" if case.find("skipped") is None else "skipped")
        yield Case(case.get("name") if is_node else name_of_pytest(case), outcome, said,
                   outcome == "passed", outcome in ("failed", "broken"))


def read_meson(text):
    """Claims are cases of cmocka. A program that a signal ended, or its timeout, is broken; the
    first is to Meson one that failed, with a number below zero. But a claim that fails leaves its
    threads and its memory to those behind it: from there on no word and no end is their own."""
    for line in text.splitlines():
        test = json.loads(line)
        said = test.get("stdout", "") + test.get("stderr", "")
        is_signal = (test.get("returncode") or 0) < 0
        outcome = "broken" if is_signal else MESON_OUTCOMES.get(test["result"], "broken")
        passed = len(re.findall(r"^\[ +OK +\]", said, re.MULTILINE))
        failed = len(set(re.findall(r"^\[ +FAILED +\] (\w+)$", said, re.MULTILINE)))
        if failed:
            outcome, said = "failed", said.partition("[   LINE   ]")[0]
        yield Case(test["name"].rpartition(" / ")[2], outcome, said,
                   max(passed, 1) if outcome == "passed" else passed,
                   max(failed, 1) if outcome in ("failed", "broken") else 0)


def read(path):
    """None where the runner left nothing, or half of it."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        return list(read_junit(text) if text.startswith("<") else read_meson(text))
    except (OSError, ValueError, ElementTree.ParseError):
        return None


def may_be_excused(case):
    return case.outcome != "broken" and not (case.outcome == "failed" and NEVER.search(case.said))


def find_again(cases):
    found = [case for case in cases if case.outcome == "failed"]
    few = max(FEW, len(cases) // 100)
    return found if len(found) <= few and all(map(may_be_excused, cases)) else []


def count(cases, alone):
    """The lines that are to be said; `alone` are the cases that ran once more."""
    asked = {case.name for case in find_again(cases)}
    steady = {case.name: case for case in alone
              if case.name in asked and case.outcome in ("passed", "skipped")}
    cases = [steady.get(case.name, case) for case in cases]
    return ([" ".join(str(sum(counted)) for counted in zip(
                *((case.passed, case.failed, case.outcome == "skipped") for case in cases)))]
            + [f"unsteady: {name}" for name in steady]
            + [f"failed: {case.name}" for case in cases if case.failed])


def main():
    verb, path, *rest = sys.argv[1:]
    cases = read(path)
    if verb == "again":
        lines = [case.name for case in find_again(cases or [])]
    elif cases:
        lines = count(cases, read(rest[0]) or [] if rest else [])
    else:
        lines = ["0 1 0", f"failed: the runner of {os.path.basename(path)} came to no end"]
    for line in lines:
        print(line)


if __name__ == "__main__":
    main()
