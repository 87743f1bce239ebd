import pytest

from tumorline.paper.latex import cited_keys, for_latex, with_citations


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("50 % of a_b & {c}", r"50 \% of a\_b \& \{c\}"),
        ("\\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
        ("$x^2$ ~ #1", r"\$x\textasciicircum{}2\$ \textasciitilde{} \#1"),
        ("Müller, Łódź", "Müller, Łódź"),
        ("A − B ± 1", r"A $-$ B $\pm$ 1"),
        ("глиома", "".join(f"{{[}}U+04{code}]" for code in ("33", "3B", "38", "3E", "3C", "30"))),
        ("two\nlines", r"two\textbackslash{}nlines"),
    ],
)
def test_text_is_harmless_and_shown(text: str, shown: str) -> None:
    assert for_latex(text) == shown


def test_citations_become_those_of_latex() -> None:
    text = "AdamW [@a2019] and sets [@b:1; @c-2] of [mail@host]"
    assert with_citations(text) == r"AdamW \cite{a2019} and sets \cite{b:1,c-2} of {[}mail@host]"
    assert cited_keys(text + " [@a2019]") == ["a2019", "b:1", "c-2"]
