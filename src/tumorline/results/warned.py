"""Warnings: codes for the program, sentences for people."""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from tumorline.files import JsonObject
from tumorline.results.result import Result


class WarningCode(StrEnum):
    """What a warning is about; the program decides by it, never by the sentence."""

    SIMULATED = "simulated"
    LEAKING = "leaking"
    TRAINING_CASES = "training_cases"
    COPIES = "copies"
    ONE_PATIENT = "one_patient"
    PATIENTS_UNKNOWN = "patients_unknown"
    MASKS_THRESHOLDED = "masks_thresholded"
    MASKS_CORRECTED = "masks_corrected"
    MASKS_BY_PROGRAM = "masks_by_program"
    COLOURED = "coloured"
    FEW_VALIDATION_PATIENTS = "few_validation_patients"
    TEMPERATURE_AT_LIMIT = "temperature_at_limit"
    THRESHOLD_AT_LIMIT = "threshold_at_limit"
    OTHER_SEQUENCE = "other_sequence"
    OTHER_MEANING = "other_meaning"
    TRAINED_ON_SIMULATED = "trained_on_simulated"
    BASELINE_NOT_BEATEN = "baseline_not_beaten"
    ONE_FOLD = "one_fold"
    """What holds for the model of one fold, in a summary of all."""
    FOLDS_MISSING = "folds_missing"
    MASKS_GIVEN = "masks_given"
    """Masks of another program were scored."""
    CASES_WITHOUT_MASK = "cases_without_mask"
    OTHER = "other"
    """Of a later version."""


WORDS = {
    "SIMULATED DATA": WarningCode.SIMULATED,
    "LEAKING": WarningCode.LEAKING,
    "TRAINING CASES INCLUDED": WarningCode.TRAINING_CASES,
    "COPIES": WarningCode.COPIES,
    "ONE PATIENT": WarningCode.ONE_PATIENT,
    "PATIENTS UNKNOWN": WarningCode.PATIENTS_UNKNOWN,
    "masks were thresholded": WarningCode.MASKS_THRESHOLDED,
    "MASKS CORRECTED": WarningCode.MASKS_CORRECTED,
    "MASKS BY A PROGRAM": WarningCode.MASKS_BY_PROGRAM,
    "IN COLOUR": WarningCode.COLOURED,
    "FEW VALIDATION PATIENTS": WarningCode.FEW_VALIDATION_PATIENTS,
    "TEMPERATURE AT ITS LIMIT": WarningCode.TEMPERATURE_AT_LIMIT,
    "THRESHOLD AT ITS LIMIT": WarningCode.THRESHOLD_AT_LIMIT,
    "OTHER SEQUENCE": WarningCode.OTHER_SEQUENCE,
    "OTHER MEANING": WarningCode.OTHER_MEANING,
    "the model was trained on simulated images": WarningCode.TRAINED_ON_SIMULATED,
    "BASELINE NOT BEATEN": WarningCode.BASELINE_NOT_BEATEN,
    r"fold-\d+": WarningCode.ONE_FOLD,
    r"\d+ OF \d+ FOLDS": WarningCode.FOLDS_MISSING,
}
"""First words of the sentences -> code, for files from before there were codes."""


class ResultWarning(Result):
    """What a reader has to know before quoting a figure."""

    code: WarningCode
    text: str


def guess_code(text: str) -> WarningCode:
    """The code of a sentence that was written without one."""
    return next((code for words, code in WORDS.items() if re.match(words, text)), WarningCode.OTHER)


def warnings_of_all(results: Sequence[Sequence[ResultWarning]]) -> list[ResultWarning]:
    """Those that each of the results has, in the order of the first."""
    return [warning for warning in (results[0] if results else ()) if all(warning in some for some in results)]


def _known_code(code: str) -> WarningCode:
    return WarningCode(code) if code in set(WarningCode) else WarningCode.OTHER


class Warned(Result):
    """Its `warnings` are published as sentences, with their codes in the same order as `warning_codes`."""

    @model_validator(mode="before")
    @classmethod
    def pairs_sentences_and_codes(cls, values: Any) -> Any:
        texts = values.get("warnings") if isinstance(values, dict) else None
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            return values
        codes = values.get("warning_codes") or [guess_code(text) for text in texts]
        if not isinstance(codes, list) or len(codes) != len(texts):
            raise ValueError("warning_codes: expected one for each of the warnings")
        warnings = [
            ResultWarning(code=_known_code(str(code)), text=text) for code, text in zip(codes, texts, strict=True)
        ]
        return {**values, "warnings": warnings}

    @model_serializer(mode="wrap")
    def publishes(self, handler: SerializerFunctionWrapHandler) -> JsonObject:
        return sentences_and_codes(handler(self))


def sentences_and_codes(values: JsonObject) -> JsonObject:
    """With the warnings as sentences, and their codes beside them."""
    published: JsonObject = {}
    for key, value in values.items():
        published[key] = value
        if key == "warnings":
            published |= {"warnings": [warning["text"] for warning in value]}
            published |= {"warning_codes": [warning["code"] for warning in value]}
    return published
