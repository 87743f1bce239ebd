"""What the interface answers, as its OpenAPI document states it."""

from typing import Literal

from pydantic import BaseModel, Field


class ErrorAnswer(BaseModel):
    error: str
    """One line."""


class LimitsAnswer(BaseModel):
    megabytes: int
    files: int
    pixels: int
    seconds: int
    waiting: int
    memory_mb: int


class HealthAnswer(BaseModel):
    status: Literal["ok"] = "ok"
    version: str
    predicting: bool
    waiting: int
    limits: LimitsAnswer


class ModelAnswer(BaseModel):
    name: str
    regions: list[str]
    channels: list[str] = Field(description="In their order; empty text where a channel has no name.")
    takes: str
    input: str
    trained_on: str
    simulated: bool
    figure: str
    limits: list[str]
    licence: str
    intended_use: str
    card: str = Field(description="The model card, as Markdown.")
    comes_with: Literal["package", "run"]


class RunAnswer(BaseModel):
    key: str
    name: str
    page: str = Field(description="What its page is of; empty where there is none.")
    changed: int = Field(description="Seconds since 1970.")
    state: str
    dice: float | None
    counted: str


class PlaceAnswer(BaseModel):
    state: Literal["receiving", "waiting", "predicting", "answering"]
    ahead: int = Field(description="Requests that are predicted before this one.")
    done: int = Field(description="Cases.")
    of: int
    windows: int = Field(description="Windows of the case at hand that the network has seen.")
    windows_of: int


class FileAnswer(BaseModel):
    kind: Literal["mask", "segmentation", "overlay"]
    name: str
    media_type: str
    data: str = Field(description="The file, in base64.")


class RegionAnswer(BaseModel):
    region: str
    px: int
    mm2: float | None
    ml: float | None


class CaseAnswer(BaseModel):
    name: str
    inputs: list[str]
    tumour_found: bool | None = Field(description="False where no tumour was found; null where there is an error.")
    tumour_px: int | None
    tumour_mm2: float | None = Field(description="Of a picture that states the size of its pixels.")
    tumour_ml: float | None = Field(description="Of a volume.")
    tumour_share: float | None
    confidence: float | None
    regions: list[RegionAnswer] = Field(description="Where the model has several.")
    note: str | None
    error: str | None
    files: list[FileAnswer]
    view: dict[str, object] | None = Field(description="What the case viewer shows, where `view` was asked for.")


class PredictionAnswer(BaseModel):
    model: str = Field(description="Its name in /models.")
    fingerprint: str = Field(description="Hash of its files, as in the predictions.json of 'tumorline predict'.")
    version: str = Field(description="Of Tumorline.")
    threshold: float | dict[str, float]
    tta: str
    precision: str = Field(description="In which the network computed, chosen as 'tumorline predict' does.")
    runtime: str
    labels: dict[str, list[int]] | None = Field(
        None, description="Values of the mask, where there are several regions."
    )
    seconds: float
    left_out: list[str] = Field(description="Files that were not predicted, and why.")
    remarks: list[str]
    cases: list[CaseAnswer]
