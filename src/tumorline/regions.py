"""What is outlined: names of target regions, and the label values that make them."""

from dataclasses import dataclass

REGION = "tumour"


@dataclass(frozen=True)
class Labels:
    """Values of a mask of several labels: those that are the region, and those that may be there at all."""

    wanted: tuple[int, ...]
    allowed: tuple[int, ...]
    unread: tuple[tuple[int, str], ...] = ()
    """Values that are known and not read, with what they mean."""
