"""MODEL_CARD.md of a run, after model cards (Mitchell et al. 2019, arXiv:1810.03993)."""

from collections.abc import Sequence
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import tomli_w
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from safetensors import safe_open

from tumorline.data.joined import SOURCE
from tumorline.data.terms import MARKS
from tumorline.escaping import for_markdown
from tumorline.evaluation.baselines import from_text
from tumorline.file_names import CARD_NAME, SUMMARY_NAME, WEIGHTS_NAME
from tumorline.files import write_text
from tumorline.inference.post import describe_postprocessing
from tumorline.metrics.headline import (
    count_cases,
    count_false_lesions,
    count_false_positives,
    count_volumes,
    dice_of_sources,
    name_figure,
    tell_lost,
)
from tumorline.model_file import read_info
from tumorline.model_info import ModelInfo
from tumorline.report.content import CardFigures, CardRegion, StressRow
from tumorline.report.region import size_limits, subset_rows
from tumorline.report.templates import harmless, shown_count, shown_number
from tumorline.results import Figure, Robustness, Summary, mean_dice_over_regions, read_summary
from tumorline.wording import in_words

FIGURES = (
    ("dice", 3),
    ("nsd", 3),
    ("hd95", 1),
    ("hd95_detected", 1),
    ("average_surface_distance_detected", 1),
    ("signed_offset", 1),
    ("volume_ratio", 2),
    ("truth_ml", 2),
    ("predicted_ml", 2),
    ("volume_error_ml", 2),
    ("volume_error_absolute_ml", 2),
    ("predicted_ml_tumour_free", 2),
    ("brats2023_lesion_dice", 3),
    ("brats2023_lesion_hd95", 1),
    ("precision", 3),
    ("recall", 3),
)
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def write_card(run: Path) -> Path:
    """Write the model card of a finished run folder from its model file and its summary."""
    return _write(run, read_summary(run / SUMMARY_NAME))


def write_bare_card(run: Path) -> Path:
    """The card of a model that was trained on all patients: without figures, until those of its folds are known."""
    return _write(run, None)


def _write(run: Path, summary: Summary | None) -> Path:
    weights = run / WEIGHTS_NAME
    write_text(run / CARD_NAME, render_card(read_info(weights), summary, weights))
    return run / CARD_NAME


def render_card(info: ModelInfo, summary: Summary | None, weights: Path) -> str:
    """The card of a model file, with the figures of an evaluation where there is one."""
    content = {
        "info": info,
        "summary": summary,
        **_evaluated(summary, [source.name for source in info.data.sources]),
        "images": _images(info, summary),
        "on_all": info.split.trains_on_all,
        "threshold_from": _origin(info, info.states_threshold),
        "temperature_from": _origin(info, info.states_temperature),
        "gates": info.metrics.presence_gate,
        "points": list(zip(info.regions, info.thresholds, info.temperatures, strict=True)),
        "precisions": info.metrics.precisions,
        "postprocessing": describe_postprocessing(info.regions, info.postprocessing),
        "options": ", ".join(f"{key} {value}" for key, value in info.architecture.options.items()),
        "parameters": shown_count(_count_parameters(weights)),
        "storage": info.storage,
        "attribution": info.data.attribution,
        "sources": info.data.sources,
        "knows_looks": any(info.known_cases.looks.values()),
        "unknown": [source.name for source in info.data.sources if source.patients_unknown],
        "forbidden": {words: names for key, words in MARKS.items() if (names := getattr(info.data, key))},
        "configuration": Markup(tomli_w.dumps(_without_empty(info.config)).strip()),
    }
    return str(_template().render(**content))


def _images(info: ModelInfo, summary: Summary | None) -> str:
    """What the model segments; where there are no figures, its constant masks tell pictures from volumes."""
    if info.input.dims == 3:
        return "MRI volumes"
    if summary is None:
        texts = (text for masks in info.constant_masks.values() for text in masks)
        of_volumes = {from_text(text).ndim == 3 for text in texts}
    else:
        of_volumes = {bool(next(iter(summary.regions.values())).truth_ml), *([False] if info.data.sources else [])}
    if True not in of_volumes:
        return "two-dimensional MRI slices"
    return "MRI slices and volumes, slice by slice" if False in of_volumes else "MRI volumes, slice by slice"


def _origin(info: ModelInfo, is_stated: bool) -> str:
    return "stated by the recipe" if is_stated or not info.split.validated else "chosen on validation patients"


def _evaluated(summary: Summary | None, sources: Sequence[str]) -> CardFigures:
    if summary is None:
        return {"counted": "", "mean_dice": None, "regions": []}
    return {
        "counted": count_cases(summary),
        "mean_dice": mean_dice_over_regions(summary.regions),
        "regions": [_region_content(summary, region, sources) for region in summary.regions],
    }


def _region_content(summary: Summary, region: str, sources: Sequence[str]) -> CardRegion:
    figures = summary.regions[region]
    sizes = [(f"{name}, {size_limits(group, ' to ')}", group) for name, group in figures.by_size.items()]
    return {
        "name": region,
        "figures": figures,
        "false_lesions": count_false_lesions(figures),
        "false_positives": count_false_positives(figures),
        "volumes": count_volumes(figures) if figures.truth_ml else "",
        "rows": [
            (name, digits) for name, digits in FIGURES if (figure := getattr(figures, name)) and figure.mean is not None
        ],
        "calibration": summary.calibration.get(region),
        "dice_of_sources": dice_of_sources(figures, sources),
        "groups": [*figures.by_class.items(), *sizes, *figures.by_attribute.get(SOURCE, {}).items()],
        "presence": summary.presence.get(region, {}),
        "subsets": subset_rows(summary, region),
        "stress": stress_rows(summary.robustness.get(region)),
        "stress_lost": tell_lost(summary.robustness[region]) if region in summary.robustness else "",
    }


def stress_rows(stress: Robustness | None) -> list[StressRow]:
    """A row of the images as they are, and of each change at each strength; nothing where it was not asked for."""
    if stress is None:
        return []
    return [
        {
            "change": f"{in_words(name)}, {strength}".rstrip(", "),
            "dice": level.dice.mean,
            "lost": level.dice.lost_against(stress.unchanged.dice),
            "missed": level.missed,
        }
        for name, strength, level in stress.levels()
    ]


@cache
def _template() -> Any:
    loader = PackageLoader("tumorline.report", ".")
    environment = Environment(
        loader=loader,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=harmless(for_markdown),
    )
    environment.filters |= {
        "number": shown_number,
        "interval": _interval,
        "shares": _shares,
        "figure_name": name_figure,
    }
    return environment.get_template("card.md")


def _count_parameters(path: Path) -> int:
    with safe_open(path, "numpy") as file:
        names = file.keys()
        learnt = [name for name in names if not name.endswith(BUFFERS)]
        return sum(prod(file.get_slice(name).get_shape()) for name in learnt)


def _without_empty(config: Any) -> Any:
    """TOML has no null: keys without a value are left out."""
    if isinstance(config, list):
        return [_without_empty(value) for value in config]
    if not isinstance(config, dict):
        return config
    return {key: _without_empty(value) for key, value in config.items() if value is not None}


def _shares(figure: Figure) -> str:
    """A mean with its limits, in percent."""
    if figure.mean is None:
        return "–"
    limits = f" ({_interval([100 * limit for limit in figure.ci95], 1)})" if figure.ci95 else ""
    return f"{100 * figure.mean:.1f} %{limits}"


def _interval(limits: Sequence[float] | None, digits: int) -> str:
    return "–" if limits is None else f"{limits[0]:.{digits}f} to {limits[1]:.{digits}f}"
