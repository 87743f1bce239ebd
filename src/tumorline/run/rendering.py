"""The page of a run that is finished."""

from pathlib import Path

from tumorline.config import Config
from tumorline.data.joined import case_reader
from tumorline.files import refuse_links_outside
from tumorline.model_file import known_images
from tumorline.output.folder import amended
from tumorline.report import write_report
from tumorline.report.run_images import run_images


def render_report(run: Path, config: Config | None = None) -> Path:
    """Write `report.html` of a finished run; the case pictures need the source to be where and as it was.

    Without a configuration it is the one in the folder, which may come from anyone.
    """
    refuse_links_outside(run)
    if config:
        with amended(run):
            return write_report(run, case_reader(config, known_images(run)))
    with amended(run), run_images(run) as reader:
        return write_report(run, reader)
