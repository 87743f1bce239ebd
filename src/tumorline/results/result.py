"""What all parts of a result share: they are never changed, and what was not stated is not written."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from tumorline.files import JsonObject
from tumorline.own_files import Written
from tumorline.regions import REGION_NAME

RegionName = Annotated[str, Field(pattern=REGION_NAME)]


class Result(Written):
    """A part of what was found. Never changed: `model_copy(update=...)` makes another."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, defer_build=True)

    def to_json(self) -> JsonObject:
        """As it is published."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def stated(self) -> dict[str, Any]:
        """The fields that were given, for another part that takes them over: what was not stated stays so."""
        return {name: getattr(self, name) for name in self.model_fields_set}
