"""JSON files of annotation tools: bounded, and in one line where they cannot be read."""

import json
from pathlib import Path
from typing import Any

from tumorline.errors import UserError

MOST_BYTES = 256 << 20
"""Of one file of annotations."""


def read_json_document(path: Path) -> dict[str, Any]:
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
