"""Whether the tables of an evaluation are its own and whole: no figure comes from rows that were lost or doubled."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import isclose
from pathlib import Path
from statistics import fmean

from tumorline.errors import UserError
from tumorline.evaluation.baselines import Record, summarise_baselines
from tumorline.file_names import BASELINES_NAME, EVALUATION_NAME, SUMMARY_NAME
from tumorline.metrics.summary import FIGURES, Row, Value, of_region
from tumorline.own_files import EVALUATE_AGAIN
from tumorline.results import Baseline, Figure, Metrics, read_comparable
from tumorline.wording import numbered

Key = tuple[str, str]
"""Case and region."""


def require_agreement(folder: Path, rows: Sequence[Row]) -> None:
    """Raise UserError where a row is there twice, or the rows do not give what the folder's summary says of them."""
    path = folder / EVALUATION_NAME
    refuse_doubled(path, keys_of(rows))
    if not (folder / SUMMARY_NAME).is_file():
        return
    summary = read_comparable(folder / SUMMARY_NAME)
    headline = [row for row in rows if row.status in summary.headline_status]
    if problem := _lacking(headline, summary.regions) or _disagreement(headline, summary.regions):
        raise UserError(f"{path}: {problem}; {EVALUATE_AGAIN}")


def keys_of(rows: Iterable[Row]) -> list[Key]:
    return [(row.case, row.region) for row in rows]


def refuse_doubled(path: Path, keys: Iterable[Key]) -> None:
    """Raise UserError for a table that has two rows of one case and region."""
    if twice := [key for key, count in Counter(keys).items() if count > 1]:
        raise UserError(f"{path}: two rows of {_case_and_region(twice[0])}; {EVALUATE_AGAIN}")


def require_cases(path: Path, keys: Sequence[Key], rows: Sequence[Row]) -> None:
    """Raise UserError for a table whose rows are not those of the evaluation that it lies beside, each once."""
    refuse_doubled(path, keys)
    if odd := sorted({*keys} ^ {*keys_of(rows)}):
        raise UserError(
            f"{path}: {_case_and_region(odd[0])} is in this table or in {EVALUATION_NAME} only; {EVALUATE_AGAIN}"
        )


def require_baselines(folder: Path, records: Sequence[Record], stated: Mapping[str, Mapping[str, Baseline]]) -> None:
    """Raise UserError where a folder's records of trivial answers do not give what its summary says of them."""
    for region in dict.fromkeys(record["region"] for record in records):
        summarised = summarise_baselines(record for record in records if record["region"] == region)
        for name, baseline in summarised.items():
            in_summary = stated.get(name, {}).get(region)
            if in_summary and not _agree(baseline, in_summary):
                problem = f"its rows do not give the {name} of {region} in its {SUMMARY_NAME}"
                raise UserError(f"{folder / BASELINES_NAME}: {problem}; {EVALUATE_AGAIN}")


def _agree(computed: Baseline, stated: Baseline) -> bool:
    if computed.dice is None or stated.dice is None:
        return computed.dice == stated.dice
    return computed.missed == stated.missed and _is_close(computed.dice, stated.dice)


def _case_and_region(key: Key) -> str:
    return f"case '{key[0]}' and {key[1]}"


def _lacking(rows: Sequence[Row], regions: Iterable[str]) -> str:
    """The first case that has no row of a region; empty where all have."""
    keys = {*keys_of(rows)}
    odd = ((case, region) for case in sorted({row.case for row in rows}) for region in regions)
    return next((f"case '{case}' has no row of {region}" for case, region in odd if (case, region) not in keys), "")


def _disagreement(rows: Sequence[Row], regions: Mapping[str, Metrics]) -> str:
    """What of the rows is not as the figures of the regions say; empty where all is."""
    for region, figures in regions.items():
        region_rows = of_region(rows, region)
        if len(region_rows) != figures.cases:
            return f"{numbered(len(region_rows), 'case')}, there are {figures.cases} of {region} in its {SUMMARY_NAME}"
        for name, value in FIGURES.items():
            stated: Figure | None = getattr(figures, name)
            if stated and stated.mean_over_cases is not None and not _gives(region_rows, value, stated.mean_over_cases):
                return f"its rows do not give the {name} of {region} in its {SUMMARY_NAME}"
    return ""


def _gives(rows: Sequence[Row], value: Value, mean: float) -> bool:
    """Whether the mean over the rows is the one that was stated, but for rounding."""
    numbers = [number for row in rows if (number := value(row.scores)) is not None]
    return bool(numbers) and _is_close(fmean(numbers), mean)


def _is_close(computed: float, stated: float) -> bool:
    return isclose(computed, stated, rel_tol=1e-6, abs_tol=1e-9)
