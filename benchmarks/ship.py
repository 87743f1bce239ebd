"""Make a finished model one that comes with the package.

    python benchmarks/ship.py runs/builtin [--folds runs/builtin-5folds]
    python benchmarks/ship.py runs/brats_final --name builtin-brats --folds runs/volumes/brats_3d
    python benchmarks/ship.py                     # the card of `builtin` anew, with what was measured since

Copies model file, ONNX file and card to src/tumorline/weights/. `builtin` gets what the matrix of
benchmarks/cross_dataset.md says of other sets, and benchmarks/stress.md of changed pictures. What other precisions
change is in benchmarks/results/runtimes/. `builtin-brats` is a model of all cases, which nothing is left to test: its
figures are those of the folds of its recipe, and it ships only where these allow it.
"""

import argparse
import csv
import json
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

import stress
from marked import markdown_table
from refusals import said_in_one_line
from runtimes import PROCESSOR, kept_changes
from tumorline.evaluation.precision import with_precisions
from tumorline.export import stamp_onnx
from tumorline.model_file import (
    BUILTIN,
    BUILTIN_OF_SCANS,
    LISTED,
    find_model,
    read_content,
    read_info,
    save_model,
    with_figures,
)
from tumorline.model_info import ModelInfo, PrecisionChange
from tumorline.report.card import render_card
from tumorline.results import Summary, read_summary
from tumorline.runtime import PRECISIONS
from volumes import Row, finished, mean_over_regions, number, read_table, shown, tested

LARGEST_MB = 15
LEAST_MEDIAN = 0.75
"""Of whole tumour, over the cases of all folds."""
NEARLY_ALL = 0.99
"""Of the cases of the folds, those that a model of all patients has to know: a few may have been left out."""
OTHER_SETS = Path(__file__).parent / "results" / "cross_dataset.json"
FILES = {"model.safetensors": ".safetensors", "model.onnx": ".onnx", "MODEL_CARD.md": ".md"}
OTHERS = "\n## On other sets\n\n"
"""Where the card of a run ends."""
CALLED = "9 cases, a demonstration"
TERMS = (
    "Weights trained on nine cases of BraTS 2021 as TCIA releases it (RSNA-ASNR-MICCAI-BraTS-2021, "
    "doi 10.7937/jc8x-9874, CC BY 4.0, with its data usage policy); name the source when you pass them on"
)
ATTRIBUTION = (
    "RSNA-ASNR-MICCAI-BraTS-2021, The Cancer Imaging Archive, doi 10.7937/jc8x-9874, CC BY 4.0. Cite U. Baid et al. "
    "2021 (arXiv:2107.02314), B. H. Menze et al. 2015 (IEEE Trans Med Imaging 34:1993) and S. Bakas et al. 2017 (Sci "
    "Data 4:170117). "
    "The terms are those that two public catalogues state; the data usage policy of TCIA applies."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--name", default=BUILTIN, choices=(BUILTIN, BUILTIN_OF_SCANS))
    parser.add_argument("--folds", type=Path, help="folds of the same recipe, whose figures the model bears")
    given = parser.parse_args()
    if not given.run:
        print(renew_card())
    elif given.name == BUILTIN_OF_SCANS:
        if not given.folds:
            sys.exit(f"{BUILTIN_OF_SCANS}: give --folds, the folds of its recipe")
        print(*ship_brats(given.run, given.folds), sep="\n")
    else:
        print(*ship_builtin(given.run, given.folds), sep="\n")


def ship_builtin(run: Path, folds: Path | None) -> list[Path]:
    info = read_info(run / "model.safetensors")
    if "CC BY 4.0" not in info.licence or info.split.leaking or info.data.forbids_passing_on:
        sys.exit(f"{run}: {info.licence}; leaking: {info.split.leaking}: not to be shipped")
    refuse_large(run / name for name in FILES)
    LISTED.mkdir(exist_ok=True)
    copied = [Path(shutil.copyfile(run / name, LISTED / f"{BUILTIN}{suffix}")) for name, suffix in FILES.items()]
    card = LISTED / f"{BUILTIN}.md"
    if info.split.trains_on_all:
        if folds is None:
            sys.exit(f"{run}: trained on all patients; give --folds, the folds of its recipe")
        card.write_text(with_folds(info, LISTED / f"{BUILTIN}.safetensors", folds))
    renew_card()
    return copied


def renew_card() -> Path:
    """What stands in results/ beside the run itself, at the end of the card."""
    card = LISTED / f"{BUILTIN}.md"
    of_the_run, _, _ = card.read_text().partition(OTHERS)
    card.write_text(f"{of_the_run}{OTHERS}{on_other_sets()}{stress.told_in_card()}")
    return card


def with_folds(info: ModelInfo, target: Path, folds: Path) -> str:
    """Give a model of all patients, copied to `target`, the figures of its folds; returns its card."""
    summary = read_summary(folds / "summary.json")
    refuse_strangers(info, tested(folds), folds)
    told = with_figures(info, summary)
    told = told.with_metrics(headline={**(told.metrics.headline or {}), "headline_status": ["out of fold"]})
    told = with_precisions(told, precisions_of(BUILTIN))
    save_model(target, read_content(target).weights, told)
    stamp_onnx(target)
    return render_card(told, summary, target)


def precisions_of(model: str) -> dict[str, PrecisionChange]:
    """What other precisions change on the cases that the folds held out, as benchmarks/runtimes.py has measured it."""
    with kept_changes(model).open(newline="") as file:
        rows = list(csv.DictReader(file))
    ways = {name: f"openvino, {name}" for name in PRECISIONS if f"openvino, {name}" in rows[0]}
    return {name: change_of([row for row in rows if row[way]], way) for name, way in ways.items()}


def change_of(rows: Sequence[Row], way: str) -> PrecisionChange:
    processors = " and ".join(sorted({row[PROCESSOR] for row in rows}))
    return PrecisionChange.of([float(row[way]) for row in rows], way.partition(",")[0], processors)


def refuse_large(paths: Iterable[Path]) -> None:
    for path in paths:
        if (size := path.stat().st_size / 1e6) > LARGEST_MB:
            sys.exit(f"{path}: {size:.1f} MB, at most {LARGEST_MB} MB; train with model.storage = 'float16'")


def on_other_sets() -> str:
    matrix = json.loads(OTHER_SETS.read_text())
    own = [cell for cell in matrix["cells"] if cell["model"] == BUILTIN and cell["domain"] == "external"]
    said = [text for text in matrix["sentences"] if text.startswith(f"{BUILTIN} on ")]
    warnings = [f"{cell['set']}: {warning}" for cell in own for warning in cell["warnings"]]
    return "".join(f"- {text}\n" for text in [*said, *warnings])


# ---------------------------------------------------------------- builtin-brats


def ship_brats(run: Path, folds: Path) -> list[Path]:
    """The model of a run, of an ensemble or of a file, with the figures of the folds and the card that says so."""
    model = find_model(run)
    refuse_large((model, model.with_suffix(".onnx")))
    info, rows, summary = read_info(model), tested(folds), read_summary(folds / "summary.json")
    refuse_strangers(info, rows, folds)
    refuse_weak(folds, rows)
    target = LISTED / f"{BUILTIN_OF_SCANS}.safetensors"
    LISTED.mkdir(exist_ok=True)
    shutil.copyfile(model.with_suffix(".onnx"), target.with_suffix(".onnx"))
    told = as_told(info, summary)
    save_model(target, read_content(model).weights, told)
    stamp_onnx(target)
    target.with_suffix(".md").write_text(card_of(told, summary, target, rows, folds.name))
    return [target, target.with_suffix(".onnx"), target.with_suffix(".md")]


def refuse_strangers(info: ModelInfo, rows: Sequence[Row], folds: Path) -> None:
    """What ships was trained on the set of the folds, a few cases aside, by the same recipe, and on nothing else."""
    tested_in = read_info(finished(folds)[0] / "model.safetensors")
    members = [member.architecture for member in info.members] or [info.architecture]
    same = [getattr(tested_in, name) == getattr(info, name) for name in ("input", "regions", "postprocessing")]
    if not all(same) or any(member != tested_in.architecture for member in members):
        sys.exit(f"{info.name}: another network, input, regions or post-processing than those of {folds}")
    known, theirs = set(info.known_cases.contents.get("train", [])), cases_of(finished(folds))
    if not known <= theirs or len(known) < NEARLY_ALL * len(theirs):
        sys.exit(f"{info.name}: not trained on all cases of {folds}, or on others; train one without a test part")


def cases_of(folds: Sequence[Path]) -> set[str]:
    """Contents that the folds train on or test, without what the model that they all start from was held out of."""
    known = [read_info(fold / "model.safetensors").known_cases.contents for fold in folds]
    every = {content for contents in known for part in contents.values() for content in part}
    if len(known) == 1:
        return every
    for part in ("validation", "test"):
        held_out = [set(contents.get(part, [])) for contents in known]
        every -= held_out[0].intersection(*held_out[1:])
    return every


def refuse_weak(folds: Path, rows: Sequence[Row]) -> None:
    """Every fold is better than each trivial answer, by the mean over regions, and whole tumour is found."""
    for fold in finished(folds):
        own = mean_over_regions(row for row in read_table(fold / "evaluation.csv") if row["status"] == "test")
        trivial = defaultdict(list)
        for row in read_table(fold / "baselines.csv"):
            trivial[row["baseline"]].append(row)
        for name, members in trivial.items():
            if own <= (theirs := mean_over_regions(members)):
                sys.exit(f"{fold.name}: Dice {own:.3f}, no better than '{name}' with {theirs:.3f}: not to be shipped")
    whole = [dice for row in rows if row["region"] == "whole_tumour" and (dice := number(row["dice"])) is not None]
    if not whole or median(whole) < LEAST_MEDIAN:
        reached = shown(median(whole) if whole else None)
        sys.exit(f"whole tumour: median Dice {reached}, at least {LEAST_MEDIAN} is needed: not to be shipped")


def as_told(info: ModelInfo, summary: Summary) -> ModelInfo:
    """What the model says of itself, with the figures of the folds."""
    told = with_precisions(with_figures(info, summary), precisions_of(BUILTIN_OF_SCANS))
    data = info.data.model_copy(update={"name": f"BraTS 2021, {CALLED}", "attribution": ATTRIBUTION})
    headline = {**(told.metrics.headline or {}), "headline_status": ["out of fold"]}
    _, begins, origin = info.licence.partition("; started from ")
    licence = f"{TERMS}{begins}{origin}"
    return told.model_copy(update={"name": BUILTIN_OF_SCANS, "licence": licence, "data": data}).with_metrics(
        headline=headline
    )


def card_of(info: ModelInfo, summary: Summary, weights: Path, rows: Sequence[Row], folds: str) -> str:
    """The card of every model, with what these nine cases allow to be said before it."""
    title, _, rest = render_card(info, summary, weights).partition("\n")
    cases = len({row["case"] for row in rows})
    said = f"""
**{CALLED[0].upper()}{CALLED[1:]}.** These weights were trained on all {cases} cases that were at hand. No case is left
to test them: the figures are those of the folds of the same recipe ({folds}), in which each case was scored by a model
that had not seen it. **Choosing between designs on these folds makes them optimistic**, and {cases} cases say little
about others. Post-processing was fixed beforehand and not tuned.

{ATTRIBUTION}

Dice of each case, out of fold:

{values_table(rows, list(summary.regions))}
"""
    return f"{title}: {CALLED}\n{said}{rest}"


def values_table(rows: Sequence[Row], regions: Sequence[str]) -> str:
    """The value of each case and region, with median and range; "none" where a case lacks the region."""
    by_case = {(row["case"], row["region"]): number(row["dice"]) for row in rows}
    cases = sorted({row["case"] for row in rows})
    lines = [
        [case, *("none" if by_case[case, region] is None else shown(by_case[case, region]) for region in regions)]
        for case in cases
    ]
    dice = {
        region: [value for (_, of), value in by_case.items() if of == region and value is not None]
        for region in regions
    }
    lines.append(["**median**", *(shown(median(values)) if values else "-" for values in dice.values())])
    lines.append(["range", *(f"{min(values):.3f} to {max(values):.3f}" if values else "-" for values in dice.values())])
    return markdown_table(["case", *(region.replace("_", " ") for region in regions)], lines)


if __name__ == "__main__":
    with said_in_one_line():
        main()
