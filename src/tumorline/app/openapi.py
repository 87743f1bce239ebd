"""What the OpenAPI document says of the routes beside their types."""

from tumorline.app.answer_types import ErrorAnswer
from tumorline.app.records import Record
from tumorline.app.uploads import CHANNEL_FIELD, FILE_FIELD, FORM

MEANINGS = {
    400: "The form is damaged, or the client went away.",
    401: "The token is missing.",
    403: "A browser asked for a page of another origin.",
    404: "There is no such thing.",
    408: "The files came too slowly.",
    409: "The ticket is in use.",
    413: "Too many bytes, files or channels, or more memory than is allowed.",
    415: "No form with files.",
    421: "The Host header names another machine.",
    422: "What was sent cannot be predicted, or a parameter is unknown or has another value than is accepted.",
    500: "A fault of Tumorline.",
    503: "Busy, or the prediction took too long.",
    507: "The disk is full.",
}
BODY = {
    "required": True,
    "content": {
        FORM: {
            "schema": {
                "type": "object",
                "required": [FILE_FIELD],
                "properties": {
                    FILE_FIELD: {
                        "type": "array",
                        "minItems": 1,
                        "items": {"type": "string", "format": "binary"},
                        "description": "Images, NIfTI volumes, DICOM slices; channels of one scan by the words in "
                        "their names.",
                    },
                    CHANNEL_FIELD: {
                        "type": "array",
                        "items": {"type": "string"},
                        "description": "Which channel of the model the files are: one for all, or one for each.",
                    },
                },
            }
        }
    },
}


def refusals(*statuses: int) -> dict[int | str, Record]:
    """Answers that every route may give, and those given, for the OpenAPI document."""
    status_codes = sorted({401, 403, 421, 422, *statuses})
    return {status: {"model": ErrorAnswer, "description": MEANINGS[status]} for status in status_codes}
