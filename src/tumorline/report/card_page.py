"""The model card as a page."""

from pathlib import Path

from markdown_it import MarkdownIt
from markupsafe import Markup

from tumorline.escaping import one_line
from tumorline.file_names import CARD_NAME, CARD_PAGE_NAME
from tumorline.files import write_text
from tumorline.report.templates import template

LONGEST_CARD = 1_000_000
"""Characters that are read: the folder may come from anyone."""


def write_card_page(run: Path) -> Path | None:
    """Write `model_card.html` from the MODEL_CARD.md of a run folder; None where there is none."""
    if not (run / CARD_NAME).is_file():
        return None
    with (run / CARD_NAME).open(encoding="utf-8", errors="replace") as file:
        text = file.read(LONGEST_CARD)
    content = {"title": run.resolve().name, "card": Markup(render_markdown(text))}
    write_text(run / CARD_PAGE_NAME, template("card.html").render(**content))
    return run / CARD_PAGE_NAME


def render_markdown(text: str) -> str:
    """Markdown as HTML: no tag and no image of the text's own, and no address that runs something."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    page = str(reader.render("\n".join(map(one_line, text.splitlines()))))
    return page.replace("<table>", '<div class="scroll"><table>').replace("</table>", "</table></div>")
