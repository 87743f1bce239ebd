"""What loggers write: figures by name, settings by name."""

import math
from collections.abc import Mapping
from typing import Any

from tumorline.callbacks import EpochRow
from tumorline.config import Config

NOT_CURVES = ("epoch", "best", "seconds")


def figures_of_epoch(row: EpochRow) -> dict[str, float]:
    """The columns of `history.csv` that are curves."""
    return {key: value for key, value in _numbers(row).items() if key not in NOT_CURVES}


def figures_of_test(summary: Mapping[str, Any]) -> dict[str, float]:
    """The headline of each region on the held-out cases."""
    headline: dict[str, float | None] = {}
    for region, figures in summary["regions"].items():
        end = f"_{region}" if len(summary["regions"]) > 1 else ""
        headline |= {
            f"test_dice{end}": figures["dice"]["mean"],
            f"test_hd95_detected{end}": figures["hd95_detected"]["mean"],
            f"test_missed{end}": figures["missed"],
        }
    return _numbers(headline)


def settings_of(config: Config) -> dict[str, str]:
    """Every key of a configuration with its value as a text."""
    return dict(_flat_settings(config.model_dump(mode="json", exclude_none=True)))


def _flat_settings(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in values.items():
        is_section = isinstance(value, Mapping) and value
        pairs += _flat_settings(value, f"{prefix}{key}.") if is_section else [(prefix + key, str(value))]
    return pairs


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Those that are finite numbers."""
    return {
        key: float(number)
        for key, number in values.items()
        if isinstance(number, (int, float)) and math.isfinite(number)
    }
