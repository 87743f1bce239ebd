"""Cross-validation: each fold is a run of its own, and every patient is scored by the model that has not seen it."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from tumorline import run
from tumorline.config import Config, same_training
from tumorline.errors import Diverged, UserError
from tumorline.evaluation.agreement import require_baselines, require_cases
from tumorline.evaluation.baselines import Record
from tumorline.evaluation.predictions import find_prediction
from tumorline.evaluation.presence import read_presence, summarise_presence, write_presence
from tumorline.evaluation.status import SEVERITY
from tumorline.evaluation.subsets import read_subsets, summarise_subsets, write_subsets
from tumorline.evaluation.summary import IN_NO_PART, region_figures, tell_truths, with_baselines, without_own
from tumorline.evaluation.tables import (
    certainty_keys,
    gather_certainties,
    read_baselines,
    read_certainties,
    read_rows,
    write_evaluation,
)
from tumorline.evaluation.weaknesses import WEAKNESSES
from tumorline.file_names import (
    CERTAINTY_NAME,
    CONFIG_NAME,
    EVALUATION_NAME,
    PREDICTIONS_NAME,
    PRESENCE_NAME,
    REPORT_IMAGES_NAME,
    REPORT_NAME,
    SUBSETS_NAME,
    SUMMARY_NAME,
)
from tumorline.files import alone_in, write_bytes
from tumorline.metrics import calibration
from tumorline.metrics.summary import Row, of_region
from tumorline.output.folder import claim_output
from tumorline.output.place import require_utf_8
from tumorline.progress import Notify
from tumorline.results import (
    Calibration,
    Fold,
    Presence,
    ResultWarning,
    SubsetLevel,
    Summary,
    WarningCode,
    read_summary,
)
from tumorline.run_folder import is_finished, read_config, read_split, save_config

NAMES = (
    CONFIG_NAME,
    "fold-*",
    EVALUATION_NAME,
    CERTAINTY_NAME,
    SUMMARY_NAME,
    PREDICTIONS_NAME,
    PRESENCE_NAME,
    SUBSETS_NAME,
    REPORT_NAME,
    REPORT_IMAGES_NAME,
)
"""All that a folder of folds holds, with or without a journal."""
GATHERING_S = 1800.0
"""How long one process waits for another that puts the folds together."""
IN_EACH_ITS_OWN = "in each fold its own"


def cross_validate(config: Config, folder: Path, wanted: Collection[int], notify: Notify) -> None:
    """Train the folds that are not finished yet, then gather what is there.

    `folder` gets a run folder `fold-K` for each fold, and evaluation, summary and report over all finished folds.
    Called again with the same configuration it goes on where it was stopped; with another threshold, temperature, gate,
    storage or post-processing it finishes what is trained anew. Raises UserError for a folder in which folds of another
    training were begun and for folds that do not exist, and at the end where folds diverged.
    """
    chosen = _chosen(config, wanted)
    require_utf_8(folder)
    claim_output(folder, "folds", NAMES)
    if not any(folder.glob("fold-*")):
        save_config(config, folder)
    elif not same_training(read_config(folder), config):
        raise UserError(f"{folder}: holds the folds of another configuration; choose another --output")
    diverged: list[str] = []
    for fold in chosen:
        try:
            _train_fold(config, fold, folder, notify)
        except Diverged as error:
            diverged.append(str(error))
            notify(f"fold {fold} failed: {error}")
        else:
            gather(folder)
    if diverged:
        raise UserError(f"{len(diverged)} of {len(chosen)} folds diverged, the others are finished; {diverged[0]}")


def gather(folder: Path, wanted: Collection[int] = ()) -> Summary:
    """Put the test cases of all finished folds together: `evaluation.csv`, `summary.json`, masks, `report.html`.

    `wanted` are the folds that count; none stands for all.

    Of processes that train folds of their own, one gathers at a time. Raises UserError where no fold is finished, and
    where a table of one was damaged.
    """
    with alone_in(folder, GATHERING_S):
        return _gathered(folder, wanted)


def _gathered(folder: Path, wanted: Collection[int]) -> Summary:
    config = read_config(folder)
    chosen = wanted or range(config.split.folds)
    finished = [path for fold in chosen if is_finished(path := folder / f"fold-{fold}")]
    if not finished:
        raise UserError(f"{folder}: no fold is finished yet; train them with 'tumorline folds'")
    rows = {path: [row for row in read_rows(path) if row.status == "test"] for path in finished}
    for path, members in rows.items():
        _require_tables(path, members)
    for path, members in rows.items():
        _copy_masks(path, members, folder)
    all_rows = [row for members in rows.values() for row in members]
    summary = with_baselines(summarise_folds(config, all_rows, finished), _shared_baselines(finished))
    regions = list(summary.regions)
    measured: dict[str, object] = {
        "calibration": _calibrations(finished, regions, len(all_rows)),
        "folds": _folds(rows, regions),
        "subsets": _shared_subsets(finished, folder),
    }
    if presence := _presence(finished, folder):
        measured["presence"] = presence
    summary = summary.model_copy(update=measured)
    write_evaluation(folder, all_rows, summary)
    gather_certainties(finished, folder, ("test",))
    run.render_report(folder, config)
    return summary


def _chosen(config: Config, wanted: Collection[int]) -> list[int]:
    folds = config.split.folds
    if not folds:
        raise UserError("split.folds is 0; say how many folds with --set split.folds=5")
    if outside := [fold for fold in wanted if not 0 <= fold < folds]:
        raise UserError(f"--fold {outside[0]}: expected 0 to {folds - 1}, there are {folds} folds")
    return sorted(wanted) or list(range(folds))


def _require_tables(folder: Path, rows: Sequence[Row]) -> None:
    """Raise UserError where what is counted beside a fold's rows is not of the same cases."""
    require_baselines(folder, read_baselines(folder), read_summary(folder / SUMMARY_NAME).baselines)
    if keys := certainty_keys(folder, ("test",)):
        require_cases(folder / CERTAINTY_NAME, keys, rows)
    if presence := read_presence(folder, ("test",)):
        require_cases(folder / PRESENCE_NAME, [(row.case, row.region) for row in presence], rows)


def _train_fold(config: Config, fold: int, folder: Path, notify: Notify) -> None:
    own = config.model_copy(update={"split": config.split.model_copy(update={"fold": fold})})
    path = folder / f"fold-{fold}"
    keep = partial(_keep_settings, config, folder)
    if not (path / CONFIG_NAME).exists():
        run.train(own, path, notify, on_ready=keep)
        return
    if not same_training(before := read_config(path), own):
        raise UserError(f"{path}: holds a training of another configuration; choose another --output")
    if before == own and is_finished(path):
        notify(f"{path}: finished already")
        return
    run.resume(path, own, run.Course(notify, on_ready=partial(_keep_own_settings, own, path, keep)))


def _keep_settings(config: Config, folder: Path, notify: Notify) -> None:
    """Settings other than those of before go into the folder; of them no fold is finished."""
    if read_config(folder) == config:
        return
    notify(f"{folder}: folds that are trained are finished anew; their test parts are looked at once more")
    for fold in range(config.split.folds):
        (folder / f"fold-{fold}" / REPORT_NAME).unlink(missing_ok=True)
    save_config(config, folder)


def _keep_own_settings(config: Config, folder: Path, keep: run.OnReady, notify: Notify) -> None:
    keep(notify)
    if read_config(folder) != config:
        save_config(config, folder)


def _folds(rows: Mapping[Path, Sequence[Row]], regions: Sequence[str]) -> list[Fold]:
    """The figures of each fold by itself."""
    return [
        Fold(fold=path.name, region=region, **region_figures(of_region(members, region)).stated())
        for path, members in rows.items()
        for region in regions
    ]


def _calibrations(finished: Sequence[Path], regions: Sequence[str], rows: int) -> dict[str, Calibration]:
    """By region; none where a fold was evaluated before there were any."""
    folds = [read_certainties(path, ("test",)) for path in finished]
    together = {region: [case for fold in folds for case in fold.get(region, [])] for region in regions}
    if sum(map(len, together.values())) != rows:
        return {}
    return {region: calibration.summarise_calibration(cases) for region, cases in together.items()}


def _copy_masks(source: Path, rows: Sequence[Row], folder: Path) -> None:
    regions = list(dict.fromkeys(row.region for row in rows))
    for case in dict.fromkeys(row.case for row in rows):
        for path in find_prediction(source / PREDICTIONS_NAME, case, regions):
            write_bytes(folder / path.relative_to(source), path.read_bytes())


def _shared_baselines(finished: Sequence[Path]) -> list[Record]:
    """The records of those baselines that every fold has."""
    records = [read_baselines(path) for path in finished]
    shared = set.intersection(*({record["baseline"] for record in fold} for fold in records))
    return [record for fold in records for record in fold if record["baseline"] in shared]


def _presence(finished: Sequence[Path], folder: Path) -> dict[str, dict[str, Presence]]:
    """Of the cases of all folds, image by image; empty where none was looked at so."""
    rows = [row for path in finished for row in read_presence(path, ("test",))]
    if not rows:
        return {}
    write_presence(folder, rows)
    return summarise_presence(rows)


def _shared_subsets(finished: Sequence[Path], folder: Path) -> dict[str, list[SubsetLevel]]:
    """What the folds have measured with some of the channels only, put together; nothing where one has not."""
    records = [read_subsets(path) for path in finished]
    if not all(records):
        return {}
    together = [record for fold in records for record in fold]
    write_subsets(folder, together)
    return summarise_subsets(together)


def summarise_folds(config: Config, rows: Sequence[Row], finished: Sequence[Path]) -> Summary:
    """In the form of a run's summary: what all folds share, what each says by itself, and figures over all cases."""
    summaries = [read_summary(path / SUMMARY_NAME) for path in finished]
    shared, settings = summaries[0], config.split
    origin = f"out of fold: {len(finished)} of {settings.folds} folds, by {settings.by}, seed {settings.seed}"
    return shared.model_copy(
        update={
            "schema_version": 2,
            "split": shared.split.model_copy(
                update={"origin": origin, "parts": {"test": len({row.case for row in rows})}}
            ),
            "cases": len({row.case for row in rows}),
            "patients": len({row.group for row in rows}),
            "case_status": dict(Counter({row.case: row.status for row in rows}.values())),
            "regions": {region: region_figures(of_region(rows, region)) for region in shared.regions},
            "left_out": _outside_all(finished),
            "validation": None,
            "baselines": {},
            "subsets": {},
            "operating_points": {},
            "conventions": _shared_conventions(summaries),
            "warnings": [
                *_warnings_of_any(summaries),
                *(ResultWarning(code=code, text=text) for code, text in tell_truths(rows).items()),
                *_weaknesses(finished, summaries),
                *_missing(len(finished), settings.folds),
            ],
        }
    )


def _outside_all(finished: Sequence[Path]) -> dict[str, int]:
    """Cases that are in no part of any fold; those that one fold leaves out and another tests are none."""
    outside = [{row["case"] for row in read_split(path) if row["part"] not in SEVERITY} for path in finished]
    number = len(set.intersection(*outside))
    return {IN_NO_PART: number} if number else {}


def _shared_conventions(summaries: Sequence[Summary]) -> dict[str, str]:
    names = dict.fromkeys(name for summary in summaries for name in summary.conventions)
    texts_by_name = {name: {summary.conventions.get(name, "") for summary in summaries} for name in names}
    return {name: IN_EACH_ITS_OWN if len(texts) > 1 else texts.pop() for name, texts in texts_by_name.items()}


def _warnings_of_any(summaries: Sequence[Summary]) -> list[ResultWarning]:
    """Those that hold for other cases as well, each once."""
    return [*{warning.text: warning for summary in summaries for warning in without_own(summary.warnings)}.values()]


def _weaknesses(finished: Sequence[Path], summaries: Sequence[Summary]) -> list[ResultWarning]:
    return [
        ResultWarning(code=WarningCode.ONE_FOLD, text=f"{path.name}: {warning.text}")
        for path, summary in zip(finished, summaries, strict=True)
        for warning in summary.warnings
        if warning.code in WEAKNESSES
    ]


def _missing(finished: int, folds: int) -> list[ResultWarning]:
    text = f"{finished} OF {folds} FOLDS: the others are not finished"
    return [ResultWarning(code=WarningCode.FOLDS_MISSING, text=text)] if finished < folds else []
