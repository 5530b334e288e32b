# SPDX-License-Identifier: Apache-2.0
"""What the pages say is true: each command, snippet and configuration in them is run or parsed."""
import pytest
from wire.demo_test import fixture_browser  # noqa: F401  one kind of Chromium is enough

from pages import ROOT, commands, is_tried, list_pages, steps
from session import BUILD_S, Session

pytestmark = pytest.mark.xdist_group("browser")

RUN_BY_COMMAND = {"sh"}
RUN_WHOLE = {"js", "python"}
PARSED = {"go", "json", "yaml", "html", "ini", "jsx", "nginx"}
SHOWN = {"text", "browse", "run"}  # text: what something prints, a conversation, a picture
TRIED = [page.relative_to(ROOT).as_posix() for page in list_pages() if is_tried(page)]


def builds(name):
    """`./run` compiles a release: such a page is tried where one has been compiled anyway."""
    return any(step.language == "sh" and "./run" in step.text for step in steps(ROOT / name))


BUILDING = [name for name in TRIED if builds(name)]


@pytest.mark.parametrize("name", TRIED)
def test_everything_that_a_page_shows_has_a_claim(name):
    """So that a command that is new in a page cannot go untried."""
    for step in steps(ROOT / name):
        if step.language in RUN_BY_COMMAND:
            assert len(step.claims) == len(commands(step.text)), step
        elif step.language in RUN_WHOLE:
            assert len(step.claims) == 1, step
        elif step.language in PARSED:
            assert step.claims or step.language in ("json", "yaml"), step
        else:
            assert step.language in SHOWN, step


@pytest.mark.parametrize("name", TRIED)
def test_no_page_hides_commands_in_an_indented_block(name):
    before, is_fenced = "", False
    for number, line in enumerate((ROOT / name).read_text(encoding="utf-8").split("\n"), 1):
        is_fenced ^= line.lstrip().startswith("```")
        assert is_fenced or before or not line.startswith("    "), f"line {number}: {line}"
        before = line.strip()


def walk(name, folder, request):
    with Session(folder, lambda: request.getfixturevalue("browser")) as session:
        for step in steps(ROOT / name):
            try:
                session.take(step)
            except Exception as error:
                raise AssertionError(f"{name}, {step}\n{error}") from error
        session.finish()


@pytest.mark.parametrize("name", [name for name in TRIED if name not in BUILDING])
def test_what_a_page_says_is_true(name, tmp_path, request):
    walk(name, tmp_path, request)


@pytest.mark.heavy
@pytest.mark.deadline(2 * BUILD_S)
@pytest.mark.parametrize("name", BUILDING)
def test_what_a_page_says_from_the_build_on_is_true(name, tmp_path, request):
    walk(name, tmp_path, request)
