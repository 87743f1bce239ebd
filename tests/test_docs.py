"""What the pages say is held against the tree and the program: links, anchors, modules, options, keys."""

import re
from functools import cache
from pathlib import Path

import pytest

from tumorline.cli.reference import PAGES
from tumorline.config.reference import every_key

ROOT = Path(__file__).parents[1]
WRITTEN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *(ROOT / "deploy").glob("*.md")]
DOCS = sorted((ROOT / "docs").glob("*.md"))


def name_below(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


EVERY_PAGE = pytest.mark.parametrize(
    "page", [*WRITTEN, *DOCS, *sorted((ROOT / "benchmarks").glob("*.md"))], ids=name_below
)
FREE_KEYS = ("model.options.", "loss.options.")
"""What a network or a loss takes, which no list of keys has."""


def anchors(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@EVERY_PAGE
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", page.read_text(encoding="utf-8"))
    places = [((page.parent / path if path else page).resolve(), anchor) for path, anchor in links]
    assert [str(place) for place, _ in places if not place.exists()] == []
    assert [anchor for place, anchor in places if anchor and anchor not in anchors(place)] == []


def test_the_tree_names_every_module() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    tree = text.partition("\nsrc/tumorline/\n")[2].partition("```")[0]
    modules = {path.name + "/" * path.is_dir() for path in (ROOT / "src/tumorline").iterdir()}
    assert set(re.findall(r"^  ([a-z_]\S*) ", tree, re.MULTILINE)) == modules - {
        "__pycache__/",
        "__main__.py",
        "py.typed",
    }


@cache
def commands() -> dict[str, set[str]]:
    """Each command with its options."""
    sections = re.split(r"^## ", PAGES["commands.md"](), flags=re.MULTILINE)[1:]
    return {section.partition("\n")[0]: set(re.findall(r"--[\w-]+", section)) for section in sections}


@pytest.mark.parametrize(
    "page",
    [*WRITTEN, *(page for page in DOCS if page.name not in PAGES), *(ROOT / "configs").rglob("*.toml")],
    ids=name_below,
)
def test_every_command_takes_the_options_and_keys_that_a_page_gives_it(page: Path) -> None:
    text = re.sub(r"\\\n#?", " ", page.read_text(encoding="utf-8"))
    known, keys = commands(), {key.name for key in every_key()}
    for name, rest in re.findall(r"tumorline ((?:data |config )?[a-z]+)([^`\n]*)", text):
        given = set(re.findall(r"(?<=\s)--[\w-]+", rest.partition("  #")[0]))
        assert given <= known.get(f"tumorline {name}", given) | {"--help"}, name
    chosen = [key for key in re.findall(r"--set '?([a-z_.]+)=", text) if not key.startswith(FREE_KEYS)]
    assert {*chosen} - keys - {"section.key"} == set()
