"""From a data set, a machine and a stated time to a recipe, each choice with its reason."""

from collections.abc import Iterable
from pathlib import Path

from tumorline.config import apply_override, parse_config
from tumorline.errors import UserError
from tumorline.planning.choices import Plan
from tumorline.planning.fingerprint import Fingerprint, open_to_plan, take_fingerprint
from tumorline.planning.machine import AtHand, find_at_hand
from tumorline.planning.plan import plan_training
from tumorline.progress import Progress
from tumorline.user_text import TomlTable

__all__ = ["AtHand", "Fingerprint", "Plan", "find_at_hand", "plan_source", "plan_training", "take_fingerprint"]


def plan_source(
    source: Path,
    hand: AtHand,
    overrides: Iterable[str] = (),
    axes: int | None = None,
    progress: Progress | None = None,
) -> Plan:
    """The plan for a source; what `overrides` set by hand stays as it is, and the rest is chosen around it.

    `axes` are those that the network sees: 2 for slices, 3 for patches of volumes; without it the set decides. Raises
    UserError for a source or a setting that cannot be used.
    """
    by_hand: TomlTable = {}
    for override in overrides:
        apply_override(by_hand, override)
    parse_config(by_hand, "the command line")
    fingerprint = take_fingerprint(open_to_plan(source, by_hand), progress)
    if axes == 3 and not fingerprint.spacing_mm:
        raise UserError(f"{source}: no volumes with a spacing, so that there is nothing to see in three axes")
    return plan_training(fingerprint, hand, by_hand, axes)
