"""The methods of what compares several models or sets: what is known there are the cases and the statistics."""

from collections.abc import Iterable

from tumorline.environment import versions
from tumorline.metrics.figure import LEAST_FOR_INTERVAL, RESAMPLES
from tumorline.paper.methods import Paragraph
from tumorline.paper.works import SETS
from tumorline.report.comparison import is_ranked
from tumorline.results.compared import Comparison, Leaderboard, Matrix
from tumorline.wording import LEVEL, NOT_STATED, in_sentence, numbered

INTERVALS = (
    f"95 % intervals of a mean are bootstrapped over patients (BCa, {RESAMPLES} resamples [@efron1987]) from "
    f"{LEAST_FOR_INTERVAL} patients on."
)
CORRECTED = (
    f"p is corrected over all pairs and regions of a metric after Holm [@holm1979]; below {LEVEL:g} a difference "
    "counts."
)
TESTS = {
    "models": "Two models are compared by the paired differences of their patients, with a sign-flip test; this "
    "is about these models and not about their recipes.",
    "recipes": "Two recipes are compared over patients and seeds together, with Satterthwaite's degrees of freedom "
    f"[@satterthwaite1946], and nothing is claimed of them below {LEAST_FOR_INTERVAL} patients.",
    "leak": "A leaking split is compared with an honest one, to measure what the leak adds; nothing is ranked.",
}


def describe_comparison(result: Comparison) -> list[Paragraph]:
    simulated = (result.source.model_extra or {}).get("simulated")
    name = "simulated" if simulated else result.source.known_as or ""
    source = SETS.get(name, f"a source whose name is {NOT_STATED}")
    return [
        _design(f"{numbered(len(result.names), 'contender')} ({', '.join(result.names)}) were compared"),
        Paragraph(
            "Data",
            f"All were given the same {numbered(result.cases, 'case')} of {numbered(result.patients, 'patient')} from "
            f"{source}; {_who_was_trained_on_whom(result)}. Data, partitions, networks and training of each: "
            f"{NOT_STATED} here; see the methods of each run.",
        ),
        Paragraph("Statistics", f"{TESTS[result.about]} {CORRECTED} {INTERVALS}{_order(result)}"),
        _findings([*result.warnings, *result.verdicts]),
        _software(),
    ]


def _who_was_trained_on_whom(result: Comparison) -> str:
    if result.about == "leak":
        return (
            "those that leak were trained on images of the patients on whom all were tested, the others on none of them"
        )
    none = "none was trained on a patient on which another was tested"
    if not result.unverified:
        return none
    unknown = f"on what the program behind {in_sentence(result.unverified)} was trained is {NOT_STATED}"
    return f"{unknown}; of the others {none}"


def _order(result: Comparison) -> str:
    return f" Ranked by {result.ranked_by}." if is_ranked(result) else ""


def describe_matrix(result: Matrix) -> list[Paragraph]:
    return [
        _design(f"{numbered(len(result.models), 'model')} were tested on {numbered(len(result.sets), 'set')}"),
        Paragraph("Data", f"The sets are {', '.join(result.sets)}; origin, criteria and acquisition: {NOT_STATED}."),
        Paragraph("Statistics", INTERVALS),
        _findings([*result.warned, *result.sentences]),
        _software(),
    ]


def describe_leaderboard(result: Leaderboard) -> list[Paragraph]:
    missing = f" Not measured: {', '.join(one.name for one in result.unmeasured)}." if result.unmeasured else ""
    return [
        _design(f"{result.finished} of {numbered(result.cells, 'training')} of a benchmark are finished"),
        Paragraph("Training", f"One budget for all: {result.budget}.{missing}"),
        Paragraph("Statistics", f"{CORRECTED} {INTERVALS} Ranked by {result.ranked_by}, within one initialisation."),
        _findings(result.warnings),
        _software(),
    ]


def _design(design: str) -> Paragraph:
    return Paragraph(
        "Design",
        f"{design}; this is reported after CLAIM 2024 [@claim2024]. Prospective or retrospective collection, "
        f"registration and ethics approval: {NOT_STATED}.",
    )


def _findings(sentences: Iterable[str]) -> Paragraph:
    return Paragraph("Findings", " ".join(f"{sentence.rstrip('.')}." for sentence in sentences))


def _software() -> Paragraph:
    return Paragraph(
        "Software and hardware",
        f"Tumorline {versions()['tumorline']} [@tumorline]. Other software and hardware: {NOT_STATED} here; see each "
        "run.",
    )
