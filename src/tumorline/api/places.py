"""Where results may be."""

from pathlib import Path

from tumorline.config import DataConfig
from tumorline.output.place import check_place, refuse_in_data


def checked_folder(folder: Path, data: DataConfig) -> Path:
    """The folder. Raises UserError for a place where no results can be, or where they would lie among the data."""
    check_place(folder)
    of_sources = (path for source in data.sources for path in (source.path, source.corrections))
    for path in (data.source, data.corrections, *of_sources):
        refuse_in_data(folder, path)
    return folder
