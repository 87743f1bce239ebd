"""What the colours of a mask mean, where a file beside it says so."""

from dataclasses import dataclass

GREY = 0x010101
"""The colour of the grey value 1."""

Colour = int
"""Red, green and blue as one number, as `0xff8000`; a grey value is three equal parts."""


@dataclass(frozen=True)
class Legend:
    """The colours that masks may hold; black is no tumour in any case."""

    source: str
    """The name of the file that says it."""
    tumour: tuple[Colour, ...]
    background: tuple[Colour, ...]
    """What the file calls background or healthy."""
    others: tuple[tuple[Colour, str], ...]
    """What is not known as a tumour, with its name: masks that hold it are refused."""


def in_hex(colour: Colour) -> str:
    return f"#{colour:06x}"
