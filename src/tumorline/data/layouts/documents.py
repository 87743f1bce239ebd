"""JSON and CSV files of annotation tools: bounded, and in one line where they cannot be read."""

import csv
import json
from collections.abc import Collection
from pathlib import Path

from tumorline.errors import UserError
from tumorline.files import JsonObject

MOST_BYTES = 256 << 20
"""Of one file of annotations."""


def read_json_document(path: Path) -> JsonObject:
    """A JSON file that holds an object. Raises UserError for anything else, and for more than 256 MB."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"{path}: larger than {MOST_BYTES >> 20} MB; split the annotations")
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: no readable JSON ({type(error).__name__})") from None
    if not isinstance(document, dict):
        raise UserError(f"{path}: JSON without an object at its top")
    return document


def read_csv_document(path: Path, columns: Collection[str]) -> list[dict[str, str]]:
    """The rows of a CSV that has these columns; none where it lacks one, or is no text, or larger than 256 MB."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            names = [name.lstrip("#") for name in next(csv.reader(file), [])]
            if not {*columns} <= {*names} or path.stat().st_size > MOST_BYTES:
                return []
            return list(csv.DictReader(file, names, restval=""))
    except (OSError, ValueError, csv.Error):
        return []
