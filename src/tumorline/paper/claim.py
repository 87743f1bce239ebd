"""The items of CLAIM 2024, and where in the kit each is answered or who has to answer it."""

from collections.abc import Mapping, Sequence

from tumorline.paper.methods import Paragraph
from tumorline.wording import NOT_STATED

AUTHORS = "for the authors to write"
RESULTS = "tables and figures of this kit"
ELSEWHERE = "the kit of each run"
"""Of what compares several: they know their own training."""
ITEMS: tuple[tuple[str, str], ...] = (
    ("Title: AI methodology and kind of technology", AUTHORS),
    ("Structured summary", AUTHORS),
    ("Background and intended use", AUTHORS),
    ("Aims and hypotheses", AUTHORS),
    ("Prospective or retrospective", "Design"),
    ("Goal of the study", "Design"),
    ("Data sources", "Data"),
    ("Inclusion and exclusion criteria", "Data"),
    ("Preprocessing", "Preprocessing"),
    ("Selection of data subsets", "Partitions"),
    ("De-identification", "Data"),
    ("Missing data", "Preprocessing"),
    ("Image acquisition protocol", "Data"),
    ("Definition of the reference standard", "Reference standard"),
    ("Rationale of the reference standard", AUTHORS),
    ("Source of the annotations", "Reference standard"),
    ("Annotation of the test set", "Reference standard"),
    ("Variability within and between annotators", "Reference standard"),
    ("Assignment to partitions", "Partitions"),
    ("Level at which partitions are disjoint", "Partitions"),
    ("Intended sample size", "Partitions"),
    ("Detailed description of the model", "Network"),
    ("Software", "Software and hardware"),
    ("Initialisation of the parameters", "Network"),
    ("Details of the training", "Training"),
    ("Selection of the final model", "Selection"),
    ("Ensembling", "Network"),
    ("Metrics of performance", "Evaluation"),
    ("Statistical measures and uncertainty", "Statistics"),
    ("Robustness or sensitivity", "Robustness and calibration"),
    ("Explainability", "Robustness and calibration"),
    ("Evaluation on internal data", "Evaluation"),
    ("Test on external data", "Evaluation"),
    ("Registration of a clinical trial", "Design"),
    ("Numbers included and excluded", "Partitions"),
    ("Demographic and clinical characteristics", "Data"),
    ("Performance with uncertainty", RESULTS),
    ("Diagnostic performance and its precision", RESULTS),
    ("Failure analysis", RESULTS),
    ("Limitations", AUTHORS),
    ("Implications and intended use", AUTHORS),
    ("Protocol or further technical details", "Availability"),
    ("Availability of software, model and data", "Availability"),
    ("Funding", "Availability"),
)
"""In the words of this project, in the order of the checklist, from item 1 on."""


def answer_items(paragraphs: Sequence[Paragraph]) -> list[dict[str, str | int]]:
    """Number, item, where it is answered, and whether something there is still not stated."""
    texts = {paragraph.heading: paragraph.text for paragraph in paragraphs}
    return [
        {"item": number, "what": what, "where": _place(texts, where), "open": _gap(texts, where)}
        for number, (what, where) in enumerate(ITEMS, 1)
    ]


def _place(texts: Mapping[str, str], where: str) -> str:
    if where in (AUTHORS, RESULTS):
        return where
    return f"Methods: {where}" if where in texts else ELSEWHERE


def _gap(texts: Mapping[str, str], where: str) -> str:
    """Whether something is left to write: all of it, a part, or nothing."""
    if where == RESULTS:
        return ""
    return ("in part" if NOT_STATED in texts[where] else "") if where in texts else "yes"
