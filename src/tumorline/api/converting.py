"""`convert`: DICOM series and their segmentations become files that train, evaluate and nnU-Net read."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tumorline.api.keywords import checked
from tumorline.conversion.nifti_set import truth_path, write_set
from tumorline.conversion.outlines import Outlines
from tumorline.conversion.plan import NamedScan, Wanted, plan_set
from tumorline.data.layouts.volumes.scan_case import SEQUENCES
from tumorline.errors import UserError
from tumorline.escaping import for_shell
from tumorline.given_paths import as_path, as_paths, as_texts
from tumorline.output.folder import open_output
from tumorline.output.place import refuse_in_data, refuse_inputs_in
from tumorline.progress import Notify, Progress, silent
from tumorline.regions import ENHANCING, WHOLE
from tumorline.user_text import says_nothing
from tumorline.wording import numbered


@dataclass(frozen=True)
class Converted:
    """What was written, and in one line each what was not."""

    folder: Path
    channels: Sequence[str]
    regions: Sequence[str]
    written: Sequence[NamedScan]
    problems: Sequence[str]

    @property
    def with_truth(self) -> int:
        return sum(bool(named.scan.truths) for named in self.written)

    @property
    def next_command(self) -> str:
        """What looks at the set, with what it reads of it where that is not the default."""
        if not self.with_truth:
            return for_shell("tumorline", "predict", self.folder)
        channels = [] if [*self.channels] == [SEQUENCES[0]] else [f"data.channels={','.join(self.channels)}"]
        is_read = len(self.regions) == 1 and self.regions[0] not in (WHOLE, ENHANCING)
        regions = [] if is_read else [f"data.regions={','.join(self.regions)}"]
        settings = [word for setting in (*channels, *regions) for word in ("--set", setting)]
        return for_shell("tumorline", "data", "check", self.folder, *settings)


@checked
def convert(
    scans: Sequence[Path | str] | Path | str,
    output: Path | str,
    *,
    channels: Sequence[str] = (),
    regions: Sequence[str] = (),
    keep_identifiers: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    notify: Notify = silent,
) -> list[dict[str, Any]]:
    """Write DICOM series and their segmentations (SEG) as NIfTI in nnU-Net's layout, which all of Tumorline reads.

    Series of one study are channels of one scan, on the grid of the series that its segmentation refers to.

    Args:
        scans: A folder or several, with series and segmentations at any depth.
        output: Folder for `imagesTr/`, `labelsTr/`, `imagesTs/` (scans without a segmentation), `dataset.json` and
            `patients.csv`.
        channels: Sequences by name, such as 'flair'; or 'flair=FOLDER' for series whose headers do not tell. Without
            any those that every scan has.
        regions: 'NAME=LABEL,LABEL' for each region: the segments that it is the union of. Without any a region for
            each label of a segment.
        keep_identifiers: Name scans and patients by the ids of DICOM headers instead of their hashes.
        overwrite: Whether to replace other results of Tumorline in that folder; never other files.
        progress: Called with the number of scans that are done and of all.
        notify: Hears as what each series was taken, and what is left out.

    Returns:
        One row for each scan that was written: `id`, `patient`, `folder` (where its series lie), `truth` (path of its
        label map, or None); and one with `error` for each scan or segmentation that was not.

    Raises:
        UserError: Where there is no series, where none can be written, and for a folder with other results.

    Example:
        >>> (row,) = tumorline.convert("study", "converted")
        >>> row["truth"], row["error"]
        (None, None)
    """
    wanted = Wanted(as_texts(channels, "channels"), as_texts(regions, "regions"), keep_identifiers)
    made = write_converted(scans, output, wanted, overwrite, progress, notify)
    rows = [_row(made.folder, named) for named in made.written]
    return [*rows, *({**dict.fromkeys(rows[0]), "error": problem} for problem in made.problems)]


def _row(folder: Path, named: NamedScan) -> dict[str, Any]:
    truth = str(truth_path(folder, named)) if named.scan.truths else None
    whose = {"id": named.id, "patient": named.patient, "folder": str(named.scan.folder)}
    return {**whose, "truth": truth, "error": None}


def write_converted(
    scans: Sequence[Path | str] | Path | str,
    output: Path | str,
    wanted: Wanted,
    overwrite: bool = False,
    progress: Progress | None = None,
    notify: Notify = silent,
) -> Converted:
    """As `convert`, with what the set holds."""
    places, target = as_paths(scans, "scans"), as_path(output, "output")
    for place in places:
        if not place.exists():
            raise UserError(f"{place}: no such file or folder")
        refuse_in_data(target, place)
    plan = plan_set(places, wanted, notify)
    refuse_inputs_in(target, [path for named in plan.scans for path in named.scan.files])
    with open_output(target, plan.purpose, overwrite) as folder:
        written, problems = write_set(plan, folder, progress, notify)
    for line in _told(written, plan.outlines):
        notify(line)
    return Converted(folder.path, plan.channels, plan.outlines.regions, written, problems)


def _told(written: Sequence[NamedScan], outlines: Outlines) -> Iterator[str]:
    """In how many scans each region was drawn, and of how many scans the patients are unknown."""
    drawn = [named.scan.segmentations for named in written if named.scan.truths]
    counts = Counter(region for some in drawn for region in {name for one in some for name in outlines.found_in(one)})
    for region in outlines.regions if drawn else ():
        lacking = "" if counts[region] == len(drawn) else "; empty in the others, which have no such segment"
        yield f"{region}: a segment of {counts[region]} of {numbered(len(drawn), 'scan')}{lacking}"
    if unknown := sum(says_nothing(named.patient) for named in written):
        yield f"no PatientID in {numbered(unknown, 'scan')}: each counts as a patient; name them in patients.csv"
