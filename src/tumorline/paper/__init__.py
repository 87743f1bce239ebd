"""What a paper needs of a folder of results: figures, tables, methods, references. It never replaces a user's file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path

from tumorline.errors import UserError, require_extra
from tumorline.file_names import COMPARISON_NAME, LEADERBOARD_NAME, MATRIX_NAME, SUMMARY_NAME
from tumorline.files import write_bytes, write_csv, write_text
from tumorline.output.folder import open_output
from tumorline.output.journal import hash_settings, read_journal
from tumorline.output.place import refuse_inputs_in
from tumorline.output.purpose import Purpose
from tumorline.paper.captions import caption_of
from tumorline.paper.claim import answer_items
from tumorline.paper.compared_contents import contents_of_comparison, contents_of_leaderboard, contents_of_matrix
from tumorline.paper.contents import contents_of_study
from tumorline.paper.drawings import charts_in, portable, to_text
from tumorline.paper.latex import cited_keys, for_latex, with_citations
from tumorline.paper.methods import Paragraph
from tumorline.paper.parts import Contents
from tumorline.paper.pdf import to_pdf
from tumorline.paper.references import select_references
from tumorline.paper.study import read_study
from tumorline.paper.tables import Table, labels_of

COMPARED: Mapping[str, Callable[[Path], Contents]] = {
    COMPARISON_NAME: contents_of_comparison,
    MATRIX_NAME: contents_of_matrix,
    LEADERBOARD_NAME: contents_of_leaderboard,
}
"""What a folder holds that compares several, and how it is read."""
FIGURES_AT_ONCE = 12
"""Figures between two page breaks: LaTeX keeps no more than 18 waiting."""
ITEM_COLUMNS = ("item", "what", "where", "open")


def write_paper(folder: Path, output: Path, overwrite: bool = False) -> Path:
    """Write what a paper needs of an evaluated folder, or of a comparison, to `output`; returns it.

    `figures/` has each chart of the page as SVG and PDF, `tables/` each table as CSV and LaTeX, `methods.md` and
    `methods.tex` the methods, `claim.csv` the items of CLAIM 2024, `references.bib` what was used; `paper.tex` takes
    all in. Called again for the same folder it replaces what it wrote; that of another one with `overwrite` only.
    Raises UserError for a folder without results, for a file that was changed since, and without the `paper` extra.
    """
    require_extra("reportlab", "--figures", "paper")
    contents = _read(folder)
    purpose = Purpose("report --figures", {"inputs": hash_settings(folder=str(folder.resolve()))})
    journal = read_journal(output)
    again = journal is not None and not purpose.difference(journal)
    refuse_inputs_in(output, [folder])
    try:
        with open_output(output, purpose, overwrite or again):
            _write(contents, output)
    except UserError as error:
        raise UserError(str(error).replace("--output", "--figures")) from error
    return output


def _read(folder: Path) -> Contents:
    for name, read in COMPARED.items():
        if (folder / name).is_file():
            return read(folder / name)
    if not (folder / SUMMARY_NAME).is_file():
        file_names = ", ".join((SUMMARY_NAME, *COMPARED))
        raise UserError(
            f"{folder}: no results here (none of {file_names}); give a folder of train, folds, evaluate or compare"
        )
    return contents_of_study(folder, read_study(folder))


def _write(contents: Contents, output: Path) -> None:
    figures = _write_figures(contents, output / "figures")
    tables = _write_tables(contents.tables, output / "tables")
    methods = "".join(f"**{paragraph.heading}.** {paragraph.text}\n\n" for paragraph in contents.methods)
    write_text(output / "methods.md", methods)
    write_text(output / "methods.tex", "".join(map(_paragraph, contents.methods)))
    write_csv(output / "claim.csv", ITEM_COLUMNS, answer_items(contents.methods))
    write_text(output / "references.bib", select_references(cited_keys(methods)))
    write_text(output / "paper.tex", _paper(contents.title, tables, figures))


def _write_figures(contents: Contents, folder: Path) -> dict[str, str]:
    """Write each chart as SVG and PDF; their names with their captions."""
    found = list(charts_in(contents.charts))
    names = labels_of(chart.name for chart in found)
    for name, chart in zip(names, found, strict=True):
        drawing = portable(chart.drawn)
        write_text(folder / f"{name}.svg", to_text(drawing))
        write_bytes(folder / f"{name}.pdf", to_pdf(drawing))
    return dict(zip(names, map(caption_of, found), strict=True))


def _write_tables(tables: Sequence[Table], folder: Path) -> list[str]:
    """Write each table as CSV and LaTeX; their names."""
    names = labels_of(table.name for table in tables)
    for name, table in zip(names, tables, strict=True):
        write_csv(folder / f"{name}.csv", *table.for_csv())
        write_text(folder / f"{name}.tex", replace(table, name=name).to_latex())
    return names


def _paragraph(paragraph: Paragraph) -> str:
    return f"\\paragraph{{{for_latex(paragraph.heading)}.}} {with_citations(paragraph.text)}\n\n"


def _in_pages(figures: Sequence[str]) -> str:
    pages = [figures[start : start + FIGURES_AT_ONCE] for start in range(0, len(figures), FIGURES_AT_ONCE)]
    return "\n\\clearpage\n".join("".join(page) for page in pages)


def _paper(title: str, tables: Sequence[str], figures: Mapping[str, str]) -> str:
    """A document that takes in all that was written, to be compiled as it is or taken apart."""
    shown = (
        f"\\begin{{figure}}[htbp]\n\\centering\n\\includegraphics[width=0.75\\linewidth]{{figures/{name}.pdf}}\n"
        f"\\caption{{{for_latex(caption)}}}\n\\label{{fig:{name}}}\n\\end{{figure}}\n"
        for name, caption in figures.items()
    )
    template = resources.files("tumorline.paper").joinpath("paper.tex").read_text(encoding="utf-8")
    parts = {
        "TITLE": for_latex(title),
        "TABLES": "".join(f"\\input{{tables/{name}.tex}}\n" for name in tables),
        "FIGURES": _in_pages(list(shown)),
    }
    for name, text in parts.items():
        template = template.replace(f"%% {name}\n", text + "\n")
    return template
