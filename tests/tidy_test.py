# SPDX-License-Identifier: Apache-2.0
"""Each rule of tidy.py finds its fault, and clean files have none."""
import importlib.util
import pathlib

import pytest

HERE = pathlib.Path(__file__).resolve().parent
SPEC = importlib.util.spec_from_file_location("tidy", HERE / "tidy.py")
tidy = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tidy)

SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"
HEADER = SPDX + """/* tail.h — the newest messages of a feed.
 *
 * Place:   the feed's.
 * Thread:  one worker's.
 * Bounds:  TAIL_BYTES_MAX.
 */
#pragma once

struct tail;

void tail_first(struct tail *tail);
int tail_second(const struct tail *tail,
                int more);
"""
MODULE = SPDX + """#include "broker/channels/tail.h"

#include <string.h>

#include "broker/support/span.h"

static const char *const names[] = {"if (x) y; assert(1)", "else"};

struct tail {
    int length;
};

static void leaf(void) {
    /* strcpy(a, b) in a comment is nobody's fault; nor is `if (x) y;`. */
    do {
        leaf();
    } while (0);
}

void tail_first(struct tail *tail) {
    if (tail == NULL) {
        goto out;
    } else if (tail->length > 0) {
        leaf();
    }
out:
    return;
}

int tail_second(const struct tail *tail,
                int more) {
    return tail->length + more;
}
"""


@pytest.fixture(name="tree")
def make_tree(tmp_path):
    """Writes files into a small clean project and gives the rules that are broken then."""
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    write("broker/support/span.h", HEADER.replace("tail.h", "span.h"))
    write("broker/channels/tail.h", HEADER)
    write("broker/channels/tail.c", MODULE)
    write("tests/broker/channels/tail_test.c", SPDX + '#include "broker/channels/tail.h"\n')

    def broken(name=None, text=None):
        if name is not None:
            write(name, text)
        return [(file, line, rule) for file, line, rule, _ in tidy.check(tmp_path)]

    return broken


def test_a_clean_tree_has_nothing_to_find(tree):
    assert tree() == []


MODULE_LINES = MODULE.count("\n")
NAME = "broker/channels/tail.c"


@pytest.mark.parametrize("rule, text, line", [
    ("length", MODULE + "\n".join(["int number(void);"] * 600) + "\n", 600),
    ("columns", MODULE + "/* " + "x" * 98 + " */\n", MODULE_LINES + 1),
    ("tabs", MODULE + "/* a\tb */\n", MODULE_LINES + 1),
    ("trailing", MODULE + "/* a */ \n", MODULE_LINES + 1),
    ("trailing", MODULE + "\n", MODULE_LINES + 1),
    ("trailing", MODULE + "/* a */", MODULE_LINES + 1),
    ("licence", MODULE.replace(SPDX, "/* */\n"), 1),
    ("debt", MODULE + "/* TODO: more */\n", MODULE_LINES + 1),
    ("debt", MODULE + "#if 0\n#endif\n", MODULE_LINES + 1),
    ("places", MODULE + "/* see /home/somebody/notes */\n", MODULE_LINES + 1),
    ("function-length", MODULE + "void f(void) {\n" + "    leaf();\n" * 59 + "}\n",
     MODULE_LINES + 1),
    ("include", MODULE + '#include "broker/delivery/reader.h"\n', MODULE_LINES + 1),
    ("include", MODULE + '#include "../support/span.h"\n', MODULE_LINES + 1),
    ("include", MODULE + "#include <lmdb.h>\n", MODULE_LINES + 1),
    ("banned", MODULE + "void f(char *a, char *b) {\n    strcpy(a, b);\n}\n", MODULE_LINES + 2),
    ("banned", MODULE + "void f(void) {\n    usleep(1);\n}\n", MODULE_LINES + 2),
    ("banned", MODULE + "void f(int a) {\n    assert(a);\n}\n", MODULE_LINES + 2),
    ("typedef", MODULE + "typedef struct tail tail_t;\n", MODULE_LINES + 1),
    ("conditional", MODULE + "void f(void) {\n#ifdef X\n    leaf();\n#endif\n}\n",
     MODULE_LINES + 2),
    ("goto", MODULE + "void f(void) {\nagain:\n    goto again;\n}\n", MODULE_LINES + 3),
    ("braces", MODULE + "void f(int a) {\n    if (a)\n        leaf();\n}\n", MODULE_LINES + 2),
    ("braces", MODULE + "void f(int a) {\n    while (a(1)) leaf();\n}\n", MODULE_LINES + 2),
    ("invariant", MODULE + "void f(int a) {\n    INVARIANT(a &&\n              a);\n}\n",
     MODULE_LINES + 2),
    ("globals", MODULE + "static int counter;\n", MODULE_LINES + 1),
    ("globals", MODULE + "static struct tail *tails[4] = {0};\n", MODULE_LINES + 1),
    ("order", MODULE.replace("tail_first", "tail_x").replace("tail_second", "tail_first")
     .replace("tail_x", "tail_second"), 31),
])
def test_a_fault_in_a_module_is_found(tree, rule, text, line):
    assert (NAME, line, rule) in tree(NAME, text)


@pytest.mark.parametrize("rule, text", [
    ("opening", HEADER.replace(" * Bounds:  TAIL_BYTES_MAX.\n", "")),
    ("opening", HEADER.replace("tail.h — the newest messages of a feed.", "Things.")),
    ("opening", SPDX + "#pragma once\n"),
    ("pragma", HEADER.replace("#pragma once\n", "")),
])
def test_a_fault_in_a_header_is_found(tree, rule, text):
    assert rule in [found[2] for found in tree("broker/channels/tail.h", text)]


def test_a_module_without_a_test_is_found(tree):
    assert tree("broker/channels/feed.c", SPDX + "int feed;\n".replace("int", "struct")) == [
        ("broker/channels/feed.c", 1, "test")]


def test_a_test_that_includes_more_than_its_subject_may_is_found(tree):
    tree("broker/runtime/log.h", HEADER.replace("tail.h", "log.h"))
    name = "tests/broker/channels/tail_test.c"
    found = tree(name, SPDX + '#include "broker/runtime/log.h"\n')
    assert (name, 2, "include") in found


def test_clients_include_nothing_of_the_others(tree):
    found = tree("clients/cli/sub.c", SPDX + '#include "broker/support/span.h"\n')
    assert ("clients/cli/sub.c", 2, "include") in found


def test_a_numbered_test_is_no_claim(tree):
    name = "tests/broker/channels/tail_test.c"
    found = tree(name, SPDX + "TEST(test_12) {\n}\nTEST(a_tail_of_64_holds_64) {\n}\n")
    assert [entry for entry in found if entry[2] == "claim"] == [(name, 2, "claim")]


@pytest.mark.parametrize("line, is_found", [
    ('broker.post(channel, b"1", headers={"Idempotency-Key": "k"})', True),
    ('broker.post(channel, b"1", headers={"Idempotency-Key": f"k-{channel}"})', False),
    ("values = {'user': [('idempotency-key', 'k')]}", True),
    ("socket.send_json({'publish': {'idempotency_key': channel}})", False)])
def test_a_key_that_a_neighbour_may_have_is_found(tree, line, is_found):
    head = '# SPDX-License-Identifier: Apache-2.0\n"""A page."""\n\n\n'
    for owner, is_shared in (("broker", True), ("start_broker", False)):
        found = tree("tests/wire/x_test.py", f"{head}def test_it({owner}, channel):\n    {line}\n")
        assert (("tests/wire/x_test.py", 6, "neighbours") in found) == (is_found and is_shared)


def test_scripts_are_held_to_length_and_licence(tree):
    found = tree("tests/wire/x.py", "a = 1\n" * 601)
    assert ("tests/wire/x.py", 600, "length") in found
    assert ("tests/wire/x.py", 1, "licence") in found


def test_this_project_is_tidy_in_its_own_tools():
    root = HERE.parent
    names = [name for name in tidy.list_files(root)
             if name.startswith("tests/") and name.endswith(".py") or name in tidy.SCRIPT_NAMES]
    assert list(tidy.check(root, names)) == []
