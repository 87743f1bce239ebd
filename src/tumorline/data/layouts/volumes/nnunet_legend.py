"""What the channels and labels of a set in nnU-Net's layout are: by its dataset.json, or by the names of its scans."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tumorline.config import DataConfig
from tumorline.data.finding import Finding
from tumorline.data.layouts.documents import read_json_document
from tumorline.data.layouts.volumes.scan_case import REGION_WORDS, SEQUENCE_WORDS, plain_word, region_of
from tumorline.errors import UserError
from tumorline.regions import LabelScheme, scheme_of_parts

TASK01 = re.compile(r"BRATS_\d{3}")
"""Scans of the Decathlon's first task, whose channels and labels are known without its dataset.json."""
TASK01_CHANNELS = {0: "flair", 1: "pre_contrast", 2: "post_contrast", 3: "t2"}
TASK01_SCHEME = scheme_of_parts(oedema=(1,), core=(2,), enhancing=(3,))
PART_WORDS = {
    **dict.fromkeys(("oedema", "peritumouraloedema", "ed", "snfh", "wholetumour"), "oedema"),
    **dict.fromkeys(("nonenhancing", "nonenhancingtumour", "nonenhancingtumourcore", "nonenhancingcore"), "core"),
    **dict.fromkeys(("necrosis", "necrotic", "necroticcore", "necrotictumourcore", "ncr", "net", "ncrnet"), "core"),
    **dict.fromkeys(("netc", "tumourcore", "core"), "core"),
    **dict.fromkeys(("enhancingtumour", "enhancing", "et", "enhancingcore"), "enhancing"),
    **dict.fromkeys(("background", "resectioncavity", "rc"), "others"),
}
EXAMPLE = (
    'write them into it, such as {"channel_names": {"0": "FLAIR", "1": "T1w", "2": "T1gd", "3": "T2w"}, '
    '"labels": {"background": 0, "edema": 1, "non-enhancing tumor": 2, "enhancing tumor": 3}}'
)


@dataclass(frozen=True)
class SetLegend:
    """What the dataset.json of a set, or its names, say: the sequence of each channel and what the labels mean.

    Of labels that `data.label_values` explains it says nothing.
    """

    file: Path
    channels: Mapping[int, str]
    scheme: LabelScheme
    notes: tuple[Finding, ...] = ()


def read_legend(folder: Path, names: Sequence[str], settings: DataConfig) -> SetLegend:
    """What channels and labels of one set are, with a note where its names tell."""
    file, channels, labels = read_description(folder)
    if channels and (labels or settings.label_values):
        scheme = LabelScheme({}) if settings.label_values else _read_labels(file, labels, settings)
        return SetLegend(file, read_channels(file, channels), scheme)
    if channels or labels or not all(TASK01.fullmatch(name.rpartition("/")[2]) for name in names):
        lacking = " and ".join(key for key, value in (("channels", channels), ("labels", labels)) if not value)
        raise UserError(f"{file}: {'names no' if file.exists() else 'is not there to name the'} {lacking}; {EXAMPLE}")
    meanings = "FLAIR, T1w, T1gd, T2w; 1 oedema, 2 not enhancing, 3 enhancing"
    message = f"{folder}: read as Task01 of the Medical Segmentation Decathlon by its names ({names[0]}): {meanings}"
    return SetLegend(file, TASK01_CHANNELS, TASK01_SCHEME, (Finding("recognised_by_names", "info", message),))


def read_description(folder: Path) -> tuple[Path, Any, Any]:
    """The dataset.json of a set, and what it states of channels and of labels; None of each where it is not there."""
    file = folder / "dataset.json"
    content = read_json_document(file) if file.exists() else {}
    return file, content.get("channel_names") or content.get("modality"), content.get("labels")


def read_channels(file: Path, channels: Any) -> dict[int, str]:
    sequences = {}
    for number, name in _entries(file, "channels", channels):
        if not number.isdecimal():
            raise UserError(f"{file}: channel '{number}' is no number; {EXAMPLE}")
        sequences[int(number)] = SEQUENCE_WORDS.get(plain_word(name), plain_word(name))
    return sequences


def _entries(file: Path, key: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        raise UserError(f"{file}: its {key} are no table; {EXAMPLE}")
    return [(str(name), content) for name, content in value.items()]


def _read_labels(file: Path, labels: Any, settings: DataConfig) -> LabelScheme:
    """The regions of labels by name (nnU-Net) or names by label (the Decathlon).

    A list of labels is a region by its name; single labels are the parts of BraTS, which exclude one another.
    """
    labels_by_name: dict[str, tuple[int, ...]] = {}
    lists = set()
    for key, value in _entries(file, "labels", labels):
        name, values = (str(value), key) if key.isdecimal() else (key, value)
        numbers = values if isinstance(values, list) else [values]
        if not all(str(number).isdecimal() for number in numbers):
            raise UserError(f"{file}: the label '{name}' is {values}; expected whole numbers")
        labels_by_name[name] = tuple(int(number) for number in numbers)
        lists |= {name} if isinstance(values, list) else set()
    foreground = {name: values for name, values in labels_by_name.items() if any(values)}
    if len(foreground) == 1:
        ((name, values),) = foreground.items()
        return _one_region(file, name, values, settings, is_list=name in lists)
    if lists & foreground.keys():
        return LabelScheme(_regions_by_name(file, foreground))
    return _exclusive_parts(file, {plain_word(name): values for name, values in foreground.items()})


def _one_region(file: Path, name: str, values: tuple[int, ...], settings: DataConfig, is_list: bool) -> LabelScheme:
    chosen = "".join(settings.regions[:1]) or settings.label
    region = REGION_WORDS.get(plain_word(name), chosen or (_region_named(name, values) if is_list else ""))
    if not region:
        raise UserError(f"{file}: names one label, '{name}'; say what it outlines, for example data.label=whole_tumour")
    return LabelScheme({region: values})


def _regions_by_name(file: Path, labels: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Raises UserError where two labels mean one region."""
    name_of: dict[str, str] = {}
    for name, values in labels.items():
        region = _region_named(name, values)
        if (first := name_of.setdefault(region, name)) != name:
            raise UserError(f"{file}: the labels '{first}' and '{name}' are both {region}; rename one of them")
    return {region: labels[name] for region, name in name_of.items()}


def _region_named(name: str, values: tuple[int, ...]) -> str:
    return region_of(name) or "_".join(["label", *map(str, values)])


def _exclusive_parts(file: Path, labels: Mapping[str, tuple[int, ...]]) -> LabelScheme:
    parts: dict[str, tuple[int, ...]] = {"oedema": (), "core": (), "enhancing": (), "others": (0,)}
    for name, values in labels.items():
        if name not in PART_WORDS:
            accepted = "edema, non-enhancing tumor, necrosis, enhancing tumor, resection cavity"
            raise UserError(
                f"{file}: the label '{name}' is not known; expected {accepted}, or regions as lists of labels"
            )
        parts[PART_WORDS[name]] += values
    return scheme_of_parts(**parts)
