"""The images that the pages of a run show: those that its model knows, where the user began or trusts the run."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tumorline.data.joined import case_reader
from tumorline.errors import UserError, UserNotice
from tumorline.file_names import CONFIG_NAME, SUMMARY_NAME
from tumorline.model_file import known_images
from tumorline.report.cases import CaseReader
from tumorline.trust import local_only
from tumorline.trusted_paths import read_local_config


@contextmanager
def run_images(run: Path) -> Iterator[CaseReader | None]:
    """Image and truth by case while a page is made; None, and a notice afterwards, where a stranger names them."""
    if not (run / CONFIG_NAME).is_file() and (run / SUMMARY_NAME).is_file():
        raise UserError(f"{run}: an evaluation of other data; say --data SOURCE where they are, for the page's images")
    try:
        config = read_local_config(run)
    except UserError as error:
        yield None
        warnings.warn(f"{error}; the page has no images", UserNotice, stacklevel=3)
        return
    with local_only():
        yield case_reader(config, known_images(run))
