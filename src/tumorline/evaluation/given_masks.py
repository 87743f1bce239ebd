"""Masks that another program has drawn: scored as a model's are, and what cannot be known of them is said."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tumorline.arrays import MaskArray
from tumorline.audit.check import stop_on_errors
from tumorline.data.case import Case
from tumorline.data.case_truth import read_truth
from tumorline.data.dataset import Dataset
from tumorline.data.finding import Finding
from tumorline.data.masks_by_case import MaskFolder, find_masks, stranger_findings, with_mask
from tumorline.data.sample import Sample
from tumorline.errors import UserError
from tumorline.evaluation.judging import Answered, CaseFound, Judging
from tumorline.evaluation.predictions import write_prediction
from tumorline.evaluation.provenance import describe_provenance
from tumorline.evaluation.scoring import Found, rows_of, write_found
from tumorline.evaluation.status import UNVERIFIED, Request
from tumorline.evaluation.summary import (
    conventions_of_cases,
    describe_source,
    region_figures,
    warnings_of_cases,
)
from tumorline.file_names import PREDICTIONS_NAME
from tumorline.metrics.case import Pair, score_cases
from tumorline.metrics.summary import Row, of_region
from tumorline.output.journal import hash_file, hash_settings
from tumorline.progress import Progress
from tumorline.results import ResultWarning, Summary, WarningCode
from tumorline.results.summary import SplitDescription
from tumorline.wording import numbered
from tumorline.work_ahead import map_ahead

WITHOUT_MASK = "without a mask"
MASK = "mask"
AS_GIVEN = {"resolution": "masks are compared as they were given, at the size and on the grid of the set's own"}


@dataclass(frozen=True)
class GivenMasks:
    """A folder of masks, and the cases of a data set that they are of."""

    name: str
    cases: tuple[Case, ...]
    """Each with its mask where a corrected one would be."""
    lacking: int
    """Cases of the data set that have none."""
    findings: tuple[Finding, ...]

    @property
    def fingerprint(self) -> str:
        return hash_settings(files=[hash_file(case.correction) for case in self.cases if case.correction])

    @property
    def case_ids(self) -> list[str]:
        return [case.id for case in self.cases]


def open_masks(folder: Path, dataset: Dataset) -> GivenMasks:
    """The masks of a folder by the cases of a data set. Raises UserError for what is the mask of none, or of no use."""
    source = dataset.source
    found = find_masks(MaskFolder(str(folder), MASK, "MASKS"), source.path, dataset.cases, {source.name})
    stop_on_errors([*stranger_findings(found.strangers, str(source.path), MASK), *found.findings])
    masked = [with_mask(case, files, MASK) for case in dataset.cases if (files := found.by_case.get(case.id))]
    cases = tuple(case for case, _ in masked)
    findings = (*found.findings, *(finding for _, more in masked for finding in more))
    return GivenMasks(folder.resolve().name, cases, len(dataset.cases) - len(cases), findings)


def score_masks(masks: GivenMasks, request: Request, progress: Progress | None = None) -> Summary:
    """Score the masks and write what an evaluation of a model writes, but for what needs probabilities.

    Returns the summary. Raises UserError for a mask that cannot be read, or has not the size of its case.
    """
    dataset, found = request.dataset, Found()
    cases = [dataset.case(case_id) for case_id in masks.case_ids]
    status = dict.fromkeys(masks.case_ids, UNVERIFIED)
    scores = score_cases(_judged(masks, request, status, found, progress), request.processes)
    rows = rows_of(cases, dataset.regions, status, scores)
    return write_found(request, rows, found, _summarise(masks, request, rows))


def _judged(
    masks: GivenMasks, request: Request, status: Mapping[str, str], found: Found, progress: Progress | None
) -> Iterator[Pair]:
    """Truth and mask of each case and region, as they are asked for."""
    judging = Judging.of(request, status, constant_masks={})

    def work(masked: Case) -> CaseFound:
        case = request.dataset.case(masked.id)
        sample = request.dataset.read(case)
        answer = Answered([], _mask_of(masked, sample, request.dataset))
        write_prediction(request.output / PREDICTIONS_NAME, case.id, request.dataset.regions, answer.masks, sample.grid)
        return judging.answered(case, sample, answer, request.dataset.regions)

    for done, judged in enumerate(map_ahead(work, masks.cases, request.processes), start=1):
        found.note([], judged.records, judged.presence)
        yield from judged.pairs
        if progress:
            progress(done, len(masks.cases))


def _mask_of(masked: Case, sample: Sample, dataset: Dataset) -> MaskArray:
    """Masks `(R, *space)`."""
    masks = read_truth(masked, dataset.settings)
    if masks.shape != sample.truth.shape:
        mask, case = (" x ".join(map(str, reversed(shape[1:]))) for shape in (masks.shape, sample.truth.shape))
        raise UserError(f"{masked.correction}: {mask}, its case {case}; a mask must have the size of its case")
    return masks


def _summarise(masks: GivenMasks, request: Request, rows: Sequence[Row]) -> Summary:
    source = request.dataset.source
    return Summary(
        schema_version=2,
        model=masks.name,
        source=describe_source(source),
        split=SplitDescription(leaking=False, patients_unknown=source.patients_unknown, training_cases_included=False),
        cases=len(masks.cases),
        patients=len({row.group for row in rows}),
        left_out={WITHOUT_MASK: masks.lacking} if masks.lacking else {},
        case_status={UNVERIFIED: len(masks.cases)},
        headline_status=[UNVERIFIED],
        regions={region: region_figures(of_region(rows, region)) for region in request.dataset.regions},
        baselines={},
        conventions=conventions_of_cases(rows, request) | AS_GIVEN,
        warnings=[*_warnings(masks), *warnings_of_cases(request, rows)],
        made_with=describe_provenance(masks.fingerprint, request.dataset),
    )


def _warnings(masks: GivenMasks) -> Iterator[ResultWarning]:
    yield ResultWarning(
        code=WarningCode.MASKS_GIVEN,
        text="MASKS OF ANOTHER PROGRAM: which cases it was trained on is not known here; the figures say nothing about "
        "new patients if it has seen these",
    )
    if masks.lacking:
        cases = numbered(masks.lacking + len(masks.cases), "case")
        text = f"NOT ALL CASES: {masks.lacking} of {cases} have no mask and are not scored; failures may be among them"
        yield ResultWarning(code=WarningCode.CASES_WITHOUT_MASK, text=text)
    for finding in masks.findings:
        yield ResultWarning(code=WarningCode.OTHER, text=finding.message)
