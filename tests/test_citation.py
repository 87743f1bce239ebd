"""CITATION.cff, held against what its schema (1.2.0) asks for of a piece of software."""

import re
from pathlib import Path

import pytest

import tumorline

yaml = pytest.importorskip("yaml")
KNOWN = {"cff-version", "message", "type", "title", "abstract", "authors", "version", "license", "keywords"}


def test_the_citation_is_valid_and_of_this_version() -> None:
    cited = yaml.safe_load((Path(__file__).parents[1] / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= {*cited} <= KNOWN
    assert (cited["cff-version"], cited["type"]) == ("1.2.0", "software")
    assert cited["version"] == tumorline.__version__
    assert re.fullmatch(r"[\w.+-]+", cited["license"])
    assert all({*author} <= {"name", "given-names", "family-names", "orcid"} and author for author in cited["authors"])
