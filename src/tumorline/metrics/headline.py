"""The words that stand beside a headline figure, the same on the terminal, on every page and in the model card."""

from typing import TYPE_CHECKING

from tumorline.wording import in_words, numbered

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tumorline.results import Figure, Metrics, Presence, RegionSummary, Robustness, Summary

NOT_COUNTED = "not counted when this was evaluated"
NOT_MEASURED = "cannot be measured here: no case without a tumour"
LEFT_OUT_AS = {
    "train": "the model was trained on them",
    "validation": "the model was tuned on them",
    "test": "its own test part",
    "unseen": "the model has not seen them",
}
FIGURE_NAMES = {
    "dice": "Dice",
    "iou": "IoU",
    "nsd": "NSD",
    "hd95": "HD95",
    "hd95_detected": "HD95 of detected tumours",
    "average_surface_distance_detected": "average surface distance of detected tumours",
    "signed_offset": "offset of the boundary, outside positive",
    "volume_ratio": "predicted / true size",
    "lesion_dice": "lesion-wise Dice",
    "accuracy": "{dot} accuracy",
    "truth_ml": "true volume, ml",
    "predicted_ml": "predicted volume, ml",
    "volume_error_ml": "volume error, ml",
    "volume_error_absolute_ml": "absolute volume error, ml",
    "predicted_ml_tumour_free": "predicted where there is none, ml",
    "brats2023_lesion_dice": "lesion-wise Dice, as BraTS 2023",
    "brats2023_lesion_hd95": "lesion-wise HD95, as BraTS 2023",
}
"""How figures are called whose key says it badly."""
SHORT_NAMES = {
    "dice": "Dice",
    "nsd": "NSD",
    "hd95": "HD95",
    "hd95_detected": "HD95 detected",
    "signed_offset": "boundary offset",
    "volume_ratio": "mean {size} ratio",
    "volume_error_absolute_ml": "absolute error, ml",
}
"""How those that are compared are called where there is room for little."""


def name_figure(key: str, of_volumes: bool) -> str:
    return _of_kind(FIGURE_NAMES[key], of_volumes) if key in FIGURE_NAMES else in_words(key)


def short_names(of_volumes: bool) -> dict[str, str]:
    return {key: _of_kind(name, of_volumes) for key, name in SHORT_NAMES.items()}


def _of_kind(name: str, of_volumes: bool) -> str:
    return name.format(dot="voxel" if of_volumes else "pixel", size=size_name(of_volumes))


def size_name(of_volumes: bool) -> str:
    return "volume" if of_volumes else "area"


def count_cases(summary: "Summary") -> str:
    """How many cases the figures are of, and what was left out of those that were given, and why."""
    left_out = _left_out(summary)
    cases_given = summary.cases + sum(left_out.values())
    counted = f"{summary.cases} of {cases_given} cases given" if left_out else numbered(summary.cases, "case")
    statuses = ", ".join(summary.headline_status)
    patients = _count_patients(summary)
    why = "; ".join(f"{number}: {reason}" for reason, number in left_out.items())
    return f"{counted}, {patients} ({statuses})" + (f"; left out {why}" if why else "")


def _count_patients(summary: "Summary") -> str:
    """An unknown patient is none that was counted."""
    patients = numbered(summary.patients, "patient")
    if summary.split.patients_unknown:
        each = summary.patients == summary.cases
        return "patients unknown" if each else f"{patients}, each case of an unknown one as one"
    return patients


def _left_out(summary: "Summary") -> dict[str, int]:
    statuses = summary.case_status
    by_reason = {
        reason: statuses[status]
        for status, reason in LEFT_OUT_AS.items()
        if statuses.get(status) and status not in summary.headline_status
    }
    return {**by_reason, **summary.left_out}


def count_false_lesions(figures: "Metrics") -> str:
    """Lesions that were predicted where the truth has none, in cases with a tumour too."""
    if not figures.lesions:
        return NOT_COUNTED
    cases, beside = figures.lesions.cases_with_invented, figures.lesions.invented_beside_tumours
    counted = str(figures.lesions.invented) + (f" in {cases} of {figures.cases} cases" if cases else "")
    if beside is None or not figures.lesions.invented or not figures.tumour_cases:
        return counted
    having = figures.lesions.tumour_cases_with_invented
    return f"{counted}, {beside} of them in {having} of {figures.tumour_cases} cases with a tumour"


def split_false_lesions(figures: "Metrics") -> tuple[str, str]:
    """The number of false lesions, and in how many cases they lie; for where there is room for little."""
    if not figures.lesions:
        return "–", NOT_COUNTED
    number, _, where = count_false_lesions(figures).partition(" in ")
    return number, f"in {where}" if where else ""


def count_false_positives(figures: "Metrics") -> str:
    """Cases without a tumour in which one was predicted."""
    free = figures.tumour_free_cases
    if not free:
        return NOT_MEASURED
    return f"{figures.invented} of {free} cases without a tumour ({figures.invented / free:.1%})"


def tell_presence(summary: "Summary", region: str) -> list[str]:
    """What is drawn in images without a tumour, slices of volumes among them, and what is found: of all, by source."""
    by_source = summary.presence.get(region, {})
    shown = by_source if len(by_source) > 2 else dict(list(by_source.items())[:1])
    return [
        f"{'pictures and slices' if source == 'all' else source}: {_tell_counts(counted)}"
        for source, counted in shown.items()
    ]


def _tell_counts(counted: "Presence") -> str:
    phrases = []
    if counted.free:
        rate = counted.false_positives / counted.free
        phrases.append(f"a tumour drawn in {counted.false_positives} of {counted.free} without one ({rate:.1%})")
    if counted.other:
        phrases.append(f"in {counted.other_drawn} of {counted.other} with other labels only")
    if counted.tumour:
        phrases.append(f"found in {counted.found} of {counted.tumour} with one")
    return ", ".join(phrases)


def tell_lost(stress: "Robustness") -> str:
    """Which cases no figure under stress is of; empty where it is of all."""
    lost = stress.cases_lost
    return f"without {numbered(lost, 'case')} whose tumour a change turns or cuts away" if lost else ""


def dice_of_sources(figures: "RegionSummary", order: "Iterable[str]") -> "dict[str, Figure]":
    """The Dice in each of several sources that have tumours, in the order in which they were given."""
    groups = figures.by_attribute.get("source", {})
    return {name: groups[name].dice for name in order if name in groups and groups[name].tumour_cases}


def count_volumes(figures: "Metrics") -> str:
    """True and predicted volume by patient and by how much they differ; what was predicted where the truth has none."""
    true, predicted, error, absolute = (
        f"{figure.mean:.2f} ml" if figure and figure.mean is not None else "undefined"
        for figure in (
            figures.truth_ml,
            figures.predicted_ml,
            figures.volume_error_ml,
            figures.volume_error_absolute_ml,
        )
    )
    free = figures.predicted_ml_tumour_free
    without = f"; {free.mean:.2f} ml predicted in cases without" if free and free.mean is not None else ""
    return f"true {true}, predicted {predicted}, error {error}, absolute {absolute}{without}"
