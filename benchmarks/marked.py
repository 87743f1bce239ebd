"""Markdown tables, and pages that hold them between markers, so that no figure is typed by hand."""

from collections.abc import Iterable, Sequence
from pathlib import Path


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write_marked(page: Path, content: str, name: str = "table", title: str = "") -> None:
    """Replace what stands between the markers of this name; a page that is not there begins with the title."""
    begin, end = (f"<!-- {name} {word} -->" for word in ("begins", "ends"))
    first = f"# {title}\n\n" if title else ""
    text = page.read_text() if page.exists() else f"{first}{begin}\n{end}\n"
    before, _, rest = text.partition(begin)
    page.write_text(f"{before}{begin}\n{content}\n{end}{rest.partition(end)[2]}")
