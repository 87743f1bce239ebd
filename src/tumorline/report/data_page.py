"""The page of a data set: what it holds, before anything is trained on it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from tumorline.audit.case_findings import count_patients
from tumorline.data.dataset import Dataset
from tumorline.data.splits.parts import Split
from tumorline.data.splits.split import part_counts
from tumorline.file_names import DATA_PAGE_NAME, DATA_TABLE_NAME
from tumorline.files import write_csv, write_text
from tumorline.groups import grouped
from tumorline.report.content import ClassRow, DataContent, ExampleContent, FindingContent, PartsContent
from tumorline.report.data_charts import cases_by_patient, grey_charts, size_charts, tumour_maps
from tumorline.report.data_entries import (
    PX,
    Described,
    Entry,
    attribute_tables,
    by_kind,
    list_entries,
    round_number,
    size_unit,
    spacing_in_words,
)
from tumorline.report.templates import template
from tumorline.wording import in_words

Value = str | int | float | None
"""Of a cell of the table of cases."""
MOST_FINDINGS, MOST_EXAMPLES, MOST_COMMON = 60, 16, 8


def write_data_page(described: Described, output: Path) -> Path:
    """Write `data.html` and `cases.csv`, and return the path of the page."""
    entries = list_entries(described)
    write_csv(output / DATA_TABLE_NAME, *_case_table(described, entries))
    write_text(output / DATA_PAGE_NAME, template("data.html").render(**_data_content(described, entries)))
    return output / DATA_PAGE_NAME


def _data_content(described: Described, entries: Sequence[Entry]) -> DataContent:
    dataset = described.dataset
    usable = [entry for entry in entries if entry.facts.shape and not entry.facts.errors]
    usable_kinds, volumes = by_kind(usable), any(entry.case.is_volume for entry in entries)
    mixed = len(usable_kinds) > 1
    return {
        "title": dataset.source.name,
        "source": dataset.source,
        "volumes": volumes,
        "thing": "case" if mixed else "volume" if volumes else "slice",
        "mixed": mixed,
        "tiles": _tiles(described, usable, usable_kinds),
        "classes": [row for kind, members in by_kind(entries).items() for row in _class_table(members, kind)],
        "attributes": attribute_tables(entries),
        "shapes": _common(" x ".join(map(str, entry.facts.shape[:0:-1])) for entry in usable),
        "spacings": _common(spacing_in_words(entry) for entry in usable),
        "size_charts": {
            _of_kind(kind, name): chart
            for kind, few in usable_kinds.items()
            for name, chart in size_charts(dataset, few)
        },
        "patients": cases_by_patient(usable),
        "maps": [
            {**maps, "name": _of_kind(kind, maps["name"])}
            for kind, few in usable_kinds.items()
            for maps in tumour_maps(dataset, few)
        ],
        "grey": list(grey_charts(dataset, usable)),
        "examples": _examples(described, entries),
        "findings": _findings(described),
        "more_findings": max(0, len(described.findings) - MOST_FINDINGS),
        **_parts_content(described),
    }


def _parts_content(described: Described) -> PartsContent:
    split = described.split
    if isinstance(split, str):
        return {"split": split, "origin": "", "parts": []}
    return {"split": "", "origin": split.origin, "parts": part_counts(described.dataset, split)}


def _of_kind(kind: str, name: str) -> str:
    return ": ".join(filter(None, (kind, name)))


def _tiles(
    described: Described, usable: Sequence[Entry], kinds: Mapping[str, Sequence[Entry]]
) -> list[tuple[str, str]]:
    dataset, region = described.dataset, in_words(described.dataset.regions[0])
    patients = count_patients(dataset)
    free = sum(not entry.facts.foreground for entry in usable)
    shares = [entry.facts.foreground for entry in usable if entry.facts.foreground]
    severities = Counter(finding.severity for finding in described.findings)
    return [
        (str(len(dataset.cases)), f"cases in the layout '{dataset.source.layout}'"),
        ("unknown" if patients is None else str(patients), "patients"),
        (f"{free} of {len(usable)}", "usable cases without a tumour"),
        *(_size_tile(_of_kind(kind, region), few) for kind, few in kinds.items()),
        (f"{100 * median(shares):.2f} %" if shares else "–", "of the image is tumour, median of those with one"),
        (f"{severities['error']} · {severities['warning']}", "errors · warnings of the check"),
    ]


def _size_tile(what: str, entries: Sequence[Entry]) -> tuple[str, str]:
    middle, spread = _sizes_in_words(entries, size_unit(entries))
    return middle, f"median size of {what}; {spread}"


def _sizes_in_words(entries: Sequence[Entry], unit: str) -> tuple[str, str]:
    """Median and range of the first region."""
    sizes = [size for entry in entries for size in entry.sizes(unit)[:1] if size]
    if not sizes:
        return "–", "–"
    return f"{round_number(median(sizes))} {unit}", f"{round_number(min(sizes))} to {round_number(max(sizes))}"


def _class_table(entries: Sequence[Entry], kind: str) -> list[ClassRow]:
    table, unit = list[ClassRow](), size_unit(entries)
    for name, members in sorted(grouped(entries, lambda entry: entry.class_name).items()):
        middle, spread = _sizes_in_words(members, unit)
        table.append(
            {
                "name": _of_kind(kind, name),
                "patients": len({entry.case.group for entry in members}),
                "cases": len(members),
                "tumours": sum(bool(entry.facts.foreground) for entry in members),
                "median": middle,
                "range": spread,
            }
        )
    return table


def _common(texts: Iterator[str]) -> list[tuple[str, int]]:
    counts = Counter(texts)
    shown = counts.most_common(MOST_COMMON)
    others = counts.total() - sum(number for _, number in shown)
    return [*shown, *([(f"{len(counts) - MOST_COMMON} others", others)] if others else [])]


def _examples(described: Described, entries: Sequence[Entry]) -> list[ExampleContent]:
    """A few of each class, with and without a tumour."""
    by_id = {entry.case.id: entry for entry in entries}
    kinds = grouped(described.observer.examples, lambda example: (by_id[example.case].class_name, example.has_tumour))
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


def _findings(described: Described) -> list[FindingContent]:
    """Without the paths of this machine."""

    def shown(message: str) -> str:
        for path in described.dataset.paths:
            message = message.replace(f"{path}/", "").replace(str(path), path.name)
        return message

    chosen = described.findings[:MOST_FINDINGS]
    return [
        {"severity": finding.severity, "code": finding.code, "message": shown(finding.message)} for finding in chosen
    ]


def _case_table(described: Described, entries: Sequence[Entry]) -> tuple[list[str], list[dict[str, Value]]]:
    """One row a case, for those who want to look further."""
    kinds = grouped(entries, lambda entry: entry.case.is_volume)
    units = {volumes: size_unit(few) for volumes, few in kinds.items()}
    parts: Mapping[str, str] = described.split.parts if isinstance(described.split, Split) else {}
    rows = [
        _case_row(entry, described.dataset, units[entry.case.is_volume]) | {"part": parts.get(entry.case.id, "")}
        for entry in entries
    ]
    return list(dict.fromkeys(name for row in rows for name in row)), rows


def _case_row(entry: Entry, dataset: Dataset, unit: str) -> dict[str, Value]:
    case, facts, seen = entry.case, entry.facts, entry.seen
    px, sizes = entry.sizes(PX), entry.sizes(unit)
    suffix = {"ml": "ml", "mm²": "mm2", PX: ""}[unit]
    regions: dict[str, Value] = {}
    for number, region in enumerate(dataset.regions if facts.foregrounds else ()):
        regions[f"{region}_px"] = round(px[number] or 0)
        if suffix:
            regions[f"{region}_{suffix}"] = round(sizes[number] or 0.0, 3)
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
        "spacing": spacing_in_words(entry),
        **regions,
        **grey,
        "contrast": seen.contrast if seen else None,
        "errors": "; ".join(code for code, _ in facts.errors),
    }
