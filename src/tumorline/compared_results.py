"""What a comparison of several models or sets found, as types; see `results` for what they have in common."""

from typing import Any

from pydantic import Field

from tumorline.own_files import Count, Number
from tumorline.results import RegionSummary, Result, ResultWarning, Warned


class MatrixCell(Warned):
    """One model on one set; where it could not be evaluated, `error` says why, and there are no figures."""

    model: str
    set: str
    folder: str
    domain: str
    error: str | None
    figures: RegionSummary | None = None
    cases: Count = 0
    patients: Count = 0
    warnings: list[ResultWarning] = Field(default=[])
    orientation: str | None = None
    dice_of_cases: list[Number] = Field(default=[])


class MatrixModel(Result):
    data: dict[str, Any]
    threshold: Number


class Matrix(Result):
    """The content of `matrix.json`."""

    schema_version: int
    models: dict[str, MatrixModel]
    sets: dict[str, dict[str, Any]]
    cells: list[MatrixCell]
    sentences: list[str]
