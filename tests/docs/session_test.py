# SPDX-License-Identifier: Apache-2.0
"""A page that says what is not true fails; the tests of pages rest on that."""
import pytest

import session
from pages import Step, commands, steps
from session import Session, holds

FALSE = {
    "a text that is not written": ("sh", "echo 40-15\n", "prints 40-30"),
    "texts in another order": ("sh", "echo 1 2\n", "prints 2 … 1"),
    "an error where none is told": ("sh", "echo 1; false\n", "prints 1"),
    "success where an error is told": ("sh", "echo 1\n", "fails 1"),
    "a stream that does not say it": ("sh", "echo 1; exec sleep 60\n", "shows 2"),
    "what comes later and does not": ("sh", "echo 1; exec sleep 60\n", "serves 1, later 2"),
    "a test that is not there": ("sh", "docker run x\n", "elsewhere tests/none_test.py"),
    "a claim that nobody knows": ("sh", "echo 1\n", "writes 1"),
    "a program with another end": ("python", "print(1)\n", "prints 2"),
    "a configuration with a fault": ("yaml", "chanels: []\n", "config"),
    "json that is none": ("json", "{\"a\":}\n", None),
    "lines that are not in the file": ("nginx", "gzip on;\n",
                                       "part of docs/howto/proxies/nginx.conf"),
}


@pytest.mark.parametrize("name", FALSE)
def test_a_page_that_is_wrong_fails(name, tmp_path, monkeypatch):
    monkeypatch.setattr(session, "PATIENCE_S", 1)
    language, text, claim = FALSE[name]
    with pytest.raises(Exception):  # whatever says so: an assertion, a parser, a command
        with Session(tmp_path, None) as one:
            one.take(Step(1, language, text, [claim] if claim else []))
            one.finish()


def test_what_is_claimed_in_order_or_side_by_side_is_looked_for_so():
    assert holds("one two three", "one … three") and not holds("one two three", "three … one")
    assert holds("one two three", "three & one … two") and not holds("one", "one & two")


def test_a_command_is_all_that_belongs_to_it(tmp_path):
    text = "# first\na \\\n  b\nfor x in 1; do\n  c\ndone\ncurl -d '[\n1]' x   # why\n"
    assert commands(text) == ["a \\\n  b", "for x in 1; do\n  c\ndone", "curl -d '[\n1]' x   # why"]
    page = tmp_path / "page.md"
    page.write_text("<!-- run\nprints 1\nprints 2\n-->\n```sh\na\nb\n```\n\n```text\nc\n```\n")
    first, second = steps(page)
    assert first.claims == ["prints 1", "prints 2"] and second.claims == []
