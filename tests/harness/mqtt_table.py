# SPDX-License-Identifier: Apache-2.0
"""The table of MQTT's normative statements and the tests that prove them, made from the lists in
tests/wire/mqtt_*.txt and from the `proves` of the tests.

    PYTHONPATH=tests python3 -m harness.mqtt_table > docs/reference/mqtt-conformance.md
"""
import ast
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "mqtt-conformance.md"
VERSIONS = {"v3": "3.1.1", "v5": "5.0"}
SOURCES = ("tests/wire", "tests/faults")
SIDES = ("server", "client", "none")

HEAD = """\
<!-- Made from the tests by tests/harness/mqtt_table.py; a test fails when it is not current. -->
# MQTT: the normative statements, and what proves them

Each statement that MQTT 3.1.1 and 5.0 number (`[MQTT-3.1.0-1]` and so on, their appendix B), told
in a few words of our own, and the tests that prove it of the broker. What binds clients alone is
marked so; where a statement can be neither met nor missed, the table says why. The tests speak
over bare sockets, and many of them stand for a table of malformed packets: look there for the
bytes.
"""


class Statement:
    """One line of a list: number, side, summary and, where none applies, the reason."""

    def __init__(self, line):
        self.number, self.side, text = line.split(" ", 2)
        self.summary, _, self.reason = (part.strip() for part in text.partition("|"))
        self.tests = []


def read_list(version):
    """{number: Statement} of a version, in the specification's order."""
    path = ROOT / "tests" / "wire" / f"mqtt_{version}.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    return {one.number: one for one in map(Statement, (
        line for line in lines if not line.startswith("#")))}


def marks():
    """(file, test, key of VERSIONS, number) of each statement that a test claims to prove."""
    for folder in SOURCES:
        for path in sorted((ROOT / folder).glob("*_test.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if not isinstance(node, ast.FunctionDef):
                    continue
                for call in node.decorator_list:
                    if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "proves":
                        for word in call.keywords:
                            for number in ast.literal_eval(word.value).split():
                                yield path.relative_to(ROOT), node.name, word.arg, number


def tables():
    """{version: {number: Statement}} with their tests; KeyError: a mark of no statement."""
    lists = {version: read_list(version) for version in VERSIONS.values()}
    for path, test, key, number in marks():
        statement = lists[VERSIONS[key]].get(number)
        if statement is None:
            raise KeyError(f"{path}: {test} proves [MQTT-{number}], which {VERSIONS[key]} has not")
        if (path, test) not in statement.tests:
            statement.tests.append((path, test))
    return lists


def cell(statement):
    """What proves a statement, or why nothing does."""
    if statement.tests:
        return " ".join(f"[`{test}`](../../{path})" for path, test in statement.tests)
    return "binds clients" if statement.side == "client" else statement.reason


def page():
    """The whole page."""
    parts = [HEAD]
    for version, statements in tables().items():
        proved = sum(1 for one in statements.values() if one.tests)
        clients = sum(1 for one in statements.values() if one.side == "client")
        parts.append(f"\n## MQTT {version}\n\n{len(statements)} statements: {proved} proved by "
                     f"tests, {clients} that bind clients, {len(statements) - proved - clients} "
                     f"that do not apply.\n\n| statement | in a few words | proved by |\n"
                     f"| --- | --- | --- |\n")
        parts += [f"| MQTT-{one.number} | {one.summary} | {cell(one)} |\n"
                  for one in statements.values()]
    return "".join(parts)


if __name__ == "__main__":
    print(page(), end="")
