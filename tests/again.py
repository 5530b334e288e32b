#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Names the tests that may be run once more, alone: an id a line.

    tests/again.py FILE [AGAIN]

FILE is what pytest left (JUnit) of tests that ran side by side, AGAIN of those that ran once more.
Without AGAIN: those that failed, if they are few, and if nothing went wrong that another run must
not excuse. With AGAIN: those of them that passed; they are not steady, and are to be mended.
"""
import re
import sys
import xml.etree.ElementTree as ElementTree

from harness.broker import BAD_END, BAD_WORDS

FEW = 3  # of one step: more are no accident
# What no neighbour is the cause of; the last two as what was raised, and not in a line of the test.
NEVER = re.compile(f"{BAD_WORDS.pattern}|^E .*({BAD_END}| is lost)", re.MULTILINE)


def name(case):
    """As pytest takes it; what stands behind @ is the group that pytest-xdist runs it in."""
    path = case.get("classname").replace(".", "/")
    test, bracket, rest = case.get("name").rpartition("]")
    test = test + bracket if bracket else rest.partition("@")[0]
    return f"tests/{path}.py::{test}"


def cases(path):
    """None of a run that left nothing, or half of it."""
    try:
        return list(ElementTree.parse(path).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError):
        return []


def may_be_excused(case):
    """Not: a word of a sanitizer, a broker that ended by itself, a publish that was answered and is
    lost, and a fixture, which judges the broker at its end."""
    failure = case.find("failure")
    said = failure.get("message", "") + "".join(failure.itertext()) if failure is not None else ""
    return case.find("error") is None and not NEVER.search(said)


def find_failed(path):
    found = cases(path)
    names = [name(case) for case in found if case.find("failure") is not None]
    return names if all(map(may_be_excused, found)) and len(names) <= FEW else []


def find_passed(path):
    return [name(case) for case in cases(path) if len(case) == 0]


def main():
    names = find_failed(sys.argv[1])
    if len(sys.argv) > 2:
        alone = find_passed(sys.argv[2])
        names = [name for name in names if name in alone]
    for each in names:
        print(each)


if __name__ == "__main__":
    main()
