"""`score`: the figures of masks that another program has drawn."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack

from tumorline.api.keywords import spelled_out
from tumorline.assessment import data_settings, known_reader, open_evaluation, open_usable
from tumorline.data.dataset import Dataset
from tumorline.errors import require_number
from tumorline.evaluation.given_masks import GivenMasks, open_masks, score_masks
from tumorline.evaluation.provenance import hash_dataset
from tumorline.evaluation.status import UNVERIFIED, Request
from tumorline.given_paths import as_path
from tumorline.output.purpose import Purpose
from tumorline.progress import Progress
from tumorline.report import write_report
from tumorline.results import Summary


class MaskKeywords(TypedDict, total=False):
    """What `score` takes by name."""

    output: Path | str | None
    overwrite: bool
    overrides: Iterable[str]
    processes: int
    progress: Progress | None


@dataclass(frozen=True)
class MaskOptions:
    """How masks are scored; see `score`."""

    output: Path | str | None = None
    overwrite: bool = False
    overrides: Iterable[str] = ()
    processes: int = 1
    progress: Progress | None = None
    decoding_progress: Progress | None = None
    """Counts the cases that are decoded, of a source that was not read before."""

    def __post_init__(self) -> None:
        require_number("processes", self.processes, 1)


@spelled_out(MaskKeywords, MaskOptions)
def score(masks: Path | str, data: Path | str, **options: Unpack[MaskKeywords]) -> dict[str, Any]:
    """Score masks that another program has drawn, by the same rules as a model's, and write the same files.

    Which cases that program was trained on is not known, and every output says so. `compare` puts the folder beside
    those of models and of other programs.

    Args:
        masks: A folder with a mask for each case, called as the case is (`CASE.png`, `CASE.nii.gz`, also with `_mask`
            or `_seg` behind it), which marks what the masks of the set mark by the same values. Cases without one are
            left out, and counted.
        data: A source in any supported layout, with its own masks.
        output: Folder for `evaluation.csv`, `summary.json`, `predictions/` and `report.html`; None makes
            `evaluations/<time>-<masks>-<source>`.
        overwrite: Whether to replace other results of Tumorline in that folder; never other files.
        overrides: 'data.key=value' texts, for how the source is read, such as 'data.regions=tumour_core'.
        processes: So many score the masks where that pays; a script then needs `if __name__ == "__main__"`.
        progress: Called with the number of cases that are done and of all.

    Returns:
        The content of `summary.json`, as of `evaluate`; it has no `calibration`, which needs probabilities.

    Raises:
        UserError: For a mask that is of no case, of two, of another size or of other values, and for what `evaluate`
            refuses of a source or a folder.

    Example:
        >>> summary = tumorline.score("drawn", "other", output="evaluations/drawn")
        >>> summary["case_status"], summary["regions"]["tumour"]["missed"]
        ({'unverified': 8}, 0)
    """
    return write_scores(masks, data, MaskOptions(**options))[1].to_json()


def write_scores(masks: Path | str, data: Path | str, how: MaskOptions) -> tuple[Path, Summary]:
    """As `score`, with the folder of the results."""
    source = as_path(data, "data")
    dataset = open_usable(data_settings(how.overrides), source, how.decoding_progress)
    given = open_masks(as_path(masks, "masks"), dataset)
    with open_evaluation(how.output, _purpose(given, dataset), how.overwrite, [dataset]) as folder:
        only = (UNVERIFIED,)
        request = Request(dataset, folder.path, only, only, processes=how.processes)
        summary = score_masks(given, request, how.progress)
        write_report(folder.path, known_reader(dataset, None))
    return folder.path, summary


def _purpose(given: GivenMasks, dataset: Dataset) -> Purpose:
    identity = {"inputs": hash_dataset(dataset), "model": given.fingerprint, "settings": ""}
    return Purpose("score", identity, "evaluations", f"{given.name}-{dataset.source.name}")
