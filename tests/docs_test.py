"""The pages of docs/ and the README: links that lead somewhere, and a page of flags that is up to date."""

import importlib
import re

import pytest
import source_imports

from ltgans_tf.trainers import command

ROOT = source_imports.ROOT
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def _text(path):
    """Returns a page without its blocks of code."""
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


def _anchors(path):
    """Returns the anchors of a page's headings, as GitHub and the site make them: a set."""
    titles = re.findall(r"^#+ (.+)$", _text(path), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", title).lower() for title in titles)
    return {re.sub(r"[^\w\- ]", "", title).strip().replace(" ", "-") for title in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings(page):
    for link in _LINK.findall(_text(page)):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), f"{link} is no file"
        assert not anchor or anchor in _anchors(target), f"{link}: no such heading"


def test_every_page_has_a_place_in_the_site():
    named = set(re.findall(r"[\w/]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in PAGES if "docs" in path.parts}
    assert {page for page in pages if not page.startswith("results/")} == named


def test_readme_is_one_page():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_page_of_flags_is_that_of_the_flags():
    flags_page = importlib.import_module("docs.flags_page")
    assert flags_page.PAGE.read_text(encoding="utf-8") == flags_page.page(), "run python -m docs.flags_page"


def test_every_program_that_a_page_names_is_there():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for name in re.findall(r"python -m ((?:trainers|benchmarks|docs|tests)\.[\w.]+\w)", text):
            assert (ROOT / name.replace(".", "/")).with_suffix(".py").is_file(), (
                f"{page.name}: no program {name}"
            )
        for name in re.findall(r"(?:^|[ `/])ltgans ([\w-]+)", text, re.MULTILINE):
            assert name in command.PROGRAMS, f"{page.name}: ltgans has no command {name}"
