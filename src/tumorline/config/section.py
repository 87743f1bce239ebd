"""What all sections of a configuration share: how strict they are, and the kinds of values that stand in several."""

from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from tumorline.options import checked_options

RUN_NAME = r"^[^\W_][\w.-]*$"
"""What the names of runs, benchmarks and models look like: they become names of folders."""

MANY = 10**6
"""More epochs, cases or the like than anybody means."""

Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]
"""Of a channel or a region."""
SHORTEST_SIDE, LONGEST_SIDE = 8, 512
"""Of a patch of a volume."""
Side = Annotated[int, Field(ge=SHORTEST_SIDE, le=LONGEST_SIDE)]
FINEST_MM, COARSEST_MM = 0.1, 20.0
"""To which volumes are resampled."""
Spacing = Annotated[float, Field(ge=FINEST_MM, le=COARSEST_MM)]
Options = Annotated[dict[str, Any], AfterValidator(checked_options)]
"""Of a network or a loss: numbers, texts, lists and tables of a size that somebody may mean."""


def split_at_commas(value: Any) -> Any:
    """Names that were given as one text."""
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @field_validator("*", mode="before")
    @classmethod
    def is_no_truth_value(cls, value: Any, field: ValidationInfo) -> Any:
        kinds = get_args(annotation := cls.model_fields[str(field.field_name)].annotation) or (annotation,)
        if type(value) is bool and bool not in kinds and {int, float} & {*kinds}:
            raise ValueError("expected a number")
        return value

    @field_validator("*", mode="after")
    @classmethod
    def has_no_negative_zero(cls, value: Any) -> Any:
        return value + 0.0 if isinstance(value, float) else value
