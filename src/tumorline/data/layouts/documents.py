"""JSON, XML, CSV and text of annotation tools: bounded, and in one line where they cannot be read."""

import csv
import json
from collections.abc import Collection
from pathlib import Path
from xml.etree import ElementTree

from tumorline.errors import UserError
from tumorline.files import JsonObject
from tumorline.user_text import read_user_text

MOST_BYTES = 256 << 20
"""Of one file of annotations."""


def _bounded_bytes(path: Path) -> bytes:
    if path.stat().st_size > MOST_BYTES:
        raise UserError(f"{path}: larger than {MOST_BYTES >> 20} MB; split the annotations")
    return path.read_bytes()


def read_json_document(path: Path) -> JsonObject:
    """A JSON file that holds an object. Raises UserError for anything else, and for more than 256 MB."""
    try:
        document = json.loads(_bounded_bytes(path))
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


def read_xml_document(path: Path) -> ElementTree.Element:
    """The root of an XML file. Raises UserError for what is none, for more than 256 MB and for a DOCTYPE.

    Without a DOCTYPE there are no entities that could grow, nor any that name another file.
    """
    parser = ElementTree.XMLParser(target=_WithoutDoctype())
    try:
        parser.feed(_bounded_bytes(path))
        root: ElementTree.Element = parser.close()
    except _DoctypeFound:
        raise UserError(f"{path}: XML with a DOCTYPE, which no annotation tool writes; it is not read") from None
    except (OSError, ValueError, LookupError, RecursionError, ElementTree.ParseError) as error:
        raise UserError(f"{path}: no readable XML ({type(error).__name__})") from None
    return root


class _DoctypeFound(Exception):
    pass


class _WithoutDoctype(ElementTree.TreeBuilder):
    def doctype(self, *_: object) -> None:
        """Called by the parser before it reads what the DOCTYPE declares."""
        raise _DoctypeFound


def read_text_document(path: Path, most_bytes: int) -> str:
    """A file of text. Raises UserError as `read_user_text`, and for a larger one."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise UserError(f"{path}: cannot read it ({error.strerror})") from None
    if size > most_bytes:
        raise UserError(f"{path}: larger than {most_bytes >> 20} MB, which no file of its kind is")
    return read_user_text(path)
