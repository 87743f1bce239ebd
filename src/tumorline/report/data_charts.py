"""Charts of a data set: sizes, where tumours lie, grey values."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from tumorline.data.dataset import Dataset
from tumorline.groups import grouped
from tumorline.metrics.figure import figure_of
from tumorline.report import charts
from tumorline.report.content import HeatMap, HeatMaps, LabelledChart
from tumorline.report.data_entries import Entry, attribute_tables, size_unit
from tumorline.report.observation import mean_map
from tumorline.wording import NOT_STATED, in_words
from tumorline.write.images import to_data_uri

MOST_GROUPS, MOST_DOTS = 8, 240
BINS = 24
SIDES = ("from above", "from the front", "from the side")
HEAT = (217, 115, 13)
"""Colour of the maps of places, which are the less transparent the more often a tumour is there."""


def size_charts(dataset: Dataset, usable: Sequence[Entry]) -> Iterator[tuple[str, Markup]]:
    """By region the sizes in bins, and by class; of cases of one kind."""
    unit = size_unit(usable)
    for number, region in enumerate(dataset.regions):
        sizes = {entry.case.id: size for entry in usable if (size := entry.sizes(unit)[number])}
        if not sizes:
            continue
        name = in_words(region)
        label = f"size of {name} in {unit}"
        yield name, Markup(_size_bars(list(sizes.values()), label))
        values = [(entry, sizes[entry.case.id]) for entry in usable if entry.case.id in sizes]
        if len(strips := _strips_by(values)) > 1:
            low, high = min(sizes.values()), max(sizes.values())
            axis = charts.logarithmic_axis(low, high, label)
            yield f"{name} by class", Markup(charts.strips(strips, label, axis, MOST_DOTS))


def _size_bars(sizes: Sequence[float], label: str) -> str:
    low, high = min(sizes) * 0.999, max(sizes) * 1.001
    edges = [float(edge) for edge in np.geomspace(low, high, BINS + 1)]
    counts, _ = np.histogram(sizes, edges)
    return charts.bars([int(number) for number in counts], charts.logarithmic_axis(low, high, label), edges)


def _strips_by(values: Sequence[tuple[Entry, float]], attribute: str = "") -> dict[str, charts.Strip]:
    """The values of each class, or of each value of an attribute, with their mean over patients; the largest groups."""

    def name_of(entry: Entry) -> str:
        return entry.case.attributes.get(attribute) or NOT_STATED if attribute else entry.class_name

    groups = grouped(values, lambda pair: name_of(pair[0]))
    largest = sorted(groups, key=lambda name: -len(groups[name]))[:MOST_GROUPS]
    return {
        name: (
            [value for _, value in groups[name]],
            figure_of((entry.case.group, value) for entry, value in groups[name]),
        )
        for name in sorted(largest)
    }


def cases_by_patient(usable: Sequence[Entry]) -> Markup:
    """How many cases the patients have; empty where patients are unknown or have one each."""
    cases_of_patient = Counter(entry.case.patient for entry in usable if entry.case.patient)
    most = max(cases_of_patient.values(), default=1)
    if most == 1:
        return Markup("")
    edges = [float(edge) for edge in np.arange(0.5, most + 1.5, max(1, round(most / BINS)))]
    edges = edges if edges[-1] > most else [*edges, edges[-1] + max(1, round(most / BINS))]
    numbers, _ = np.histogram(list(cases_of_patient.values()), edges)
    axis = charts.whole_axis(0, int(edges[-1] + 0.5), "cases of a patient")
    return Markup(charts.bars([int(number) for number in numbers], axis, edges, "patients"))


def tumour_maps(dataset: Dataset, usable: Sequence[Entry]) -> list[HeatMaps]:
    """Where tumours lie, in cases of one kind: of pictures by class, of volumes by region and from three sides."""
    with_tumour = [entry for entry in usable if entry.facts.foreground and entry.seen is not None]
    if not with_tumour:
        return []
    if with_tumour[0].case.is_volume:
        places = [entry.seen.places for entry in with_tumour if entry.seen]
        groups = [
            (in_words(region), [(side, [maps[n][k] for maps in places]) for k, side in enumerate(SIDES)])
            for n, region in enumerate(dataset.regions)
        ]
    else:
        groups = [
            ("", [(name, [places[0] for places in members]) for name, members in _places_by_class(with_tumour).items()])
        ]
    return [
        {"name": name, "maps": [_heat_map(label, mean_map(members), len(members)) for label, members in labelled]}
        for name, labelled in groups
    ]


def _places_by_class(entries: Sequence[Entry]) -> dict[str, list[Any]]:
    """The map of each case by class, all together first where there are several."""
    groups = {
        name: [entry.seen.places.max(0) for entry in members if entry.seen]
        for name, members in grouped(entries, lambda entry: entry.class_name).items()
    }
    largest = sorted(groups, key=lambda name: -len(groups[name]))[:MOST_GROUPS]
    all_places = [places for class_places in groups.values() for places in class_places]
    return ({"all": all_places} if len(groups) > 1 else {}) | {name: groups[name] for name in sorted(largest)}


def _heat_map(label: str, shares: Any, cases: int) -> HeatMap:
    peak = float(shares.max())
    picture = np.zeros((*shares.shape, 4), np.uint8)
    picture[..., :3] = HEAT
    picture[..., 3] = (255 * shares / (peak or 1)).round()
    return {"label": label, "peak": peak, "cases": cases, "image": to_data_uri(Image.fromarray(picture, "RGBA"))}


def grey_charts(dataset: Dataset, usable: Sequence[Entry]) -> Iterator[LabelledChart]:
    """Brightness of each channel by class, of the first by what else is stated, and how far the tumour stands out."""
    for number, name in enumerate(dataset.channel_names):
        values = [
            (entry, float(measured))
            for entry in usable
            if entry.seen and number < len(entry.seen.medians) and (measured := entry.seen.medians[number]) is not None
        ]
        label = f"median grey value of the head{f', {in_words(name)}' if name else ''}"
        yield from _grey_chart(label, values)
        for attribute in attribute_tables(usable) if number == 0 else ():
            yield from _grey_chart(f"{label}, by {in_words(attribute)}", values, attribute)
    contrasts = [(entry, measured) for entry in usable if entry.seen and (measured := entry.seen.contrast) is not None]
    yield from _grey_chart("tumour minus rest of the head, in deviations of the rest", contrasts)


def _grey_chart(label: str, values: Sequence[tuple[Entry, float]], attribute: str = "") -> Iterator[LabelledChart]:
    if values:
        strips = _strips_by(values, attribute)
        axis = charts.linear_axis(min(value for _, value in values), max(value for _, value in values), label)
        yield {"label": label, "chart": Markup(charts.strips(strips, label, axis, MOST_DOTS))}
