"""How large what a model says of itself may be."""

from typing import Annotated

from pydantic import Field

SCHEMA_VERSION = 2
"""Of the metadata, where they hold what version 1 cannot say."""
DEEPEST, LONGEST_TEXT, LARGEST_NUMBER = 16, 100_000, 2**64
Text = Annotated[str, Field(max_length=10_000)]
Embedded = Annotated[str, Field(max_length=LONGEST_TEXT)]
"""A picture as text."""
Hashes = list[Annotated[str, Field(max_length=200)]]
Look = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{155}=$")]
"""Of a picture, as `data.near.looks` writes it."""
Threshold = Annotated[float, Field(gt=0, lt=1)]
Temperature = Annotated[float, Field(ge=1e-6, le=1e6)]
Name = Annotated[str, Field(pattern=r"^\w[\w -]*$", max_length=50)]
"""Of a region or a channel."""
MOST_REGIONS, MOST_NEIGHBOURS = 16, 16
