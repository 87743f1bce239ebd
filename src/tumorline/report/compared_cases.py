"""The table of all cases of several models: what each reaches, how far they lie apart, and who missed what."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean

from tumorline.escaping import one_line
from tumorline.metrics.summary import Row, are_volumes
from tumorline.report.browsing import (
    CaseTable,
    Column,
    View,
    case_texts,
    first_flag,
    flag_of,
    mean_view,
    size_column,
    size_units,
    sizes_in,
)
from tumorline.wording import in_words

APART = "apart"
"""The column of the largest difference between two of the models."""
WORDS = {"missed": "missed by", "false positive": "false positive of"}

Entry = tuple[str, str]
"""Set and case."""
Scored = Mapping[str, Mapping[str, Row]]
"""Of one case: model -> region -> row."""


def entries_of(models: Mapping[tuple[str, str], Sequence[Row]]) -> dict[Entry, Scored]:
    """The rows of each case, of (model, set) to rows; cases in the order in which they come."""
    by_entry: dict[Entry, dict[str, dict[str, Row]]] = defaultdict(lambda: defaultdict(dict))
    for (model, source), rows in models.items():
        for row in rows:
            by_entry[source, row.case][model][row.region] = row
    return {entry: dict(scored) for entry, scored in by_entry.items()}


def table_of_models(entries: Mapping[Entry, Scored], models: Sequence[str], regions: Sequence[str]) -> CaseTable:
    """A line for each case, a view for each region; sets have a column where there are several."""
    several_sets = len({source for source, _ in entries}) > 1
    firsts = [_any_row(scored) for scored in entries.values()]
    texts = [
        [case, *([source] if several_sets else []), *case_texts(row)[1:]]
        for (source, case), row in zip(entries, firsts, strict=True)
    ]
    names = ["case", *(["set"] if several_sets else []), "patient", "class", "status"]
    views = [_models_view(region, entries, models) for region in regions]
    together = [mean_view(views, list(map(_describe_all_regions, entries.values())))] if len(views) > 1 else []
    return CaseTable(
        texts=names,
        cases=texts,
        views=[*together, *views],
        sort=APART if len(models) > 1 else views[0].columns[0].name,
        volumes=are_volumes(firsts),
        descending=len(models) > 1,
        keys=[key_of(entry, several_sets) for entry in entries],
    )


def key_of(entry: Entry, several_sets: bool) -> str:
    """What a link to a case says."""
    source, case = entry
    return f"{source}/{case}" if several_sets else case


def model_notes(scored: Scored) -> list[str]:
    """What is said below the picture of a case: whose it is, and the Dice of each model."""
    first = _any_row(scored)
    about = " · ".join(filter(None, (first.patient, first.attributes.get("class_name"))))
    return [one_line(text) for text in (about, *map(_dice_note, scored, scored.values())) if text]


def _dice_note(model: str, rows: Mapping[str, Row]) -> str:
    dices = [row.scores.dice for row in rows.values() if row.scores.dice is not None]
    return f"{model}: " + (f"Dice {fmean(dices):.3f}" if dices else "no tumour")


def _any_row(scored: Scored) -> Row:
    return next(row for regions in scored.values() for row in regions.values())


def _models_view(region: str, entries: Mapping[Entry, Scored], models: Sequence[str]) -> View:
    rows = [[scored.get(model, {}).get(region) for model in models] for scored in entries.values()]
    units = size_units([row.scores for case_rows in rows for row in case_rows if row])
    apart = [Column(APART, 3)] if len(models) > 1 else []
    sizes = [size_column("true", unit) for unit in units]
    columns = [*(Column(f"Dice, {one_line(model)}", 3) for model in models), *apart, *sizes]
    values = [_line(case_rows, units) for case_rows in rows]
    flags = [
        describe_results({model: flag_of(row.scores) for model, row in zip(models, case_rows, strict=True) if row})
        for case_rows in rows
    ]
    return View(in_words(region), columns, values, flags)


def _line(rows: Sequence[Row | None], units: Sequence[str]) -> list[float | None]:
    dice = [row.scores.dice if row else None for row in rows]
    defined = [value for value in dice if value is not None]
    apart = [max(defined) - min(defined) if len(defined) > 1 else None] if len(rows) > 1 else []
    scored = next((row.scores for row in rows if row), None)
    sizes = [sizes_in(unit, scored)[0] if scored else None for unit in units]
    return [*dice, *apart, *sizes]


def describe_results(flags: Mapping[str, str]) -> str:
    """What came of a case, in words: who missed it, who drew a tumour where there is none, else that of all."""
    parts = []
    for flag, words in WORDS.items():
        models = [one_line(model) for model, model_flag in flags.items() if model_flag == flag]
        if models:
            parts.append(f"{words} {'all' if len(models) == len(flags) > 1 else ', '.join(models)}")
    return "; ".join(parts) or first_flag(list(flags.values()))


def _describe_all_regions(scored: Scored) -> str:
    return describe_results(
        {model: first_flag([flag_of(row.scores) for row in rows.values()]) for model, rows in scored.items()}
    )
