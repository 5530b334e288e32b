# SPDX-License-Identifier: Apache-2.0
"""The threat model names its proofs: each is a test that exists, and no threat is without one."""
import re

import pytest

from pages import ROOT

PAGE = (ROOT / "docs" / "SECURITY.md").read_text(encoding="utf-8")
THREATS = PAGE.split("\n## Threats")[1].split("\n## ")[0]
ROWS = [[cell.strip() for cell in line.strip("|").split(" | ")]
        for line in THREATS.splitlines()
        if line.startswith("| ") and not re.match(r"\| (attack|---) ", line)]
PROOF = re.compile(r"`(tests/[\w/.]+)(?:::(\w+))?`")


@pytest.mark.parametrize("attack, defence, proofs", ROWS, ids=[row[0][:60] for row in ROWS])
def test_each_threat_has_a_defence_and_a_test_that_exists(attack, defence, proofs):
    assert attack and defence
    named = PROOF.findall(proofs)
    assert named and PROOF.sub("", proofs).strip(" ,") == "", proofs
    for name, claim in named:
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not claim or re.search(rf"^(def {claim}\(|TEST\({claim}\))", text, re.MULTILINE), \
            (name, claim)


def test_each_attack_of_the_hostile_suite_is_in_the_threat_model():
    named = set(PROOF.findall(THREATS))
    files = {name for name, _ in named}
    for path in sorted((ROOT / "tests" / "hostile").glob("*_test.py")):
        assert f"tests/hostile/{path.name}" in files, path.name
