# SPDX-License-Identifier: Apache-2.0
"""docs/reference/mqtt-conformance.md says the truth: each statement is there, and each that can
be met is proved by a test that says so itself."""
import pytest

from harness import mqtt_table
from harness.mqtt_table import PAGE, SIDES, VERSIONS

COUNTS = {"3.1.1": 141, "5.0": 251}  # as appendix B of each has them, and MQTT-3-8.3-4 of 3.1.1


@pytest.mark.parametrize("version", VERSIONS.values())
def test_the_list_is_whole(version):
    statements = mqtt_table.read_list(version)
    assert len(statements) == COUNTS[version]
    for one in statements.values():
        assert one.side in SIDES and one.summary, one.number
        assert bool(one.reason) == (one.side == "none"), one.number


@pytest.mark.parametrize("version", VERSIONS.values())
def test_what_can_be_met_is_proved_and_nothing_else_claims_to_be(version):
    statements = mqtt_table.tables()[version].values()
    assert [one.number for one in statements if one.side == "server" and not one.tests] == []
    assert [one.number for one in statements if one.side != "server" and one.tests] == []


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == mqtt_table.page(), \
        "PYTHONPATH=tests python3 -m harness.mqtt_table > docs/reference/mqtt-conformance.md"
