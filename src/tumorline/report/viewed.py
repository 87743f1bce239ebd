"""The cases of a page as the viewer takes them: read one by one, with the masks of one model or of several."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tumorline.arrays import MaskArray
from tumorline.data.sample import SampleReader
from tumorline.errors import UserError
from tumorline.evaluation.predictions import read_prediction
from tumorline.regions import label_sets
from tumorline.report.cases import CaseReader
from tumorline.report.picture_files import PictureFiles
from tumorline.viewer.assets import script_data
from tumorline.viewer.encoding import ViewedCase, encode_case, labels_of
from tumorline.work_ahead import map_ahead

THREADS = 2
"""Cases that are read at once: little is in memory, however many there are."""


@dataclass(frozen=True)
class Predicted:
    """Where the masks of a model lie, and the order of its regions there."""

    name: str
    folder: Path
    regions: Sequence[str]


@dataclass(frozen=True)
class ViewedSource:
    """Where the images and the truth of cases come from, which regions are shown, and whose masks."""

    read_case: CaseReader
    true_regions: Sequence[str]
    regions: Sequence[str]
    predicted: Sequence[Predicted]


@dataclass(frozen=True)
class Wanted:
    """A case that is to be shown; `notes` are lines of text below it."""

    case: str
    source: ViewedSource
    notes: Sequence[str] = ()
    title: str = ""
    """Its name on the page, where that is not the case's."""


def gather_pictures(page: Path, wanted: Sequence[Wanted | None]) -> PictureFiles:
    """The picture of each case, in the page or beside it; none where its source or all its masks are gone."""
    files = PictureFiles(page)
    for text in map_ahead(_picture_text, wanted, THREADS):
        files.add(text)
    files.finish()
    return files


def _picture_text(wanted: Wanted | None) -> str | None:
    """The JSON of a case, in which nothing ends a script; None as in `gather_pictures`."""
    if wanted is None:
        return None
    try:
        return script_data(encode_case(read_viewed(wanted)))
    except (UserError, OSError, KeyError, IndexError, ValueError):
        return None


def read_viewed(wanted: Wanted) -> ViewedCase:
    """Raises UserError where no mask of the case is there, or one is of another size than its image."""
    case, source = wanted.case, wanted.source
    sample = source.read_case(case)
    known_case = source.read_case.cases.get(case) if isinstance(source.read_case, SampleReader) else None
    labels = known_case.labels if known_case else None
    order = [source.true_regions.index(region) for region in source.regions]
    predictions = dict(_predictions(case, source))
    if not predictions:
        raise UserError(f"{case}: no predicted mask is there")
    return ViewedCase(
        name=wanted.title or case,
        image=sample.image,
        grid=sample.grid,
        regions=source.regions,
        channels=known_case.channels if known_case else (),
        truth=sample.truth[order],
        predictions=predictions,
        notes=wanted.notes,
        labels=labels_of(source.regions, source.true_regions, labels) if labels else (),
        outlined=label_sets(labels.wanted[index] for index in order) if labels else "",
    )


def _predictions(case: str, source: ViewedSource) -> Iterator[tuple[str, MaskArray]]:
    for predicted in source.predicted:
        if not {*source.regions} <= {*predicted.regions}:
            continue
        try:
            masks = read_prediction(predicted.folder, case, predicted.regions)
        except (UserError, OSError):
            continue
        yield predicted.name, masks[[list(predicted.regions).index(region) for region in source.regions]]
