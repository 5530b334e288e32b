# SPDX-License-Identifier: Apache-2.0
"""Links between the pages lead somewhere."""
import pytest

from pages import ROOT, anchors, links, list_pages

PAGES = [page.relative_to(ROOT).as_posix() for page in list_pages()]


@pytest.mark.parametrize("name", PAGES)
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(name):
    page, broken = ROOT / name, []
    for text, target in links(page):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(f"[{text}]({target})")
    assert not broken


def test_every_page_of_the_documentation_can_be_reached_from_the_readme():
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        waiting += [(page.parent / target.split("#")[0]).resolve() for _, target in links(page)
                    if "://" not in target and not target.startswith("#")]
    lost = {name for name in PAGES if name.startswith("docs/") and ROOT / name not in seen}
    assert not lost
