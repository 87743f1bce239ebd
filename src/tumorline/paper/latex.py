"""Texts of files and of people, made harmless for LaTeX and shown by pdflatex whatever they hold."""

import re
import unicodedata

from tumorline.escaping import one_line

SPECIAL = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    **{letter: f"{{{letter}}}" for letter in "[*"},  # after a line of a table they would be its option
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''", "`": r"\textasciigrave{}"},
    **{"–": "--", "—": "---", "…": r"\ldots{}", "’": "'", "‘": "`", "“": "``", "”": "''", "−": "$-$", "×": r"$\times$"},
    **{"±": r"$\pm$", "°": r"$^\circ$", "²": "$^2$", "³": "$^3$", "µ": r"$\mu$", "μ": r"$\mu$", "≤": r"$\leq$"},
    **{"≥": r"$\geq$", "·": r"$\cdot$", "→": r"$\rightarrow$", "\u00a0": "~"},
}
LAST_KNOWN = 0x17F
"""Latin letters with accents up to here are known to pdflatex with T1 fonts."""
CITED = re.compile(r"\[(@[\w:-]+(?:; @[\w:-]+)*)\]")


def for_latex(text: str) -> str:
    """The text in one line; letters of other scripts than the Latin one are named by their number."""
    return "".join(_letter(letter) for letter in unicodedata.normalize("NFC", one_line(text)))


def with_citations(text: str) -> str:
    """As `for_latex`, with `[@key; @key]` as a citation."""
    parts = CITED.split(text)
    return "".join(_cite(part) if number % 2 else for_latex(part) for number, part in enumerate(parts))


def cited_keys(text: str) -> list[str]:
    """The keys of all citations in their order, each once."""
    return list(dict.fromkeys(key for citation in CITED.findall(text) for key in re.findall(r"@([\w:-]+)", citation)))


def _cite(keys: str) -> str:
    return f"\\cite{{{','.join(key.strip().removeprefix('@') for key in keys.split(';'))}}}"


def _letter(letter: str) -> str:
    if letter in SPECIAL:
        return SPECIAL[letter]
    if letter.isascii() or (letter.isalpha() and ord(letter) <= LAST_KNOWN):
        return letter
    return f"{{[}}U+{ord(letter):04X}]"
