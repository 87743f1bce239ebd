"""The page of a data set: what it holds, before anything is trained on it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from tumorline.audit.case_findings import count_patients
from tumorline.data.case import Case
from tumorline.data.dataset import Dataset
from tumorline.data.facts import Facts
from tumorline.data.finding import Finding
from tumorline.data.split import Split, counts
from tumorline.files import write_csv, write_text
from tumorline.metrics.summary import figure_of
from tumorline.report import charts
from tumorline.report.frame import template
from tumorline.report.observation import Example, Observer, Seen, mean_map, to_data_uri

PAGE_NAME, TABLE_NAME = "data.html", "cases.csv"
MOST_GROUPS, MOST_DOTS, MOST_FINDINGS, MOST_EXAMPLES = 8, 240, 60, 16
BINS = 24
HEAT = (217, 115, 13)
"""Colour of the maps of places, which are the less transparent the more often a tumour is there."""
NO_CLASS = "not stated"


@dataclass(frozen=True)
class Entry:
    """A case with what decoding showed of it."""

    case: Case
    facts: Facts
    seen: Seen | None
    spacing_mm: tuple[float, ...] | None

    @property
    def class_name(self) -> str:
        return self.case.class_name or NO_CLASS

    @property
    def pixel(self) -> float | None:
        """Size of a pixel in mm2, of a voxel in ml; None where it is unknown."""
        if self.case.grid is not None:
            return self.case.grid.voxel_ml
        return prod(self.spacing_mm) if self.spacing_mm else None

    def sizes(self, in_px: bool) -> list[float | None]:
        """Of each region; None where it is not there."""
        elements = prod(self.facts.shape[1:])
        scale = 1.0 if in_px else self.pixel or 1.0
        return [share * elements * scale or None for share in self.facts.foregrounds]


@dataclass(frozen=True)
class Described:
    """A data set that was looked at, with what was found."""

    dataset: Dataset
    observer: Observer
    findings: Sequence[Finding]
    split: Split | str
    """How the cases would be split, or why they cannot be."""


def write_data_page(described: Described, output: Path) -> Path:
    """Write `data.html` and `cases.csv`, and return the path of the page."""
    entries = list_entries(described)
    write_csv(output / TABLE_NAME, *_case_table(described, entries))
    write_text(output / PAGE_NAME, template("data.html").render(**_data_content(described, entries)))
    return output / PAGE_NAME


def list_entries(described: Described) -> list[Entry]:
    dataset, seen = described.dataset, described.observer.seen
    pairs = zip(dataset.cases, dataset.facts, strict=True)
    return [Entry(case, facts, seen.get(case.id), dataset.spacing_mm(case)) for case, facts in pairs]


def size_unit(entries: Sequence[Entry]) -> str:
    """In what tumours are measured: ml or mm2 where every usable case has a pixel size, else px."""
    known = [entry for entry in entries if entry.facts.shape]
    if not known or any(entry.pixel is None for entry in known):
        return "px"
    return "ml" if known[0].case.is_volume else "mm²"


def _data_content(described: Described, entries: Sequence[Entry]) -> dict[str, Any]:
    dataset, unit = described.dataset, size_unit(entries)
    usable = [entry for entry in entries if entry.facts.shape and not entry.facts.errors]
    volumes = any(entry.case.is_volume for entry in entries)
    return {
        "title": dataset.source.name,
        "source": dataset.source,
        "volumes": volumes,
        "thing": "volume" if volumes else "slice",
        "unit": unit,
        "tiles": _tiles(described, usable, unit),
        "classes": _class_table(entries, unit),
        "attributes": _attribute_tables(entries),
        "shapes": _common(" x ".join(map(str, entry.facts.shape[:0:-1])) for entry in usable),
        "spacings": _common(_spacing(entry) for entry in usable),
        "size_charts": dict(_size_charts(dataset, usable, unit)),
        "patients": _slices_by_patient(usable),
        "maps": _maps(dataset, usable),
        "grey": list(_grey_charts(dataset, usable)),
        "examples": _examples(described, entries),
        "findings": _findings(described),
        "more_findings": max(0, len(described.findings) - MOST_FINDINGS),
        "split": described.split if isinstance(described.split, str) else "",
        "origin": "" if isinstance(described.split, str) else described.split.origin,
        "parts": [] if isinstance(described.split, str) else counts(dataset, described.split),
    }


def _tiles(described: Described, usable: Sequence[Entry], unit: str) -> list[tuple[str, str]]:
    dataset = described.dataset
    patients = count_patients(dataset)
    free = sum(not entry.facts.foreground for entry in usable)
    sizes = [size for entry in usable if (size := entry.sizes(unit == "px")[:1][0])] if usable else []
    shares = [entry.facts.foreground for entry in usable if entry.facts.foreground]
    severities = Counter(finding.severity for finding in described.findings)
    spread = f"{round_number(min(sizes))} to {round_number(max(sizes))}" if sizes else ""
    return [
        (str(len(dataset.cases)), f"cases in the layout '{dataset.source.layout}'"),
        ("unknown" if patients is None else str(patients), "patients"),
        (f"{free} of {len(usable)}", "usable cases without a tumour"),
        (
            f"{round_number(median(sizes))} {unit}" if sizes else "–",
            f"median size of {dataset.regions[0].replace('_', ' ')}; {spread}",
        ),
        (f"{100 * median(shares):.2f} %" if shares else "–", "of the image is tumour, median of those with one"),
        (f"{severities['error']} · {severities['warning']}", "errors · warnings of the check"),
    ]


def round_number(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _class_table(entries: Sequence[Entry], unit: str) -> list[dict[str, Any]]:
    groups: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        groups[entry.class_name].append(entry)
    table = []
    for name, members in sorted(groups.items()):
        sizes = [size for entry in members for size in entry.sizes(unit == "px")[:1] if size]
        table.append(
            {
                "name": name,
                "patients": len({entry.case.group for entry in members}),
                "cases": len(members),
                "tumours": sum(bool(entry.facts.foreground) for entry in members),
                "median": round_number(median(sizes)) if sizes else "–",
                "range": f"{round_number(min(sizes))} to {round_number(max(sizes))}" if sizes else "–",
            }
        )
    return table


def _attribute_tables(entries: Sequence[Entry]) -> dict[str, list[tuple[str, int]]]:
    """How often the values of the source's further columns are there, of those with few."""
    values: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in entries:
        for name, value in entry.case.attributes.items():
            values[name][value or NO_CLASS] += 1
    return {name: found.most_common() for name, found in sorted(values.items()) if 1 < len(found) <= 12}


def _common(texts: Iterator[str] | Sequence[str], most: int = 8) -> list[tuple[str, int]]:
    found = Counter(texts)
    rest = sum(found.values()) - sum(number for _, number in found.most_common(most))
    return [*found.most_common(most), *([(f"{len(found) - most} others", rest)] if rest else [])]


def _spacing(entry: Entry) -> str:
    spacing = (entry.case.grid.spacing_mm if entry.case.grid else None) or entry.spacing_mm
    return " x ".join(f"{side:.3g}" for side in spacing) + " mm" if spacing else "not known"


def _size_charts(dataset: Dataset, usable: Sequence[Entry], unit: str) -> Iterator[tuple[str, Markup]]:
    """By region the sizes in bins, and by class."""
    for number, region in enumerate(dataset.regions):
        sizes = {entry.case.id: size for entry in usable if (size := entry.sizes(unit == "px")[number])}
        if not sizes:
            continue
        name = region.replace("_", " ")
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
    found, _ = np.histogram(sizes, edges)
    return charts.bars([int(number) for number in found], charts.logarithmic_axis(low, high, label), edges)


def _strips_by(values: Sequence[tuple[Entry, float]], attribute: str = "") -> dict[str, charts.Strip]:
    """The values of each class, or of each value of an attribute, with their mean over patients; the largest groups."""
    groups: dict[str, list[tuple[Entry, float]]] = defaultdict(list)
    for entry, value in values:
        name = entry.case.attributes.get(attribute) or NO_CLASS if attribute else entry.class_name
        groups[name].append((entry, value))
    largest = sorted(groups, key=lambda name: -len(groups[name]))[:MOST_GROUPS]
    return {
        name: (
            [value for _, value in groups[name]],
            figure_of((entry.case.group, value) for entry, value in groups[name]),
        )
        for name in sorted(largest)
    }


def _slices_by_patient(usable: Sequence[Entry]) -> Markup:
    """How many cases the patients have; empty where patients are unknown or have one each."""
    found = Counter(entry.case.patient for entry in usable if entry.case.patient)
    most = max(found.values(), default=1)
    if most == 1:
        return Markup("")
    edges = [float(edge) for edge in np.arange(0.5, most + 1.5, max(1, round(most / BINS)))]
    edges = edges if edges[-1] > most else [*edges, edges[-1] + max(1, round(most / BINS))]
    numbers, _ = np.histogram(list(found.values()), edges)
    axis = charts.whole_axis(0, int(edges[-1] + 0.5), "cases of a patient")
    return Markup(charts.bars([int(number) for number in numbers], axis, edges, "patients"))


def _maps(dataset: Dataset, usable: Sequence[Entry]) -> list[dict[str, Any]]:
    """Where tumours lie: of pictures by class, of volumes by region and from three sides."""
    with_tumour = [entry for entry in usable if entry.facts.foreground and entry.seen is not None]
    if not with_tumour:
        return []
    if any(entry.case.is_volume for entry in with_tumour):
        rows = [
            (region, [entry.seen.places[n] for entry in with_tumour if entry.seen])
            for n, region in enumerate(dataset.regions)
        ]
        sides: Sequence[str] = ("from above", "from the front", "from the side")
        groups = [
            (region.replace("_", " "), [(side, [maps[k] for maps in found]) for k, side in enumerate(sides)])
            for region, found in rows
        ]
    else:
        groups = [
            ("", [(name, [places[0] for places in found]) for name, found in _places_by_class(with_tumour).items()])
        ]
    return [
        {"name": name, "maps": [_heat_map(label, mean_map(found), len(found)) for label, found in kinds]}
        for name, kinds in groups
    ]


def _places_by_class(entries: Sequence[Entry]) -> dict[str, list[Any]]:
    """The map of each case by class, all together first where there are several."""
    groups: dict[str, list[Any]] = defaultdict(list)
    for entry in entries:
        if entry.seen is not None:
            groups[entry.class_name].append(entry.seen.places.max(0))
    largest = sorted(groups, key=lambda name: -len(groups[name]))[:MOST_GROUPS]
    every = [places for found in groups.values() for places in found]
    return ({"all": every} if len(groups) > 1 else {}) | {name: groups[name] for name in sorted(largest)}


def _heat_map(label: str, shares: Any, cases: int) -> dict[str, Any]:
    peak = float(shares.max())
    picture = np.zeros((*shares.shape, 4), np.uint8)
    picture[..., :3] = HEAT
    picture[..., 3] = (255 * shares / (peak or 1)).round()
    return {"label": label, "peak": peak, "cases": cases, "image": to_data_uri(Image.fromarray(picture, "RGBA"))}


def _grey_charts(dataset: Dataset, usable: Sequence[Entry]) -> Iterator[dict[str, Any]]:
    """Brightness of each channel by class, of the first by what else is stated, and how far the tumour stands out."""
    for number, name in enumerate(dataset.channel_names):
        values = [
            (entry, float(found))
            for entry in usable
            if entry.seen and number < len(entry.seen.medians) and (found := entry.seen.medians[number]) is not None
        ]
        label = f"median grey value of the head{f', {name}'.replace('_', ' ') if name else ''}"
        yield from _grey_chart(label, values)
        for attribute in _attribute_tables(usable) if number == 0 else ():
            yield from _grey_chart(f"{label}, by {attribute.replace('_', ' ')}", values, attribute)
    contrasts = [(entry, found) for entry in usable if entry.seen and (found := entry.seen.contrast) is not None]
    yield from _grey_chart("tumour minus rest of the head, in deviations of the rest", contrasts)


def _grey_chart(label: str, values: Sequence[tuple[Entry, float]], attribute: str = "") -> Iterator[dict[str, Any]]:
    if values:
        strips = _strips_by(values, attribute)
        axis = charts.linear_axis(min(value for _, value in values), max(value for _, value in values), label)
        yield {"label": label, "chart": Markup(charts.strips(strips, label, axis, MOST_DOTS))}


def _examples(described: Described, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """A few of each class, with and without a tumour."""
    by_id = {entry.case.id: entry for entry in entries}
    kinds: dict[tuple[str, bool], list[Example]] = defaultdict(list)
    for example in described.observer.examples:
        kinds[by_id[example.case].class_name, example.has_tumour].append(example)
    most = max(1, MOST_EXAMPLES // max(1, len(kinds)))
    chosen = [
        (kind, example)
        for kind in sorted(kinds, key=lambda kind: (not kind[1], kind[0]))
        for example in kinds[kind][:most]
    ]
    return [
        {"case": example.case, "image": example.image, "class_name": class_name, "has_tumour": has_tumour}
        for (class_name, has_tumour), example in chosen[:MOST_EXAMPLES]
    ]


def _findings(described: Described) -> list[dict[str, str]]:
    """Without the paths of this machine."""

    def shown(message: str) -> str:
        for path in described.dataset.paths:
            message = message.replace(f"{path}/", "").replace(str(path), path.name)
        return message

    chosen = described.findings[:MOST_FINDINGS]
    return [{"severity": one.severity, "code": one.code, "message": shown(one.message)} for one in chosen]


def _case_table(described: Described, entries: Sequence[Entry]) -> tuple[list[str], list[dict[str, Any]]]:
    """One row a case, for those who want to look further."""
    unit, dataset = size_unit(entries), described.dataset
    parts: Mapping[str, str] = described.split.parts if isinstance(described.split, Split) else {}
    rows = [_case_row(entry, dataset, unit) | {"part": parts.get(entry.case.id, "")} for entry in entries]
    return list(dict.fromkeys(name for row in rows for name in row)), rows


def _case_row(entry: Entry, dataset: Dataset, unit: str) -> dict[str, Any]:
    case, facts, seen = entry.case, entry.facts, entry.seen
    px, sizes = entry.sizes(in_px=True), entry.sizes(in_px=unit == "px")
    named = {"ml": "ml", "mm²": "mm2", "px": ""}[unit]
    regions: dict[str, Any] = {}
    for number, region in enumerate(dataset.regions if facts.foregrounds else ()):
        regions[f"{region}_px"] = round(px[number] or 0)
        if named:
            regions[f"{region}_{named}"] = round(sizes[number] or 0.0, 3)
    medians = seen.medians if seen else ()
    grey = {
        f"median_{name or number}": value
        for number, (name, value) in enumerate(zip(dataset.channel_names, medians, strict=False))
    }
    return {
        "id": case.id,
        "patient": case.shown_patient,
        "class_name": case.class_name,
        "size": "x".join(map(str, facts.shape[:0:-1])),
        "spacing": _spacing(entry),
        **regions,
        **grey,
        "contrast": seen.contrast if seen else None,
        "errors": "; ".join(code for code, _ in facts.errors),
    }
