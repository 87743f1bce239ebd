"""Runs side by side on the same cases: paired differences, what is noise, and where they disagree.

Two runs support a claim about two models. A claim about two recipes needs several seeds of each: `groups`.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from tumorline.comparison.figures import (
    HEADLINE,
    OVER_REGIONS,
    PatientMeans,
    average_patients,
    classes_of,
    compare_pairs,
    compared_figures,
    compared_metrics,
    describe_contender,
    find_disagreements,
    match_contenders,
    over_regions,
    rank_contenders,
)
from tumorline.comparison.runs import (
    Run,
    Study,
    common_cases,
    common_regions,
    open_contenders,
    refuse_seen,
    refuse_unfit,
)
from tumorline.comparison.within import Within
from tumorline.file_names import (
    COMPARISON_IMAGES_NAME,
    COMPARISON_NAME,
    COMPARISON_PAGE_NAME,
    CONFIG_NAME,
    PREDICTIONS_NAME,
    SUMMARY_NAME,
)
from tumorline.files import write_json
from tumorline.metrics.comparison import least_p
from tumorline.metrics.figure import LEAST_FOR_INTERVAL, too_few
from tumorline.report.cases import CaseReader, Drawing
from tumorline.report.comparison import write_comparison
from tumorline.report.run_images import run_images
from tumorline.results import WarningCode, read_comparable
from tumorline.results.compared import ComparedPair, Comparison
from tumorline.wording import LEVEL, in_sentence, numbered, tell_p

__all__ = ["NAMES", "Study", "compare", "compared_figures", "name_runs", "ranked_by", "save_comparison"]

SCHEMA_VERSION = 2
OF_ANOTHER_PROGRAM = "masks of another program; if it was trained on these cases, its figures are too good"
NAMES = (COMPARISON_NAME, COMPARISON_PAGE_NAME, COMPARISON_IMAGES_NAME)


def compare(
    models: Mapping[str, Path], groups: Mapping[str, Sequence[Path]], study: Study | None = None, reference: str = ""
) -> Comparison:
    """Compare runs by name, or groups of runs, on the cases and regions of all; see `save_comparison` for the files.

    With a `reference` each of the others is compared with it, else every one with every other. Raises UserError for
    other cases, other truth, test patients that another run was trained on, leaking splits outside `study="leak"`, and
    groups that are not one recipe with several seeds.
    """
    contenders = open_contenders(models, groups)
    runs = [run for contender in contenders for run in contender.runs]
    refuse_unfit(runs, study)
    refuse_seen(runs, study)
    regions = common_regions(runs)
    cases = common_cases(runs, regions, study)
    metrics = compared_metrics([row for run in runs for row in run.rows.values()])
    means = [average_patients(runs, cases, region, metrics) for region in regions]
    class_of = classes_of(runs, cases)
    matched = match_contenders(contenders, reference)
    pairs = [pair for metric in metrics for pair in compare_pairs(metric, matched, means, bool(groups))]
    if len(regions) > 1:
        pairs = [*compare_pairs(HEADLINE, matched, [over_regions(means)], bool(groups)), *pairs]
    unverified = [one.name for one in contenders if any(map(_is_unverified, one.runs))]
    return Comparison(
        schema_version=SCHEMA_VERSION,
        about="leak" if study else "recipes" if groups else "models",
        regions=regions,
        ranked_by=ranked_by(regions),
        cases=len(cases),
        patients=len({patient for region in means for patient in region.patients}),
        source=runs[0].summary.source,
        contenders=[describe_contender(contender, class_of, region) for contender in contenders for region in means],
        pairs=pairs,
        pairs_within=Within(runs, regions, metrics, class_of).pairs(matched, bool(groups)),
        ranking=rank_contenders(contenders, means),
        verdicts=[_verdict(pair, study, len(regions)) for pair in pairs if pair.metric == HEADLINE],
        warnings=[
            *_unshared_regions(runs, regions),
            *([f"{in_sentence(unverified)}: {OF_ANOTHER_PROGRAM}"] if unverified else []),
            *_warnings(runs, means, study, bool(groups)),
            *([] if groups else _nothing_to_tell(pairs)),
        ],
        disagreements=find_disagreements(contenders, cases, regions),
        **({"unverified": unverified} if unverified else {}),
    )


def _is_unverified(run: Run) -> bool:
    return any(warning.code is WarningCode.MASKS_GIVEN for warning in run.summary.warnings)


def ranked_by(regions: Sequence[str]) -> str:
    """What decides over ranks, in words."""
    return "Dice by patient" if len(regions) == 1 else "mean over regions of the Dice by patient"


def name_runs(folders: Sequence[Path]) -> dict[str, Path]:
    """Runs by the names of their folders, told apart where two are called alike."""
    names = [folder.resolve().name for folder in folders]
    return dict(zip(names if len(set(names)) == len(names) else _told_apart(folders), folders, strict=True))


def _told_apart(folders: Sequence[Path]) -> list[str]:
    """Names behind those of the nearest folders above them that all differ; numbered where none do."""
    paths = [folder.resolve() for folder in folders]
    for level in zip(*(path.parents for path in paths), strict=False):
        if len({parent.name for parent in level}) == len(paths):
            return [f"{parent.name}/{path.name}" for parent, path in zip(level, paths, strict=True)]
    return [f"{path.name} ({number})" for number, path in enumerate(paths, 1)]


def _verdict(pair: ComparedPair, study: Study | None, regions: int) -> str:
    mean, ci95, p = pair.difference.mean, pair.difference.ci95, pair.p_corrected
    limits = f", 95 % interval {ci95[0]:+.3f} to {ci95[1]:+.3f}" if ci95 else ""
    where = f", {pair.region}" if regions > 1 else ""
    difference = f"{pair.first} minus {pair.second}{where}: Dice {mean:+.3f}"
    if pair.too_few:
        return f"{difference}: too few patients for a claim about recipes, which takes {LEAST_FOR_INTERVAL}."
    figures = f"{difference}{limits}, {tell_p(p)}"
    if pair.difference.range == [0, 0]:
        return f"{figures}: no difference."
    if pair.noise:
        return f"{figures}: within noise, no claim can be made."
    return f"{figures}: {'a real difference, which is the leak' if study else f'{pair.better} is better'}."


def _unshared_regions(runs: Sequence[Run], regions: Sequence[str]) -> list[str]:
    unshared = sorted({region for run in runs for region in run.summary.regions} - {*regions})
    return [f"only {', '.join(regions)} is compared: not all outline {', '.join(unshared)}"] if unshared else []


def _warnings(runs: Sequence[Run], means: Sequence[PatientMeans], study: Study | None, recipes: bool) -> list[str]:
    sentences = []
    if study == "leak":
        sentences.append("LEAK STUDY: this measures how much a leaking split flatters; it ranks nothing")
        sentences.append("only the cases that all runs were tested on are compared")
    elif not recipes:
        sentences.append("one run each: this is about these models, not about their recipes; for those use --group")
    sentences += [text for region in means if (text := _few_patients(region, len(means)))]
    shared = [warning for warning in runs[0].summary.warnings if all(warning in run.summary.warnings for run in runs)]
    told = (WarningCode.LEAKING, WarningCode.MASKS_GIVEN)
    return sentences + [warning.text for warning in shared if warning.code not in told]


def _nothing_to_tell(pairs: Sequence[ComparedPair]) -> list[str]:
    """A sentence where no difference, however large, could be more than noise: that none is found says nothing.

    The mean over regions is tested by itself, so that it may be told where the regions cannot.
    """
    tested = [pair for pair in pairs if pair.metric == HEADLINE]
    means = [pair for pair in tested if pair.region == OVER_REGIONS]
    regions = [pair for pair in tested if pair.region != OVER_REGIONS]
    families = {f"{OVER_REGIONS}: ": means, "regions by themselves: ": regions} if means else {"": regions}
    return [sentence for where, family in families.items() if (sentence := _too_few_to_tell(where, family))]


def _too_few_to_tell(where: str, tested: Sequence[ComparedPair]) -> str:
    """Of comparisons that are corrected together; empty where one can be told from noise, and of none."""
    patients = max((len(pair.by_patient or ()) for pair in tested), default=0)
    least = least_p(patients, len(tested))
    if not tested or least < LEVEL:
        return ""
    counted = f"{numbered(patients, 'patient')} in {numbered(len(tested), 'comparison')}"
    return (
        f"{where}{counted}: p cannot fall below {least:.2g}, so that no difference, however large, can be told from "
        "noise; this does not say that there is none"
    )


def _few_patients(means: PatientMeans, regions: int) -> str:
    patients = len(means.patients)
    if patients >= LEAST_FOR_INTERVAL:
        return ""
    return (f"{means.region}: " if regions > 1 else "") + too_few(patients)


def save_comparison(result: Comparison, folders: Sequence[Path], output: Path) -> None:
    """Write `compare.json` and `compare.html`; `folders` are the runs whose pictures are drawn, one a contender."""
    write_json(output / COMPARISON_NAME, result.to_json())
    runs = [folder for folder in folders if (folder / CONFIG_NAME).is_file()]
    with run_images(runs[0]) if runs else nullcontext() as reader:
        write_comparison(result, folders, output, _drawing(runs[0], reader) if reader else None)


def _drawing(run: Path, reader: CaseReader) -> Drawing:
    """Where a run folder's own images are."""
    regions = list(read_comparable(run / SUMMARY_NAME).regions)
    return Drawing(reader, regions, run / PREDICTIONS_NAME, regions)
