"""Sources looked at before a training: `check` and the data page."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tumorline.api.keywords import checked
from tumorline.api.places import checked_folder
from tumorline.audit import between
from tumorline.audit import check as checks
from tumorline.config import Config, load_config
from tumorline.data.dataset import Dataset
from tumorline.data.finding import Finding
from tumorline.data.joined import load_data
from tumorline.data.splits.parts import Split
from tumorline.data.splits.split import split_dataset
from tumorline.errors import UserError
from tumorline.evaluation.provenance import hash_dataset
from tumorline.given_paths import as_path, as_path_or_none, as_sources, as_texts
from tumorline.output.folder import open_output
from tumorline.output.journal import hash_settings
from tumorline.output.purpose import Purpose
from tumorline.progress import Progress
from tumorline.report.data_entries import Described
from tumorline.report.data_page import write_data_page
from tumorline.report.observation import Observer
from tumorline.source_spec import with_data


@checked
def check(
    source: Path | str,
    overrides: Iterable[str] = (),
    progress: Progress | None = None,
    against: Path | str | None = None,
) -> list[Finding]:
    """Look for what would spoil a training or a figure, or for what two sources share.

    Args:
        source: A source in any supported layout, with settings of its own after commas; with `against` also a plain
            folder of pictures.
        overrides: 'data.key=value' texts, for how the source is read.
        progress: Called with the number of cases that are decoded and of all.
        against: Another source, as the first one: the findings are then the pictures and patients that are in both.

    Returns:
        The findings, errors first; each has `code`, `severity` ('error', 'warning' or 'info'), `message` and `files`.

    Raises:
        UserError: Where the source is in no supported layout.

    Example:
        >>> [finding.code for finding in tumorline.check("scans") if finding.severity == "error"]
        []
    """
    changes = as_texts(overrides, "overrides")
    (first,) = as_sources([source], "source")
    if against is None:
        config = with_data(load_config(None, changes), [first], absolute=False)
        return checks.check(load_data(config, progress))
    sets = [between.open_side(side, changes, progress) for side in (first, *as_sources([against], "against"))]
    return list(between.compare_sets(*sets).findings)


def describe_data(
    sources: Sequence[Path | str] | Path | str,
    *,
    output: Path | str | None = None,
    overrides: Iterable[str] = (),
    overwrite: bool = False,
    progress: Progress | None = None,
) -> tuple[Path, list[Finding]]:
    """Write a page of what a source holds before one trains; returns its folder and the findings of the check.

    Several sources, each with settings of its own after commas, are looked at as they would train together. Every case
    is decoded once. `data.html` and `cases.csv` go to `output`, else to `data_reports/<time>-<source>`; what lies there
    is replaced with `overwrite` only.
    """
    config = with_data(load_config(None, overrides), as_sources(sources, "sources"), absolute=False)
    if output:
        checked_folder(as_path(output, "output"), config.data)
    observer = Observer()
    dataset = load_data(config, progress, observer.look)
    described = Described(dataset, observer, checks.check(dataset), _split_or_why(dataset, config))
    settings = hash_settings(split=config.split.model_dump(mode="json"))
    identity = {"inputs": hash_dataset(dataset), "settings": settings}
    purpose = Purpose("data report", identity, "data_reports", dataset.source.name)
    with open_output(as_path_or_none(output, "output"), purpose, overwrite) as folder:
        write_data_page(described, folder.path)
    return folder.path, list(described.findings)


def _split_or_why(dataset: Dataset, config: Config) -> Split | str:
    """How the cases would be split, or in one line why they cannot be."""
    try:
        return split_dataset(dataset, config.split)
    except UserError as error:
        return str(error)
