#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Counts claims in what a test runner left: prints `passed failed skipped`.

    tests/count.py meson BUILD/meson-logs/testlog.json   cases of cmocka; a crash is a failure
    tests/count.py junit FILE                            cases of pytest, or of node --test

A file that is not there counts as one failure: a runner that did not come to its end.
"""
import json
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree


def count_meson(path):
    passed = failed = skipped = 0
    for line in path.read_text(encoding="utf-8").splitlines():
        test = json.loads(line)
        output = test.get("stdout", "") + test.get("stderr", "")
        cases = len(re.findall(r"^\[ +OK +\]", output, re.MULTILINE))
        broken = len(set(re.findall(r"^\[ +FAILED +\] (\w+)$", output, re.MULTILINE)))
        if test["result"] == "SKIP":
            skipped += 1
        elif test["result"] in ("OK", "EXPECTEDFAIL"):
            passed += max(cases, 1)
        else:
            passed += cases
            failed += max(broken, 1)
            print(f"failed: {test['name']} ({test['result']})", file=sys.stderr)
    return passed, failed, skipped


def count_junit(path):
    passed = failed = skipped = 0
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError:  # its writer was killed
        return 0, 1, 0
    for case in root.findall("testcase"):  # Node's runner puts no suite around them
        bad = case.find("failure") is not None
        out = case.find("skipped") is not None
        passed, failed, skipped = passed + (not (bad or out)), failed + bad, skipped + out
    for suite in root.iter("testsuite"):
        bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        out = int(suite.get("skipped", 0))
        failed, skipped = failed + bad, skipped + out
        passed += int(suite.get("tests", 0)) - bad - out
    return passed, failed, skipped


def main():
    path = pathlib.Path(sys.argv[2])
    if not path.exists():
        print(0, 1, 0)
    else:
        print(*{"meson": count_meson, "junit": count_junit}[sys.argv[1]](path))


if __name__ == "__main__":
    main()
