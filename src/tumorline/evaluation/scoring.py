"""A model's figures on cases that it has not seen, at native resolution, with all conventions stated."""

from collections.abc import Callable, Iterator, Sequence

from tumorline.data.case import Case
from tumorline.data.dataset import Dataset, read_truth
from tumorline.data.truth import read_mask
from tumorline.errors import UserError
from tumorline.evaluation import baselines
from tumorline.evaluation.status import Request, case_status, explain_nothing_left
from tumorline.evaluation.summary import summarise_evaluation, with_baselines
from tumorline.evaluation.tables import write_certainties, write_evaluation
from tumorline.files import write_csv
from tumorline.inference.model import Model
from tumorline.metrics import calibration
from tumorline.metrics.calibration import Certainty
from tumorline.metrics.case import Pair, score_cases
from tumorline.metrics.summary import Row
from tumorline.model_file import ModelInfo
from tumorline.results import Summary
from tumorline.run_folder import BASELINES_NAME, PREDICTIONS_NAME
from tumorline.write.images import mask_path, write_mask

Progress = Callable[[int, int], None]


def evaluate(model: Model, wanted: Request, progress: Progress | None = None) -> Summary:
    """Score a model and write `evaluation.csv`, `summary.json` and `predictions/` below the output folder.

    Returns the summary. Raises UserError where no case is left that the model has not been trained on.
    """
    status = case_status(model.info, wanted.dataset)
    names = [name for name in status if status[name] in wanted.include]
    if not any(status[name] in wanted.headline for name in names):
        raise UserError(explain_nothing_left(model.info, wanted.dataset, status))
    _check_size(model, wanted.dataset)
    certainties: list[Certainty] = []
    scores = score_cases(_predicted(model, wanted, names, certainties, progress), wanted.processes)
    cases = [wanted.dataset.cases[wanted.dataset.index[name]] for name in names]
    rows = [
        Row(case.id, case.patient, _attributes(case), status[case.id], model.info.regions[0], score)
        for case, score in zip(cases, scores, strict=True)
    ]
    summary = summarise_evaluation(model, wanted, rows, status)
    summary = with_baselines(summary, _measure_baselines(model.info, wanted, rows))
    headline = [case for case, row in zip(certainties, rows, strict=True) if row.status in wanted.headline]
    calibrations = {row.region: calibration.summarise_calibration(headline) for row in rows[:1]}
    summary = summary.model_copy(update={"calibration": calibrations})
    write_certainties(wanted.output, rows, certainties)
    write_evaluation(wanted.output, rows, summary)
    return summary


def _check_size(model: Model, dataset: Dataset) -> None:
    if dataset.channels != model.info.architecture.channels:
        raise UserError(
            f"{dataset.source.path}: {dataset.channels} channels; the model takes {model.info.architecture.channels}"
        )


def _predicted(
    model: Model, wanted: Request, names: Sequence[str], certainties: list[Certainty], progress: Progress | None
) -> Iterator[Pair]:
    """Truth and prediction of each case, as they are asked for; writes the masks and notes the certainties."""
    dataset = wanted.dataset
    for done, name in enumerate(names, start=1):
        case = dataset.cases[dataset.index[name]]
        certainty, pair = _recalled(wanted, case) or _answered(model, wanted, case)
        certainties.append(certainty)
        yield pair
        if progress:
            progress(done, len(names))


def _answered(model: Model, wanted: Request, case: Case) -> tuple[Certainty, Pair]:
    image, (truth, *_), _ = wanted.dataset.read(case)
    probability = model.answer(image, case.images[0]).probability[0]
    predicted = probability >= model.info.thresholds[0]
    certainty = calibration.judge(case.group, probability, truth, predicted)
    write_mask(mask_path(wanted.output / PREDICTIONS_NAME, case.id), predicted)
    if wanted.memory:
        wanted.memory.keep(case.id, calibration.to_record(certainty))
    return certainty, Pair(truth, predicted, wanted.dataset.spacing_mm(case))


def _recalled(wanted: Request, case: Case) -> tuple[Certainty, Pair] | None:
    """What an earlier try has found, with the mask that it wrote; None where the case is still to be done."""
    record = wanted.memory.recall(case.id) if wanted.memory else None
    path = mask_path(wanted.output / PREDICTIONS_NAME, case.id)
    certainty = calibration.from_record(record)
    if certainty is None or not path.is_file():
        return None
    truth = read_truth(case, wanted.dataset.settings)[0]
    return certainty, Pair(truth, read_mask(path), wanted.dataset.spacing_mm(case))


def _attributes(case: Case) -> dict[str, str]:
    return {**case.attributes, "class_name": case.class_name}


def _measure_baselines(info: ModelInfo, wanted: Request, rows: Sequence[Row]) -> list[baselines.Record]:
    constant = baselines.from_text(info.constant_mask) if info.constant_mask else None
    names = [row.case for row in rows if row.status in wanted.headline]
    records = baselines.measure_baselines(wanted.dataset, names, constant)
    write_csv(wanted.output / BASELINES_NAME, baselines.COLUMNS, records)
    return records
